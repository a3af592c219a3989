"""Take the screenshots for README and docs from the demo, without a display: ``make screenshots``.

Usage: screenshots.py OUT_FOLDER DEMO_FOLDER
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ["HOME"] = "/home/auditor"  # shown where a folder is proposed

import numpy as np
from PySide6.QtWidgets import QApplication, QDialog

from bdshift.audit import Audit
from bdshift.audit.second_stage import first_stage
from bdshift.audit.unfinished import PurificationRequest
from bdshift.recovery.tried import last_recovery
from bdshift_gui.action import all_actions
from bdshift_gui.actions.open_files import open_dropped
from bdshift_gui.actions.scan import scan_corrected
from bdshift_gui.dialogs.lab import LabDialog
from bdshift_gui.dialogs.labels import LabelsDialog
from bdshift_gui.dialogs.purify import PurifyDialog
from bdshift_gui.dialogs.recover import RecoverDialog
from bdshift_gui.dialogs.trigger import TriggerDialog
from bdshift_gui.fonts import load_fonts
from bdshift_gui.main_window import MainWindow
from bdshift_gui.session import RecoveryRequest
from bdshift_gui.settings import Settings
from bdshift_gui.tasks.measuring import look
from bdshift_gui.tasks.purifying import purify
from bdshift_gui.tasks.recovering import recover
from bdshift_gui.tasks.showing import show_audit
from bdshift_gui.view import View
from bdshift_gui.views.compare import CompareView
from bdshift_gui.views.gallery import GalleryView
from bdshift_gui.views.inspector import InspectorView
from bdshift_gui.views.pairs import PairsView

_View = TypeVar("_View", bound=View)
_Dialog = TypeVar("_Dialog", bound=QDialog)


class Camera:
    """Drives one window and saves what it shows."""

    def __init__(self, out: Path, demo: Path) -> None:
        self.app = QApplication(sys.argv[:1])
        self.app.setStyle("Fusion")
        load_fonts()
        settings = Settings(fresh=True)
        settings.language, settings.scheme = "en", "light"
        self.window = MainWindow(settings, demo)
        self.window.show()
        self.out, self.demo = out, demo

    def wait(self, until: Callable[[], bool] = lambda: True, seconds: float = 0.3) -> None:
        """Process events until ``until`` holds, and for at least ``seconds``."""
        end = time.monotonic() + seconds
        while time.monotonic() < end or not until():
            self.app.processEvents()
            time.sleep(0.01)

    def idle(self) -> None:
        """Wait until no job is running, and none is about to."""

        def over() -> bool:
            state = self.window.session.state
            return not (state.job or state.busy or state.to_search) and self.window.quick.idle

        self.wait(over)

    def do(self, *keys: str) -> None:
        """Run actions, by key."""
        actions = {one.key: one for one in all_actions()}
        for key in keys:
            actions[key].trigger(self.window.context)
        self.wait()

    def open(self, path: Path) -> None:
        """Open a file or folder as if it were dropped."""
        self.forget()
        open_dropped(self.window.context, [path])
        self.idle()

    def view(self, kind: type[_View]) -> _View:
        """The window's view of a kind."""
        assert self.window.work is not None
        one = self.window.work[kind.key]
        assert isinstance(one, kind)
        return one

    def dialog(self, kind: type[_Dialog], name: str) -> _Dialog:
        """The open dialog of a kind, saved as ``name``."""
        self.wait(lambda: any(one.isVisible() for one in self.window.findChildren(kind)))
        self.idle()
        (found,) = [one for one in self.window.findChildren(kind) if one.isVisible()]
        found.grab().save(str(self.out / f"{name}.png"))
        return found

    def close(self) -> None:
        """Close the window."""
        self.forget()
        self.window.close()

    def forget(self) -> None:
        """Let the audit be replaced without being asked to save it."""
        self.window.session.update(kept=self.window.session.state.original)

    def take(self, name: str) -> None:
        """Save what is shown."""
        self.wait()
        self.window.grab().save(str(self.out / f"{name}.png"))
        print(self.out / f"{name}.png", flush=True)


def thousand_classes(window: MainWindow) -> None:
    """Show the audit as if of a network with a thousand classes, with random norms."""
    audit = window.session.state.audit
    assert audit is not None
    rng = np.random.default_rng(0)
    norms = rng.normal(9, 0.6, 1000)
    norms[417] = 5.2
    names = tuple(f"class {i}" for i in range(1000))
    rows = rng.integers(0, len(audit.shifts.l2), 1000)
    shifts = replace(
        audit.shifts, l2=norms, shift=audit.shifts.shift[rows], loss=audit.shifts.loss[rows],
        lower=norms.copy(), kkt=audit.shifts.kkt[rows], multiplier=audit.shifts.multiplier[rows],
        status=("solved",) * 1000, seconds=9.0,
    )  # fmt: skip
    found = replace(
        audit, tac=(), embedding=None,
        evidence=(replace(audit.evidence[0], scores=norms, record=shifts),),
        model=replace(audit.model, weight=audit.model.weight[rows], bias=audit.model.bias[rows]),
        images=replace(audit.images, class_names=names, counts=(1,) * 1000),
    )  # fmt: skip
    show_audit(window.context, found)


def main(out: Path, demo: Path) -> None:
    """Capture every state that a review should see."""
    out.mkdir(parents=True, exist_ok=True)
    camera = Camera(out, demo)
    window = camera.window
    camera.take("welcome")
    camera.do("ja")
    camera.take("welcome-japanese")
    camera.do("en")
    window.furnish()
    camera.do("demo")
    camera.wait(seconds=2.5)
    camera.take("loading")
    camera.idle()
    camera.take("backdoored")
    neurons(camera)
    camera.do("dark")
    camera.take("dark")
    camera.do("ja")
    camera.take("japanese")
    camera.do("en", "light")
    dialogs(camera)
    purifications(camera)
    recoveries(camera)
    thousand_classes(window)
    camera.take("classes-1000")
    camera.open(demo / "clean-twin.pth")
    camera.open(demo / "clean")
    camera.take("opened")
    camera.do("scan")
    camera.idle()
    camera.take("clean")
    inconclusive(camera)
    (out / "page.pth").write_text("<!doctype html><title>404</title>")
    camera.open(out / "page.pth")
    (out / "page.pth").unlink()
    camera.take("error")
    camera.close()
    double = {**os.environ, "QT_SCALE_FACTOR": "2"}
    subprocess.run([sys.executable, __file__, str(out), str(demo), "200"], env=double, check=True)


def neurons(camera: Camera) -> None:
    """Where one neuron looks, and several together; all images, and where it looks in them."""
    window = camera.window
    primary = window.session.state.selection.primary
    assert primary is not None
    look(window.context, (primary,), 12)
    camera.idle()
    camera.take("looking")
    inspector = camera.view(InspectorView)
    for choices, key in ((inspector.scope, "all"), (inspector.activations.by, "class")):
        choices.choose(key)
        choices.chosen.emit(key)
    camera.take("together")
    camera.do("show_gallery")
    camera.view(GalleryView).map.click()
    camera.idle()
    camera.take("gallery")
    camera.do("close_page")
    for choices, key in ((inspector.scope, "one"), (inspector.activations.by, "all")):
        choices.choose(key)
        choices.chosen.emit(key)


def dialogs(camera: Camera) -> None:
    """The dialogs, and the table of neurons."""
    window = camera.window
    assert window.work is not None
    camera.do("trigger")
    camera.dialog(TriggerDialog, "trigger").reject()
    camera.do("correct_labels")
    camera.dialog(LabelsDialog, "classes").reject()
    camera.do("ja", "correct_labels")
    camera.dialog(LabelsDialog, "classes-japanese").reject()
    camera.do("en")
    camera.do("lab")
    camera.dialog(LabDialog, "lab-dialog").reject()
    window.work.docks["table"].show()
    camera.take("table")
    window.work.docks["table"].hide()
    camera.do("purify")
    camera.dialog(PurifyDialog, "purify-dialog").reject()


def without_searches(audit: Audit) -> Audit:
    """The audit as its first stage left it."""
    first = first_stage(audit.settings.detectors)
    settings = replace(audit.settings, detectors=first, search=0.0)
    evidence = [one.evidence for one in audit.judged if one.detector in first]
    return replace(audit, settings=settings, evidence=tuple(evidence))


def purifications(camera: Camera) -> None:
    """One running, several finished, compared, rescanned."""
    window = camera.window
    assert window.work is not None
    audit, material = window.session.state.original, window.session.state.material
    assert audit is not None
    show_audit(window.context, without_searches(audit), material)  # the copies would be searched
    trigger = audit.tac[-1].trigger
    for method in (
        "shift-tuning", "fine-pruning:epochs=4", "clp", "ft-sam:epochs=4", "tsbd:epochs=4",
    ):  # fmt: skip
        purify(window.context, (PurificationRequest(method, 9, trigger, 0.2),))
        camera.wait(lambda: len(window.session.state.steps) > 3 or not window.session.state.busy)
        if method == "shift-tuning":
            camera.take("purifying")
        camera.idle()
    window.session.update(chosen=1)
    camera.take("purified")
    camera.do("compare")
    camera.take("compared")
    outcomes = camera.view(CompareView).outcomes
    outcomes.what.chosen.emit("plot")
    camera.take("methods")
    outcomes.what.chosen.emit("table")
    camera.do("dark", "ja")
    camera.take("compared-dark-japanese")
    camera.do("light", "en", "show_purified")
    camera.take("rescanned")
    camera.do("show_original")
    show_audit(window.context, audit, material)


def recoveries(camera: Camera) -> None:
    """A trigger that is searched for in the audit without a known one, and found; and the map of
    pairs of classes, one of which is selected.
    """
    window = camera.window
    audit = window.session.state.original
    assert audit is not None
    material = window.session.state.material
    show_audit(window.context, replace(audit, tac=(), purifications=()), material)
    camera.do("recover")
    camera.dialog(RecoverDialog, "recover-dialog").reject()
    last_recovery().unlink(missing_ok=True)  # one that was interrupted would be over at once
    recover(window.context, RecoveryRequest())

    def halfway() -> bool:
        """In the middle of a search, or over."""
        state = window.session.state
        if state.job is None:
            return True
        return state.glimpse is not None and state.glimpse.step >= state.glimpse.total // 2

    camera.wait(halfway)
    camera.take("recovering")
    camera.idle()
    camera.take("recovered")
    camera.do("dark", "ja")
    camera.take("recovered-dark-japanese")
    camera.do("light", "en", "close_page")
    assert window.work is not None
    docks = window.work.docks
    docks["pairs"].show()
    docks["pairs"].raise_()
    camera.wait()
    worth = camera.view(PairsView).worth
    worth.activated.emit(1)
    camera.take("pairs")
    docks["pairs"].hide()
    show_audit(window.context, audit, material)


def inconclusive(camera: Camera) -> None:
    """What the window shows when the folders are numbered in another order."""
    names = camera.window.session.state.audit
    assert names is not None
    listed = names.images.class_names
    turned = {name: (i + 1) % len(listed) for i, name in enumerate(listed)}
    camera.forget()
    scan_corrected(camera.window.context, labels=turned)
    camera.idle()
    camera.take("inconclusive")
    camera.do("dark", "ja")
    camera.take("inconclusive-dark-japanese")
    camera.do("light", "en")


def at_200_percent(out: Path, demo: Path) -> None:
    """The demo's audit with twice the pixels."""
    camera = Camera(out, demo)
    camera.do("demo")
    camera.idle()
    assert camera.window.session.state.audit is not None
    camera.take("double")
    camera.do("dark", "ja")
    camera.take("double-dark-japanese")
    camera.close()


if __name__ == "__main__":
    act = at_200_percent if sys.argv[3:] else main
    act(Path(sys.argv[1]), Path(sys.argv[2]))
