"""One regime a file, found by `bdshift.lab.regime.REGIMES`."""
