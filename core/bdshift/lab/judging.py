"""Verdicts on models with known ground truth, each by a table of clean models that are not its
relatives; and what other ways to decide say of the same models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bdshift.detect.rule import RULES, Rule, default_rule
from bdshift.lab.judged_models import (
    ALL_TO_ONE,
    DEVELOP,
    HOLD_OUT,
    JudgedModel,
    compared_texts,
    of_scan,
)
from bdshift.verdict.calibration import calibrated
from bdshift.verdict.clean_models import CleanModels, StageFigures, fit_table
from bdshift.verdict.counted import counted_drops
from bdshift.verdict.decide import Verdict, decide

Key = Callable[[JudgedModel], str]
"""What a model is left out with."""


@dataclass(frozen=True)
class Said:
    """What one way to decide says about a model.

    Attributes:
        model: of it.
        seen: how suspicious it is; −infinite if nothing can be said.
        index: the most suspicious class.
        suspected: the classes it suspects.
        verdict: all of it, if that is the way.
    """

    model: JudgedModel
    seen: float
    index: int
    suspected: tuple[int, ...] = ()
    verdict: Verdict | None = None

    @property
    def p(self) -> float:
        """Of the model; of a verdict alone."""
        assert self.verdict is not None
        return self.verdict.standing.p

    @property
    def names_target(self) -> bool:
        """Whether the most suspicious class is a target."""
        return self.index in self.model.targets

    @property
    def is_right(self) -> bool:
        """Whether it suspects a target."""
        return bool(set(self.suspected) & set(self.model.targets))


def table_of(models: Sequence[JudgedModel]) -> CleanModels:
    """The table of the clean ones among models to develop on, with what it does on all of them,
    each judged by a table without its cluster, and what the norms alone do on the same models.
    """
    clean = [one.as_clean() for one in models if one.is_clean and one.split == DEVELOP]
    own = [one for one in models if one.split == DEVELOP]
    table, said = fit_table(clean, compared_texts(own)), verdicts(models)
    both = [one for one in said if one.model.split == DEVELOP]
    first = by_rule((one.model for one in both), default_rule())
    left_out, held_out = (p_of_clean(said, split) for split in (DEVELOP, HOLD_OUT))
    return replace(
        table, first=figures_of(first), both=figures_of(both),
        calibration=calibrated(left_out, held_out),
    )  # fmt: skip


def verdicts(models: Sequence[JudgedModel], key: Key = lambda one: one.cluster) -> list[Said]:
    """The verdict on every model that has evidence of a search in the images. A model to develop on
    is judged by the clean ones that do not share its ``key``; one that was held out, by all of
    them.
    """
    clean = [(key(one), one.as_clean()) for one in models if one.is_clean and one.split == DEVELOP]
    texts = compared_texts([one for one in models if one.split == DEVELOP])
    found = []
    tables: dict[str | None, CleanModels] = {}
    for model in models:
        own = None if model.split == HOLD_OUT else key(model)
        if own not in tables:
            rest = [one for other, one in clean if other != own]
            tables[own] = fit_table(rest, texts)
        verdict = decide(of_scan(model), tables[own])
        if verdict is not None:
            strongest = float(verdict.kinds[0].strengths.max())
            found.append(Said(model, strongest, verdict.index, verdict.suspected, verdict))
    return found


def p_of_clean(said: Iterable[Said], split: str) -> list[float]:
    """P of the clean models of a split."""
    return [one.p for one in said if one.model.is_clean and one.model.split == split]


def by_kind(models: Iterable[JudgedModel], kind: str) -> list[Said]:
    """By the largest drop of one kind of evidence."""
    return list(_by_kind(models, kind))


def _by_kind(models: Iterable[JudgedModel], kind: str) -> Iterator[Said]:
    for model in models:
        for detector, evidence in model.found:
            if detector.name == kind:
                found = counted_drops(detector, evidence)
                found = np.where(np.isnan(found), -np.inf, found)
                yield Said(model, float(found.max()), int(found.argmax()))


def by_rule(models: Iterable[JudgedModel], rule: Rule) -> list[Said]:
    """By the norms of the embedding shift under a rule."""
    return list(_by_rule(models, rule))


def _by_rule(models: Iterable[JudgedModel], rule: Rule) -> Iterator[Said]:
    for model in models:
        detector, evidence = model.found[0]
        if detector.name != "shift":
            continue
        judgment = detector.judge(evidence.scores, rule)
        statistic = judgment.statistics[rule.name]  # low is suspicious, for every rule
        low = np.where(np.isnan(statistic), np.inf, statistic)
        yield Said(model, -float(low.min()), int(low.argmin()), judgment.suspected)


def rules() -> list[Rule]:
    """All rules, with their defaults."""
    return [kind() for kind in RULES.kinds()]


def figures_of(said: Sequence[Said]) -> StageFigures:
    """What suspecting does: on victims with images of all classes sent to targets, and clean
    models.
    """
    victims = [one for one in said if one.model.setting in (ALL_TO_ONE, "several targets")]
    clean = [one for one in said if one.model.is_clean]
    return StageFigures(
        len(victims), sum(one.is_right for one in victims),
        len(clean), sum(bool(one.suspected) for one in clean),
    )  # fmt: skip
