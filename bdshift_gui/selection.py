"""What is selected, once for the whole window: every view reads it and asks it to change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QUndoCommand, QUndoStack

Mode = Literal["replace", "add", "toggle", "remove"]


@dataclass(frozen=True)
class Selection:
    """A class, some neurons, and the one of them that the inspector shows; None without."""

    class_index: int | None = None
    neurons: frozenset[int] = frozenset()
    primary: int | None = None


class SelectionModel(QObject):
    """The one selection. ``changed`` carries the new `Selection`; neurons can be undone."""

    changed = Signal(object)

    def __init__(self, undo: QUndoStack, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._undo = undo
        self._now = Selection()

    @property
    def now(self) -> Selection:
        """The selection as it is."""
        return self._now

    def reset(self, class_index: int | None, neurons: Iterable[int] = ()) -> None:
        """Another audit: start again, with nothing to undo; the first neuron is shown."""
        self._undo.clear()
        ordered = list(neurons)
        primary = ordered[0] if ordered else None
        self.apply(Selection(class_index, frozenset(ordered), primary))

    def select_class(self, index: int) -> None:
        """Look at the shift of another class."""
        self.apply(replace(self._now, class_index=index))

    def select_neurons(
        self, neurons: Iterable[int], mode: Mode = "replace", primary: int | None = None
    ) -> None:
        """Change which neurons are selected; undoable."""
        given, before = frozenset(neurons), self._now.neurons
        after = {
            "replace": given,
            "add": before | given,
            "toggle": before ^ given,
            "remove": before - given,
        }[mode]
        if primary not in after:
            kept = self._now.primary
            primary = kept if kept in after else min(after, default=None)
        wanted = replace(self._now, neurons=after, primary=primary)
        if after == before:
            self.apply(wanted)
        else:
            self._undo.push(_Change(self, self._now, wanted))

    def show_neuron(self, neuron: int) -> None:
        """Show one of the selected neurons in the inspector."""
        if neuron in self._now.neurons:
            self.apply(replace(self._now, primary=neuron))

    def apply(self, wanted: Selection) -> None:
        """Take a selection and tell everybody, if it is another one."""
        if wanted != self._now:
            self._now = wanted
            self.changed.emit(wanted)


class _Change(QUndoCommand):
    """One step from a set of neurons to another; the class stays as it is when undone."""

    def __init__(self, model: SelectionModel, before: Selection, after: Selection) -> None:
        super().__init__(f"{len(after.neurons)} neurons")
        self._model, self._before, self._after = model, before, after

    def redo(self) -> None:
        self._take(self._after)

    def undo(self) -> None:
        self._take(self._before)

    def _take(self, wanted: Selection) -> None:
        self._model.apply(replace(wanted, class_index=self._model.now.class_index))
