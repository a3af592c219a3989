"""What an audit was asked and what it found: everything that a report, the window or a later
session needs, without the model or the images.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bdshift.arrays import array
from bdshift.audit.changed_settings import changed_settings
from bdshift.audit.cover import Cover
from bdshift.audit.explained import explained_by, facts_of
from bdshift.audit.facts import AuditedCopy, Facts, Judged, OtherReading, TriedTrigger
from bdshift.audit.finding import Finding, conclude
from bdshift.audit.images_record import ImagesRecord, LabelProposal
from bdshift.audit.readings import other_reading, reading_facts, reading_of
from bdshift.audit.recovered import fact_of
from bdshift.audit.scan_settings import ScanSettings
from bdshift.checkpoints.entrant import Trial
from bdshift.checkpoints.prompts import ClassPrompts
from bdshift.detect.detector import DETECTORS, Detector, Evidence
from bdshift.detect.image_search import has_search
from bdshift.detect.rule import Judgment, Rule
from bdshift.errors import InputError
from bdshift.files import KeptPath
from bdshift.images.preprocessing import Preprocessing
from bdshift.measure import Measured
from bdshift.neurons.tac import Tac
from bdshift.purification import Purified
from bdshift.purification.disentanglement import WeightPlane
from bdshift.recovery.recovery import Recovery
from bdshift.remark import Remark
from bdshift.shift.embed import Embedding, Precision
from bdshift.shift.result import Shifts
from bdshift.triggers.attacks.recovered import is_recovered
from bdshift.verdict.beyond import Explained
from bdshift.verdict.clean_models import shipped_table
from bdshift.verdict.decide import Verdict, decide

if TYPE_CHECKING:
    from bdshift.reports.notebook import SvgDrawing


@dataclass(frozen=True)
class ModelRecord:
    """The model as the audit remembers it; ``weight`` (C, d) and ``bias`` (C,) are the head's.
    ``users_own`` is whether its architecture names the user's own code; ``weights`` is which of the
    file's models it is, "" for the only one or the usual one; ``prompts`` is what the head was made
    of, if the file holds none.
    """

    path: str
    sha256: str
    container: str
    architecture: str
    head: str
    weight: NDArray[np.float32] = array("C", "d", dtype=np.float32)
    bias: NDArray[np.float32] = array("C", dtype=np.float32)
    users_own: bool = False
    weights: str = ""
    prompts: ClassPrompts | None = None

    @property
    def classes(self) -> int:
        """Number of classes C."""
        return self.weight.shape[0]

    @property
    def embedding_dim(self) -> int:
        """Embedding dimension d."""
        return self.weight.shape[1]

    @cached_property
    def _mean_row(self) -> NDArray[np.float64]:
        return self.weight.mean(0, dtype=np.float64)

    def data_free(self, index: int) -> NDArray[np.float64]:
        """`data_free_direction` to a class, float64 (d,)."""
        return self.weight[index] - self._mean_row


@dataclass(frozen=True)
class Alternative:
    """Another network with the same weights that the clean images do not rule out.

    Attributes:
        architecture, preprocessing: what was run.
        accuracy: on the clean images.
        scores: of its embedding shift, float64 (C,).
    """

    architecture: str
    preprocessing: Preprocessing
    accuracy: float
    scores: NDArray[np.float64] = array("C")


@dataclass(frozen=True)
class Purification:
    """A purified model of the audit, with its figures.

    Attributes:
        result: what the method returned.
        held_out: share of the clean images that was held out.
        trigger: spec of the trigger that attack success is reported for; None without one.
        test: path of the images that ``before`` and ``after`` were measured on; None for the
            held-out ones.
        count: number of those images.
        before, after: ACC, ASR, RA.
        rescan: the audit of the purified model with the same images and settings.
        unlearned: spec of the trigger that the method was given to unlearn; None for methods that
            see none.
        plane: how far the backdoor and the rest are apart; None if that was not measured.
    """

    result: Purified
    held_out: float
    trigger: str | None
    test: str | None
    count: int
    before: Measured
    after: Measured
    rescan: Audit
    unlearned: str | None = None
    plane: WeightPlane | None = None


@dataclass(frozen=True, repr=False)
class Audit:
    """Everything an audit found, and what that means (`finding`).

    Attributes:
        model, images: what was audited.
        settings: what was asked.
        trials: every combination of network and preprocessing that was tried, the chosen one first.
        accuracy: clean accuracy; NaN without labels.
        embedding: of the clean images; None in an audit file saved without it.
        evidence: what each detector found, the embedding shift first.
        notes: on how the model was read.
        device, precision, seconds_embed: of the embedding pass.
        proposal: another order of the class folders, if one explains the predictions far better.
        copies: other weights of the same network in the file, each audited by itself; the audit is
            of those with the most serious finding.
        tac: under each measured trigger, each for one class.
        purifications: of the model so far, none overwritten.
        alternatives: other networks that the images do not rule out, the most plausible first.
        recoveries: triggers that were searched for, each for one class.
        reference: the audit, without embedding, of a model that is known to be clean, by the same
            detectors with the same images; None if there is none.
        readings: under other preprocessings that the images do not rule out, each an audit without
            embedding.
        versions: software that the result depends on.
        date: when it was made, as `bdshift.audit.made.now` writes it; "" in older audits.
        cover: what people wrote on it.
        unknown: what else an audit file held, perhaps put there by a newer version.
        left_out: places of what it held that cannot be kept.
    """

    model: ModelRecord
    images: ImagesRecord
    settings: ScanSettings
    trials: tuple[Trial, ...]
    accuracy: float
    embedding: Embedding | None
    evidence: tuple[Evidence, ...]
    device: str
    precision: Precision
    seconds_embed: float
    notes: tuple[Remark, ...] = ()
    proposal: LabelProposal | None = None
    copies: tuple[AuditedCopy, ...] = ()
    tac: tuple[Tac, ...] = ()
    purifications: tuple[Purification, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    recoveries: tuple[Recovery, ...] = ()
    reference: Audit | None = None
    readings: tuple[Audit, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    date: str = ""
    cover: Cover = Cover()
    unknown: Mapping[str, Any] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    def __repr__(self) -> str:
        model, images = self.model, sum(self.images.counts)
        what = f"{model.architecture}, {model.classes} classes, {images} images"
        return f"Audit of {what}\n{self.finding!r}"

    # The reports are above this room. An audit knows them only when a program asks it to be shown.

    def _repr_html_(self) -> str:
        from bdshift.reports.notebook import html_of

        return html_of(self)

    def to_dict(self) -> dict[str, Any]:
        """What ``bdshift scan --json`` prints: plain values, keys that are stable."""
        from bdshift.reports.json_report import audit_json

        return audit_json(self)

    def to_frame(self) -> Any:
        """A pandas ``DataFrame`` with a row for each class, indexed by its number: name, images,
        l2 of the shift, the statistic of every rule, the score of every other detector, status of
        the solver, and whether it is suspected.

        Raises `UsageError` if pandas is not installed.
        """
        from bdshift.reports.notebook import frame_of

        return frame_of(self)

    def plot(self, drawn: str = "norms", target: int | None = None) -> SvgDrawing:
        """A drawing, which notebooks show: "norms", a bar for each class; "neurons", a point for
        each neuron of the shift to the class ``target``, by default the most suspicious one;
        "pairs", a map of all pairs of classes.

        Raises `UsageError` for any other name or class, or if pairs were not compared.
        """
        from bdshift.reports.notebook import drawing_of

        return drawing_of(self, drawn, target)

    @property
    def preprocessing(self) -> Preprocessing:
        """The chosen preprocessing: that of the best trial."""
        return self.trials[0].preprocessing

    def fits(self, other: Audit) -> bool:
        """Whether it is of the same model and images as another, read in the same way: what was
        measured for one holds for both. α and rule may differ.
        """
        same = attrgetter(
            "model.sha256", "model.architecture", "model.prompts", "images.sha256", "preprocessing"
        )
        return bool(same(self) == same(other))

    @property
    def inputs(self) -> tuple[Path, ...]:
        """Its model, images and reference, which nothing made of the audit may replace. What is no
        path of this machine is left out: to look at it could contact another.
        """
        found = []
        beside = () if self.reference is None else (self.reference.model.path,)
        for path in (self.model.path, self.images.path, *beside):
            with suppress(InputError):
                found.append(KeptPath(path).local())
        return tuple(found)

    @property
    def shifts(self) -> Shifts:
        """The embedding shift of every class: the record of the first detector."""
        shifts = self.evidence[0].record
        assert isinstance(shifts, Shifts)
        return shifts

    @cached_property
    def _known(self) -> list[tuple[Detector, Evidence]]:
        """The evidence of detectors that this version knows."""
        return [
            (DETECTORS.parse(evidence.detector, strict=False), evidence)
            for evidence in self.evidence
            if evidence.name in DETECTORS
        ]

    @cached_property
    def verdict(self) -> Verdict | None:
        """What the evidence says beside clean models, less what a reference explains; None if there
        is nothing to compare, or a rule is to decide.
        """
        beside = self.reference
        return self._decided({} if beside is None else explained_by(beside, self._known))

    @cached_property
    def verdict_alone(self) -> Verdict | None:
        """The same as if there were no reference."""
        return self.verdict if self.reference is None else self._decided({})

    def _decided(self, explained: Explained) -> Verdict | None:
        if self.settings.decides_by_rule:
            return None
        return decide(self._known, shipped_table(), explained)

    @property
    def is_searched(self) -> bool:
        """Whether changes of the images were searched for, for every class."""
        return has_search(detector for detector, _ in self._known)

    @cached_property
    def judged(self) -> tuple[Judged, ...]:
        """Each detector's evidence, and its judgment: by the verdict, if there is one, unless it
        has a test of its own; else by the rule. Evidence from a detector that this version does not
        know is left out.
        """
        found = []
        for detector, evidence in self._known:
            judgment = detector.judge_evidence(evidence, self.settings.rule)
            if self.verdict is not None and not detector.has_own_test:
                suspected = self.verdict.suspected_by(detector.name)
                judgment = replace(judgment, flagged=suspected, suspected=suspected, line=math.nan)
            found.append(Judged(detector, evidence, judgment))
        return tuple(found)

    def under(self, rule: Rule, by_rule: bool | None = None) -> Audit:
        """The audit, judged by a rule, and with another ``by_rule`` if one is given; itself if they
        are its own.
        """
        by_rule = self.settings.by_rule if by_rule is None else by_rule
        changed = replace(self.settings, rule=rule, by_rule=by_rule)
        if changed == self.settings:
            return self
        readings = tuple(one.under(rule, by_rule) for one in self.readings)
        return replace(self, settings=changed, readings=readings)

    @property
    def judgment(self) -> Judgment:
        """The rule's judgment of the embedding shift."""
        return self.judged[0].judgment

    @cached_property
    def other_readings(self) -> tuple[OtherReading, ...]:
        """What the norms say of the alternatives."""
        return tuple(other_reading(one, self, shipped_table()) for one in self.alternatives)

    @cached_property
    def facts(self) -> Facts:
        """What the finding depends on."""
        return Facts(
            class_names=self.images.class_names,
            counts=self.images.counts,
            left_unused=max(0, self.images.available - sum(self.images.counts)),
            accuracy=self.accuracy,
            labeled=self.images.labeled,
            normalization_named=self.settings.normalize is not None,
            order_guessed=self.images.order_guessed,
            explained=None if self.proposal is None else self.proposal.accuracy,
            judged=self.judged,
            triggers=[
                TriedTrigger(one.trigger, one.target, one.asr)
                for one in self.tac
                if not is_recovered(one.trigger)  # some change sends images to any class
            ],
            notes=(*changed_settings(self.settings), *self.notes),
            weights=self.model.weights,
            copies=self.copies,
            unknown=[one.name for one in self.evidence if one.name not in DETECTORS],
            left_out=self.left_out,
            reading=self.trials[0],
            alternatives=self.other_readings,
            recovered=[fact_of(one) for one in self.recoveries],
            verdict=self.verdict,
            verdict_alone=self.verdict_alone,
            reference=None if self.reference is None else facts_of(self.reference, self._known),
            preprocessing=reading_of(self.preprocessing),
            readings=[reading_facts(one) for one in self.readings],
            by_rule=self.settings.decides_by_rule,
            seconds=self.settings.search,
        )

    @cached_property
    def finding(self) -> Finding:
        """What the audit means."""
        return conclude(self.facts)

    @property
    def most_suspicious(self) -> int:
        """The class to look at first: the first flagged, else the one with the strongest evidence
        beside clean models, or with the shortest shift.
        """
        if self.finding.classes:
            return self.finding.classes[0]
        return int(self.shifts.l2.argmin()) if self.verdict is None else self.verdict.index

    def tac_of(self, target: int | None, trigger: str | None = None) -> Tac | None:
        """TAC for a class, if measured; under ``trigger`` if given, else the last one, or, if no
        trigger is known, that of the last recovered one.
        """
        all_tac = (*(one.tac for one in self.recoveries), *self.tac)
        fitting = (tac for tac in reversed(all_tac) if trigger in (None, tac.trigger))
        return next((tac for tac in fitting if tac.target == target), None)

    def recovery_of(self, tac: Tac | None) -> Recovery | None:
        """The recovery that a TAC belongs to; None if its trigger is known."""
        return next((one for one in self.recoveries if one.tac is tac), None)
