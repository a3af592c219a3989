"""All targets, by the names that the command takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tools.fuzz.audits import audit, audit_text
from tools.fuzz.checkpoints import Judge, checkpoint, pickle_alone, pickle_in_zip
from tools.fuzz.images import image_set, labels, picture
from tools.fuzz.target import Scratch

TARGETS: Mapping[str, Callable[[Scratch, bytes], Judge]] = {
    "checkpoint": checkpoint,
    "pickle-in-zip": pickle_in_zip,
    "pickle-alone": pickle_alone,
    "picture": picture,
    "image-set": image_set,
    "labels": labels,
    "audit": audit,
    "audit-text": audit_text,
}
"""Each puts an input where the reader finds it, and returns what reads it: that may raise
`bdshift.errors.BdshiftError`, and nothing else.
"""
