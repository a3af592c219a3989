"""From older schemas of the audit file to the current one: one function per step.

A step changes the JSON description; where datasets are elsewhere, `place_in` says where. Steps are
never changed once files of a schema exist: they keep old files readable.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from bdshift.store.schema import SCHEMA

_OWN_NETWORK = re.compile(r"[^\s:]+:[^\s:]+")


def migrate(found: dict[str, Any], schema: int) -> dict[str, Any]:
    """The description of an audit, in the current schema."""
    for number in range(max(schema, 1), SCHEMA):
        found = _STEPS[number](found)
    return found


def place_in(schema: int) -> Callable[[str], str]:
    """Where a dataset of the current schema is in a file of ``schema``."""
    return _place_in_2 if schema <= 2 else _same


def _same(place: str) -> str:
    return place


def _from_1(found: dict[str, Any]) -> dict[str, Any]:
    """Schema 1 had no purifications."""
    return {**found, "runs": []}


# Schema 2 to 3: American spelling, detectors in place of the one verdict, remarks in place of
# sentences, purifications in place of runs.

_DERIVED = re.compile(
    r"Clean accuracy is |\d+ images for \d+ classes are few|The \w+ solver did not reach"
    r"|\d+ of \d+ classes cannot be reached|With (only|fewer than) |With \d+ classes \|z\|"
)
"""Warnings of schema 2 that follow from the rest of the file, and are derived again."""


def _from_2(found: dict[str, Any]) -> dict[str, Any]:
    verdict, shifts = found.pop("verdict"), found.pop("shifts")
    settings = dict(found.pop("settings"))
    alpha, solver = settings.pop("alpha", None), settings.pop("solver", None)
    settings.pop("rule", None)
    settings.pop("beta", None)
    detector = f"shift:alpha={shifts.get('alpha', alpha)},solver={shifts.get('solver', solver)}"
    settings["normalize"] = settings.pop("normalise", None)
    settings["detectors"], settings["rule"] = [detector], _rule(verdict)
    model = found.pop("model")
    runs = found.pop("runs")
    warnings = found.pop("warnings")
    return {
        **found,
        "model": {**model, "users_own": bool(_OWN_NETWORK.fullmatch(model["architecture"]))},
        "settings": settings,
        "trials": [_trial(one) for one in found.pop("trials")],
        "evidence": {
            "shift": {"detector": detector, "seconds": shifts["seconds"], "record": shifts}
        },
        "notes": [
            {"code": "as-written", "values": {"text": text}}
            for text in warnings
            if not _DERIVED.match(text)
        ],
        "tac": [{**one, "trigger": _trigger(one["trigger"])} for one in found.pop("tac")],
        "purifications": [_purification(one) for one in runs],
    }


def _rule(verdict: dict[str, Any]) -> str:
    name = str(verdict["rule"])
    return f"paper:beta={verdict['beta']}" if name == "paper" else name


def _trial(trial: dict[str, Any]) -> dict[str, Any]:
    preprocessing = dict(trial["preprocessing"])
    preprocessing["normalization"] = preprocessing.pop("normalisation")
    preprocessing["order"] = str(preprocessing["order"]).replace("grey", "gray")
    return {**trial, "preprocessing": preprocessing}


def _trigger(text: str | None) -> str | None:
    return None if text is None else re.sub(r"(?<=[:,])colour=", "color=", str(text))


def _purification(run: dict[str, Any]) -> dict[str, Any]:
    result = {**run.pop("run"), "weights": run.pop("weights")}
    for row in result["rows"]:
        figures = row["step"]["figures"]
        if "unlearnt_accuracy" in figures:
            figures["unlearned_accuracy"] = figures.pop("unlearnt_accuracy")
    rescan, held_out = run.pop("rescan"), run.pop("held")
    return {
        **run,
        "held_out": held_out,
        "trigger": _trigger(run["trigger"]),
        "result": result,
        "rescan": _from_2({**rescan, "runs": rescan.get("runs", [])}),
    }


def _place_in_2(place: str) -> str:
    place = re.sub(r"^purifications/(\d+)/result/", r"runs/\1/", place)
    place = re.sub(r"^purifications/(\d+)/", r"runs/\1/", place)
    place = place.replace("evidence/shift/scores", "shift/l2")
    place = place.replace("evidence/shift/record/", "shift/")
    return re.sub(r"(tac/\d+)/triggered/", r"\1/", place)


_STEPS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _from_1, 2: _from_2}
