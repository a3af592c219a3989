"""Changes of images that are the same for all of them, or computed from each: what a trigger may
look like if nobody knows it. One kind is one file.
"""

from __future__ import annotations

from bdshift.changes.kind import CHANGES, ChangeKind, Params, as_bytes

__all__ = ["CHANGES", "ChangeKind", "Params", "as_bytes"]
