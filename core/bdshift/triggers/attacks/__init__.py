"""One attack per file; they are found by name (`bdshift.triggers.base.TRIGGERS`)."""
