"""Does a class stand out? Detectors score the classes, each its own way; rules judge the scores."""
