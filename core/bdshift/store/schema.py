"""What writer and reader of the audit file agree on."""

FORMAT, SCHEMA = "bdshift-audit", 1

SHIFT_ARRAYS = ("shift", "l2", "loss", "lower", "kkt", "multiplier")
"""Datasets below ``shift/``, by their names in `bdshift.shift.result.Shifts`."""
