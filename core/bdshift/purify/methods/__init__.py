"""One method per file; `bdshift.purify.method.METHODS` finds them by name."""
