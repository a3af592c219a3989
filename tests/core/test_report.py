"""The report as a page: whole by itself, escaped, in both languages."""

from __future__ import annotations

import html.parser
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from bdshift.assets import asset
from bdshift.audit import Audit, ScanSettings, add_tac, reopen, scan
from bdshift.cli import main
from bdshift.errors import UsageError
from bdshift.report.html_report import html_report
from bdshift.store import save_audit
from bdshift.triggers import parse_trigger

TARGET = 9


@pytest.fixture(scope="module")
def audit(victim: Path, signs: Path) -> Audit:
    found = scan(victim, signs, ScanSettings(sample=240))
    classifier, clean = reopen(found)
    trigger = parse_trigger("badnets:size=4,color=ffd800,row=20,column=14")
    return add_tac(found, classifier, clean, trigger, TARGET)


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


def test_it_says_the_verdict_and_where_it_came_from(audit: Audit) -> None:
    page = Page(html_report(audit))
    assert "Probably backdoored" in page.words
    text = " ".join(page.words)
    assert "Every image can be sent to “speed_80”" in text
    assert audit.model.sha256 in text
    assert audit.images.sha256 in text
    assert "ASR 100.00%" in text
    points = [tag for tag, _ in page.tags if tag in ("circle", "path")]
    assert len(points) == 128, "one a neuron"
    assert sum(tag == "rect" for tag, _ in page.tags) == 12, "one bar a class"
    assert any(attrs.get("src", "") for tag, attrs in page.tags if tag == "img")


def test_it_needs_nothing_else(audit: Audit) -> None:
    for tag, attrs in Page(html_report(audit)).tags:
        assert tag not in ("script", "link", "iframe", "object", "base", "form")
        for name, value in attrs.items():
            assert not name.startswith("on")
            if name in ("src", "href", "xlink:href"):
                assert str(value).startswith("data:image/png;base64,")


def test_names_from_files_stay_text(audit: Audit) -> None:
    evil = "<script>alert(1)</script>\"'&"
    names = (*audit.images.class_names[:TARGET], evil, *audit.images.class_names[TARGET + 1 :])
    hostile = replace(
        audit,
        images=replace(audit.images, class_names=names, path=evil),
        model=replace(audit.model, path=evil, architecture=evil),
        warnings=(evil,),
    )
    text = html_report(hostile)
    assert "<script" not in text
    page = Page(text)
    assert all(tag != "script" for tag, _ in page.tags)
    assert any(evil in words for words in page.words)


def test_japanese_is_complete(audit: Audit) -> None:
    known = json.loads(asset("report/ja.json").read_text("utf-8"))
    text = html_report(audit, "ja")
    assert "バックドアの疑いが強い" in text
    assert 'lang="ja"' in text
    template = asset("report/report.html").read_text("utf-8")
    source = (Path(html_report.__code__.co_filename)).read_text("utf-8")

    asked = set(
        re.findall(r'\bt\("((?:[^"\\]|\\.)*)"', template + re.sub(r'"\s*\n\s*"', "", source))
    )
    assert len(asked) > 20
    assert asked <= known.keys(), asked - known.keys()
    with pytest.raises(UsageError, match="language 'xx'"):
        html_report(audit, "xx")


def test_many_classes_and_no_embeddings(audit: Audit) -> None:
    rng = np.random.default_rng(0)
    norms = rng.normal(9, 0.6, 1000)
    norms[3] = np.inf
    rows = rng.integers(0, 12, 1000)
    shifts = replace(
        audit.shifts, l2=norms, shift=audit.shifts.shift[rows], loss=audit.shifts.loss[rows],
        lower=norms.copy(), kkt=audit.shifts.kkt[rows], multiplier=audit.shifts.multiplier[rows],
        status=("solved",) * 1000,
    )  # fmt: skip
    from bdshift.shift.verdict import judge

    names = tuple(f"class {i}" for i in range(1000))
    wide = replace(
        audit, shifts=shifts, verdict=judge(norms, names), tac=(), embedding=None,
        model=replace(audit.model, weight=audit.model.weight[rows], bias=audit.model.bias[rows]),
        images=replace(audit.images, class_names=names, counts=(1,) * 1000),
    )  # fmt: skip
    page = Page(html_report(wide))
    assert sum(tag == "tr" for tag, _ in page.tags) == 41
    assert any("960 classes" in words for words in page.words)


def test_the_command(audit: Audit, tmp_path: Path) -> None:
    save_audit(audit, tmp_path / "a.h5")
    call = ["report", str(tmp_path / "a.h5"), "--out", str(tmp_path / "r.html")]
    assert CliRunner().invoke(main, call).exit_code == 0
    assert CliRunner().invoke(main, call).exit_code == 2, "an existing page is kept"
    page = (tmp_path / "r.html").read_text("utf-8")
    assert "After purification" not in page, "the audit has none"
    assert CliRunner().invoke(main, [*call, "--overwrite", "--run", "1"]).exit_code == 2
    assert (tmp_path / "r.html").read_text("utf-8") == page
    nowhere = ["report", str(tmp_path / "a.h5"), "--out", str(tmp_path / "no" / "r.html")]
    assert CliRunner().invoke(main, nowhere).exit_code == 3
