"""How pictures become squares is settled by clean accuracy, as the rest of the preprocessing is.

The network and its preprocessing are chosen with one framing first. Then the chosen one is shown
the same images under the others. If one does clearly better, everything is chosen again with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from bdshift.audit.reading_doubts import is_poor
from bdshift.audit.trial_images import Shapes, TrialImages
from bdshift.checkpoints.classifier import Classifier
from bdshift.checkpoints.entrant import Entrant
from bdshift.checkpoints.footprint import largest_batch
from bdshift.checkpoints.settle import Settled
from bdshift.images.framing import CROP_FROM, USUAL, Fit, Framing
from bdshift.jobs import JobContext
from bdshift.remark import Remark, code
from bdshift.words import words

_MIN_ODD = 0.02  # share of pictures that are not square from which their framing is tried
_FIRST_IMAGES = 100  # images that all framings are tried on; the better ones see all
_MAX_BATCH = 125
_MIN_GAIN = 0.01  # in accuracy, for another framing than the first
_MATTERS = 0.02  # difference in accuracy that the reader is told of

NOT_SQUARE = code(
    "not-square",
    words("{share:.0%} of the pictures are not square, and how they are made square matters: "
          "{chosen}, {accuracy:.1%} of the trial images are classified correctly; {other}, "
          "{instead:.1%}. The audit uses the former.",
          ja="画像の {share:.0%} は正方形ではなく、正方形にする方法で結果が変わります。"
             "試行画像の正解率は、"
             "「{chosen}」では {accuracy:.1%}、「{other}」では {instead:.1%} です。"
             "監査では前者を使いました。"),
)  # fmt: skip
MARGIN = code(
    "margin-matters",
    words("How much of the pictures is cut off matters: {chosen}, {accuracy:.1%} of the trial "
          "images are classified correctly; {other}, {instead:.1%}. The audit uses the former.",
          ja="画像の端をどれだけ切るかで結果が変わります。試行画像の正解率は、"
             "「{chosen}」では {accuracy:.1%}、「{other}」では {instead:.1%} です。"
             "監査では前者を使いました。"),
)  # fmt: skip
TURNED = code(
    "exif-orientation",
    words("{turned} of {count} pictures have an EXIF orientation: {chosen}, {accuracy:.1%} of the "
          "trial images are classified correctly; {other}, {instead:.1%}. The audit uses the "
          "former.",
          ja="{count} 枚中 {turned} 枚に EXIF の向きがあります。試行画像の正解率は、"
             "「{chosen}」では {accuracy:.1%}、「{other}」では {instead:.1%} です。"
             "監査では前者を使いました。"),
)  # fmt: skip

Choose = Callable[[Framing], Settled]
"""Chooses the network and the preprocessing, of images under a framing."""


def settle_framing(
    choose: Choose,
    images: TrialImages,
    labels: NDArray[np.int64],
    *,
    first: Fit = "crop",
    only: Fit | None = None,
    device: torch.device,
    precision: str,
    job: JobContext,
) -> tuple[Settled, list[Remark]]:
    """What is chosen with the best framing, and what the reader should know about it.

    Args:
        choose: chooses all else.
        images, labels: the trial images, and the class of each, int64 (n,).
        first: the fit that the others have to beat, such as one that a config names.
        only: try no other fit than this.
        device, precision: where and how to run.
        job: progress and cancellation.
    """
    shapes = images.shapes()
    start = Framing(only or first)
    plain = framed(choose(start), start)
    framings = _framings(plain.classifier.preprocessing.size, shapes, start, only)
    if len(framings) < 2:
        return plain, []
    if not len(labels) or int(labels.max()) < 0:
        return plain, []  # without labels nothing tells which is right
    entrants = _race(plain.classifier, framings, images, labels, device, precision, job)
    best = max(entrants, key=lambda entrant: entrant.accuracy)
    found = best.preprocessing.framing
    gain = best.accuracy - entrants[0].accuracy
    if found == start or gain < _MIN_GAIN or not entrants[0].is_worse_than(best):
        found = start
        if is_poor(plain.ranking[0].accuracy, plain.classifier.classes):
            found = next((f for f in framings if f.fit == "squeeze" and f.upright), start)
    if found != start:
        again = framed(choose(found), found)
        if again.ranking[0].accuracy > plain.ranking[0].accuracy:
            plain = replace(again, ranking=(*again.ranking, *plain.ranking))
    return plain, _remarks(plain.classifier.preprocessing.framing, entrants, shapes)


def framed(settled: Settled, framing: Framing) -> Settled:
    """What was chosen of images under a framing, with that framing in its preprocessings."""
    if framing == USUAL:
        return settled
    ranking = tuple(
        replace(trial, preprocessing=replace(trial.preprocessing, framing=framing))
        for trial in settled.ranking
    )
    classifier = settled.classifier.with_preprocessing(ranking[0].preprocessing)
    others = tuple(
        one.with_preprocessing(replace(one.preprocessing, framing=framing))
        for one in settled.alternatives
    )
    readings = tuple(replace(one, framing=framing) for one in settled.readings)
    return replace(
        settled, classifier=classifier, ranking=ranking, alternatives=others, readings=readings
    )


def _framings(size: int, shapes: Shapes, start: Framing, only: Fit | None) -> list[Framing]:
    """Those that make a difference for such pictures, ``start`` first."""
    fits: list[Fit] = [start.fit]
    fitted = set(shapes.sizes) == {(size, size)}  # they are used as they are
    if only is None and shapes.not_square >= _MIN_ODD:
        fits += ["crop", "squeeze", "pad"]
    if only is None and size >= CROP_FROM and not fitted:
        fits += ["crop", "center"]
    turns = (True, False) if shapes.turned else (True,)
    return list(dict.fromkeys([start, *(Framing(fit, up) for fit in fits for up in turns)]))


def _race(
    classifier: Classifier,
    framings: Sequence[Framing],
    images: TrialImages,
    labels: NDArray[np.int64],
    device: torch.device,
    precision: str,
    job: JobContext,
) -> list[Entrant]:
    """The classifier under each framing: on a few images, and those that are not worse than the
    best, and the plainest, on all.
    """
    plain = classifier.preprocessing
    batch = largest_batch(classifier.network, plain.size, device, _MAX_BATCH, plain.channels)
    entrants = [
        Entrant(classifier, replace(plain, framing=framing), int(labels.max()) + 1)
        for framing in framings
    ]

    def show(entrant: Entrant, until: int) -> None:
        pixels = images.framed(entrant.preprocessing.framing)(plain.size)
        for at in range(entrant.images, min(until, len(labels)), batch):
            job.raise_if_canceled()
            part = slice(at, min(at + batch, until, len(labels)))
            entrant.see(pixels[part], labels[part], labels[part], precision)

    for number, entrant in enumerate(entrants):
        job.progress("Trying how to make pictures square", number, len(entrants), "ways")
        show(entrant, _FIRST_IMAGES)
    best = max(entrants, key=lambda entrant: entrant.accuracy)
    usual = {framings[0], USUAL, Framing("squeeze")}
    for entrant in entrants:
        if entrant.preprocessing.framing in usual or not entrant.is_worse_than(best):
            show(entrant, len(labels))
    return entrants


def _remarks(chosen: Framing, entrants: Sequence[Entrant], shapes: Shapes) -> list[Remark]:
    """Where another framing gives another accuracy."""
    by_framing = {entrant.preprocessing.framing: entrant.accuracy for entrant in entrants}
    accuracy = by_framing[chosen]
    found = []

    def add(name: str, other: Framing, least: float, **values: float) -> None:
        instead = by_framing.get(other)
        if instead is not None and abs(instead - accuracy) >= least:
            said = {
                "chosen": chosen.words, "other": other.words, "accuracy": accuracy,
                "instead": instead,
            }  # fmt: skip
            found.append(Remark(name, {**values, **said}))

    if shapes.not_square >= _MIN_ODD:
        other = Framing("crop" if chosen.fit != "crop" else "squeeze", chosen.upright)
        add(NOT_SQUARE, other, _MATTERS, share=shapes.not_square)
    else:
        other = Framing("crop" if chosen.fit != "crop" else "center", chosen.upright)
        add(MARGIN, other, _MATTERS)
    if shapes.turned:
        turned = {"turned": shapes.turned, "count": len(shapes.sizes)}
        add(TURNED, replace(chosen, upright=not chosen.upright), _MIN_GAIN, **turned)
    return found
