"""The networks that a checkpoint's weights fit, side by side: how each classifies all of the
images, and what a quick scan of it finds. So the user sees whether the choice among them matters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bdshift.audit.finding import Finding
from bdshift.audit.one_model import Machinery, examine_alone, read_as
from bdshift.audit.scan_settings import ScanSettings
from bdshift.audit.second_stage import first_stage
from bdshift.audit.stages import (
    CleanSet,
    Material,
    choose_preprocessing,
    embed_cached,
    open_clean_set,
)
from bdshift.audit.zero_shot import with_names
from bdshift.checkpoints.candidate_choice import as_audited
from bdshift.checkpoints.classifier import Classifier, Opened
from bdshift.checkpoints.entrant import Trial
from bdshift.checkpoints.footprint import UNFIT
from bdshift.checkpoints.settle import Settled
from bdshift.devices import is_out_of_memory
from bdshift.errors import InputError
from bdshift.images.collection import ImageCollection
from bdshift.images.preprocessing import Preprocessing
from bdshift.jobs import SILENT, Event, JobContext, PartOfJob, Progress
from bdshift.shift.embed import Embedding
from bdshift.shift.logit_rows import LogitRows
from bdshift.words import Sentence, words

MAX_CANDIDATES = 10
"""Networks and preprocessings that are looked at; the likeliest come first."""

_BY_CHANCE = 1.96  # standard errors of a difference that chance explains

CERTAIN = words(
    "“{name}” classifies {accuracy:.1%} of all {images:|image|images} correctly, and every other "
    "candidate clearly fewer.",
    ja="「{name}」は画像 {images} 枚すべてのうち {accuracy:.1%} を正しく分類します。ほかの候補は"
       "明らかにこれを下回ります。",
)  # fmt: skip
OTHERWISE = words(
    "“{name}” classifies {accuracy:.1%} of all {images:|image|images} correctly, and every other "
    "candidate clearly fewer. A scan, which looks at fewer images, takes another one.",
    ja="「{name}」は画像 {images} 枚すべてのうち {accuracy:.1%} を正しく分類し、ほかの候補は"
       "明らかにこれを下回ります。ただし、見る画像が少ないスキャンは別の候補を選びます。",
)  # fmt: skip
UNCERTAIN = words(
    "The choice is not certain: on all {images:|image|images}, “{name}” classifies {accuracy:.1%} "
    "correctly, and {count:|other is|others are} as good within the statistical error.",
    ja="選択は確実ではありません。画像 {images} 枚すべてで「{name}」の正解率は {accuracy:.1%} "
       "ですが、ほかに {count} 個の候補が統計誤差の範囲内で同等です。",
)  # fmt: skip
ONLY_ONE = words(
    "There is one candidate; it classifies {accuracy:.1%} of all {images:|image|images} correctly.",
    ja="候補は 1 つで、画像 {images} 枚すべてのうち {accuracy:.1%} を正しく分類します。",
)  # fmt: skip
SAME_FINDINGS = words("Quick scans of those have the same finding: the choice hardly matters.",
                      ja="それらの簡易スキャンの判定は同じで、選択に左右されません。")  # fmt: skip
OTHER_FINDINGS = words("Quick scans of those have different findings: the choice matters.",
                       ja="それらの簡易スキャンの判定は異なり、選択が重要です。")  # fmt: skip


@dataclass(frozen=True)
class MeasuredCandidate:
    """One network under one preprocessing.

    Attributes:
        architecture, preprocessing: what was run.
        correct: which of the images it classifies as labeled, bool (n,).
        chosen: whether a scan chooses it.
        reading: whether it is the chosen network under another preprocessing.
        finding: of a quick scan; None before it.
    """

    architecture: str
    preprocessing: Preprocessing
    correct: NDArray[np.bool_]
    chosen: bool = False
    reading: bool = False
    finding: Finding | None = None

    @property
    def accuracy(self) -> float:
        """Share of the images classified as labeled."""
        return float(self.correct.mean())

    def is_as_good_as(self, other: MeasuredCandidate) -> bool:
        """Whether chance explains the difference: by McNemar's test, on the images that only one of
        the two classifies correctly.
        """
        only_here = int((self.correct & ~other.correct).sum())
        only_there = int((other.correct & ~self.correct).sum())
        return abs(only_here - only_there) <= _BY_CHANCE * (only_here + only_there) ** 0.5


@dataclass(frozen=True)
class CandidateTable:
    """All that were measured, the most accurate first; of equals, the one that a scan chooses.

    Attributes:
        rows: the candidates.
        class_names: of the images.
        left_out: how many less likely candidates were not looked at.
    """

    rows: tuple[MeasuredCandidate, ...]
    class_names: tuple[str, ...]
    left_out: int = 0

    def ties(self) -> list[int]:
        """Rows other than the first that are as good as it within the statistical error."""
        first, *others = self.rows
        return [i for i, one in enumerate(others, 1) if one.is_as_good_as(first)]

    @property
    def is_certain(self) -> bool:
        """Whether the best one is the scan's, and clearly better than all others."""
        return self.rows[0].chosen and not self.ties()

    @property
    def conclusion(self) -> list[Sentence]:
        """Whether the choice is certain, and, once each was scanned, whether it matters."""
        first, ties = self.rows[0], self.ties()
        values = {"accuracy": first.accuracy, "images": len(first.correct),
                  "name": first.architecture, "count": len(ties)}  # fmt: skip
        said = ONLY_ONE if len(self.rows) == 1 else UNCERTAIN if ties else CERTAIN
        if said == CERTAIN and not first.chosen:
            said = OTHERWISE
        found = [Sentence(said, values)]
        scanned = [self.rows[i].finding for i in (0, *ties)]
        if ties and all(scanned):
            kinds = {(one.level, one.suspected) for one in scanned if one is not None}
            found.append(Sentence(SAME_FINDINGS if len(kinds) == 1 else OTHER_FINDINGS))
        return found


class _OneOf(PartOfJob):
    """The part of a job that is about one of several networks."""

    def __init__(self, job: JobContext, number: int, total: int) -> None:
        super().__init__(job)
        self._number, self._total = number, total

    def report(self, event: Event) -> None:
        if isinstance(event, Progress):
            values = {"number": self._number, "total": self._total, "stage": event.stage}
            stage = Sentence("Candidate {number} of {total}: {stage}", values)
            event = replace(event, stage=stage)
        self._job.report(event)


def measure_candidates(
    opened: Opened,
    collection: ImageCollection,
    settings: ScanSettings,
    on: Machinery,
    *,
    each: bool = False,
    job: JobContext = SILENT,
) -> CandidateTable:
    """Measure every network that the weights fit on all images of the collection, each under the
    preprocessing that suits it best; with ``each``, scan each one quickly, too.

    What ``settings`` say of architecture and sample does not count.

    Raises as a scan.
    """
    collection.require_labels()
    settings = replace(settings, sample=None, arch=None)
    opened, settings = with_names(opened, collection, settings)
    clean = open_clean_set(
        collection, opened.classes, settings, opened.class_names, opened.file.path
    )
    settled, *_ = choose_preprocessing(opened, clean, settings, device=on.device, job=job)
    entered = list(_entered(opened, settled))
    kept, rows = entered[:MAX_CANDIDATES], []
    for number, (architecture, preprocessing, reading) in enumerate(kept, 1):
        one = _OneOf(job, number, len(kept))
        try:
            classifier = _load(opened, architecture, preprocessing, one)
            embedding = _embedded(classifier, clean, settings, on, one)
        except (InputError, *UNFIT) as error:
            if number == 1 or is_out_of_memory(error):
                raise
            reason = error.sentence if isinstance(error, InputError) else str(error)
            job.note("{name} cannot be run ({reason})", name=architecture, reason=reason)
            continue
        correct = embedding.logits.argmax(1) == embedding.labels
        finding = None
        if each:
            finding = _scanned(opened, clean, classifier, embedding, settled, settings, on, one)
        rows.append(
            MeasuredCandidate(architecture, preprocessing, correct, number == 1, reading, finding)
        )
    shown = min(len(one.correct) for one in rows)
    rows = [one for one in rows if len(one.correct) == shown]
    rows.sort(key=lambda one: (-one.accuracy, not one.chosen))
    left = max(0, len(entered) - MAX_CANDIDATES)
    return CandidateTable(tuple(rows), clean.class_map.names, left)


def _entered(opened: Opened, settled: Settled) -> Iterator[tuple[str, Preprocessing, bool]]:
    """Networks and preprocessings to look at, the likeliest first, and whether each is only another
    preprocessing of the chosen network.
    """
    chosen = settled.classifier
    yield chosen.architecture, chosen.preprocessing, False
    for preprocessing in settled.readings:
        yield chosen.architecture, preprocessing, True
    seen = {chosen.architecture}
    likely = [(one.architecture, one.preprocessing) for one in settled.alternatives]
    tried = [(one.architecture, one.preprocessing) for one in settled.ranking]
    for architecture, preprocessing in (*likely, *tried):
        if architecture not in seen:
            seen.add(architecture)
            yield architecture, preprocessing, False
    for candidate in opened.candidates:
        for form in (candidate, *candidate.rare):
            if form.name not in seen:
                seen.add(form.name)
                fits = form.any_size or chosen.preprocessing.size in form.sizes
                size = chosen.preprocessing.size if fits else form.sizes[0]
                yield form.name, replace(chosen.preprocessing, size=size), False


def _load(
    opened: Opened, architecture: str, preprocessing: Preprocessing, job: JobContext
) -> Classifier:
    """Raises `InputError` if the network takes other images."""
    candidate = as_audited(opened, architecture, own=opened.from_user)
    assert candidate is not None
    loaded = opened.load(candidate, job)
    if loaded.channels != preprocessing.channels:
        raise InputError("it takes images of {count} channels", count=loaded.channels)
    return loaded.with_preprocessing(preprocessing)


def _embedded(
    classifier: Classifier, clean: CleanSet, settings: ScanSettings, on: Machinery, job: JobContext
) -> Embedding:
    return embed_cached(
        on.cache, Material(classifier, clean), device=on.device, batch=settings.batch, job=job
    )


def _scanned(
    opened: Opened, clean: CleanSet, classifier: Classifier, embedding: Embedding,
    settled: Settled, settings: ScanSettings, on: Machinery, job: JobContext,
) -> Finding:  # fmt: skip
    """The finding of the embedding shift alone."""
    quick = replace(settings, detectors=first_stage(settings.detectors)[:1], search=0.0)
    key = classifier.architecture, classifier.preprocessing
    known = [one for one in settled.ranking if (one.architecture, one.preprocessing) == key]
    own = replace(
        settled, classifier=classifier, ranking=tuple(known[:1]) or (_trial(classifier, embedding),)
    )
    read = read_as(opened, clean, own, embedding)
    return examine_alone(read, quick, replace(on, finished=None), job).finding


def _trial(classifier: Classifier, embedding: Embedding) -> Trial:
    """What there is to say of a combination that was in no contest."""
    logits = LogitRows(embedding.logits)
    own, sureness = np.empty(len(logits)), np.empty(len(logits))
    for rows in logits.blocks():
        log_shares = logits.block(rows).log_softmax(1).numpy()
        own[rows] = np.take_along_axis(log_shares, embedding.labels[rows, None], 1)[:, 0]
        sureness[rows] = np.exp(log_shares.max(1))
    predicted: Sequence[int] = np.bincount(embedding.logits.argmax(1)).tolist()
    return Trial(
        classifier.architecture, classifier.preprocessing, len(logits), embedding.accuracy,
        float(-own.mean()), None,
        confidence=float(sureness.mean()), one_class=max(predicted) / len(logits),
    )  # fmt: skip
