"""The comparison with clean models as JSON."""

from __future__ import annotations

from typing import Any

from bdshift.text import json_number
from bdshift.verdict.clean_models import Standing
from bdshift.verdict.decide import Verdict


def verdict_json(verdict: Verdict | None) -> dict[str, Any] | None:
    """The verdict and each kind of evidence behind it, the strongest first; None without one."""
    if verdict is None:
        return None
    return {
        "class": verdict.index,
        **_standing(verdict.standing),
        "p_limit": verdict.limit,
        "suspected": list(verdict.suspected),
        "borne_out": verdict.borne_out,
        "kinds": [
            {
                "detector": one.detector.spec,
                "class": one.index,
                "source": None if one.source < 0 else one.source,
                "factor": json_number(one.factor(one.index)),
                "factor_of_reference": json_number(one.of_reference(one.index)),
                "strengths": one.strengths.tolist(),
                **_standing(one.standing),
            }
            for one in verdict.kinds
        ],
        "witnesses": [
            {
                "detector": one.detector.spec,
                "class": one.index if one.reaches else None,
                "factor": json_number(one.factor(one.index)),
                "bears_out": [i for i in verdict.suspected if one.works(i)],
            }
            for one in verdict.witnesses
        ],
    }


def _standing(standing: Standing) -> dict[str, Any]:
    return {
        "p": standing.p, "p_least": standing.least, "p_estimated": standing.estimated,
        "clean_models": standing.models, "as_strong": standing.count,
    }  # fmt: skip
