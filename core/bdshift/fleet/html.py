"""The results of a fleet as one page of HTML: no script, no network, English or Japanese."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from bdshift import __version__
from bdshift.assets import asset
from bdshift.fleet.pages import (
    expected_alarms,
    fleet_csv,
    fleet_json,
    fleet_sarif,
    level_of,
    summary_of,
)
from bdshift.fleet.results import AUDITS
from bdshift.fleet.table import Ranked
from bdshift.text import figure, one_line
from bdshift.words import Language, Sentence, translate

FLEET_REPORTS = (".html", ".json", ".csv", ".sarif")
_MAX_ROWS = 5000
_WIDTH, _HEIGHT = 120, 22  # of a drawing of the norms, in pixels
_MAX_BARS = 60  # classes; of more, nothing is drawn


def fleet_html(found: Sequence[Ranked], language: Language = "en", audits: str = AUDITS) -> str:
    """The page: how many models there are of each level, and a row for each, the most suspicious
    first. It links to the audit files, which are in the folder ``audits``, as seen from the page.
    """

    def t(text: str, **values: object) -> str:
        return Sentence(text, values).render(language) if values else translate(text, language)

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined,
        finalize=lambda value: one_line(value) if type(value) is str else value,
    )  # fmt: skip
    template = environment.from_string(asset("report/fleet.html").read_text("utf-8"))
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    return template.render(
        t=t, language=language, version=__version__, day=day, count=len(found),
        summary=summary_of(found, language), alarms=expected_alarms(found).render(language),
        rows=[_cells(one, language, audits) for one in found[:_MAX_ROWS]],
        more=max(0, len(found) - _MAX_ROWS),
    )  # fmt: skip


def _cells(one: Ranked, language: Language, audits: str) -> dict[str, Any]:
    result = one.row.result
    return {
        "name": Path(one.row.model).name,
        "path": one.row.model,
        "level": result.level or "failed",
        "finding": level_of(one, language),
        "reason": result.reason.render(language),
        "p": figure(result.p, ".3g"),
        "q": figure(one.q, ".3g"),
        "family": "" if one.family < 0 else one.family + 1,
        "accuracy": figure(result.accuracy, ".1%"),
        "norms": _bars(result.norms, result.target if result.level == "backdoored" else -1),
        "audit": f"{audits}/{one.row.file}" if one.row.file else "",
    }


def _bars(norms: Sequence[float], marked: int) -> Markup:
    """The L2 norm of each class as a bar; the suspected class is marked."""
    values = np.array(norms, dtype=np.float64)
    largest = np.nanmax(values, initial=0.0)
    if not 0 < len(values) <= _MAX_BARS or not largest > 0:
        return Markup("")
    step = _WIDTH / len(values)
    bars = "".join(
        f'<rect x="{at * step:.1f}" y="{_HEIGHT * (1 - value / largest):.1f}" '
        f'width="{step * 0.8:.1f}" height="{_HEIGHT * value / largest:.1f}"'
        f"{' class=' + chr(34) + 'bad' + chr(34) if at == marked else ''}/>"
        for at, value in enumerate(np.nan_to_num(values).tolist())
    )
    size = f'width="{_WIDTH}" height="{_HEIGHT}"'
    return Markup(f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" {size}>{bars}</svg>')


def fleet_report(
    found: Sequence[Ranked], path: Path, folder: Path, language: Language = "en"
) -> str:
    """What a report called ``path`` says of the fleet in ``folder``: JSON, CSV or SARIF if it ends
    so, else the page.
    """
    kind = path.suffix.lower()
    if kind == ".sarif":
        return fleet_sarif(found)
    if kind == ".json":
        return json.dumps(fleet_json(found), indent=2) + "\n"
    if kind == ".csv":
        return fleet_csv(found)
    return fleet_html(found, language, _seen_from(path.absolute().parent, folder / AUDITS))


def _seen_from(place: Path, folder: Path) -> str:
    """A folder, as a link in ``place`` names it."""
    try:
        return Path(os.path.relpath(folder.absolute(), place)).as_posix()
    except ValueError:  # on another drive
        return folder.absolute().as_posix()
