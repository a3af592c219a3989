"""The images of an audit, to be looked at: as they are, or under a trigger that was measured or
recovered; which of them, and in what order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bdshift.audit.records import Audit
from bdshift.errors import UsageError
from bdshift.neurons.excite import excitation
from bdshift.recovery.kept import trigger_of
from bdshift.recovery.recovery import Recovery
from bdshift.shift.embed import Embedding
from bdshift.triggers import Trigger
from bdshift.words import Sentence, words

CLEAN = "clean"
USUAL_ORDER = "turns"
"""Of `ORDERS`: the first images are of all classes."""
_MIDDLE, _FULL = 128, 127.0  # gray, and the largest change that can be drawn on it

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Gallery:
    """The images of one pass, in the order of the audit's embedding.

    Attributes:
        key: `CLEAN`, or the text of the trigger, which tells the passes of an audit apart together
            with ``target``.
        clean: the pass of the clean images.
        triggered: that with the trigger; None without one.
        target: the class that the trigger is for; −1 without one.
        source: the only class that it is for images of; −1 for all.
        recovery: what recovered the trigger; None for a known one.
    """

    key: str
    clean: Embedding
    triggered: Embedding | None = None
    target: int = -1
    source: int = -1
    recovery: Recovery | None = None

    @property
    def which(self) -> tuple[str, int]:
        """What it is called in its audit: key and target."""
        return self.key, self.target

    @property
    def trigger(self) -> Trigger | None:
        """Its trigger; None for the clean images. Raises what `trigger_of` raises."""
        return None if self.triggered is None else trigger_of(self.key, self.recovery)

    @cached_property
    def before(self) -> Rows:
        """Predicted class of every clean image, int64 (N,)."""
        return self.clean.logits.argmax(1)

    @cached_property
    def after(self) -> Rows:
        """Predicted class of every image as this pass has it, int64 (N,)."""
        return self.shown.logits.argmax(1)

    @property
    def shown(self) -> Embedding:
        """The pass with the trigger, or else the clean one."""
        return self.clean if self.triggered is None else self.triggered

    @cached_property
    def meant(self) -> NDArray[np.bool_]:
        """Images that the trigger is for: those of its source, or of all classes but its target."""
        labels = self.clean.labels
        return labels == self.source if self.source >= 0 else labels != self.target

    def pictures(self, row: int, parts: str) -> list[NDArray[np.uint8]]:
        """The kept pictures of an image, as `pictures_of`."""
        after = None if self.triggered is None else self.triggered.thumbnails[row]
        return pictures_of(self.clean.thumbnails[row], after, parts)

    def rows(
        self,
        only: str = "all",
        order: str = USUAL_ORDER,
        *,
        label: int = -1,
        neurons: Sequence[int] = (),
    ) -> Rows:
        """Images to look at, as rows of the pass.

        Args:
            only: one of `FILTERS`.
            order: one of `ORDERS`.
            label: their class; −1 for all.
            neurons: for the order "neurons".

        Raises `UsageError` for a filter that needs a trigger, and an order without neurons.
        """
        chosen = FILTERS[only]
        if chosen.of_labels and not self.clean.labeled:
            raise UsageError("“{only}” needs labels, which these images do not have", only=only)
        if chosen.of_trigger and self.triggered is None:
            raise UsageError("“{only}” needs a trigger", only=only)
        wanted = chosen.keep(self)
        if label >= 0:
            wanted = wanted & (self.clean.labels == label)
        found = np.flatnonzero(wanted)
        return found[np.argsort(ORDERS[order].by(self, found, neurons), kind="stable")]


@dataclass(frozen=True)
class Filter:
    """Which images: its words, what it keeps, bool (N,), and whether it is about a trigger or
    labels.
    """

    label: str
    keep: Callable[[Gallery], NDArray[np.bool_]]
    of_trigger: bool = False
    of_labels: bool = False

    def fits(self, of: Gallery) -> bool:
        """Whether it makes sense for a pass."""
        return (of.triggered is not None or not self.of_trigger) and (
            of.clean.labeled or not self.of_labels
        )


@dataclass(frozen=True)
class Order:
    """In what order: its words, and numbers that grow, one for each of the rows that are shown."""

    label: str
    by: Callable[[Gallery, Rows, Sequence[int]], NDArray[np.float64] | Rows]


def _turn(of: Gallery, rows: Rows) -> Rows:
    """How many of the rows before each one are of its class, (n,)."""
    _, place, counts = np.unique(of.clean.labels[rows], return_inverse=True, return_counts=True)
    by_class = np.argsort(place, kind="stable")
    turns = np.empty_like(rows)
    turns[by_class] = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    return turns


def _certainty(of: Gallery, rows: Rows) -> NDArray[np.float64]:
    """How far the logit of the target, or of the predicted class, is above the next, (n,)."""
    logits = of.shown.logits[rows].astype(np.float64)
    index = np.full(len(logits), of.target) if of.target >= 0 else logits.argmax(1)
    own = np.take_along_axis(logits, index[:, None], 1)
    np.put_along_axis(logits, index[:, None], -np.inf, 1)
    return own[:, 0] - logits.max(1)


def _strongest(of: Gallery, rows: Rows, neurons: Sequence[int]) -> NDArray[np.float64]:
    if not neurons:
        raise UsageError("no neuron is selected to sort by")
    return -excitation(of.shown, neurons)[rows]


FILTERS: dict[str, Filter] = {
    "all": Filter(words("all images", ja="すべての画像"),
                  lambda of: np.ones(len(of.clean.labels), bool)),
    "sent": Filter(words("sent to the class", ja="クラスに誘導される"),
                   lambda of: of.meant & (of.after == of.target), of_trigger=True),
    "stay": Filter(words("not sent to the class", ja="クラスに誘導されない"),
                   lambda of: of.meant & (of.after != of.target), of_trigger=True),
    "changed": Filter(words("predicted differently", ja="予測が変わる"),
                      lambda of: of.before != of.after, of_trigger=True),
    "wrong": Filter(words("classified wrongly", ja="誤分類"),
                    lambda of: of.after != of.clean.labels, of_labels=True),
    "right": Filter(words("classified as labeled", ja="ラベルどおりに分類"),
                    lambda of: of.after == of.clean.labels, of_labels=True),
}  # fmt: skip
"""Which images of a pass are shown, by name."""

ORDERS: dict[str, Order] = {
    USUAL_ORDER: Order(words("one of each class in turn", ja="各クラスから 1 枚ずつ順に"),
                       lambda of, rows, _: _turn(of, rows)),
    "file": Order(words("as in the folder", ja="フォルダーの順"), lambda of, rows, _: rows),
    "certain": Order(words("the most certain first", ja="確信度の高い順"),
                     lambda of, rows, _: -_certainty(of, rows)),
    "doubtful": Order(words("the least certain first", ja="確信度の低い順"),
                      lambda of, rows, _: _certainty(of, rows)),
    "neurons": Order(words("by the selected neurons", ja="選択中のニューロンの強い順"),
                     _strongest),
}  # fmt: skip
"""The orders, by name. How certain an image is: by how much the logit of the trigger's class, or of
the predicted one, is above the next.
"""


PARTS: dict[str, str] = {
    "after": words("after only", ja="適用後のみ"),
    "both": words("before and after", ja="適用前後"),
    "change": words("with the change", ja="差分つき"),
}
"""Which pictures of an image are shown, by name: that of the pass; also the clean one; also the
change on gray, made as clear as it can be.
"""


def pictures_of(
    before: NDArray[np.uint8], after: NDArray[np.uint8] | None, parts: str
) -> list[NDArray[np.uint8]]:
    """An image without and with a trigger, if there is one, as `PARTS` says: uint8 (3, t, t)."""
    if after is None:
        return [before]
    first = [] if parts == "after" else [before]
    last = [differences(before, after)[0]] if parts == "change" else []
    return [*first, after, *last]


def differences(
    before: NDArray[np.uint8], after: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], float]:
    """After minus before on gray, uint8 of their shape, and the factor that makes the largest
    change of all black or white.
    """
    moved = after.astype(np.float32) - before
    gain = _FULL / max(1.0, float(np.abs(moved).max(initial=0)))
    return (_MIDDLE + gain * moved).round().clip(0, 255).astype(np.uint8), gain


def galleries(audit: Audit) -> tuple[Gallery, ...]:
    """The clean pass, that of each measured trigger, the newest first, and that of each recovered
    one; none if the audit has no embeddings.
    """
    clean = audit.embedding
    if clean is None:
        return ()
    known = [
        Gallery(tac.trigger, clean, tac.triggered, tac.target)
        for tac in reversed(audit.tac)
        if tac.triggered is not None
    ]
    recovered = [
        Gallery(one.tac.trigger, clean, one.tac.triggered, one.tac.target, one.source, one)
        for one in reversed(audit.recoveries)
        if one.tac.triggered is not None
    ]
    return Gallery(CLEAN, clean), *known, *recovered


def caption(of: Gallery, row: int, names: Sequence[str]) -> Sentence:
    """What an image is predicted as: before and after, if there is a trigger."""
    now = names[int(of.after[row])]
    if of.triggered is None:
        return Sentence(PREDICTED, {"now": now})
    return Sentence(PREDICTED_AFTER, {"was": names[int(of.before[row])], "now": now})


PREDICTED = words("{now}", ja="{now}")
PREDICTED_AFTER = words("{was} → {now}", ja="{was} → {now}")


def describe(of: Gallery, row: int, names: Sequence[str]) -> Sentence:
    """An image in one sentence: its file, its predictions, its label."""
    values = {"file": of.clean.files[row].name, "predicted": caption(of, row, names)}
    if not of.clean.labeled:
        return Sentence(ABOUT_UNLABELED, values)
    return Sentence(ABOUT_IMAGE, {**values, "label": names[int(of.clean.labels[row])]})


ABOUT_UNLABELED = words("{file}: {predicted}", ja="{file}：{predicted}")
ABOUT_IMAGE = words(
    "{file}: {predicted}; labeled {label}", ja="{file}：{predicted}（ラベル {label}）"
)
