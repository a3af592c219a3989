"""The window's dialogs, each for one question."""
