"""Results out: JSON for programs, text for people."""
