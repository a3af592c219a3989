"""Draw the pictures of README and docs from the demo, without a screen: ``make screenshots``.

Usage: screenshots.py OUT_FOLDER DEMO_FOLDER
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ["QT_QPA_PLATFORM"] = "offscreen"

import numpy as np
from PySide6.QtWidgets import QApplication

from bdshift.audit.unfinished import Asked
from bdshift.devices import be_polite
from bdshift_gui.app import load_fonts
from bdshift_gui.dialogs.labels import LabelsDialog
from bdshift_gui.dialogs.purify import PurifyDialog
from bdshift_gui.dialogs.trigger import TriggerDialog
from bdshift_gui.main_window import MainWindow
from bdshift_gui.settings import Settings


class Camera:
    """Drives one window and keeps what it shows."""

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
        """Let the window live until something holds, and a moment longer."""
        end = time.monotonic() + seconds
        while time.monotonic() < end or not until():
            self.app.processEvents()
            time.sleep(0.01)

    def idle(self) -> None:
        """Wait for the job."""
        self.wait(lambda: not self.window.jobs.busy)

    def take(self, name: str) -> None:
        """Keep what is shown."""
        self.wait()
        self.window.grab().save(str(self.out / f"{name}.png"))
        print(self.out / f"{name}.png", flush=True)


def thousand_classes(window: MainWindow) -> None:
    """The audit as it would be of a network with a thousand classes, its norms drawn."""
    from dataclasses import replace

    from bdshift.shift.verdict import judge

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
        audit, shifts=shifts, verdict=judge(norms, names), tac=(), embedding=None,
        model=replace(audit.model, weight=audit.model.weight[rows], bias=audit.model.bias[rows]),
        images=replace(audit.images, class_names=names, counts=(1,) * 1000),
    )  # fmt: skip
    window.auditor.show_audit(found)


def main(out: Path, demo: Path) -> None:
    """Every state that a review should see."""
    be_polite()
    out.mkdir(parents=True, exist_ok=True)
    camera = Camera(out, demo)
    window = camera.window
    camera.take("welcome")
    window.furnish()
    assert window.work is not None
    window.commands.do("demo")
    camera.wait(seconds=2.5)
    camera.take("loading")
    camera.idle()
    camera.take("poisoned")
    now = window.selection.now.primary
    assert now is not None
    window.auditor.look((now,), 12)
    camera.idle()
    camera.take("looking")
    scope, by = window.work.inspector.scope, window.work.inspector.activations.by
    for choices, key in ((scope, "all"), (by, "class")):
        choices.choose(key)
        choices.chosen.emit(key)
    camera.take("together")
    for choices, key in ((scope, "one"), (by, "all")):
        choices.choose(key)
        choices.chosen.emit(key)
    window.commands.do("dark")
    camera.take("dark")
    window.commands.do("ja")
    camera.take("japanese")
    window.commands.do("en")
    window.commands.do("light")
    dialog = TriggerDialog(window.session.state, window)
    dialog.show()
    camera.wait()
    dialog.grab().save(str(out / "trigger.png"))
    dialog.close()
    window.work.images_card.correct.click()
    (labels,) = window.findChildren(LabelsDialog)
    camera.wait()
    labels.grab().save(str(out / "classes.png"))
    labels.reject()
    window.work.docks["table"].show()
    camera.take("table")
    window.work.docks["table"].hide()
    window.commands.do("purify")
    (how,) = window.findChildren(PurifyDialog)
    camera.wait()
    how.grab().save(str(out / "purify-dialog.png"))
    trigger = how.trigger.text()
    how.reject()
    for method in (
        "shift-tuning",
        "fine-pruning:epochs=4",
        "clp",
        "ft-sam:epochs=4",
        "tsbd:epochs=4",
    ):
        window.commands._purify((Asked(method, 9, trigger, 0.2),))
        camera.wait(lambda: len(window.session.state.steps) > 3 or not window.jobs.busy)
        if method == "shift-tuning":
            camera.take("purifying")
        camera.idle()
    window.work.runs.choose(1)
    camera.take("purified")
    window.commands.do("compare_run")
    window.work.docks["runs"].hide()
    camera.take("compared")
    window.work.compare.outcomes.what.chosen.emit("plot")
    camera.take("methods")
    window.work.compare.outcomes.what.chosen.emit("table")
    window.commands.do("dark")
    window.commands.do("ja")
    camera.take("compared-dark-japanese")
    window.commands.do("light")
    window.commands.do("en")
    window.commands.do("show_run")
    camera.take("rescanned")
    window.commands.do("show_original")
    thousand_classes(window)
    camera.take("classes-1000")
    window.auditor.open_model(demo / "clean-twin.pth")
    camera.idle()
    window.auditor.open_images(demo / "clean")
    camera.idle()
    camera.take("opened")
    window.auditor.scan()
    camera.idle()
    camera.take("clean")
    (out / "page.pth").write_text("<!doctype html><title>404</title>")
    window.commands.open(out / "page.pth")
    camera.idle()
    (out / "page.pth").unlink()
    camera.take("error")
    window.setWindowModified(False)  # nobody is there to be asked
    window.close()
    double = {**os.environ, "QT_SCALE_FACTOR": "2"}
    subprocess.run([sys.executable, __file__, str(out), str(demo), "200"], env=double, check=True)


def at_200_percent(out: Path, demo: Path) -> None:
    """The demo's audit with twice the pixels."""
    camera = Camera(out, demo)
    camera.window.commands.do("demo")
    camera.idle()
    assert camera.window.session.state.audit is not None
    camera.take("double")
    camera.window.commands.do("dark")
    camera.window.commands.do("ja")
    camera.take("double-dark-japanese")
    camera.window.setWindowModified(False)
    camera.window.close()


if __name__ == "__main__":
    act = at_200_percent if sys.argv[3:] else main
    act(Path(sys.argv[1]), Path(sys.argv[2]))
