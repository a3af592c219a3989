"""Several programs that add to one audit file."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from commands import bdshift

from bdshift.audit import Audit, with_tac
from bdshift.audit.disentangling import with_plane
from bdshift.errors import InputError
from bdshift.jobs import Canceled, Event, JobContext, Note
from bdshift.locks import locked
from bdshift.outputs import Output
from bdshift.purification.disentanglement import Mixture, WeightPlane
from bdshift.store import change_audit, load_audit, save_audit, save_merged

ADDS = """
import dataclasses, sys
from bdshift.audit import with_tac
from bdshift.store import change_audit
path, *targets = sys.argv[1:]
for target in map(int, targets):
    change_audit(path, lambda audit: with_tac(
        audit, dataclasses.replace(audit.tac[0], target=target)))
"""


class Told(JobContext):
    """Remembers notes, and is canceled by the first."""

    def __init__(self, *, cancel: bool = False) -> None:
        super().__init__()
        self.notes: list[str] = []
        self.noted = threading.Event()
        self._cancels = cancel

    def report(self, event: Event) -> None:
        if isinstance(event, Note):
            self.notes.append(str(event.sentence))
            self.noted.set()
            if self._cancels:
                self.cancel()


@pytest.fixture
def light(measured_audit: Audit, tmp_path: Path) -> Path:
    """A small audit file with one TAC."""
    save_audit(measured_audit, tmp_path / "a.h5", embeddings=False)
    return tmp_path / "a.h5"


def test_what_two_programs_add_is_all_there(light: Path) -> None:
    first = load_audit(light).tac[0].target
    targets = [target for target in range(12) if target != first]
    running = [
        subprocess.Popen([sys.executable, "-c", ADDS, str(light), *map(str, some)])
        for some in (targets[:5], targets[5:])
    ]
    assert [one.wait(120) for one in running] == [0, 0]
    assert sorted(one.target for one in load_audit(light).tac) == list(range(12))
    assert [path.name for path in light.parent.iterdir()] == ["a.h5"], "no lock is left"


def test_waiting_is_said_and_can_be_stopped(light: Path) -> None:
    waiting = Told(cancel=True)
    with locked(light, JobContext()), pytest.raises(Canceled):
        change_audit(light, lambda audit: audit, job=waiting)
    assert waiting.notes == [f"{light}: another program is writing to it; waiting for it"]
    patient = Told()
    with locked(light, JobContext()):
        thread = threading.Thread(target=change_audit, args=(light, lambda a: a),
                                  kwargs={"job": patient})  # fmt: skip
        thread.start()
        assert patient.noted.wait(30)
        assert thread.is_alive()
    thread.join(60)
    assert not thread.is_alive()
    assert [path.name for path in light.parent.iterdir()] == ["a.h5"]


def test_a_killed_holder_does_not_hold_the_lock(light: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from bdshift.locks import locked\n"
        "from bdshift.jobs import SILENT\n"
        "with locked(Path(sys.argv[1]), SILENT): os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(light)]).returncode == -9
    assert len(list(light.parent.iterdir())) == 2
    change_audit(light, lambda audit: audit, job=Told(cancel=True))
    assert [path.name for path in light.parent.iterdir()] == ["a.h5"]


def test_a_lock_is_no_way_to_other_files(light: Path) -> None:
    other = light.parent / "other"
    other.write_text("x")
    (light.parent / ".a.h5.lock").symlink_to(other)
    with pytest.raises(InputError, match="cannot be written"):
        change_audit(light, lambda audit: audit)
    assert other.read_text() == "x"


def test_an_audit_reached_by_a_link_is_changed_where_it_is(light: Path) -> None:
    link = light.parent / "link.h5"
    link.symlink_to(light)
    change_audit(link, lambda audit: dataclasses.replace(audit, tac=()))
    assert link.is_symlink()
    assert load_audit(light).tac == ()


def test_the_window_keeps_what_others_added(
    light: Path, audit: Audit, measured_audit: Audit
) -> None:
    """It saves what it has, and what a command added to the file since it was opened."""
    first, second = audit.purifications
    opened = load_audit(light)
    other = with_tac(opened, dataclasses.replace(opened.tac[0], target=2))
    save_audit(dataclasses.replace(other, purifications=(first,)), light)
    mine = dataclasses.replace(measured_audit, purifications=(second,))
    saved = save_merged(mine, Output(light, overwrite=True))
    for found in (saved, load_audit(light)):
        made = [one.result.method for one in found.purifications]
        assert made == [second.result.method, first.result.method]
        assert [one.target for one in found.tac] == [mine.tac[0].target, 2]
    again = save_merged(saved, Output(light, overwrite=True))
    assert again is saved, "nothing is there twice"


def test_a_plane_that_others_measured_is_kept(light: Path, audit: Audit) -> None:
    save_audit(audit, light)
    plane = WeightPlane("pre.pth", "0" * 64, "badnets", (Mixture(1.0, 1.0, 0.1, 0.2),))
    change_audit(light, lambda found: with_plane(found, 1, plane))
    saved = save_merged(audit, Output(light, overwrite=True))
    assert [one.plane for one in saved.purifications] == [plane, None]
    assert save_merged(saved, Output(light, overwrite=True)) is saved


def test_what_was_removed_does_not_come_back(light: Path, measured_audit: Audit) -> None:
    """It is still in the file; only what others have added since is kept."""
    opened = load_audit(light)
    assert opened.tac
    without = dataclasses.replace(opened, tac=())
    other = dataclasses.replace(opened.tac[0], target=2)
    change_audit(light, lambda audit: with_tac(audit, other))
    saved = save_merged(without, Output(light, overwrite=True), before=opened)
    assert [one.target for one in saved.tac] == [2]


def test_an_audit_of_something_else_is_not_merged(light: Path, measured_audit: Audit) -> None:
    model = dataclasses.replace(measured_audit.model, sha256="0" * 64)
    other = dataclasses.replace(measured_audit, model=model, tac=())
    assert save_merged(other, Output(light, overwrite=True)) is other
    assert load_audit(light).tac == ()
    light.write_text("nothing")
    assert save_merged(other, Output(light, overwrite=True)) is other


def test_nothing_is_added_to_an_audit_of_something_else(
    light: Path, measured_audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was replaced while the command worked on it."""
    model = dataclasses.replace(measured_audit.model, sha256="0" * 64)
    other = dataclasses.replace(measured_audit, model=model, tac=())

    def meanwhile(*given: object, **settings: object) -> Audit:
        save_audit(other, light, embeddings=False)
        return measured_audit

    monkeypatch.setattr("bdshift.audit.add_tac", meanwhile)
    found = bdshift("neurons", light, "--trigger", "badnets", "--json")
    assert found.exit_code == 3, found.output
    assert "is now another audit" in found.stderr
    assert json.loads(found.stdout)["target"], "what was measured is told"
    assert load_audit(light).tac == ()
    assert np.array_equal(load_audit(light).shifts.l2, other.shifts.l2)
