"""Output of results: JSON for programs, text and HTML for readers."""
