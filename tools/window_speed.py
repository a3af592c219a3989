"""How long the window takes to respond to the mouse: medians of the processor time of its thread,
which other programs on the machine hardly change, on an audit widened with random numbers.

Usage: window_speed.py AUDIT.h5   (`bdshift demo` writes one)
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QPolygonF
from PySide6.QtWidgets import QApplication

from bdshift.audit import Audit
from bdshift.neurons.what_if import cut
from bdshift.shift.exact import solve_exact
from bdshift.store import load_audit
from bdshift_gui.fonts import load_fonts
from bdshift_gui.main_window import MainWindow
from bdshift_gui.settings import Settings
from bdshift_gui.tasks.showing import set_alpha, show_audit
from bdshift_gui.views.scatter import ScatterView


def median_ms(act: Callable[[], object], times: int = 15) -> float:
    """The median processor time of ``act`` and of the repaints that it causes, on this thread."""
    found = []
    for _ in range(times):
        began = time.thread_time()
        act()
        QApplication.processEvents()
        found.append(time.thread_time() - began)
    return 1e3 * statistics.median(found)


def wide(audit: Audit, dim: int) -> Audit:
    """The audit with ``dim`` neurons: head, shifts and TAC are random, without embeddings."""
    rng = np.random.default_rng(0)
    classes = audit.model.classes
    shift = rng.normal(0, 1, (classes, dim))
    weight = rng.normal(0, 0.1, (classes, dim)).astype(np.float32)
    tac = replace(
        audit.tac[0], change=rng.exponential(1, dim), signed=rng.normal(0, 1, dim), triggered=None
    )
    evidence = replace(audit.evidence[0], record=replace(audit.shifts, shift=shift))
    return replace(
        audit, embedding=None, tac=(tac,), evidence=(evidence,),
        model=replace(audit.model, weight=weight),
    )  # fmt: skip


def _select(window: MainWindow, classes: Iterator[int]) -> None:
    window.context.selection.select_class(next(classes))


def _click(window: MainWindow, picks: Iterator[int]) -> None:
    window.context.selection.select_neurons([next(picks)])


def plots(window: MainWindow, audit: Audit) -> None:
    assert window.work is not None
    scatter = window.work[ScatterView.key]
    assert isinstance(scatter, ScatterView)
    for dim in (512, 2048, 50_000):
        show_audit(window.context, wide(audit, dim))
        QApplication.processEvents()
        box = scatter.plot.vb.sceneBoundingRect()
        rng = np.random.default_rng(1)
        spots = [
            QPointF(box.left() + x * box.width(), box.top() + y * box.height())
            for x, y in rng.random((200, 2))
        ]
        began = time.perf_counter()
        for spot in spots:
            scatter.neuron_at(spot)
        hit = 1e3 * (time.perf_counter() - began) / len(spots)
        picks = iter(rng.integers(dim, size=100).tolist())
        classes = iter(np.arange(20) % audit.model.classes)
        chosen = median_ms(partial(_select, window, map(int, classes)), 10)
        window.context.selection.select_class(audit.tac[0].target)
        click = median_ms(partial(_click, window, picks))
        t = np.linspace(0, 2 * np.pi, 200)
        ring = QPolygonF([QPointF(1.5 + np.cos(a), np.sin(a)) for a in t])
        lasso = median_ms(partial(scatter._drawn, ring, Qt.KeyboardModifier.NoModifier), 5)
        print(
            f"{dim:>6} neurons: hit test {hit:.2f} ms, class {chosen:.0f} ms, "
            f"click {click:.0f} ms, lasso {lasso:.0f} ms"
        )


def answers(window: MainWindow, audit: Audit) -> None:
    show_audit(window.context, audit)
    embedding = audit.embedding
    assert embedding is not None
    dim = audit.model.embedding_dim
    rng = np.random.default_rng(2)

    def pick() -> None:
        window.context.selection.select_neurons(rng.choice(dim, 13, replace=False).tolist())

    def what_if() -> None:
        neurons = rng.choice(dim, 13, replace=False).tolist()
        found = cut(embedding, audit.model.weight, neurons, audit.tac[0])
        solve_exact(found.logits, found.weight)

    quiet = median_ms(what_if)
    alphas = iter(np.geomspace(0.05, 0.4, 40))
    print(
        f"{audit.model.classes} classes, {len(embedding.labels)} images, {dim} neurons: "
        f"what-if {quiet:.0f} ms, with all redrawn {median_ms(pick):.0f} ms, "
        f"another alpha {median_ms(lambda: set_alpha(window.context, float(next(alphas)))):.0f} ms"
    )


def main(path: Path) -> None:
    app = QApplication(sys.argv[:1])
    load_fonts()
    window = MainWindow(Settings(fresh=True), Path("demo"))
    window.show()
    window.furnish()
    app.processEvents()
    audit = load_audit(path)
    answers(window, audit)
    plots(window, audit)
    window.session.update(kept=window.session.state.original)  # do not ask to save
    window.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
