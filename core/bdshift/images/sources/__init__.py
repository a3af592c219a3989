"""One module for each kind of image set; `open_source` recognizes them by their content."""
