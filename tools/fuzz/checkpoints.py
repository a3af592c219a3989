"""The readers of checkpoints: a whole file, and the pickle in one, without its container."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

from bdshift.checkpoints.layout import find_state_dict
from bdshift.checkpoints.reader import read_checkpoint
from bdshift.checkpoints.recognize import recognize
from bdshift.errors import BdshiftError
from bdshift.pickle_data import read_pickle
from bdshift.pickle_values import PickleError
from tools.fuzz.target import Scratch

Judge = Callable[[], object]
_STORAGE, _STORAGES = bytes(1024), 12


def checkpoint(scratch: Scratch, data: bytes) -> Judge:
    """A file of any kind: its weights are found, loaded, and told apart as a network's."""
    path = scratch.file("model", data)
    return lambda: _weights(path)


def pickle_in_zip(scratch: Scratch, data: bytes) -> Judge:
    """The pickle of a torch zip whose container is right: tensors, modules and layouts."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", data)
        for key in range(_STORAGES):
            archive.writestr(f"archive/data/{key}", _STORAGE)
    path = scratch.file("model", stream.getvalue())
    return lambda: _weights(path)


def pickle_alone(_: Scratch, data: bytes) -> Judge:
    """The stack machine itself."""

    def read() -> None:
        try:
            read_pickle(io.BytesIO(data))
        except PickleError as error:
            raise BdshiftError(error.sentence) from error

    return read


def _weights(path: Path) -> None:
    state = find_state_dict(read_checkpoint(path))
    state.load()
    recognize(state.shapes(), state.layers)
