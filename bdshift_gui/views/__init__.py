"""One view a file: renders the session and the selection, and asks for changes by signals."""
