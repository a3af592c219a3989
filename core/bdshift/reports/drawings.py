"""The drawings of an audit: norms, pairs of classes, neurons."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from markupsafe import Markup

from bdshift.audit.records import Audit
from bdshift.neurons.rankings import half_of
from bdshift.neurons.tac import Tac
from bdshift.reports.pairs_svg import MAX_DRAWN, draw_pairs
from bdshift.reports.svg import draw_bars, draw_scatter

Say = Callable[..., str]
"""A template and its values, in the language of a page."""


def norms_drawing(audit: Audit, t: Say) -> Markup:
    """The length of the shift to each class."""
    return draw_bars(
        audit.shifts.l2, audit.images.class_names, audit.finding.suspected, audit.judgment.line,
        t("threshold"),
    )  # fmt: skip


def pair_drawings(audit: Audit, t: Say) -> Iterator[tuple[str, Markup]]:
    """Every detector that distinguishes pairs of classes, and its map."""
    names = audit.images.class_names
    for one in audit.judged:
        if one.evidence.pairs is not None and len(names) <= MAX_DRAWN:
            drawn = draw_pairs(
                one.evidence.pairs, names, t("from each row to each column"),
                low_is_suspicious=one.detector.low_is_suspicious,
            )  # fmt: skip
            yield one.detector.label, drawn


def neurons_drawing(audit: Audit, target: int, t: Say, tac: Tac | None) -> tuple[Markup, str]:
    """The shift to a class, neuron by neuron, over what else is known of each; and a legend."""
    shift = audit.shifts.shift[target]
    if audit.recovery_of(tac) is not None and tac is not None:
        x, label = tac.change, t("proxy TAC, mean |φ(x+δ) − φ(x)| under the recovered trigger")
    elif tac is not None:
        x, label = tac.change, t("TAC, mean |φ(x+δ) − φ(x)|")
    elif audit.embedding is not None:
        x, label = audit.embedding.mean, t("mean clean activation φ")
    else:
        x, label = audit.model.data_free(target), t("head weight w − μ")
    held = half_of(shift)
    upward = t("shift toward “{name}”", name=audit.images.class_names[target])
    drawn = draw_scatter(x, shift, held, label, upward, flagged=target in audit.finding.suspected)
    return drawn, t("One point per neuron; those that account for half of the shift are filled.")
