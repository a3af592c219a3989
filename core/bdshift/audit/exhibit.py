"""The picture of why: the user's own images before and after the change that is held against a
class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bdshift.audit.facts import WORKING_ASR
from bdshift.audit.gallery import CLEAN, Gallery, caption, galleries
from bdshift.audit.records import Audit
from bdshift.changes import CHANGES
from bdshift.detect.inversion import InversionDetector, InvertedChanges
from bdshift.neurons.tac import Tac
from bdshift.words import Sentence, words

_MAX_IMAGES = 4
_GRAY = 127.5  # behind a picture of a change

OF_TRIGGER = words(
    "Your images without and with the trigger.", ja="手元の画像（トリガーなし・あり）。"
)
OF_RECOVERED = words(
    "Your images without and with the recovered trigger.",
    ja="手元の画像（復元したトリガーなし・あり）。",
)
OF_SEARCH = words(
    "Your images without and with the smallest change found that sends images to “{name}”: it "
    "works on {asr:.0%} of unused images.",
    ja="手元の画像と、「{name}」に誘導する最小の変化を加えた画像。"
       "未使用の画像の {asr:.0%} に効きます。",
)  # fmt: skip


@dataclass(frozen=True)
class Exhibit:
    """A few images, one of each class in turn.

    Attributes:
        target: the class.
        sentence: what they are.
        before, after: uint8 (n, 3, t, t).
        labels: their classes, int64 (n,).
        captions: what each is predicted as, before and after; none if that was not measured.
        sent: which of them are predicted as the class afterward, bool (n,); as far as is known.
        which: the `Gallery` that has more of them.
    """

    target: int
    sentence: Sentence
    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    labels: NDArray[np.int64]
    captions: tuple[Sentence, ...]
    sent: NDArray[np.bool_]
    which: tuple[str, int]


def exhibit(audit: Audit) -> Exhibit | None:
    """For the most suspicious of the suspected classes: a trigger that was measured and works, else
    the last that was recovered, else the smallest patch that a search of the images has found; None
    if no class is suspected, or there is nothing to show.
    """
    suspected, clean = audit.finding.suspected, audit.embedding
    if not suspected or clean is None:
        return None
    target = suspected[0]
    of_target = [one for one in galleries(audit) if one.target == target]
    known = [one for one in of_target if one.recovery is None and works(audit, one)]
    for one in (*known, *(one for one in of_target if one.recovery is not None)):
        rows = telling(one, _MAX_IMAGES)
        rows = rows[one.after[rows] == target]
        if len(rows):
            return exhibit_of(one, rows, audit.images.class_names)
    return _of_search(audit, target)


def works(audit: Audit, of: Gallery) -> bool:
    """Whether the trigger of a pass works as well as a backdoor's should."""
    tac = audit.tac_of(of.target, of.key)
    return isinstance(tac, Tac) and tac.asr >= WORKING_ASR


def telling(of: Gallery, count: int) -> NDArray[np.int64]:
    """Up to ``count`` images that the trigger of a pass is for, one of each class in turn: those
    that it sends to its class, the most certain first, then others.
    """
    rows = np.concatenate([of.rows("sent", "certain"), of.rows("stay", "certain")])
    return in_turn(of.clean.labels, rows, count)


def in_turn(labels: NDArray[np.int64], rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The first ``count`` of ``rows``, after one of each class in turn."""
    _, first = np.unique(labels[rows], return_index=True)
    first.sort()
    return np.concatenate([rows[first], np.delete(rows, first)])[:count]


def exhibit_of(of: Gallery, rows: NDArray[np.int64], names: tuple[str, ...]) -> Exhibit:
    """Images ``rows`` of the pass of a trigger; ``names`` are those of the classes."""
    return Exhibit(
        of.target, Sentence(OF_TRIGGER if of.recovery is None else OF_RECOVERED),
        of.clean.thumbnails[rows], of.shown.thumbnails[rows], of.clean.labels[rows],
        tuple(caption(of, int(row), names) for row in rows), of.after[rows] == of.target, of.which,
    )  # fmt: skip


def _of_search(audit: Audit, target: int) -> Exhibit | None:
    """The smallest change of a kind that is laid over images: for that, the kept picture, which is
    on gray, and strength are enough.
    """
    clean = audit.embedding
    assert clean is not None
    for judged in audit.judged:
        detector, found = judged.detector, judged.evidence.record
        if not isinstance(detector, InversionDetector) or not isinstance(found, InvertedChanges):
            continue
        fits = found.pictures.shape[1:] == clean.thumbnails.shape[1:]
        asr = float(found.asr[target])
        if not (CHANGES[detector.change].covers and fits and asr >= WORKING_ASR):
            continue
        rows = in_turn(clean.labels, np.flatnonzero(clean.labels != target), _MAX_IMAGES)
        before = clean.thumbnails[rows]
        share = found.strengths[target].astype(np.float32) / 255
        after = (before - _GRAY) * (1 - share) + found.pictures[target]
        return Exhibit(
            target,
            Sentence(OF_SEARCH, {"name": audit.images.class_names[target], "asr": asr}),
            before, after.round().clip(0, 255).astype(np.uint8), clean.labels[rows], (),
            np.zeros(len(rows), bool), (CLEAN, -1),
        )  # fmt: skip
    return None
