"""One condition a file, found by `bdshift.lab.condition.CONDITIONS`."""
