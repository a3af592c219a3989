"""Findings as SARIF 2.1.0, the format in which code hosts and dashboards take what scanners find.

A model in which nothing unusual was found is an artifact without a result: hosts show every result
as an alert, whatever its kind.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bdshift._version import __version__
from bdshift.audit.facts import Level
from bdshift.reports.atlas import BACKDOOR_TECHNIQUES, page_of
from bdshift.text import json_number

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


@dataclass(frozen=True)
class SarifModel:
    """A model and what is said of it.

    Attributes:
        model: its path or address.
        sha256: of it; "" if it was not read.
        level: of the finding; None if it could not be audited.
        message: the decisive sentence, or why there is none.
        numbers: p and the like, by name; NaN where there is none.
    """

    model: str
    sha256: str
    level: Level | None
    message: str
    numbers: dict[str, float] = field(default_factory=dict)


def _rule(name: str, says: str, level: str, severity: str, techniques: Sequence[str]) -> Any:
    return {
        "id": f"bdshift/{name}",
        "shortDescription": {"text": says},
        "help": {
            "text": "A finding is evidence, not proof. Open the audit file in bdshift for the "
            "evidence and for ways to remove a backdoor. Related MITRE ATLAS techniques: "
            + (", ".join(map(page_of, techniques)) or "none") + "."
        },
        "defaultConfiguration": {"level": level},
        "properties": {
            "tags": ["security", *(f"mitre-atlas/{one}" for one in techniques)],
            "security-severity": severity,
        },
    }  # fmt: skip


_RULES = {
    "backdoored": _rule(
        "backdoored", "The classifier probably carries a backdoor", "error", "8.0",
        BACKDOOR_TECHNIQUES,
    ),
    "inconclusive": _rule(
        "inconclusive", "The audit cannot tell whether the classifier carries a backdoor",
        "warning", "4.0", (),
    ),
    None: _rule("not-audited", "The model could not be audited", "warning", "4.0", ()),
}  # fmt: skip
_ORDER = list(_RULES)


def sarif(models: Sequence[SarifModel]) -> str:
    """One run with all ``models``, as JSON text. Paths below the current folder are relative."""
    run = {
        "tool": {
            "driver": {
                "name": "bdshift",
                "version": __version__,
                "rules": list(_RULES.values()),
            }
        },
        "artifacts": [_artifact(one) for one in models],
        "results": [
            _result(one, at) for at, one in enumerate(models) if one.level != "nothing-unusual"
        ],
        "columnKind": "unicodeCodePoints",
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _artifact(one: SarifModel) -> dict[str, Any]:
    found: dict[str, Any] = {"location": {"uri": _uri(one.model)}}
    if one.sha256:
        found["hashes"] = {"sha-256": one.sha256}
    return found


def _result(one: SarifModel, at: int) -> dict[str, Any]:
    rule = _RULES[one.level]
    where = {"uri": _uri(one.model), "index": at}
    found = {
        "ruleId": rule["id"],
        "ruleIndex": _ORDER.index(one.level),
        "level": rule["defaultConfiguration"]["level"],
        "message": {"text": _plain(one.message)},
        "locations": [{"physicalLocation": {"artifactLocation": where}}],
        "properties": {name: json_number(value) for name, value in one.numbers.items()},
    }
    if one.sha256:
        found["partialFingerprints"] = {"modelSha256/v1": one.sha256}
    return found


def _plain(text: str) -> str:
    """The text without what SARIF would read in it, where names come from anyone: links in
    brackets, and places for arguments in braces.
    """
    return re.sub(r"([\\\[\]])", r"\\\1", text).replace("{", "{{").replace("}", "}}")


def _uri(model: str) -> str:
    if "://" in model:
        return quote(os.fsencode(model), safe="/:@?=&%+,;~!$'()*#[]")
    path = Path(os.path.normpath(model))
    if path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    return path.as_uri() if path.is_absolute() else quote(os.fsencode(path.as_posix()))
