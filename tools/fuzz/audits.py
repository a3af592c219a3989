"""The reader of audit files: a whole file, and the description in a file that is right."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import h5py

from bdshift.store import load_audit
from tools.fuzz.checkpoints import Judge
from tools.fuzz.target import Scratch

CORPUS = Path(__file__).parent / "corpus"
"""Kept inputs, in a folder for each target."""

TEMPLATE = CORPUS / "purified.h5"


def audit(scratch: Scratch, data: bytes) -> Judge:
    """A file of any kind."""
    path = scratch.file("audit.h5", data)
    return lambda: load_audit(path)


def audit_text(scratch: Scratch, data: bytes) -> Judge:
    """The JSON of an audit file: it is put where the template has its own, and filled up with
    spaces, so that HDF5 is the same every time.
    """
    before, room, after = _template()
    path = scratch.file("audit.h5", before + data[:room].ljust(room) + after)
    return lambda: load_audit(path)


@cache
def _template() -> tuple[bytes, int, bytes]:
    """The bytes before the description, its length, the bytes after it."""
    with h5py.File(TEMPLATE, "r") as file:
        start, room = file["audit.json"].id.get_offset(), file["audit.json"].nbytes
    whole = TEMPLATE.read_bytes()
    return whole[:start], room, whole[start + room :]
