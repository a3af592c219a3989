"""Audits of every kind that a finding distinguishes, made from the victim's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from recovered import made_recovery

from bdshift.audit import Audit, LabelProposal, with_recovery
from bdshift.audit.facts import Level
from bdshift.detect.detector import DETECTORS, Detector, Evidence, Subject
from bdshift.detect.inversion import InvertedChanges
from bdshift.detect.rules.mad import Mad
from bdshift.detect.rules.paper import Paper
from bdshift.jobs import JobContext
from bdshift.setting import setting
from bdshift.words import words


@dataclass(frozen=True)
class Made:
    """The record of the test detector: nothing."""


@dataclass(frozen=True)
class Lengths(Detector):
    """A detector for tests: it suspects one class, by a high score."""

    name = "lengths"
    label = words("Lengths of the tests", ja="テストの長さ")
    summary = words("Suspects one class.", ja="一つのクラスを疑います。")
    record = Made
    low_is_suspicious = False
    score_label = "LEN"
    score_help = words("A length of the tests.", ja="テストの長さの値。")
    unit = words("length of the tests", ja="テストの長さの単位")
    one = words("Class {index} “{name}” is long: {score:.3g}, others {other:.3g}.",
                ja="クラス {index}「{name}」は長い：{score:.3g}、他は {other:.3g}。")  # fmt: skip
    many = words("{count:|class is|classes are} long: {classes}.",
                 ja="{count} クラスが長い：{classes}。")  # fmt: skip
    none = words("No class is long.", ja="長いクラスはありません。")
    far = words("Class {index} is short.", ja="クラス {index} は短い。")

    suspect: int = setting(0, words("Suspect", ja="疑うクラス"), low=-1, high=1000)

    def detect(self, subject: Subject, job: JobContext) -> Evidence:
        """Look at nothing."""
        return lengths(self.suspect, len(subject.class_names))


def lengths(suspect: int, classes: int) -> Evidence:
    """Its evidence; no class is suspected for −1."""
    scores = np.linspace(1, 1.1, classes)
    if suspect >= 0:
        scores[suspect] = 5
    pairs = np.full((classes, classes), np.nan)
    pairs[0, 1:] = scores[1:]
    return Evidence(f"lengths:suspect={suspect}", scores, pairs=pairs, record=Made())


@contextmanager
def second_detector() -> Iterator[None]:
    """Register `Lengths` for the duration of the context."""
    DETECTORS.register(Lengths)
    try:
        yield
    finally:
        DETECTORS.forget(Lengths.name)


def _norms(audit: Audit, norms: list[float]) -> Audit:
    status = tuple("unreachable" if np.isinf(norm) else "solved" for norm in norms)
    shifts = replace(audit.shifts, l2=np.array(norms), status=status)  # type: ignore[arg-type]
    first = replace(audit.evidence[0], scores=np.array(norms), record=shifts)
    return replace(audit, evidence=(first, *audit.evidence[1:]), tac=())


def quiet_norms(audit: Audit) -> Audit:
    """With norms among which nothing stands out."""
    return _norms(audit, np.linspace(10, 11, audit.model.classes).tolist())


def _several(audit: Audit) -> Audit:
    norms = np.linspace(10, 11, audit.model.classes)
    norms[[2, 7]] = 4, 4.1
    return _norms(audit, norms.tolist())


def _high(audit: Audit) -> Audit:
    norms = np.linspace(10, 11, audit.model.classes)
    norms[5] = 20
    found = _norms(audit, norms.tolist())
    return found.under(Paper())


def _equal(audit: Audit) -> Audit:
    norms = [10.0] * (audit.model.classes - 2) + [1.0, 11.0]
    found = _norms(audit, norms)
    return found.under(Mad())


def _second_of_few(audit: Audit) -> Audit:
    """Its second detector could judge four classes only, too few for the paper's rule."""
    found = lengths(-1, audit.model.classes)
    scores = np.full(audit.model.classes, np.nan)
    scores[:4] = found.scores[:4]
    return replace(audit, evidence=(audit.evidence[0], replace(found, scores=scores)))


def _few_images(audit: Audit) -> Audit:
    counts = tuple(1 + (i < 6) for i in range(audit.model.classes))
    return replace(audit, images=replace(audit.images, counts=counts))


def _rough(audit: Audit) -> Audit:
    counts = (3,) * audit.model.classes
    return replace(audit, images=replace(audit.images, counts=counts))


def _missing(audit: Audit, present: int) -> Audit:
    counts = tuple(40 * (i < present) for i in range(audit.model.classes))
    return replace(audit, images=replace(audit.images, counts=counts))


def _turned(audit: Audit) -> Audit:
    names = audit.images.class_names
    order = {name: (i + 1) % len(names) for i, name in enumerate(names)}
    return replace(audit, accuracy=0.05, proposal=LabelProposal(order, 0.97))


def _unreachable(audit: Audit) -> Audit:
    norms = np.full(audit.model.classes, np.inf)
    norms[:2] = 5, 6
    return _norms(audit, norms.tolist())


def _unflagged_trigger(audit: Audit) -> Audit:
    assert audit.tac
    return replace(quiet_norms(audit), tac=audit.tac)


def _second(audit: Audit, suspect: int) -> Audit:
    evidence = lengths(suspect, audit.model.classes)
    return replace(audit, evidence=(audit.evidence[0], evidence))


def _recovered(audit: Audit, measured: Audit, **changed: Any) -> Audit:
    return with_recovery(audit, made_recovery(measured, **changed))


def searched(
    audit: Audit, factors: dict[int, float], natural: dict[int, float] | None = None
) -> Audit:
    """With a search for masks, in which some classes take so many times less than the others, and
    such shares of the images of some carry them by nature.
    """
    scores = np.linspace(90, 100, audit.model.classes)
    for index, factor in factors.items():
        scores[index] /= factor
    shares = np.full(audit.model.classes, np.nan)
    for index, share in (natural or {}).items():
        shares[index] = share
    mask = _inverted("mask:images=160,budget=60.0", scores, shares)
    return replace(audit, evidence=(*audit.evidence[:1], mask))


def _inverted(
    detector: str, scores: NDArray[np.float64], natural: NDArray[np.float64] | None = None
) -> Evidence:
    classes = len(scores)
    found = InvertedChanges(
        np.tile(scores[:, None], 3), np.ones(classes), np.zeros((classes, 3, 8, 8), np.uint8),
        np.zeros((classes, 8, 8), np.uint8), natural,
    )  # fmt: skip
    return Evidence(detector, scores, record=found)


def _shift_alone(audit: Audit) -> Audit:
    """One class takes a third of the others' shift, and no smaller mask."""
    norms = np.linspace(10, 11, audit.model.classes)
    norms[5] /= 3
    return searched(_norms(audit, norms.tolist()), {})


def _witnessed(audit: Audit, factors: dict[int, float]) -> Audit:
    """The same, with a search for warps; no other class is reached than these."""
    scores = np.full(audit.model.classes, np.inf)
    for index, factor in factors.items():
        scores[index] = 1 / factor
    warp = _inverted("warp:images=160,budget=60.0", scores)
    return replace(audit, evidence=(*audit.evidence, warp))


def _beside(audit: Audit, factors: dict[int, float], **changed: Any) -> Audit:
    """With a reference, in which some classes take so many times smaller masks than the others."""
    model = replace(audit.model, path="/models/twin.pth", sha256="0" * 64)
    found = replace(
        searched(quiet_norms(audit), factors), model=model, embedding=None, tac=(), accuracy=0.975
    )
    return replace(audit, reference=replace(found, **changed))


def _misread(audit: Audit) -> Audit:
    """With a reference that is weak and whose batch norms know other images."""
    trial = replace(audit.trials[0], mismatch=0.6)
    return _beside(audit, {4: 2}, accuracy=0.7, trials=(trial,))


MATRIX: dict[str, tuple[Callable[[Audit], Audit], Level, tuple[int, ...], tuple[str, ...]]] = {
    "backdoored": (lambda a: a, "backdoored", (9,), ("shift-stands-out", "trigger-works")),
    "by another rule": (
        lambda a: a.under(Paper()), "backdoored", (9,),
        ("shift-stands-out", "trigger-works"),
    ),
    "several": (_several, "backdoored", (2, 7), ("shift-several-stand-out",)),
    "far on the other side": (_high, "inconclusive", (), ("shift-far-out",)),
    "one rule cannot judge one of two": (
        lambda a: _second_of_few(a.under(Paper())),
        "backdoored", (9,), ("shift-stands-out", "trigger-works"),
    ),
    "half of the norms are equal": (
        _equal, "inconclusive", (), ("rule-cannot-flag", "shift-none-stands-out"),
    ),
    "nothing unusual": (quiet_norms, "nothing-unusual", (), ("shift-none-stands-out",)),
    "poor accuracy, one flagged": (
        lambda a: replace(a, accuracy=0.2), "inconclusive", (9,),
        ("poor-accuracy", "shift-stands-out", "trigger-works"),
    ),
    "poor accuracy, none flagged": (
        lambda a: replace(quiet_norms(a), accuracy=0.0), "inconclusive", (),
        ("poor-accuracy", "shift-none-stands-out"),
    ),
    "two folders of twelve": (
        lambda a: replace(_missing(quiet_norms(a), 2), accuracy=0.0), "inconclusive", (),
        ("poor-accuracy", "most-classes-missing", "shift-none-stands-out"),
    ),
    "folders in another order": (
        _turned, "inconclusive", (9,), ("label-order", "shift-stands-out", "trigger-works"),
    ),
    "few images": (
        _few_images, "inconclusive", (9,), ("too-few-images", "shift-stands-out", "trigger-works"),
    ),
    "rough norms": (_rough, "backdoored", (9,), ("shift-stands-out", "trigger-works")),
    "a class without images": (
        lambda a: _missing(a, 11), "backdoored", (9,), ("shift-stands-out", "trigger-works"),
    ),
    "classes out of reach": (
        _unreachable, "inconclusive", (), ("too-few-classes", "shift-none-stands-out"),
    ),
    "an unflagged trigger works": (
        _unflagged_trigger, "inconclusive", (),
        ("unflagged-trigger-works", "shift-none-stands-out"),
    ),
    "two detectors agree": (
        lambda a: _second(a, 9), "backdoored", (9,),
        ("shift-stands-out", "lengths-stands-out", "trigger-works"),
    ),
    "two detectors disagree": (
        lambda a: _second(a, 3), "inconclusive", (9, 3),
        ("detectors-disagree", "shift-stands-out", "lengths-stands-out", "trigger-works"),
    ),
    "only the second finds it": (
        lambda a: _second(quiet_norms(a), 4), "backdoored", (4,), ("lengths-stands-out",),
    ),
    "a recovered trigger confirms it": (
        lambda a: _recovered(a, a), "backdoored", (9,),
        ("shift-stands-out", "recovered-confirms", "trigger-works"),
    ),
    "a recovered trigger does not confirm it": (
        lambda a: _recovered(a, a, control=20.0), "backdoored", (9,),
        ("shift-stands-out", "trigger-works"),
    ),
    "only a recovered trigger finds it": (
        lambda a: _recovered(quiet_norms(a), a, target=4, source=2, control=np.inf),
        "backdoored", (4,),
        ("recovered-backdoor", "shift-none-stands-out"),
    ),
    "a recovered trigger of another class": (
        lambda a: _recovered(a, a, target=4), "inconclusive", (9, 4),
        ("detectors-disagree", "shift-stands-out", "recovered-backdoor", "trigger-works"),
    ),
    "a trigger that says nothing": (
        lambda a: _recovered(quiet_norms(a), a, size=np.inf), "nothing-unusual", (),
        ("shift-none-stands-out",),
    ),
    "it stands out beside clean models": (
        lambda a: searched(a, {9: 15}), "backdoored", (9,),
        ("stands-out-beside-clean-models", "evidence-beside-clean-models",
         "evidence-beside-clean-models", "trigger-works"),
    ),
    "several stand out beside clean models": (
        lambda a: searched(quiet_norms(a), {4: 15, 7: 12}), "backdoored", (4, 7),
        ("stand-out-beside-clean-models", "evidence-beside-clean-models",
         "evidence-beside-clean-models"),
    ),
    "nothing stands out beside clean models": (
        lambda a: searched(quiet_norms(a), {}), "nothing-unusual", (),
        ("none-stands-out-beside-clean-models", "evidence-beside-clean-models",
         "evidence-beside-clean-models"),
    ),
    "a natural trigger": (
        lambda a: searched(quiet_norms(a), {4: 15}, {4: 0.6}), "nothing-unusual", (),
        ("none-stands-out-beside-clean-models", "evidence-beside-clean-models",
         "evidence-beside-clean-models"),
    ),
    "evidence of one kind alone": (
        _shift_alone, "inconclusive", (),
        ("could-not-tell", "evidence-beside-clean-models", "evidence-beside-clean-models"),
    ),
    "a witness bears it out": (
        lambda a: _witnessed(_shift_alone(a), {5: 1, 3: 0.2}), "backdoored", (5,),
        ("stands-out-beside-clean-models", "evidence-beside-clean-models", "witness-bears-out",
         "evidence-beside-clean-models"),
    ),
    "a witness reaches no other class": (
        lambda a: _witnessed(_shift_alone(a), {5: 1}), "backdoored", (5,),
        ("stands-out-beside-clean-models", "evidence-beside-clean-models", "witness-bears-out",
         "evidence-beside-clean-models"),
    ),
    "a witness speaks against another class": (
        lambda a: _witnessed(_shift_alone(a), {3: 1}), "inconclusive", (),
        ("could-not-tell", "evidence-beside-clean-models", "witness-alone",
         "evidence-beside-clean-models"),
    ),
    "a witness bears nothing out": (
        lambda a: _witnessed(_shift_alone(a), {3: 1, 5: 1, 7: 1}), "inconclusive", (),
        ("could-not-tell", "evidence-beside-clean-models", "witness-bears-nothing-out",
         "evidence-beside-clean-models"),
    ),
    "a rule was asked for": (
        lambda a: searched(a, {4: 15}).under(a.settings.rule, by_rule=True), "inconclusive",
        (9, 4), ("detectors-disagree", "shift-stands-out", "mask-stands-out", "trigger-works"),
    ),
    "only a recovered trigger stands out beside clean models": (
        lambda a: _recovered(searched(quiet_norms(a), {}), a, target=4, control=np.inf),
        "backdoored", (4,),
        ("recovered-backdoor", "none-stands-out-beside-clean-models",
         "evidence-beside-clean-models", "evidence-beside-clean-models"),
    ),
    "another class stands out than a recovered trigger's": (
        lambda a: _recovered(searched(quiet_norms(a), {7: 15}), a, target=4, control=np.inf),
        "inconclusive", (7, 4),
        ("detectors-disagree", "stands-out-beside-clean-models", "evidence-beside-clean-models",
         "evidence-beside-clean-models", "recovered-backdoor"),
    ),
    "a reference explains it": (
        lambda a: _beside(searched(quiet_norms(a), {4: 4.8}), {4: 3.2}), "nothing-unusual", (),
        ("none-stands-out-beside-clean-models", "evidence-beside-reference",
         "evidence-beside-reference", "reference-explains"),
    ),
    "a reference does not explain it": (
        lambda a: _beside(searched(a, {9: 15}), {4: 2}), "backdoored", (9,),
        ("stands-out-beside-clean-models", "evidence-beside-clean-models",
         "evidence-beside-clean-models", "reference-leaves", "trigger-works"),
    ),
    "a reference changes nothing": (
        lambda a: _beside(searched(quiet_norms(a), {}), {4: 2}), "nothing-unusual", (),
        ("none-stands-out-beside-clean-models", "evidence-beside-reference",
         "evidence-beside-reference", "reference-changes-nothing"),
    ),
    "a reference is suspected of it, too": (
        lambda a: _beside(searched(a, {9: 15}), {9: 15}), "inconclusive", (9,),
        ("reference-suspected-too", "stands-out-beside-clean-models",
         "evidence-beside-clean-models", "evidence-beside-clean-models", "trigger-works"),
    ),
    "a reference is suspected of another class": (
        lambda a: _beside(searched(a, {9: 15}), {4: 15}), "backdoored", (9,),
        ("stands-out-beside-clean-models", "evidence-beside-clean-models",
         "evidence-beside-clean-models", "reference-leaves", "trigger-works"),
    ),
    "a reference was read wrongly": (
        lambda a: _misread(searched(a, {9: 15})), "backdoored", (9,),
        ("stands-out-beside-clean-models", "evidence-beside-clean-models",
         "evidence-beside-clean-models", "trigger-works"),
    ),
    "a reference without a search": (
        lambda a: _beside(quiet_norms(a), {4: 2}), "nothing-unusual", (),
        ("shift-none-stands-out",),
    ),
}  # fmt: skip
"""How each is made, the level of its finding, its classes, and the codes of its reasons."""
