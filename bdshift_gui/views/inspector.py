"""One neuron: what excites it, how its activation lies, what the head makes of it; and what a cut
of the selected ones would do.
"""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from bdshift.text import figure
from bdshift_gui.i18n import tr
from bdshift_gui.numbers import percent
from bdshift_gui.selection import Selection
from bdshift_gui.session import CutView, State
from bdshift_gui.theme import LIGHT, Theme
from bdshift_gui.widgets.card import Card, Rows, Text
from bdshift_gui.widgets.plot import paint_axes
from bdshift_gui.widgets.thumbs import Thumbs

_SHOWN = 12  # thumbnails prepared; as many as fit are seen
_CLASSES = 12  # head weights shown: the largest by absolute value
_BINS = 30


class InspectorView(Card):
    """``stepped`` asks for the next (+1) or previous (−1) selected neuron, ``look_asked`` for the
    maps of a neuron over so many images.
    """

    stepped = Signal(int)
    look_asked = Signal(int, int)

    def __init__(self) -> None:
        super().__init__()
        self._theme: Theme = LIGHT
        self._state, self._selection = State(), Selection()
        self._place = Text("muted", wrap=False)
        self._back, self._on = QToolButton(), QToolButton()
        for button, word, step in ((self._back, "‹", -1), (self._on, "›", 1)):
            button.setObjectName("choice")
            button.setText(word)
            button.clicked.connect(lambda _=False, step=step: self.stepped.emit(step))
        for part in (self._back, self._place, self._on):
            self.corner.addWidget(part)
        self._about = Text("muted")
        self._clean_title, self._triggered_title = Text("muted"), Text("muted")
        self._clean, self._triggered = Thumbs(), Thumbs()
        self._look = QToolButton()
        self._look.setObjectName("choice")
        self._look.clicked.connect(self._ask_look)
        self._levels_title = Text("muted")
        self._levels = _small_plot(72)
        self._weights_title = Text("muted")
        self._weights = _small_plot(150)
        self._cut = QFrame()
        self._parts: tuple[QWidget, ...] = (
            self._about, self._clean_title, self._clean, self._triggered_title, self._triggered,
            self._levels_title, self._levels, self._weights_title, self._weights, self._cut,
        )  # fmt: skip
        for widget in self._parts:
            self.body.addWidget(widget)
        beside = QHBoxLayout()
        beside.addWidget(self._clean_title, 1)
        beside.addWidget(self._look)
        self.body.insertLayout(1, beside)
        self._cut.setObjectName("cut")
        inside = QVBoxLayout(self._cut)
        inside.setContentsMargins(8, 8, 8, 8)
        inside.setSpacing(4)
        self._cut_title, self._cut_rows = Text("title"), Rows()
        inside.addWidget(self._cut_title)
        inside.addWidget(self._cut_rows)
        self.body.addStretch(1)

    def paint(self, theme: Theme) -> None:
        """Take the theme's colours."""
        self._theme = theme
        for view in (self._levels, self._weights):
            paint_axes(view, theme)
        self._redraw()

    def show_state(self, state: State, selection: Selection) -> None:
        """Show the primary neuron of the selection, and the cut of all of them."""
        self._state, self._selection = state, selection
        self._redraw()

    def _redraw(self) -> None:
        audit, neuron = self._state.audit, self._selection.primary
        index = self._selection.class_index
        some = audit is not None and neuron is not None and index is not None
        for widget in self._parts:
            widget.setVisible(some)
        for button in (self._back, self._on, self._look):
            button.setVisible(some)
        if audit is None or neuron is None or index is None:
            self.title.show_text(tr("No neuron selected"))
            self._place.show_text(tr("click a point, or drag around some"))
            return
        self._head(neuron, index)
        self._images(neuron)
        self._draw_levels(neuron)
        self._draw_weights(neuron, index)
        self._show_cut()

    def _head(self, neuron: int, index: int) -> None:
        chosen = sorted(self._selection.neurons)
        self.title.show_text(tr("Neuron {number}", number=neuron))
        self._place.show_text(
            tr("{place} of {count}", place=chosen.index(neuron) + 1, count=len(chosen))
        )
        self._back.setAccessibleName(tr("previous selected neuron"))
        self._on.setAccessibleName(tr("next selected neuron"))
        self._about.show_text(" · ".join(self._figures(neuron, index)))

    def _figures(self, neuron: int, index: int) -> list[str]:
        """TAC, shift, and the neuron's rank by each."""
        from bdshift.neurons.rankings import data_free_direction

        state = self._state
        assert state.audit is not None
        assert state.shifts is not None
        shift = state.shifts.shift[index]
        rankings = {
            tr("shift"): shift,
            "w − w̄": data_free_direction(state.audit.model.weight, index),
        }
        parts = [tr("shift {value}", value=figure(float(shift[neuron]), "+.3g"))]
        if state.tac is not None and state.tac.target == index:
            rankings["TAC"] = state.tac.change
            parts.insert(0, f"TAC {figure(float(state.tac.change[neuron]), '.3g')}")
        ranks = [
            f"{name} {int((values > values[neuron]).sum()) + 1}"
            for name, values in rankings.items()
        ]
        parts.append(tr("rank of {count}: {ranks}", count=len(shift), ranks=", ".join(ranks)))
        return parts

    def _images(self, neuron: int) -> None:
        from bdshift.neurons.excite import most_excited

        audit, tac, maps = self._state.audit, self._state.tac, self._state.maps
        assert audit is not None
        looked = maps is not None and maps.neuron == neuron
        self._look.setText(tr("Show where it looks"))
        self._look.setToolTip(
            tr("Its map over the images, before pooling; runs the network again.")
        )
        self._look.setVisible(audit.embedding is not None and not looked)
        rows = [
            (self._clean_title, self._clean, audit.embedding, tr("Excite it most, clean"),
             maps.clean if maps is not None and looked else None),
            (self._triggered_title, self._triggered, None if tac is None else tac.triggered,
             tr("Excite it most with the trigger"),
             maps.triggered if maps is not None and looked else None),
        ]  # fmt: skip
        for title, thumbs, embedding, words, over in rows:
            title.show_text(words if embedding is not None else "")
            thumbs.setVisible(embedding is not None)
            if embedding is not None:
                best = most_excited(embedding, [neuron], _SHOWN)
                names = ", ".join(audit.images.class_names[i] for i in embedding.labels[best])
                images = embedding.thumbnails[best]
                if over is not None:
                    images = heated(images[: len(over)], over)
                thumbs.show_images(images, f"{words}: {names}")

    def _ask_look(self) -> None:
        if self._selection.primary is not None:
            self.look_asked.emit(self._selection.primary, _SHOWN)

    def _draw_levels(self, neuron: int) -> None:
        audit, tac = self._state.audit, self._state.tac
        assert audit is not None
        plot = self._levels.getPlotItem()
        plot.clear()
        if audit.embedding is None:
            self._levels_title.show_text(tr("The audit was saved without embeddings."))
            self._levels.hide()
            return
        values = [audit.embedding.phi[:, neuron]]
        if tac is not None and tac.triggered is not None:
            values.append(tac.triggered.phi[:, neuron])
        edges = np.linspace(
            min(v.min() for v in values), max(v.max() for v in values) or 1.0, _BINS + 1
        )
        if edges[0] == edges[-1]:
            edges = np.linspace(edges[0] - 0.5, edges[0] + 0.5, _BINS + 1)
        for one, colour in zip(values, (self._theme.accent, self._theme.poisoned), strict=False):
            heights, _ = np.histogram(one, edges)
            brush = pg.mkColor(colour)
            brush.setAlpha(170)
            plot.addItem(
                pg.BarGraphItem(x0=edges[:-1], x1=edges[1:], height=heights, brush=brush, pen=None)
            )
        plot.hideAxis("left")
        plot.setXRange(float(edges[0]), float(edges[-1]), padding=0.01)
        text = tr("Activation: clean {value}", value=figure(float(values[0].mean()), ".3g"))
        if len(values) > 1:
            text += tr(", triggered {value}", value=figure(float(values[1].mean()), ".3g"))
        self._levels_title.show_text(text)
        self._levels.setAccessibleName(text)

    def _draw_weights(self, neuron: int, index: int) -> None:
        audit = self._state.audit
        assert audit is not None
        column = audit.model.weight[:, neuron]
        names = audit.images.class_names
        shown = np.sort(np.argsort(-np.abs(column), kind="stable")[:_CLASSES])
        if index not in shown:
            shown = np.sort(np.append(shown[:-1], index))
        plot = self._weights.getPlotItem()
        plot.clear()
        rows = np.arange(len(shown))[::-1]
        verdict = self._state.verdict
        flagged = verdict is not None and index in verdict.poisoned
        ink = self._theme.poisoned if flagged else self._theme.accent
        brushes = [ink if i == index else self._theme.bar for i in shown]
        plot.addItem(
            pg.BarGraphItem(
                x0=0, y=rows, height=0.7, width=column[shown], brushes=brushes, pen=None
            )
        )
        plot.getAxis("left").setTicks(
            [[(int(y), names[i][:14]) for y, i in zip(rows, shown, strict=True)]]
        )
        plot.setYRange(-0.6, len(shown) - 0.4, padding=0)
        plot.hideAxis("bottom")
        self._weights.setFixedHeight(13 * len(shown) + 6)
        self._weights_title.show_text(
            tr("Head weight by class") if len(names) <= _CLASSES
            else tr("Head weight, the {count} largest of {all} classes",
                    count=len(shown), all=len(names))
        )  # fmt: skip
        self._weights.setAccessibleName(
            ", ".join(f"{names[i]} {figure(float(column[i]), '.2g')}" for i in shown)
        )

    def _show_cut(self) -> None:
        audit, view = self._state.audit, self._state.cut
        assert audit is not None
        self._cut.setVisible(view is not None)
        if view is None or audit.embedding is None:
            return
        count = len(view.cut.neurons)
        self._cut_title.show_text(
            tr("What if this one were cut?") if count == 1
            else tr("What if these {count} were cut?", count=count)
        )  # fmt: skip

        def change(before: float | None, after: float | None) -> str:
            return f"{percent(before)[:-2]} → {percent(after)}"

        rows = [
            (tr("Clean accuracy"), change(audit.accuracy, view.cut.accuracy), self._by_class(view)),
        ]  # fmt: skip
        tac = self._state.tac
        if tac is not None and view.cut.asr is not None:
            rows.append(
                (tr("Attack success"), change(tac.asr, view.cut.asr),
                 tr("Share of triggered images of other classes sent to the target."))
            )  # fmt: skip
        index = self._selection.class_index
        assert self._state.shifts is not None
        if index is not None:
            norms = [figure(one.l2[index], "#.3g") for one in (self._state.shifts, view.shifts)]
            rows.append(
                (tr("Shift norm"), " → ".join(norms),
                 tr("L2 of the selected class's shift, before and after the cut."))
            )  # fmt: skip
            p = view.verdict.scores[index].grubbs_p
            before = (
                self._state.verdict.scores[index].grubbs_p if self._state.verdict else float("nan")
            )
            rows.append(
                (
                    "p",
                    f"{figure(before, '.2g')} → {figure(p, '.2g')}",
                    tr("Grubbs, of the selected class."),
                )
            )
        self._cut_rows.show_rows(rows)

    def _by_class(self, view: CutView) -> str:
        """The classes that lose or gain by the cut, the worst first."""
        from bdshift.neurons.what_if import accuracy_by_class

        audit = self._state.audit
        assert audit is not None
        assert audit.embedding is not None
        names = audit.images.class_names
        before = accuracy_by_class(audit.embedding.logits, audit.embedding.labels, len(names))
        gain = np.nan_to_num(view.cut.by_class - before)
        changed = [i for i in np.argsort(gain, kind="stable").tolist() if gain[i]][:_CLASSES]
        lines = [
            f"{names[i]}: {percent(before[i])} → {percent(view.cut.by_class[i])}" for i in changed
        ]
        head = tr("Share of the clean images classified as labelled, from the cached embeddings.")
        return "\n".join([head, *lines])


def heated(images: NDArray[np.uint8], maps: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Images (n, 3, t, t) darkened where maps (n, h, w) are low; all maps on one scale."""
    side = images.shape[-1]
    rows = np.arange(side) * maps.shape[1] // side
    columns = np.arange(side) * maps.shape[2] // side
    level = np.clip(maps / max(float(maps.max()), 1e-12), 0, 1)[:, rows][:, :, columns]
    return (images * (0.25 + 0.75 * level[:, None])).astype(np.uint8)


def _small_plot(height: int) -> pg.PlotWidget:
    view = pg.PlotWidget()
    view.setFixedHeight(height)
    view.setFrameShape(view.Shape.NoFrame)
    view.hideButtons()
    view.getPlotItem().setMenuEnabled(False)
    view.getPlotItem().setMouseEnabled(False, False)
    view.getPlotItem().setContentsMargins(0, 0, 0, 0)
    return view
