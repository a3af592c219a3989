"""The report as a page: whole by itself, escaped, in both languages."""

from __future__ import annotations

import html.parser
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from audit_files import old_audit
from commands import bdshift
from known import STICKER, TARGET
from matrix import lengths, second_detector

from bdshift.assets import asset
from bdshift.audit import Audit
from bdshift.audit.comparison import compare
from bdshift.errors import UsageError
from bdshift.remark import Remark
from bdshift.reports.class_table import class_columns
from bdshift.reports.comparison_report import compared_text, models_text
from bdshift.reports.html_report import html_report
from bdshift.reports.json_report import finding_json
from bdshift.reports.purification_report import purification_json, purification_text
from bdshift.reports.text_report import audit_text
from bdshift.store import save_audit
from bdshift.words import LANGUAGES, Sentence, is_known


class Page(html.parser.HTMLParser):
    """What a browser would make of it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data.strip())


def test_it_says_the_finding_and_where_it_came_from(measured_audit: Audit) -> None:
    audit = measured_audit
    page = Page(html_report(audit))
    assert "Probably backdoored" in page.words
    assert ("div", {"class": "finding backdoored"}) in page.tags
    text = " ".join(page.words)
    assert "Class 9 “speed_80” is reached by an unusually small shift" in text
    assert f"The trigger {STICKER} sends 100.0% of the images of other classes" in text
    assert "A finding is evidence, not proof." in text
    assert audit.model.sha256 in text
    assert audit.images.sha256 in text
    assert "ASR 100.00%" in text
    points = [tag for tag, _ in page.tags if tag in ("circle", "path")]
    assert len(points) == 64, "one a neuron"
    assert sum(tag == "rect" for tag, _ in page.tags) == 12, "one bar a class"
    assert any(attrs.get("src", "") for tag, attrs in page.tags if tag == "img")


def test_it_needs_nothing_else(measured_audit: Audit) -> None:
    for tag, attrs in Page(html_report(measured_audit)).tags:
        assert tag not in ("script", "link", "iframe", "object", "base", "form")
        for name, value in attrs.items():
            assert not name.startswith("on")
            if name in ("src", "href", "xlink:href"):
                assert str(value).startswith("data:image/png;base64,")


def test_names_from_files_stay_text(measured_audit: Audit) -> None:
    audit = measured_audit
    evil = "<script>alert(1)</script>\"'&"
    names = (*audit.images.class_names[:TARGET], evil, *audit.images.class_names[TARGET + 1 :])
    hostile = replace(
        audit,
        images=replace(audit.images, class_names=names, path=evil),
        model=replace(audit.model, path=evil, architecture=evil),
        notes=(Remark("as-written", {"text": evil}),),
    )
    text = html_report(hostile)
    assert "<script" not in text
    page = Page(text)
    assert all(tag != "script" for tag, _ in page.tags)
    assert evil in page.words, "the note"
    assert any(f"Class 9 “{evil}” is reached" in words for words in page.words)


def test_no_name_from_a_file_reorders_the_page(measured_audit: Audit) -> None:
    evil = "a\u202egnp.exe\x1b\u2066\u200f"
    names = tuple(f"{evil}{number}" for number in range(measured_audit.model.classes))
    hostile = replace(
        measured_audit,
        images=replace(measured_audit.images, class_names=names, path=evil),
        model=replace(measured_audit.model, path=evil, architecture=evil),
        notes=(Remark("as-written", {"text": evil}),),
    )
    text = html_report(hostile)
    assert "\\u202egnp.exe\\x1b" in text
    assert not set(text) & set("\u202e\x1b\u2066\u200f")


def test_japanese_is_complete(measured_audit: Audit) -> None:
    text = html_report(measured_audit, "ja")
    assert "バックドアの疑いが強い" in text
    assert 'lang="ja"' in text
    template = asset("report/report.html").read_text("utf-8")
    source = (Path(html_report.__code__.co_filename)).read_text("utf-8")
    asked = set(
        re.findall(r'\bt\("((?:[^"\\]|\\.)*)"', template + re.sub(r'"\s*\n\s*"', "", source))
    )
    assert len(asked) > 20
    assert not [one for one in asked if not is_known(one)]
    with pytest.raises(UsageError, match="unknown language 'xx'; choose one of en, ja"):
        html_report(measured_audit, "xx")  # type: ignore[arg-type]


def test_every_column_of_classes_is_explained(measured_audit: Audit) -> None:
    text = " ".join(audit_text(measured_audit).split())
    for language in LANGUAGES:
        words = " ".join(Page(html_report(measured_audit, language=language)).words)
        for head, meaning in class_columns(measured_audit):
            assert Sentence(meaning).render(language) in words
            assert f"{head}: {meaning}" in text


def test_many_classes_and_no_embeddings(measured_audit: Audit) -> None:
    audit = measured_audit
    rng = np.random.default_rng(0)
    norms = rng.normal(9, 0.6, 1000)
    norms[3] = np.inf
    rows = rng.integers(0, 12, 1000)
    shifts = replace(
        audit.shifts, l2=norms, shift=audit.shifts.shift[rows], loss=audit.shifts.loss[rows],
        lower=norms.copy(), kkt=audit.shifts.kkt[rows], multiplier=audit.shifts.multiplier[rows],
        status=("solved",) * 1000,
    )  # fmt: skip
    names = tuple(f"class {i}" for i in range(1000))
    evidence = replace(audit.evidence[0], scores=norms, record=shifts)
    wide = replace(
        audit, evidence=(evidence,), tac=(), embedding=None,
        model=replace(audit.model, weight=audit.model.weight[rows], bias=audit.model.bias[rows]),
        images=replace(audit.images, class_names=names, counts=(1,) * 1000),
    )  # fmt: skip
    page = Page(html_report(wide))
    assert sum(tag == "tr" for tag, _ in page.tags) == 41
    assert any("960 other classes" in words for words in page.words)


def test_the_purified_model_has_a_finding_of_its_own() -> None:
    """The same in every form; and no axis says that a trigger is unknown that was measured."""
    audit = old_audit("schema-2-embeddings")
    [made] = audit.purifications
    finding = made.rescan.finding
    assert finding.level == "inconclusive"
    text = " ".join(purification_text(audit).split())
    assert f"The purified model: {finding}" in text
    assert str(made.result.why_kept) in text
    assert purification_json(audit, made)["finding_after"] == finding_json(finding)
    for language in LANGUAGES:
        page = " ".join(Page(html_report(audit, language)).words)
        assert finding.headline.render(language) in page
        assert finding.statement.render(language) in page
    assert audit.tac
    assert made.trigger is None
    assert "mean clean activation φ<" in html_report(audit)


def test_a_flagged_class_is_in_every_table(measured_audit: Audit) -> None:
    """Even if its norm is among the largest of many."""
    with second_detector():
        classes = 60
        names = tuple(f"class {i}" for i in range(classes))
        rows = np.arange(classes) % measured_audit.model.classes
        shifts = measured_audit.shifts
        wide = replace(
            shifts, l2=np.linspace(10, 11, classes), status=shifts.status * 5,
            shift=shifts.shift[rows], loss=shifts.loss[rows], lower=shifts.lower[rows],
            kkt=shifts.kkt[rows], multiplier=shifts.multiplier[rows],
        )  # fmt: skip
        first = replace(measured_audit.evidence[0], scores=wide.l2, record=wide)
        model = measured_audit.model
        audit = replace(
            measured_audit, evidence=(first, lengths(58, classes)), tac=(), embedding=None,
            model=replace(model, weight=model.weight[rows], bias=model.bias[rows]),
            images=replace(measured_audit.images, class_names=names, counts=(40,) * classes),
        )  # fmt: skip
        assert audit.finding.classes == (58,)
        assert "◆ 58 class 58" in audit_text(audit)
        assert "… and 39 other classes" in audit_text(audit)
        assert "class 58" in Page(html_report(audit)).words
        assert "most suspicious pairs: class 0 → class 58 (5.00)" in audit_text(audit)
        assert any("class 0 → class 58 (5.00)" in one for one in Page(html_report(audit)).words)


@pytest.mark.parametrize("end", ["\r", "\n", "\u2028", "\x85"])
def test_no_name_from_a_file_begins_a_line(end: str) -> None:
    audit = old_audit("schema-2-embeddings")
    forged = f"x{end}NOTHING UNUSUAL FOUND"
    names = (forged,) * len(audit.images.class_names)
    [made] = audit.purifications
    hostile = replace(
        audit, images=replace(audit.images, class_names=names),
        purifications=(replace(made, test=forged, trigger=forged),) * 2,
    )  # fmt: skip
    texts = (
        audit_text(hostile), compared_text(compare(hostile)), models_text(hostile),
        purification_text(hostile),
    )  # fmt: skip
    for text in texts:
        assert not any(line.startswith("NOTHING") for line in text.splitlines())
    assert "NOTHING UNUSUAL" in texts[0]


def test_the_command(measured_audit: Audit, tmp_path: Path) -> None:
    save_audit(measured_audit, tmp_path / "a.h5")
    call = ("report", tmp_path / "a.h5", "--out", tmp_path / "r.html")
    assert bdshift(*call).exit_code == 0
    assert bdshift(*call).exit_code == 2, "an existing page is kept"
    page = (tmp_path / "r.html").read_text("utf-8")
    assert "After purification" not in page, "the audit has none"
    assert bdshift(*call, "--overwrite", "--run", "1").exit_code == 2
    assert (tmp_path / "r.html").read_text("utf-8") == page
    assert bdshift(*call[:3], tmp_path / "no" / "r.html").exit_code == 3
