"""Small building blocks of views, which know nothing about the session."""
