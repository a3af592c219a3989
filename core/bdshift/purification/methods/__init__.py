"""One method per file; `bdshift.purification.method.METHODS` finds them by name."""
