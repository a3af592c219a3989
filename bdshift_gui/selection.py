"""Changes to what is selected; those to neurons can be undone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

from PySide6.QtCore import QObject, Slot
from PySide6.QtGui import QUndoCommand, QUndoStack

from bdshift_gui.session import Selection, Session, State

Mode = Literal["replace", "add", "toggle", "remove"]


class SelectionChanger(QObject):
    """Writes `State.selection`, the chosen purification and models of a folder, and whether there
    is something to undo.
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._undo = QUndoStack(self)
        self._undo.canUndoChanged.connect(self._can_undo)
        self._undo.canRedoChanged.connect(self._can_redo)

    @Slot(bool)
    def _can_undo(self, can: bool) -> None:
        self._session.update(can_undo=can)

    @Slot(bool)
    def _can_redo(self, can: bool) -> None:
        self._session.update(can_redo=can)

    @property
    def now(self) -> Selection:
        """The current selection."""
        return self._session.state.selection

    def forget(self) -> None:
        """Clear the undo history, for another audit."""
        self._undo.clear()

    def select_class(self, index: int, source: int | None = None) -> None:
        """Select another class, to look at its shift; with a ``source``, a pair of classes."""
        self.apply(replace(self.now, class_index=index, source=source))

    def select_neurons(
        self, neurons: Iterable[int], mode: Mode = "replace", primary: int | None = None
    ) -> None:
        """Change which neurons are selected; undoable."""
        given, before = frozenset(neurons), self.now.neurons
        after = {
            "replace": given,
            "add": before | given,
            "toggle": before ^ given,
            "remove": before - given,
        }[mode]
        if primary not in after:
            kept = self.now.primary
            primary = kept if kept in after else min(after, default=None)
        wanted = replace(self.now, neurons=after, primary=primary)
        if after == before:
            self.apply(wanted)
        else:
            self._undo.push(_Change(self, self.now, wanted))

    def choose_purification(self, number: int) -> None:
        """Choose one, from 1, to act on."""
        self._session.update(chosen=number)

    def choose_models(self, models: Iterable[str]) -> None:
        """Choose models of the folder that is shown, by their paths in it."""
        shown = self._session.state.fleet
        if shown is not None:
            self._session.update(fleet=replace(shown, chosen=frozenset(models)))

    def step(self, by: int) -> None:
        """Show the selected neuron of the next smaller shift in the inspector, or of the next
        larger one if ``by`` is −1.
        """
        chosen, now = strongest_first(self._session.state), self.now.primary
        if now is not None:
            primary = chosen[(chosen.index(now) + by) % len(chosen)]
            self.apply(replace(self.now, primary=primary))

    def undo(self) -> None:
        """Undo the last change to the selected neurons."""
        self._undo.undo()

    def redo(self) -> None:
        """Redo it."""
        self._undo.redo()

    def apply(self, wanted: Selection) -> None:
        """Set the selection, if it is a different one."""
        if wanted != self.now:
            self._session.update(selection=wanted)


def strongest_first(state: State) -> list[int]:
    """The selected neurons, by their shift toward the selected class."""
    chosen, audit, index = sorted(state.selection.neurons), state.audit, state.selection.class_index
    if audit is None or index is None:
        return chosen
    shift = audit.shifts.shift[index]
    return sorted(chosen, key=lambda neuron: -float(shift[neuron]))


class _Change(QUndoCommand):
    """A change from one set of neurons to another; undoing it leaves classes as they are."""

    def __init__(self, changer: SelectionChanger, before: Selection, after: Selection) -> None:
        super().__init__()
        self._changer, self._before, self._after = changer, before, after

    def redo(self) -> None:
        self._take(self._after)

    def undo(self) -> None:
        self._take(self._before)

    def _take(self, wanted: Selection) -> None:
        now = self._changer.now
        self._changer.apply(replace(wanted, class_index=now.class_index, source=now.source))
