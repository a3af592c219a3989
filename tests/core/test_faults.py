"""Every kind of file that bdshift writes, beside every way in which writing can fail: a sentence,
the earlier file as it was, nothing left behind. docs/hardening.md has the whole table.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from audit_files import old_audit, same
from commands import bdshift, one_line

from bdshift.audit import Audit, Material
from bdshift.checkpoints.export import EXPORT_FORMS, write_checkpoint
from bdshift.errors import InputError
from bdshift.fleet.identity import Stamp
from bdshift.fleet.results import Results, Row
from bdshift.fleet.task import Result, Spoken
from bdshift.outputs import Output
from bdshift.reports.report_file import report_text
from bdshift.resume import read_state, write_state
from bdshift.shift.cache import EmbeddingCache
from bdshift.store import change_audit, load_audit, save_audit

FULL, READ_ONLY = "because the disk is full", r"\(Read-only file system\)"
ROOM = 100  # bytes: less than any of these files


@dataclass(frozen=True)
class Fault:
    """One way to fail: what is done to the process, and what the error says."""

    name: str
    arrange: Callable[[pytest.MonkeyPatch], None]
    says: str | None = None
    kind: type[BaseException] = InputError


def _raising(error: BaseException) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def _new_files_fail(code: int) -> Callable[[pytest.MonkeyPatch], None]:
    """No file can be made; those that are there can be read."""

    def arrange(patch: pytest.MonkeyPatch) -> None:
        opened, made = Path.open, os.open

        def open_path(path: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            if set(mode) & set("wxa"):
                raise OSError(code, os.strerror(code), str(path))
            return opened(path, mode, *args, **kwargs)

        def open_file(path: str, flags: int, *args: Any, **kwargs: Any) -> int:
            if flags & os.O_CREAT:
                raise OSError(code, os.strerror(code), path)
            return made(path, flags, *args, **kwargs)

        patch.setattr(Path, "open", open_path)
        patch.setattr(os, "open", open_file)

    return arrange


def _fails(*calls: str, error: BaseException) -> Callable[[pytest.MonkeyPatch], None]:
    """These functions of `os` fail."""

    def arrange(patch: pytest.MonkeyPatch) -> None:
        for name in calls:
            patch.setattr(os, name, _raising(error))

    return arrange


def _no_room(_: pytest.MonkeyPatch) -> None:
    """No file can grow beyond `ROOM`."""
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, hard))


_ENOSPC = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
FAULTS = (
    Fault("full at open", _new_files_fail(errno.ENOSPC), FULL),
    Fault("full in the middle", _no_room, FULL),
    Fault("full at flush", _fails("fsync", error=_ENOSPC), FULL),
    Fault("full at naming", _fails("replace", "link", "rename", error=_ENOSPC), FULL),
    Fault("read-only file system", _new_files_fail(errno.EROFS), READ_ONLY),
    Fault("no permission", _new_files_fail(errno.EACCES), "Permission denied"),
    Fault("disk fails", _fails("fsync", error=OSError(errno.EIO, os.strerror(errno.EIO))), "Input"),
    Fault("out of memory", _fails("fsync", error=MemoryError()), kind=MemoryError),
    Fault("interrupted", _fails("fsync", error=KeyboardInterrupt()), kind=KeyboardInterrupt),
)


@pytest.fixture(scope="module")
def audit() -> Audit:
    return replace(old_audit("schema-2-embeddings"), unknown={}, left_out=())


@contextmanager
def suffering(fault: Fault) -> Iterator[None]:
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.MonkeyPatch.context() as patch:
        fault.arrange(patch)
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)


Writer = Callable[[Path], object]
Writers = dict[str, tuple[str, Writer]]


@pytest.fixture(scope="module")
def writers(audit: Audit, victim_material: Material) -> Writers:
    """For each kind of file: its name, and what writes it. Twice the same is written."""

    def export(form: str) -> Writer:
        return lambda path: write_checkpoint(
            victim_material.classifier, path, EXPORT_FORMS.parse(form), overwrite=True
        )

    def report(path: Path) -> None:
        Output(path, overwrite=True).write_text(report_text(audit, path, "en", None))

    def cache(path: Path) -> None:
        assert audit.embedding is not None
        EmbeddingCache(path.parent).save(path.stem, audit.embedding)

    found: Writers = {
        "audit": ("a.h5", lambda path: save_audit(audit, path)),
        "audit, light": ("a.h5", lambda path: save_audit(audit, path, embeddings=False)),
        "original": ("m.pth", export("original")),
        "state dict": ("m.pth", export("state-dict")),
        "safetensors": ("m.safetensors", export("safetensors")),
        "report, HTML": ("r.html", report),
        "report, JSON": ("r.json", report),
        "report, SARIF": ("r.sarif", report),
        "report, ML-BOM": ("r.cdx.json", report),
        "state": ("s.state", lambda path: write_state(path, {"w": torch.zeros(5000)})),
        "cache entry": (f"{'a' * 64}.npz", cache),
    }
    return found


NAMES = (
    "audit", "audit, light", "original", "state dict", "safetensors", "report, HTML",
    "report, JSON", "report, SARIF", "report, ML-BOM", "state", "cache entry",
)  # fmt: skip


def held(folder: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in folder.iterdir()}


@pytest.mark.parametrize("earlier", [False, True], ids=["new", "replaced"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda one: one.name)
@pytest.mark.parametrize("name", NAMES)
def test_a_fault_while_writing(
    name: str, fault: Fault, earlier: bool, writers: Writers, tmp_path: Path
) -> None:
    file_name, write = writers[name]
    path = tmp_path / file_name
    if earlier:
        write(path)
    elif name == "state":  # its key is made once, elsewhere
        write_state(tmp_path / "other", 0)
    before = held(tmp_path)
    with suffering(fault):
        if name == "cache entry" and fault.kind is InputError:
            write(path)  # a cache never fails
        else:
            with pytest.raises(fault.kind, match=fault.says):
                write(path)
    assert held(tmp_path) == before
    write(path)
    assert path.stat().st_size > ROOM, "afterward it can be written"


def killed(work: Callable[[], object], arrange: Callable[[], None]) -> int:
    """Run ``work`` in a process of its own; returns the signal that ended it, or 0."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking where threads are
        child = os.fork()
    if not child:
        try:
            signal.alarm(60)
            arrange()
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) * -1


def _killed_by_its_size() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, ROOM))


def _killed_at(*calls: str) -> Callable[[], None]:
    def arrange() -> None:
        for name in calls:
            setattr(os, name, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))

    return arrange


KILLS: dict[str, Callable[[], None]] = {
    "in the middle": _killed_by_its_size,
    "at flush": _killed_at("fsync"),
    "at naming": _killed_at("replace", "link", "rename"),
}


@pytest.mark.parametrize("moment", KILLS)
@pytest.mark.parametrize("name", NAMES)
def test_a_kill_while_writing(name: str, moment: str, writers: Writers, tmp_path: Path) -> None:
    file_name, write = writers[name]
    path = tmp_path / file_name
    write(path)
    before = held(tmp_path)
    ended = killed(lambda: write(path), KILLS[moment])
    assert ended == (signal.SIGXFSZ if moment == "in the middle" else signal.SIGKILL)
    after = held(tmp_path)
    assert after[path.name] == before[path.name]
    assert all(one.endswith((".part", ".lock")) for one in after.keys() - before.keys())
    write(path)
    assert list(held(tmp_path)) == list(before), "the next writer clears what it left"


def test_what_is_written_after_faults_is_whole(
    writers: Writers, audit: Audit, tmp_path: Path
) -> None:
    path = tmp_path / "a.h5"
    for moment in KILLS.values():
        assert killed(lambda: writers["audit"][1](path), moment) != 0
        assert not path.exists()
    writers["audit"][1](path)
    same(load_audit(path), audit)
    state = tmp_path / "s.state"
    write_state(state, {"step": 1})
    assert killed(lambda: write_state(state, {"step": 2}), KILLS["at flush"]) == signal.SIGKILL
    assert read_state(state, torch.device("cpu")) == {"step": 1}


def row(model: str) -> Row:
    found = Result("done", Spoken({"en": "Done."}), "nothing-unusual", p=0.5)
    return Row(model, "/clean", "q", model, Stamp(1, 2), "", "2026-01-02T03:04Z", found)


def test_rows_of_a_fleet_survive(tmp_path: Path) -> None:
    """SQLite keeps them, so its own journal stands for our parts."""
    results = Results(tmp_path)
    results.put(row("a"))
    before = results.rows()
    with suffering(FAULTS[1]), pytest.raises(InputError, match="cannot be written"):
        results.put(row("b"))
    assert results.rows() == before
    assert killed(lambda: results.put(row("b")), _killed_by_its_size) == signal.SIGXFSZ
    assert results.rows() == before
    results.put(row("b"))
    assert [one.model for _, one in results.rows()] == ["a", "b"]


@pytest.mark.parametrize("fault", FAULTS[:-1], ids=lambda one: one.name)
def test_a_command_ends_with_a_sentence_and_its_status(
    fault: Fault, audit: Audit, tmp_path: Path
) -> None:
    save_audit(audit, tmp_path / "a.h5")
    (tmp_path / "r.html").write_text("earlier")
    before = held(tmp_path)
    given = ("report", tmp_path / "a.h5", "--out", tmp_path / "r.html", "--overwrite")
    with suffering(fault):
        found = bdshift(*given)
    one_line(found, 3, "out of memory" if fault.kind is MemoryError else "cannot be written")
    assert held(tmp_path) == before


@pytest.mark.parametrize("fault", FAULTS[:-1], ids=lambda one: one.name)
def test_a_change_of_an_audit_is_whole_or_none(fault: Fault, audit: Audit, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    save_audit(audit, path)
    before = held(tmp_path)
    with suffering(fault), pytest.raises(fault.kind, match=fault.says):
        change_audit(path, lambda now: replace(now, date="2026-01-01T00:00Z"))
    assert held(tmp_path) == before
