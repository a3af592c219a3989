"""An audit to a report."""

from __future__ import annotations

from pathlib import Path

from bdshift.audit import Audit
from bdshift.outputs import Output
from bdshift.reports.report_file import report_text
from bdshift.words import Language


def report(
    audit: Audit,
    out: str | Path,
    *,
    run: int | None = None,
    language: Language = "en",
    overwrite: bool = False,
) -> str:
    """Write a report, as ``bdshift report`` does, and return what was written.

    Args:
        audit: what it is about.
        out: ends in .html; in .json for JSON with all purifications, .sarif, or .cdx.json for an
            ML-BOM.
        run: which purification the page shows, from 1; 0 for none; by default the last.
        language: of the page, "en" or "ja".
        overwrite: whether a file that is there is replaced.

    Raises `UsageError` if the file is there, its name ends in nothing of these, or there is no such
    purification, `InputError` if it cannot be written.
    """
    return written_report(audit, Output(Path(out), overwrite, audit.inputs), run, language)


def written_report(audit: Audit, output: Output, run: int | None, language: Language) -> str:
    """The same to a file that may have other inputs. Raises as `report` does."""
    output.check()
    text = report_text(audit, output.path, language, run)
    output.write_text(text)
    return text
