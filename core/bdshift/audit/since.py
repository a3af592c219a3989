"""Two audits, an earlier and a later one: whether they are of one model, and what lines up."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal

from bdshift.audit.records import Audit, Purification
from bdshift.audit.scan_settings import ScanSettings
from bdshift.neurons.tac import Tac
from bdshift.recovery.recovery import Recovery
from bdshift.registry import Configured
from bdshift.text import figure

UNSET = "–"
"""A setting that was not given."""

Relation = Literal["same", "retrained", "other"]


@dataclass(frozen=True)
class ChangedSetting:
    """A setting of the scan, by its name in `ScanSettings`, as text; or `UNSET`."""

    name: str
    was: str
    now: str


@dataclass(frozen=True)
class Since:
    """An earlier and a later audit."""

    old: Audit
    new: Audit

    @property
    def relation(self) -> Relation:
        """Whether the models are the same file and weights; if not, whether they have the same
        architecture and classes, as a retrained or purified model has.
        """
        a, b = self.old.model, self.new.model
        if (a.sha256, a.weights) == (b.sha256, b.weights):
            return "same"
        alike = a.architecture == b.architecture and a.embedding_dim == b.embedding_dim
        names = self.old.images.class_names == self.new.images.class_names
        return "retrained" if alike and names else "other"

    @property
    def has_same_images(self) -> bool:
        """Whether the same images were used."""
        return self.old.images.sha256 == self.new.images.sha256

    @property
    def is_reversed(self) -> bool:
        """Whether the audit that is called the earlier one was made later."""
        return bool(self.old.date and self.new.date and self.old.date > self.new.date)

    @cached_property
    def classes(self) -> tuple[tuple[int, int], ...]:
        """Classes with the same name: the index in the earlier audit and that in the later one, in
        the order of the later one.
        """
        before, after = self.old.images, self.new.images
        if before.class_names == after.class_names:
            return tuple((i, i) for i in range(len(after.class_names)))
        was, now = before.class_index, after.class_index
        return tuple((was[name], now[name]) for name in now if name in was)

    @property
    def settings(self) -> tuple[ChangedSetting, ...]:
        """Settings of the scan that differ, each detector by itself."""
        was, now = _settings(self.old.settings), _settings(self.new.settings)
        return tuple(
            ChangedSetting(name, was.get(name, UNSET), now.get(name, UNSET))
            for name in {**was, **now}
            if was.get(name) != now.get(name)
        )

    @property
    def triggers(self) -> tuple[tuple[Tac | None, Tac | None], ...]:
        """Known triggers before and now, those of one kind on one class beside each other."""
        return _lined_up(self.old.tac, self.new.tac, lambda audit, one: (
            one.trigger, _name(audit, one.target)
        ), self)  # fmt: skip

    @property
    def recoveries(self) -> tuple[tuple[Recovery | None, Recovery | None], ...]:
        """Recovered triggers, those for one class, source and kind of change beside each other."""
        return _lined_up(self.old.recoveries, self.new.recoveries, lambda audit, one: (
            _name(audit, one.target), _name(audit, one.source), one.kind
        ), self)  # fmt: skip

    @property
    def purifications(self) -> tuple[tuple[Purification | None, Purification | None], ...]:
        """Purified models, those of one method, class and seed beside each other."""
        return _lined_up(self.old.purifications, self.new.purifications, lambda audit, one: (
            one.result.method, _name(audit, one.result.target), one.result.seed
        ), self)  # fmt: skip


def _settings(asked: ScanSettings) -> dict[str, str]:
    """All of them as text."""
    plain = {one.name: _in_text(getattr(asked, one.name)) for one in fields(asked)}
    del plain["detectors"]
    return {**plain, **{f"detector {one.name}": one.spec for one in asked.detectors}}


def _name(audit: Audit, index: int) -> str:
    return audit.images.class_names[index] if index >= 0 else ""


def _lined_up(was: Any, now: Any, key: Any, since: Since) -> Any:
    """Things of both audits by what they are; of several that are the same, each has one partner at
    most.
    """
    rest = [(key(since.old, one), one) for one in was]
    found: list[tuple[Any, Any]] = []
    for one in now:
        own = key(since.new, one)
        place = next((i for i, (other, _) in enumerate(rest) if other == own), None)
        found.append((None if place is None else rest.pop(place)[1], one))
    return (*((one, None) for _, one in rest), *found)


def _in_text(value: Any) -> str:
    if isinstance(value, Configured):
        return value.spec
    if isinstance(value, tuple):
        return ", ".join(map(_in_text, value)) or UNSET
    if isinstance(value, dict):
        return ", ".join(f"{name}={_in_text(one)}" for name, one in value.items()) or UNSET
    if isinstance(value, float):
        return figure(value)
    return UNSET if value in (None, "") else str(value)
