"""Limits on what hostile files may cost, by counting: clock times depend on other processes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

MEMORY_LIMIT = 512 * 1024 * 1024
CPU_SECONDS, THREAD_SECONDS = 60, 30

READER = """
import json, resource, sys
import hashlib, io, pickletools, struct, zipfile, encodings.idna, encodings.cp437
import encodings.latin_1, encodings.utf_8, bdshift.checkpoints.layout
import safetensors, numpy  # the reader loads these when it needs them
import h5py, bdshift.checkpoints.described.keras_file
from bdshift.checkpoints.layout import find_state_dict
from bdshift.checkpoints.reader import read_checkpoint
from bdshift.errors import InputError

limit, seconds = int(sys.argv[1]), int(sys.argv[2])
base = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (base + limit, base + limit))
resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
bad = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.",
       "exec", "compile", "import", "pickle.find_class", "ctypes.", "os.remove", "os.rename",
       "os.mkdir", "shutil.")
results = []

def watch(event, args):
    if event.startswith(bad) or (event == "open" and args[1] not in ("r", "rb", None)):
        sys.stderr.write(f"CAUGHT {event} {args!r}\\n")
        sys.stderr.flush()
        import os
        os._exit(99)

paths = sys.argv[3:]
sys.addaudithook(watch)
for path in paths:
    try:
        state = find_state_dict(read_checkpoint(path))
        results.append(["read", str(len(state.tensors))])
    except InputError as error:
        results.append(["refused", str(error)])
print(json.dumps(results))
"""


def run_guarded(
    *paths: Path, code: str = READER, limit: int = MEMORY_LIMIT
) -> subprocess.CompletedProcess[str]:
    """Run the reader on files in its own process, which exits with status 99 at the first import,
    exec, process, socket, or file opened for writing, and otherwise fails if it needs more than
    ``limit`` additional bytes, or too much CPU time.
    """
    return subprocess.run(
        [sys.executable, "-c", code, str(limit), str(CPU_SECONDS), *map(str, paths)],
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip


def read_apart(*paths: Path, limit: int = MEMORY_LIMIT) -> list[tuple[str, str]]:
    """Read files in the guarded process: for each, "read" and its number of tensors, or "refused"
    and the sentence.
    """
    done = run_guarded(*paths, limit=limit)
    assert done.returncode == 0, done.stderr[-2000:]
    found = [(str(what), str(text)) for what, text in json.loads(done.stdout)]
    assert len(found) == len(paths)
    return found


def refused(path: Path, *words: str) -> None:
    """Assert that a file is refused, in one sentence that contains these words."""
    [(what, text)] = read_apart(path)
    assert what == "refused", text
    assert "\n" not in text
    assert text.startswith(str(path))
    for word in words:
        assert word in text, text


@contextmanager
def calls_at_most(limit: int) -> Iterator[None]:
    """Fail as soon as more than ``limit`` functions have been called, Python's or built in. Loops
    inside a single call are caught by a limit on this thread's CPU time, which is generous.
    """
    count, started = 0, time.thread_time()

    def watch(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")
        if count > limit:
            sys.setprofile(None)
            pytest.fail(f"more than {limit:,} calls")

    threading.setprofile(watch)
    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    assert time.thread_time() - started < THREAD_SECONDS


@contextmanager
def peak_at_most(limit: int) -> Iterator[None]:
    """Fail if Python and NumPy ever hold more than ``limit`` bytes more than before."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= limit, f"{peak:,} bytes"
