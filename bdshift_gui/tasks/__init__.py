"""What actions start: jobs on the worker, whose results go into the session."""
