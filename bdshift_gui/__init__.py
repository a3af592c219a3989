"""The window: a thin, one-way view of the library `bdshift`."""
