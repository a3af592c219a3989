"""The scatter plot for keyboard users: one row per neuron, sortable, with the same selection."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import Qt

from bdshift.text import figure
from bdshift.words import words
from bdshift_gui.context import Context
from bdshift_gui.i18n import language, tr
from bdshift_gui.session import State
from bdshift_gui.view import View, view
from bdshift_gui.widgets.table_rows import Column
from bdshift_gui.widgets.tables import DataTable


@view
class NeuronTableView(DataTable, View):
    """Selecting rows selects neurons."""

    key = "table"
    area = "below"
    place = 10
    title_of_panel = words("Neurons", ja="ニューロン")
    waits = True
    reads = (
        "audit", "tac", "selection.class_index", "selection.neurons", "selection.primary",
    )  # fmt: skip

    def __init__(self, context: Context) -> None:
        falling = Qt.SortOrder.DescendingOrder
        super().__init__("neurons", context.settings, several=True, sorting=("shift", falling))
        self._context = context
        self._shown: tuple[object, ...] = ()
        self.chosen.connect(self._choose)

    def show_state(self, state: State) -> None:
        """Show the neurons for the selected class, and the selection."""
        self.view.setAccessibleName(tr("Neurons"))
        selection = state.selection
        index = selection.class_index
        if state.audit is None or index is None:
            return
        what = (state.audit, state.tac, index, language())
        if any(a is not b for a, b in zip(what, self._shown or (None,) * 4, strict=True)):
            self._shown = what
            self.show_columns(_columns(state, index))
        elsewhere = selection.neurons != self.wanted
        self.select(selection.neurons)
        if elsewhere and selection.primary is not None:
            self.scroll_to(selection.primary)

    def _choose(self) -> None:
        self._context.selection.select_neurons(self.wanted, "replace", self.current)


def _columns(state: State, index: int) -> list[Column]:
    audit, tac = state.audit, state.tac
    assert audit is not None

    def column(key: str, head: str, values: np.ndarray) -> Column:
        return Column(key, head, values, form=lambda value: figure(value, "#.4g"))

    shift = audit.shifts.shift[index]
    found = [
        Column("neuron", tr("neuron"), np.arange(len(shift))),
        column("shift", tr("shift"), shift),
        column("w", "w − μ", audit.model.data_free(index)),
    ]
    if audit.embedding is not None:
        found.append(column("clean", tr("clean φ"), audit.embedding.mean))
    if tac is not None and tac.target == index:
        found += [column("tac", "TAC", tac.change), column("signed", tr("signed"), tac.signed)]
    return found
