"""Windows on top of the window, each for one question."""
