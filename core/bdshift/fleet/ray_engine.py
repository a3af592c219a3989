"""The engine on many machines: tasks of Ray, each run by a `bdshift.fleet.host` of its worker."""

from __future__ import annotations

import atexit
import hashlib
import importlib
import io
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bdshift.errors import InputError, UsageError
from bdshift.extras import pip_install
from bdshift.fleet.engine import ATTEMPTS, Engine
from bdshift.fleet.local import LocalEngine
from bdshift.fleet.message import line_of, read_line
from bdshift.fleet.task import Result, Spoken, Task, Told
from bdshift.outputs import Output
from bdshift.words import Sentence, words

LOCAL = "local"
"""The address that stands for a cluster of this machine alone, which ends with the engine."""

_MAX_SET_BYTES = 8 * 1024**3
_AHEAD = 2  # tasks that wait for each processor, so that none is idle

_FAILED = words("Ray could not run it: {reason}", ja="Ray で実行できませんでした：{reason}")


class RayEngine(Engine):
    """Audits tasks on a Ray cluster. Models must be where all nodes find them: on a shared file
    system, or at an address. The clean set goes through Ray's object store to nodes without it.

    Raises `UsageError` if Ray is not installed, or there is no cluster at ``address``.
    """

    def __init__(self, address: str, *, threads: int = 1) -> None:
        try:
            ray: Any = importlib.import_module("ray")
        except ImportError as error:
            raise UsageError(
                "Ray is not installed in the environment of bdshift: {command}",
                command=pip_install("ray"),
            ) from error
        self._ray = ray
        try:
            ray.init(
                address=None if address == LOCAL else address, log_to_driver=False,
                include_dashboard=False if address == LOCAL else None, logging_level="error",
            )  # fmt: skip
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise UsageError(
                "there is no Ray cluster at {address} ({reason})",
                address=address, reason=str(error),
            ) from error  # fmt: skip
        self._threads = threads
        self._remote = ray.remote(max_retries=ATTEMPTS - 1, retry_exceptions=False)(_audit)
        self._sets: dict[str, Any] = {}  # references to packed clean sets, by their paths
        self._running: dict[Any, Task] = {}
        self._told: list[Told] = []

    @property
    def room(self) -> int:
        """How many more tasks it takes now: a few wait for each processor, wherever those are."""
        processors = self._ray.cluster_resources().get("CPU", 1.0) / self._threads
        return max(1, round(_AHEAD * processors)) - len(self._running)

    def submit(self, task: Task) -> None:
        """Take a task."""
        path = task.model.images
        try:
            if path not in self._sets:
                self._sets[path] = self._ray.put(pack(Path(path)))
        except InputError as error:
            self._told.append(Told(task.number, Result("refused", Spoken.of(error.sentence))))
            return
        needs = {"num_cpus": task.limits.threads, "memory": task.limits.memory}
        reference = self._remote.options(**needs).remote(line_of(task), self._sets[path])
        self._running[reference] = task

    def told(self, patience: float) -> Sequence[Told]:
        """What has happened since the last call. Ray tells nothing of what runs."""
        found, self._told = self._told, []
        if not self._running:
            return found
        wait = 0 if found else patience
        ready, _ = self._ray.wait([*self._running], num_returns=1, timeout=wait)
        for reference in ready:
            task = self._running.pop(reference)
            found.append(Told(task.number, self._result(task, reference)))
        return found

    def _result(self, task: Task, reference: Any) -> Result:
        try:
            line, audit = self._ray.get(reference)
        except Exception as error:  # whatever became of the worker, after all attempts
            reason = Sentence(_FAILED, {"reason": str(error).partition("\n")[0]})
            return Result("crashed", Spoken.of(reason))
        result = read_line(Result, line)
        if audit and task.audit:
            Output(Path(task.audit), overwrite=True).write(audit)
        return result

    def close(self) -> None:
        """Cancel what runs, and leave the cluster."""
        for reference in self._running:
            self._ray.cancel(reference, force=True)
        self._ray.shutdown()


def pack(path: Path) -> bytes:
    """A clean set as one object: the bytes of a file, or the files of a folder as a zip. Raises
    `InputError` if it cannot be read, or is larger than 8 GiB.
    """
    try:
        if path.is_file():
            if path.stat().st_size > _MAX_SET_BYTES:
                raise InputError("{path}: is larger than 8 GiB", path=path)
            return path.read_bytes()
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
            for one in sorted(path.rglob("*")):
                if one.is_file() and not one.is_symlink():
                    archive.write(one, one.relative_to(path))
                if packed.tell() > _MAX_SET_BYTES:
                    raise InputError("{path}: is larger than 8 GiB", path=path)
        return packed.getvalue()
    except OSError as error:
        raise InputError(
            "{path}: cannot be read ({reason})", path=path, reason=error.strerror or str(error)
        ) from error


# On a worker of the cluster

_of_worker: list[LocalEngine] = []  # one, as long as the worker lives


def _audit(line: bytes, packed: bytes) -> tuple[bytes, bytes]:
    """Run a task, a line of JSON, in a process of its own on this node: its result as a line, and
    its audit file.
    """
    if not _of_worker:
        _of_worker.append(LocalEngine(1))
        atexit.register(_of_worker[0].close)
    task = read_line(Task, line)
    with tempfile.TemporaryDirectory(prefix="bdshift-") as folder:
        audit = Path(folder) / "model.audit.h5"
        images = _unpacked(Path(task.model.images), packed)
        own = replace(
            task, model=replace(task.model, images=str(images)), audit=str(audit), number=0
        )
        _of_worker[0].submit(own)
        while True:
            for told in _of_worker[0].told(60.0):
                if told.result is not None:
                    written = audit.read_bytes() if task.audit and audit.exists() else b""
                    return line_of(told.result), written


def _unpacked(path: Path, packed: bytes) -> Path:
    """Where the clean set is on this node: in its place, or a copy that all workers share."""
    if path.exists():
        return path
    name = hashlib.sha256(packed).hexdigest()
    suffix = path.suffix if path.suffix else ".zip"
    copy = Path(tempfile.gettempdir()) / f"bdshift-images-{name}{suffix}"
    if not copy.exists():
        part = copy.with_name(f"{copy.name}.{id(packed)}.part")
        part.write_bytes(packed)
        part.replace(copy)
    return copy
