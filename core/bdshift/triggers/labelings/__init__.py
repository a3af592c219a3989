"""One labeling per file; they are found by name (`bdshift.triggers.labeling.LABELINGS`)."""
