"""One detector per file; they are found by name (`bdshift.detect.detector.DETECTORS`)."""
