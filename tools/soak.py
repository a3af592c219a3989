"""Many sessions in one process: a window is opened, scans, recovers a trigger, purifies, and is
closed, again and again, on the model of the tests. What the process holds after each is a row.

Usage: soak.py CYCLES OUT.csv   (from the repository's root; Linux)

A row is written as soon as its cycle ends; OUT.svg, the curves, at the end or when it is
interrupted.
"""

from __future__ import annotations

import csv
import gc
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QApplication

from bdshift.allocation import keep_freed_memory
from bdshift.audit.unfinished import PurificationRequest
from bdshift.changes import CHANGES
from bdshift.images.signs import write_signs
from bdshift.recovery import curve
from bdshift_gui.actions.open_files import open_dropped
from bdshift_gui.fonts import load_fonts
from bdshift_gui.main_window import MainWindow
from bdshift_gui.session import RecoveryRequest
from bdshift_gui.settings import Settings
from bdshift_gui.tasks.purifying import purify
from bdshift_gui.tasks.recovering import recover
from bdshift_gui.tasks.scanning import scan

_MODEL = Path("tests/data/victim.pth")
_SIGNS, _SECONDS, _PATIENCE = 2, 5.0, 300.0
_MIB = 1024 * 1024


@dataclass(frozen=True)
class SoakRow:
    """What the process holds after a cycle: MiB, and counts."""

    cycle: int
    seconds: float
    rss_mib: float
    pss_mib: float
    threads: int
    files: int
    widgets: int
    qobjects: int
    python_objects: int


def _measured(cycle: int, seconds: float) -> SoakRow:
    gc.collect()
    found = gc.get_objects()
    pss = next(
        int(line.split()[1]) / 1024
        for line in Path("/proc/self/smaps_rollup").read_text().splitlines()
        if line.startswith("Pss:")
    )
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return SoakRow(
        cycle, round(seconds, 2), round(pages * os.sysconf("SC_PAGE_SIZE") / _MIB, 1),
        round(pss, 1), len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd")) - 1,
        len(QApplication.allWidgets()), sum(issubclass(type(one), QObject) for one in found),
        len(found),
    )  # fmt: skip


def _wait(app: QApplication, window: MainWindow) -> None:
    """Until nothing runs or waits. Raises what failed."""
    until = time.monotonic() + _PATIENCE
    while True:
        app.processEvents()
        state = window.session.state
        if not (state.job or state.busy or state.to_search) and window.quick.idle:
            break
        if time.monotonic() > until:
            raise TimeoutError(f"{state.job} runs for more than {_PATIENCE:g} s")
        time.sleep(0.002)
    if state.failure is not None:
        raise RuntimeError(f"{state.failure.sentence}\n{state.failure.details}")


@contextmanager
def _window(app: QApplication, demo: Path) -> Iterator[MainWindow]:
    """A window that is gone afterward, with all that it owns."""
    settings = Settings(fresh=True)
    settings.language, settings.compares = "en", False
    window = MainWindow(settings, demo)
    window.show()
    window.furnish()
    try:
        yield window
    finally:
        window.session.update(kept=window.session.state.original)  # do not ask to save
        window.close()
        window.deleteLater()
        app.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        app.processEvents()


def _cycle(app: QApplication, folder: Path) -> None:
    with _window(app, folder / "demo") as window:
        for path in (_MODEL, folder / "signs"):
            open_dropped(window.context, [path])
            _wait(app, window)
        scan(window.context)
        _wait(app, window)
        assert window.session.state.audit is not None
        recover(window.context, RecoveryRequest(3, "pixels", _SECONDS))
        _wait(app, window)
        purify(window.context, [PurificationRequest("cut:neurons=3", 3, "", 0.2)])
        _wait(app, window)
        assert len(window.session.state.purifications) == 1


def _curves(rows: list[SoakRow]) -> str:
    """One small plot for each column, as SVG."""
    names = [one.name for one in fields(SoakRow)][2:]
    width, height, gap = 260, 90, 44
    parts = []
    for number, name in enumerate(names):
        values = [float(getattr(row, name)) for row in rows]
        low, high = min(values), max(values)
        span = (high - low) or 1.0
        left, top = 20 + (number % 2) * (width + 40), 24 + (number // 2) * (height + gap)
        points = " ".join(
            f"{left + width * i / max(1, len(values) - 1):.1f},"
            f"{top + height * (1 - (value - low) / span):.1f}"
            for i, value in enumerate(values)
        )
        parts.append(
            f'<text x="{left}" y="{top - 6}">{name}: {low:g} to {high:g}</text>'
            f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="none" '
            f'stroke="#bbb"/><polyline points="{points}" fill="none" stroke="#1763a6"/>'
        )
    size = f'width="600" height="{30 + (len(names) + 1) // 2 * (height + gap)}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>\n'
    )


def main(cycles: int, out: Path) -> None:
    keep_freed_memory()
    # Searches of two steps: what is left behind counts, not what is found.
    curve.FACTORS = (1.0,)  # type: ignore[assignment]
    for kind in CHANGES.kinds():
        kind.steps, kind.scouts = 2, 4
    app = QApplication(sys.argv[:1])
    load_fonts()
    rows: list[SoakRow] = []
    with tempfile.TemporaryDirectory() as name, out.open("w", newline="") as stream:
        os.environ["XDG_CACHE_HOME"] = name
        write_signs(Path(name) / "signs", _SIGNS)
        table = csv.DictWriter(stream, [one.name for one in fields(SoakRow)], lineterminator="\n")
        table.writeheader()
        with suppress(KeyboardInterrupt):
            for cycle in range(1, cycles + 1):
                began = time.monotonic()
                _cycle(app, Path(name))
                rows.append(_measured(cycle, time.monotonic() - began))
                table.writerow(asdict(rows[-1]))
                stream.flush()
    out.with_suffix(".svg").write_text(_curves(rows))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
