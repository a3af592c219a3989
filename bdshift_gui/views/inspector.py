"""One neuron, or all that are selected: what excites them, how active they are, how the head uses
them; and what cutting the selected ones would do.
"""

from __future__ import annotations

import numpy as np
from PySide6.QtWidgets import QFrame, QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from bdshift.text import figure
from bdshift_gui.actions.select_neurons import NEXT, PREVIOUS
from bdshift_gui.context import Context
from bdshift_gui.gallery_wish import Heat
from bdshift_gui.i18n import say, tr
from bdshift_gui.numbers import percent
from bdshift_gui.plain import set_tip
from bdshift_gui.selection import strongest_first
from bdshift_gui.session import CutView, State
from bdshift_gui.tasks.measuring import look
from bdshift_gui.theme import LIGHT, Theme
from bdshift_gui.view import View, view
from bdshift_gui.widgets.activations import Activations
from bdshift_gui.widgets.card import Card, KeyValueRows, Text
from bdshift_gui.widgets.choices import Choices
from bdshift_gui.widgets.head_weights import HeadWeights
from bdshift_gui.widgets.heat import heated
from bdshift_gui.widgets.thumbs import Thumbs

_MAX_THUMBNAILS = 12  # prepared; as many as fit are shown
_MAX_CLASSES = 12  # classes listed that a cut changes: the worst


@view
class InspectorView(Card, View):
    """Shows all there is to see about the selected neurons."""

    key = "inspector"
    area = "inspector"
    place = 10
    reads = (
        "audit", "tac", "cut", "maps", "selection.class_index", "selection.neurons",
        "selection.primary",
    )  # fmt: skip

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._theme: Theme = LIGHT
        self._state = State()
        self._place = Text("muted", wrap=False)
        self._back, self._on = QToolButton(), QToolButton()
        for button, word, one in ((self._back, "‹", PREVIOUS), (self._on, "›", NEXT)):
            button.setObjectName("choice")
            button.setText(word)
            button.clicked.connect(lambda _=False, one=one: one.trigger(context))
        self.scope = Choices(("one", "all"))
        self.scope.chosen.connect(self._redraw)
        for part in (self._back, self._place, self._on, self.scope):
            self.corner.addWidget(part)
        self._about = Text("muted")
        self._clean_title, self._triggered_title = Text("muted"), Text("muted")
        self._clean, self._triggered = Thumbs(), Thumbs()
        self._look, self._heated = QToolButton(), True
        self._look.setObjectName("link")
        self._look.clicked.connect(self._ask_look)
        self.activations, self._weights = Activations(), HeadWeights()
        self._cut = QFrame()
        beside = QHBoxLayout()
        beside.addWidget(self._clean_title, 1)
        beside.addWidget(self._look)
        self._parts: tuple[QWidget, ...] = (
            self._about, self._cut, self._clean, self._triggered_title, self._triggered,
            self.activations, self._weights,
        )  # fmt: skip
        for widget in self._parts:
            self.body.addWidget(widget)
        self.body.insertLayout(2, beside)
        self._cut.setObjectName("cut")
        inside = QVBoxLayout(self._cut)
        inside.setContentsMargins(8, 6, 8, 6)
        inside.setSpacing(2)
        self._cut_title, self._cut_rows, self._cut_finding = Text("title"), KeyValueRows(), Text()
        inside.addWidget(self._cut_title)
        inside.addWidget(self._cut_rows)
        inside.addWidget(self._cut_finding)
        self.body.addStretch(1)

    def paint(self, theme: Theme) -> None:
        """Apply the theme's colors."""
        self._theme = theme
        self.activations.paint(theme)
        self._weights.paint(theme)
        self._redraw()

    def show_state(self, state: State) -> None:
        """Show the primary neuron of the selection, and the cut of all of them."""
        self._state = state
        self._redraw()

    def _redraw(self) -> None:
        audit, neuron = self._state.audit, self._state.selection.primary
        index = self._state.selection.class_index
        some = audit is not None and neuron is not None and index is not None
        for widget in self._parts:
            widget.setVisible(some)
        for part in (self._back, self._on, self._look, self.scope, self._clean_title):
            part.setVisible(some)
        if audit is None or neuron is None or index is None:
            self.title.show_text(tr("No neuron selected"))
            self._place.show_text(tr("Click a point, or drag around several."))
            return
        self._head(neuron, index)
        self._images()
        self._activations(index)
        self._head_weights(index)
        self._show_cut()

    def _looked_at(self) -> tuple[int, ...]:
        """The neuron that is shown, or all that are selected."""
        now = self._state.selection
        assert now.primary is not None
        return tuple(sorted(now.neurons)) if self.scope.now == "all" else (now.primary,)

    def _map(self, which: tuple[str, int]) -> Heat | None:
        """Where those neurons look in a pass, if it is known."""
        neurons = self._looked_at()
        found = (one for one in self._state.maps if (one.which, one.neurons) == (which, neurons))
        return next(found, None)

    def _maps(self) -> tuple[Heat | None, Heat | None]:
        """The same in the clean images, and in those with the trigger that is shown."""
        from bdshift.audit.gallery import CLEAN

        tac = self._state.tac
        triggered = None if tac is None else self._map((tac.trigger, tac.target))
        return self._map((CLEAN, -1)), triggered

    def _head(self, neuron: int, index: int) -> None:
        chosen = strongest_first(self._state)
        whole = self.scope.now == "all" and len(chosen) > 1
        self.title.show_text(
            tr("{count} neurons together", count=len(chosen)) if whole
            else tr("Neuron {number}", number=neuron)
        )  # fmt: skip
        self.scope.setVisible(len(chosen) > 1)
        self.scope.label(
            "",
            {"one": (tr("one"), tr("Show the neuron named above.")),
             "all": (tr("all"), tr("Show the mean of all selected neurons."))},
        )  # fmt: skip
        self._place.show_text("" if whole else f"{chosen.index(neuron) + 1}/{len(chosen)}")
        tip = tr("Which of the selected neurons, by their shift; Ctrl+Right shows the next.")
        set_tip(self._place, tip)
        for button in (self._back, self._on):
            button.setVisible(len(chosen) > 1 and not whole)
        self._back.setAccessibleName(tr("previous selected neuron"))
        self._on.setAccessibleName(tr("next selected neuron"))
        parts = self._figures_of_all(index) if whole else self._figures(neuron, index)
        self._about.show_text(" · ".join(parts))

    def _figures(self, neuron: int, index: int) -> list[str]:
        """TAC, shift, and the neuron's rank by each."""
        state = self._state
        assert state.audit is not None
        shift = state.audit.shifts.shift[index]
        rankings = {
            tr("shift"): shift,
            "w − μ": state.audit.model.data_free(index),
        }
        parts = [tr("shift {value}", value=figure(float(shift[neuron]), "+#.3g"))]
        if state.tac is not None and state.tac.target == index:
            rankings["TAC"] = state.tac.change
            parts.insert(0, f"TAC {figure(float(state.tac.change[neuron]), '.3g')}")
        ranks = [
            f"{name} {int((values > values[neuron]).sum()) + 1}"
            for name, values in rankings.items()
        ]
        parts.append(tr("rank of {count}: {ranks}", count=len(shift), ranks=", ".join(ranks)))
        return parts

    def _figures_of_all(self, index: int) -> list[str]:
        """Mean TAC and mean shift of the selected neurons."""
        state, neurons = self._state, list(self._looked_at())
        assert state.audit is not None
        shift = float(state.audit.shifts.shift[index][neurons].mean())
        parts = [tr("shift {value}", value=figure(shift, "+#.3g"))]
        if state.tac is not None and state.tac.target == index:
            parts.insert(0, f"TAC {figure(float(state.tac.change[neurons].mean()), '.3g')}")
        return [tr("means:") + " " + parts[0], *parts[1:]]

    def _images(self) -> None:
        from bdshift.neurons.excite import most_excited
        from bdshift.neurons.spatial import MAP_KINDS

        audit, tac = self._state.audit, self._state.tac
        assert audit is not None
        neurons, maps = self._looked_at(), self._maps()
        known = next((one for one in maps if one is not None), None)
        self._look.setText(tr("plain images") if known and self._heated else tr("where it looks"))
        about = tr("Map what excites it in the images. Runs the network again.")
        set_tip(self._look, tr(MAP_KINDS[known.kind]) if known else about)
        self._look.setVisible(audit.embedding is not None)
        clean_map, triggered_map = maps if self._heated else (None, None)
        rows = [
            (self._clean_title, self._clean, audit.embedding, tr("Strongest clean images"),
             clean_map, None),
            (self._triggered_title, self._triggered, None if tac is None else tac.triggered,
             tr("Strongest triggered images of other classes"), triggered_map,
             None if tac is None else tac.target),
        ]  # fmt: skip
        missing = tr("The audit was saved without embeddings.")
        for title, thumbs, embedding, words, over, without in rows:
            absent = missing if title is self._clean_title else ""
            title.show_text(words if embedding is not None else absent)
            thumbs.setVisible(embedding is not None)
            if embedding is not None:
                best = most_excited(embedding, neurons, _MAX_THUMBNAILS, without=without)
                names = ", ".join(audit.images.class_names[i] for i in embedding.labels[best])
                images = embedding.thumbnails[best]
                if over is not None:
                    images = heated(images[: len(over.rows)], over.values)
                thumbs.show_images(images, f"{words}: {names}")

    def _ask_look(self) -> None:
        if self._state.selection.primary is None:
            return
        there = any(self._maps())
        self._heated = not (there and self._heated)
        if there:
            self._redraw()
        elif not self._context.state.busy:
            look(self._context, self._looked_at(), _MAX_THUMBNAILS)

    def _activations(self, index: int) -> None:
        from bdshift.neurons.excite import excitation

        audit, tac = self._state.audit, self._state.tac
        assert audit is not None
        self.activations.setVisible(audit.embedding is not None)
        if audit.embedding is None:
            return
        neurons = self._looked_at()
        triggered = None if tac is None else tac.triggered
        self.activations.show_values(
            excitation(audit.embedding, neurons),
            None if triggered is None else excitation(triggered, neurons),
            audit.embedding.labels, audit.images.class_names, index,
        )  # fmt: skip

    def _head_weights(self, index: int) -> None:
        audit = self._state.audit
        assert audit is not None
        weights = audit.model.weight[:, list(self._looked_at())].mean(1, dtype=np.float64)
        flagged = index in audit.finding.suspected
        self._weights.show_values(weights, audit.images.class_names, index, flagged=flagged)

    def _show_cut(self) -> None:
        from bdshift.audit.cut_effect import effect_of_cut

        audit, cut = self._state.audit, self._state.cut
        assert audit is not None
        self._cut.setVisible(cut is not None)
        if cut is None or audit.embedding is None:
            return
        count = len(cut.outcome.neurons)
        self._cut_title.show_text(
            tr("What if this neuron were cut?") if count == 1
            else tr("What if these {count} neurons were cut?", count=count)
        )  # fmt: skip

        def change(before: float, after: float) -> str:
            return f"{percent(before)[:-1]} → {percent(after)}"

        after = cut.outcome.accuracy
        rows = [
            (tr("Clean accuracy"), change(audit.accuracy, after), self._by_class(cut))
            if audit.images.labeled
            else (tr("Predictions that stay"), percent(after), self._by_class(cut))
        ]
        tac = self._state.tac
        if tac is not None and cut.outcome.asr is not None:
            rows.append(
                (tr("Attack success"), change(tac.asr, cut.outcome.asr),
                 tr("Share of triggered images of other classes sent to the target."))
            )  # fmt: skip
        index = self._state.selection.class_index
        if index is not None:
            norms = [figure(one.l2[index], "#.3g") for one in (audit.shifts, cut.shifts)]
            rows.append(
                (tr("Shift norm"), " → ".join(norms),
                 tr("L2 of the selected class's shift, before and after the cut."))
            )  # fmt: skip
            rule = audit.settings.rule
            judgments = audit.judgment, cut.judgment
            values = [float(one.statistics[rule.name][index]) for one in judgments]
            by_rule, name = audit.verdict is None, tr(rule.column)
            short = name.partition(" (")[0].partition("（")[0]
            rows.append(
                (name if by_rule else tr("{statistic} of the norms", statistic=short),
                 " → ".join(figure(value, rule.form) for value in values),
                 tr("Of the selected class, before and after the cut.") if by_rule
                 else tr("Of the selected class's norm among the others, before and after the cut. "
                         "It is not the verdict's p, which compares with clean models."))
            )  # fmt: skip
        self._cut_rows.show_rows(rows)
        effect = None if tac is None else effect_of_cut(audit, tac, cut.outcome, cut.judgment)
        self._cut_finding.show_text("" if effect is None else say(effect))

    def _by_class(self, cut: CutView) -> str:
        """The classes that lose or gain accuracy by the cut, the worst first."""
        from bdshift.neurons.what_if import accuracy_by_class

        audit = self._state.audit
        assert audit is not None
        assert audit.embedding is not None
        names = audit.images.class_names
        before = accuracy_by_class(audit.embedding.logits, audit.embedding.labels, len(names))
        gain = np.nan_to_num(cut.outcome.by_class - before)
        changed = [i for i in np.argsort(gain, kind="stable").tolist() if gain[i]][:_MAX_CLASSES]
        lines = [
            f"{names[i]}: {percent(before[i])} → {percent(cut.outcome.by_class[i])}"
            for i in changed
        ]
        head = (
            tr("Share of the clean images classified as labeled, from the cached embeddings.")
            if audit.images.labeled
            else tr("Share of the clean images still classified as before; they have no labels.")
        )
        return "\n".join([head, *lines])
