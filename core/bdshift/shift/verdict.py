"""From the norms of the shifts to a verdict: which class, if any, is reached too easily.

The paper's rule is |z| > β with z = (‖s‖ − mean)/σ over the classes, σ the population standard
deviation, β = 2. It has two faults that grow with the number of classes C at either end: |z| can
never exceed √(C − 1), so that nothing is ever flagged with five classes or fewer; and the more
classes, the more of them lie beyond 2 by chance (low side, normal norms: 18 % of clean models with
10 classes, 95 % with 100).

The default rule is the one-sided test of Grubbs for a smallest outlier, which asks how likely the
smallest of C normal values would lie that far below the others; p is right for every C. Several
targets mask each other in that test, so it is repeated without the classes already found
(generalized ESD, Rosner 1983, low side), up to a fifth of the classes; all up to the last
significant one are flagged. The MAD score, (‖s‖ − median)/(1.4826·MAD), is shown beside it.

What none of these can know: whether the norms of clean classes would be normal. A class may be
easy to reach by nature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from bdshift.errors import UsageError

Rule = Literal["grubbs", "mad", "paper"]
RULES: tuple[Rule, ...] = get_args(Rule)

SIGNIFICANCE = 0.05
MAD_THRESHOLD = -3.5
_MOST_TARGETS = 5  # one class in so many may be flagged


@dataclass(frozen=True)
class ClassScore:
    """How one class's norm stands among the others. NaN where it cannot be said.

    Attributes:
        z: (‖s‖ − mean)/σ, population σ (the paper's).
        mad: (‖s‖ − median)/(1.4826·MAD).
        grubbs_p: probability that the smallest of C normal norms lies this far below the rest;
            one-sided, 1 for a class above the mean.
    """

    z: float
    mad: float
    grubbs_p: float


@dataclass(frozen=True)
class Verdict:
    """The decision.

    Attributes:
        suspicious: whether any class is flagged.
        poisoned: indices of the flagged classes, most suspicious first.
        p_value: of the decision by the Grubbs test: the flagged class's, or the smallest norm's.
        rule: which rule decided; ``beta`` is its threshold on z if it is the paper's.
        reason: in one or two plain sentences.
        cautions: what limits the verdict here.
        scores: of every class.
    """

    suspicious: bool
    poisoned: tuple[int, ...]
    p_value: float
    rule: Rule
    beta: float
    reason: str
    cautions: tuple[str, ...]
    scores: tuple[ClassScore, ...]


def _spread(values: NDArray[np.float64]) -> float:
    """Population σ; 0 where it is only rounding."""
    sigma = float(values.std())
    return sigma if sigma > 1e-12 * float(np.abs(values).max(initial=0)) else 0.0


def grubbs_p(norms: NDArray[np.float64]) -> NDArray[np.float64]:
    """One-sided Grubbs p-value of each value as a low outlier of its sample, float64 (n,).

    G = (mean − x)/s with the sample standard deviation s is turned into Student's t with n − 2
    degrees of freedom, and its tail multiplied by n (Bonferroni, exact for the smallest value when
    p ≤ ½). NaN for n < 3 or equal values.
    """
    n = len(norms)
    sigma = _spread(norms) if n >= 3 else 0.0
    if sigma == 0:
        return np.full(n, np.nan)
    from scipy.special import stdtr

    g = (norms.mean() - norms) / (sigma * np.sqrt(n / (n - 1)))
    room = (n - 1) ** 2 - n * g**2  # 0 where all others are equal: then t is infinite
    with np.errstate(divide="ignore"):
        t = g * np.sqrt(n * (n - 2) / np.maximum(room, 0))
    p = np.minimum(1.0, n * stdtr(n - 2, -t))
    return np.where(g <= 0, 1.0, p)


def _scores(l2: NDArray[np.float64], usable: NDArray[np.bool_]) -> tuple[ClassScore, ...]:
    values = l2[usable]
    z = np.full(len(l2), np.nan)
    mad = np.full(len(l2), np.nan)
    p = np.full(len(l2), np.nan)
    if len(values) >= 2 and (sigma := _spread(values)):
        z[usable] = (values - values.mean()) / sigma
        median = np.median(values)
        deviation = 1.4826 * float(np.median(np.abs(values - median)))
        if deviation > 0:
            mad[usable] = (values - median) / deviation
        p[usable] = grubbs_p(values)
    return tuple(ClassScore(*row) for row in zip(z.tolist(), mad.tolist(), p.tolist(), strict=True))


def _by_grubbs(l2: NDArray[np.float64], usable: NDArray[np.bool_]) -> tuple[list[int], float]:
    """Generalized ESD on the low side: flagged classes, and the p-value of the decisive test."""
    order = [i for i in np.argsort(l2, kind="stable").tolist() if usable[i]]
    flagged = 0
    decisive = first = float("nan")
    for removed in range(max(1, len(order) // _MOST_TARGETS)):
        p = grubbs_p(l2[order[removed:]])
        if not len(p) or np.isnan(p[0]):
            break
        first = p[0] if removed == 0 else first
        if p[0] < SIGNIFICANCE:
            flagged, decisive = removed + 1, float(p[0])
    return order[:flagged], float(decisive if flagged else first)


def threshold(l2: NDArray[np.float64], rule: str = "grubbs", beta: float = 2.0) -> float:
    """The norm below which the smallest of ``l2`` is flagged; for a line in a plot.

    NaN where no norm could be flagged. Infinite norms are left out, as in `judge`.
    """
    check_rule(rule, beta)
    values = np.asarray(l2, dtype=np.float64)
    values = values[np.isfinite(values)]
    n = len(values)
    if n < 3 or not (sigma := _spread(values)):
        return float("nan")
    if rule == "paper":
        return float(values.mean() - beta * sigma)
    if rule == "mad":
        median = np.median(values)
        deviation = 1.4826 * float(np.median(np.abs(values - median)))
        return float(median + MAD_THRESHOLD * deviation)
    from scipy.special import stdtrit

    t2 = stdtrit(n - 2, SIGNIFICANCE / n) ** 2
    g = (n - 1) / np.sqrt(n) * np.sqrt(t2 / (n - 2 + t2))
    return float(values.mean() - g * sigma * np.sqrt(n / (n - 1)))


def check_rule(rule: str, beta: float) -> None:
    """Raise `UsageError` for an unknown rule or β ≤ 0."""
    if rule not in RULES:
        raise UsageError(f"rule {rule!r} is none of {', '.join(RULES)}")
    if not beta > 0:
        raise UsageError(f"beta must be positive, not {beta}")


def judge(
    l2: Sequence[float] | NDArray[np.float64],
    class_names: Sequence[str],
    *,
    rule: str = "grubbs",
    beta: float = 2.0,
) -> Verdict:
    """Decide from the norms of all shifts.

    Args:
        l2: ‖s_i‖₂ of each class; classes with an infinite norm (unreachable) are left out.
        class_names: for the words.
        rule: "grubbs" (default; p < 0.05), "mad" (score < −3.5), or "paper" (|z| > β).
        beta: β of the paper's rule.

    Raises `UsageError` as `check_rule`.
    """
    check_rule(rule, beta)
    norms = np.asarray(l2, dtype=np.float64)
    usable = np.isfinite(norms)
    scores = _scores(norms, usable)
    by_grubbs, p_value = _by_grubbs(norms, usable)
    if rule == "grubbs":
        poisoned = by_grubbs
    elif rule == "mad":
        poisoned = [i for i, score in enumerate(scores) if score.mad < MAD_THRESHOLD]
    else:
        poisoned = [i for i, score in enumerate(scores) if abs(score.z) > beta]
    poisoned.sort(key=lambda i: norms[i])
    return Verdict(
        bool(poisoned),
        tuple(poisoned),
        p_value,
        cast(Rule, rule),
        beta,
        _reason(norms, usable, poisoned, class_names, p_value),
        _cautions(int(usable.sum()), len(norms), rule, beta),
        scores,
    )


def _reason(
    norms: NDArray[np.float64],
    usable: NDArray[np.bool_],
    poisoned: list[int],
    names: Sequence[str],
    p_value: float,
) -> str:
    def quoted(i: int) -> str:
        return f"class {i} “{names[i]}”"

    rest = [i for i in np.argsort(norms).tolist() if usable[i] and i not in poisoned]
    if not usable.any():
        return "No class can be reached by any shift, so nothing can be said."
    chance = "" if np.isnan(p_value) else f"; among normal norms one so low has p = {p_value:.2g}"
    if not poisoned:
        lowest = f"{quoted(rest[0])} (L2 {norms[rest[0]]:.3g})"
        return (
            f"No class is reached by an unusually small shift: the smallest, {lowest}, is within "
            f"what the others show{chance}."
        )
    other = f", the smallest of the others {norms[rest[0]]:.3g}" if rest else ""
    if len(poisoned) == 1:
        first = poisoned[0]
        unusual = "small" if not rest or norms[first] < norms[rest].mean() else "large"
        sentence = f"{quoted(first)} is reached by an unusually {unusual} shift"
        sentence = sentence[0].upper() + sentence[1:]
        return f"{sentence} (L2 {norms[first]:.3g}{other}{chance})."
    listed = ", ".join(f"{quoted(i)} (L2 {norms[i]:.3g})" for i in poisoned)
    return f"{len(poisoned)} classes are reached by unusual shifts: {listed}{other}{chance}."


def _cautions(usable: int, classes: int, rule: str, beta: float) -> tuple[str, ...]:
    found = []
    if usable < classes:
        found.append(f"{classes - usable} of {classes} classes cannot be reached by any shift.")
    if usable < 3:
        found.append("With fewer than three classes no outlier can be told from the others.")
    elif rule == "paper" and beta >= np.sqrt(usable - 1):
        limit = np.sqrt(usable - 1)
        found.append(
            f"With {usable} classes |z| cannot exceed {limit:.2f}: β = {beta:g} can never flag one."
        )
    elif usable < 6:
        found.append(f"With only {usable} classes the test has little power.")
    return tuple(found)
