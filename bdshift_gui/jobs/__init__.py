"""One worker thread, one job at a time; what it reports reaches the window as events."""
