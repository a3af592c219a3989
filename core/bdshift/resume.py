"""States of interrupted work. Only those that this user's bdshift wrote are read.

A state holds a network that becomes the result, so one that was put there by someone else could
deliver any network, and reading it could run out of memory. Each file carries a keyed hash (HMAC)
of all its bytes; the key is in the user's configuration folder. A file whose hash does not fit is
not read at all.
"""

from __future__ import annotations

import hmac
import os
import secrets
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import platformdirs
import torch

from bdshift.errors import InputError
from bdshift.jobs import SILENT, JobContext
from bdshift.outputs import Output
from bdshift.writing import written_whole

_HEAD = struct.Struct("<16sQ32s")  # the format, the length of what follows, its hash
_FORMAT = b"bdshift state 1\n"
_KEY_BYTES = 32
_BLOCK_BYTES = 1 << 20


def write_state(path: Path, value: Any) -> None:
    """Write plain values and tensors; a state at ``path`` is replaced.

    Raises as `bdshift.outputs.Output.written` does.
    """
    buffer = BytesIO()  # torch does not survive a full disk
    torch.save(value, buffer)
    content = buffer.getbuffer()
    with Output(path, overwrite=True).written() as stream:
        digest = hmac.digest(_key(), content, "sha256")
        stream.write(_HEAD.pack(_FORMAT, len(content), digest))
        stream.write(content)


def is_state(path: Path, job: JobContext = SILENT) -> bool:
    """Whether there is a state that this user's bdshift wrote, unchanged. Little memory is used,
    however large the file is. A canceled ``job`` ends it.
    """
    try:
        with _opened(path) as stream:
            return _checked(stream, job) is not None
    except OSError:
        return False


def read_state(path: Path, device: torch.device, job: JobContext = SILENT) -> Any:
    """What `write_state` wrote, its tensors on ``device``.

    Raises `InputError` if this user's bdshift did not write it, or it is damaged.
    """
    try:
        with _opened(path) as stream:
            digest = _checked(stream, job)
            if digest is not None:
                stream.seek(_HEAD.size)
                content = stream.read()
                if hmac.compare_digest(hmac.digest(_key(), content, "sha256"), digest):
                    return torch.load(BytesIO(content), map_location=device, weights_only=True)
    except OSError as error:
        raise InputError(
            "{path}: cannot be read ({reason})", path=path, reason=error.strerror or str(error)
        ) from error
    raise InputError(
        "{path}: holds no state that bdshift wrote for you on this computer, or is damaged; remove "
        "it to start again",
        path=path,
    )


def state_beside(path: Path, work: str, job: JobContext = SILENT) -> Path:
    """The file next to ``path`` for the state of interrupted ``work`` on it, if that replaces
    nothing else. Raises as `bdshift.outputs.Output.check` does.
    """
    state = path.with_name(f"{path.name}.{work}.state")
    Output(state, resumed=is_state(state, job)).check()
    return state


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """The file itself: a link is not followed, and a pipe is not waited for."""
    flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with open(path, "rb", opener=lambda name, mode: os.open(name, mode | flags)) as stream:
        yield stream


def _checked(stream: BinaryIO, job: JobContext) -> bytes | None:
    """The hash of an unchanged state of this user's, or None."""
    about = os.fstat(stream.fileno())
    if not stat.S_ISREG(about.st_mode) or about.st_size < _HEAD.size:
        return None
    found, length, digest = _HEAD.unpack(stream.read(_HEAD.size))
    if found != _FORMAT or length != about.st_size - _HEAD.size:
        return None
    made = hmac.new(_key(), digestmod="sha256")
    while block := stream.read(_BLOCK_BYTES):
        job.raise_if_canceled()
        made.update(block)
    return digest if hmac.compare_digest(made.digest(), digest) else None


def _key() -> bytes:
    """The user's key, made when it is first needed. Where it cannot be kept, states are good for
    this process alone.
    """
    path = Path(platformdirs.user_config_dir("bdshift")) / "states.key"
    try:
        with suppress(FileNotFoundError):
            key = path.read_bytes()
            if len(key) == _KEY_BYTES:
                return key
            path.unlink()  # damaged: the states are lost with it
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError), written_whole(path, replace=False) as stream:
            os.chmod(stream.name, 0o600)
            stream.write(secrets.token_bytes(_KEY_BYTES))
        return path.read_bytes()
    except OSError:
        return _passing_key()


@cache
def _passing_key() -> bytes:
    return secrets.token_bytes(_KEY_BYTES)
