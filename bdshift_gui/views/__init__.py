"""One view per file; every view here is shown (`bdshift_gui.view`)."""
