"""What writer and reader of the audit file agree on."""

FORMAT, SCHEMA = "bdshift-audit", 2
"""Schema 1 had no purifications, and is read."""

SHIFT_ARRAYS = ("shift", "l2", "loss", "lower", "kkt", "multiplier")
"""Datasets below ``shift/``, by their names in `bdshift.shift.result.Shifts`."""

EMBEDDING_ARRAYS = ("phi", "logits", "labels", "thumbnails")
"""Datasets below ``embedding/``, one row an image; `bdshift.shift.embed.Embedding`."""

TRIGGERED_ARRAYS = ("phi", "logits", "thumbnails")
"""Datasets below ``tac/0/``, …, of the same images with the trigger."""
