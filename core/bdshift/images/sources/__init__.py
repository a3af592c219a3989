"""One file for each kind of image set; `open_source` tells them apart by what they hold."""
