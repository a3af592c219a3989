"""One labeling per file; they are found by name (`bdshift.lab.labeling.LABELINGS`)."""
