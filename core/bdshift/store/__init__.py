"""The audit file: one HDF5 file with everything an audit found. Its layout is docs/audit-file.md.

Arrays are datasets, everything else is one JSON text next to them, and nothing in the file is code.
"""

from bdshift.store.read import load_audit
from bdshift.store.write import change_audit, has_purification, same_run, save_audit, save_merged

__all__ = [
    "change_audit", "has_purification", "load_audit", "same_run", "save_audit", "save_merged",
]  # fmt: skip
