"""The one state object: what is open, what was found. Controllers write it, views render it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bdshift.audit import Audit, Cleaned
    from bdshift.jobs import Figures
    from bdshift.neurons.tac import Tac
    from bdshift.neurons.what_if import Cut
    from bdshift.shift.result import Shifts
    from bdshift.shift.verdict import Verdict


@dataclass(frozen=True)
class ImagesCard:
    """A clean set that was listed but not yet used."""

    counts: tuple[tuple[str, int], ...]
    skipped: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class CutView:
    """What a cut of the selected neurons would do, beside what is: `Cut`, and its shifts."""

    cut: Cut
    shifts: Shifts
    verdict: Verdict


@dataclass(frozen=True)
class Maps:
    """Where ``neurons`` look in the images that excite them most, the strongest first: float32
    (n, h, w), the mean of their maps before pooling; ``triggered`` with the trigger, None without.
    """

    neurons: tuple[int, ...]
    clean: NDArray[np.float32]
    triggered: NDArray[np.float32] | None


@dataclass(frozen=True)
class State:
    """A snapshot; every part is immutable. ``original`` is the audit that is worked on, with its
    purifications; ``audit`` is of what is ``shown``: the original itself (0), or the rescan of a
    purification (from 1). ``comparing`` are two sides beside each other, by the same numbers.

    ``shifts`` and ``verdict`` are those at ``alpha`` and
    ``beta``, which may have been moved since the audit. ``corrections`` are what the user set right
    for the next scan, by the names of `ScanSettings`.
    """

    model_path: Path | None = None
    model: dict[str, Any] | None = None  # what `bdshift info` tells
    images_path: Path | None = None
    images: ImagesCard | None = None
    original: Audit | None = None
    shown: int = 0
    audit: Audit | None = None
    alpha: float = 0.1
    beta: float = 2.0
    shifts: Shifts | None = None
    verdict: Verdict | None = None
    tac: Tac | None = None
    cut: CutView | None = None
    maps: Maps | None = None
    comparing: tuple[int, int] | None = None
    steps: tuple[Figures, ...] = ()  # of the purification that is on its way
    corrections: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def runs(self) -> tuple[Cleaned, ...]:
        """The purifications of the audit."""
        return () if self.original is None else self.original.runs

    @property
    def can_scan(self) -> bool:
        """Whether there is a model and a clean set."""
        return self.model is not None and self.images is not None


class Session(QObject):
    """Holds the `State`. ``changed`` carries (new, old), and only if something changed."""

    changed = Signal(object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._state = State()

    @property
    def state(self) -> State:
        """The snapshot as it is."""
        return self._state

    def update(self, **parts: Any) -> None:
        """Replace parts of the state and tell the views."""
        old, new = self._state, replace(self._state, **parts)
        if any(getattr(old, name) is not getattr(new, name) for name in parts):
            self._state = new
            self.changed.emit(new, old)
