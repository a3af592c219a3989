"""A report of one audit, in the format that its file's name ends in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from bdshift.audit.deciding import deciding_p
from bdshift.audit.records import Audit
from bdshift.errors import UsageError
from bdshift.reports.html_report import html_report
from bdshift.reports.json_report import audit_json
from bdshift.reports.ml_bom import ml_bom
from bdshift.reports.purification_report import purification_json
from bdshift.reports.sarif import SarifModel, sarif
from bdshift.words import Language

REPORT_SUFFIXES = (".html", ".json", ".sarif", ".cdx.json")


def check_suffix(path: Path, known: Sequence[str] = REPORT_SUFFIXES) -> None:
    """Raise `UsageError` if a report cannot have this name; to be called before long work."""
    name = path.name.lower()
    of_one = ".cdx.json" not in known and name.endswith(".cdx.json")
    if name.endswith(".pdf"):
        raise UsageError(
            "{path}: a PDF is written by bdshift-gui AUDIT.h5 --pdf OUT.pdf", path=path
        )
    if of_one or not name.endswith(tuple(known)):
        raise UsageError(
            "{path}: the name says in which format a report is; it ends in one of {names}",
            path=path, names=tuple(known),
        )  # fmt: skip


def report_text(audit: Audit, path: Path, language: Language = "en", run: int | None = None) -> str:
    """What a report called ``path`` says. ``language`` and ``run`` are of the page, as
    `html_report` takes them; JSON has all purifications. Raises as `check_suffix` does.
    """
    check_suffix(path)
    name = path.name.lower()
    if name.endswith(".cdx.json"):
        return ml_bom(audit)
    if name.endswith(".json"):
        made = [purification_json(audit, one) for one in audit.purifications]
        return json.dumps({**audit_json(audit), "purifications": made}, indent=2) + "\n"
    if name.endswith(".sarif"):
        found, model = audit.finding, audit.model
        return sarif([SarifModel(model.path, model.sha256, found.level, str(found.statement),
                                 {"p": deciding_p(audit)})])  # fmt: skip
    return html_report(audit, language, run)
