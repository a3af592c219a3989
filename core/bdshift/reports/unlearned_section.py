"""The section of the report's page on a task vector: its curve, and the plane of its weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup

from bdshift.audit.records import Purification
from bdshift.purification.multiples import multiples
from bdshift.reports.heat_map import draw_plane
from bdshift.reports.multiples_svg import draw_multiples
from bdshift.words import Language


@dataclass(frozen=True)
class UnlearnedPart:
    """What the page shows; ``plane`` and its words are empty if that was not measured."""

    curve: Markup
    plane: Markup
    plane_said: str
    plane_of: str


def unlearned_part(
    made: Purification, t: Callable[..., str], language: Language
) -> UnlearnedPart | None:
    """Of a purification that has looked at multiples of a vector; None of others. ``t`` puts a
    template and its values into ``language``.
    """
    steps = [row.step for row in made.result.rows]
    curve = multiples(steps)
    if not curve:
        return None
    drawn = draw_multiples(
        curve, multiples(steps, control=True),
        (t("accuracy"), "ASR", t("target's recall"), t("control, without the trigger")),
    )  # fmt: skip
    plane = made.plane
    if plane is None:
        return UnlearnedPart(drawn, Markup(""), "", "")
    axes = t("α_c, the clean task"), t("α_t, the trigger")
    at_one = plane.audited
    return UnlearnedPart(
        drawn,
        Markup(draw_plane(plane.finest, axes)),
        "" if at_one is None else at_one.sentence.render(language),
        plane.origin.render(language),
    )
