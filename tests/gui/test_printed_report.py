"""The report on paper: pages, words, pictures, and the command that writes it."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from audit_files import old_audit
from pdf_files import pdf_pages, pdf_pictures
from PySide6.QtCore import QLocale
from PySide6.QtGui import QGuiApplication
from recovered import made_recovery

from bdshift.audit import Audit, with_recovery
from bdshift.audit.cover import MAX_NOTES, Cover
from bdshift.jobs import Canceled, JobContext
from bdshift.reports.html_report import html_report
from bdshift.store import save_audit
from bdshift.words import LANGUAGES, Language
from bdshift_gui.app import main
from bdshift_gui.fonts import load_fonts
from bdshift_gui.printing import paper
from bdshift_gui.printing.figures import Photo, Plot
from bdshift_gui.printing.page_tree import Element, page_tree
from bdshift_gui.printing.paper import PAPERS, usual_paper
from bdshift_gui.printing.printed import PrintedReport

EVIL = '<img src="file:///dev/zero"><b>x</b>&amp;'


@pytest.fixture
def audit(qapp: QGuiApplication, measured_audit: Audit) -> Audit:
    """With a recovered trigger, and words of its author."""
    load_fonts()
    cover = Cover("A. Uthor 山田", f"Line one\n{EVIL}")
    made = with_recovery(measured_audit, made_recovery(measured_audit))
    return replace(made, date="2025-03-04T09:30Z", cover=cover)


def printed(audit: Audit, language: Language = "en", size: str = "a4") -> PrintedReport:
    family = QGuiApplication.font().family()
    return PrintedReport(html_report(audit, language), PAPERS[size], family, language)


def squeezed(text: str) -> str:
    return text.replace(" ", "")


@pytest.mark.parametrize(("size", "points"), [("a4", (595, 842)), ("letter", (612, 792))])
def test_pages_have_the_size_of_paper(audit: Audit, size: str, points: tuple[float, float]) -> None:
    report = printed(audit, size=size)
    pages = pdf_pages(report.pdf())
    assert len(pages) == report.count > 1
    for page in pages:
        assert (page.width, page.height) == pytest.approx(points, abs=1)
    image = report.picture(0, 0.5)
    assert image.width() / image.height() == pytest.approx(points[0] / points[1], rel=0.01)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_words_of_the_page_are_on_paper(audit: Audit, language: Language) -> None:
    page = html_report(audit, language)
    pages = pdf_pages(printed(audit, language).pdf())
    whole = "".join(one.words for one in pages)
    finding = audit.finding
    assert squeezed(finding.headline.render(language)) in pages[0].words
    for said in (*finding.reasons, *finding.cautions):
        assert squeezed(said.sentence.render(language)) in whole
    assert squeezed("A. Uthor 山田 · ") in pages[0].words
    assert squeezed(f"Line one{EVIL}") in whole, "notes are plain text"
    assert audit.model.sha256 in whole
    for name in audit.images.class_names:
        assert name in whole
    body = page_tree(page)
    for tag in ("h1", "h2", "h3", "th", "td", "dd", "figcaption"):
        for found in body.all(tag):
            assert squeezed(found.text.strip().replace("\n", "")) in whole, found.text
    assert "�" not in whole, "every glyph says which letter it is"
    assert "\t" not in whole, "spaces are spaces"
    for number, sheet in enumerate(pages, 1):
        feet = {"en": f"Page{number}of{len(pages)}", "ja": f"{number}/{len(pages)}ページ"}
        assert feet[language] in sheet.words


def test_pictures_are_on_paper(audit: Audit) -> None:
    body = page_tree(html_report(audit))
    different = len({one.attributes["src"] for one in body.all("img")})
    assert different >= 30, "neurons, before and after"
    assert pdf_pictures(printed(audit).pdf()) >= different
    plain = replace(audit, embedding=None, recoveries=(), tac=())
    assert "<img" not in html_report(plain)
    assert pdf_pictures(printed(plain).pdf()) == 0


def test_every_drawing_can_be_drawn(audit: Audit) -> None:
    inks = {"red": "#ff0000", "muted": "#777777", "line": "#cccccc", "bar": "#bbbbbb",
            "accent": "#0000ff", "text": "#000000"}  # fmt: skip
    drawings = list(page_tree(html_report(audit)).all("svg"))
    assert len(drawings) >= 3
    for one in drawings:
        [source] = one.children
        assert isinstance(source, str)
        drawn = Plot(source, 600, 500, inks, "sans-serif")
        assert 0 < drawn.size.height() <= 500
        assert drawn.size.width() <= 600.01
    with pytest.raises(ValueError, match="cannot be drawn"):
        Plot("<svg <rect></svg>", 600, 500, inks, "sans-serif")
    with pytest.raises(ValueError, match="not in the page"):
        Photo("file:///dev/zero", 40, "#000000")


def test_a_picture_is_read_as_png_alone() -> None:
    """Qt's other readers are not even tried: that of SVG stops the window (`Photo`)."""
    drawing = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    with pytest.raises(ValueError, match="cannot be read"):
        Photo(f"data:image/png;base64,{base64.b64encode(drawing).decode()}", 40, "#000000")


def test_nothing_is_parted_from_its_heading(audit: Audit) -> None:
    """Whatever comes before: a heading and what follows it are on the same page."""
    for lines in range(0, 40, 4):
        moved = replace(audit, cover=Cover("", "\n".join(["x"] * lines)))
        pages = pdf_pages(printed(moved).pdf())
        for page in pages:
            assert not page.words.endswith(("Limits", "Details", "Notes", "pointsat"))
        [one] = [page for page in pages if "Limits" in page.words]
        assert "Afindingisevidence" in one.words.partition("Limits")[2]


def test_older_and_larger_audits_are_printed(audit: Audit) -> None:
    for name in ("schema-1", "schema-2"):
        assert len(pdf_pages(printed(old_audit(name)).pdf())) >= 2
    names = tuple(f"{'very_long_name_' * 12}{i}" for i in range(audit.model.classes))
    wide = replace(audit, images=replace(audit.images, class_names=names))
    assert len(pdf_pages(printed(wide).pdf())) > 2
    full = replace(audit, cover=Cover("", "\n" + "y\n" * (MAX_NOTES // 2 - 2) + "end"))
    pages = pdf_pages(printed(full).pdf())
    assert len(pages) > 100
    assert any(page.words.endswith("yend") or "yend" in page.words for page in pages)


def test_it_can_be_canceled(audit: Audit) -> None:
    page, family = html_report(audit), QGuiApplication.font().family()
    job = JobContext()
    report = PrintedReport(page, PAPERS["a4"], family, "en", job)
    job.cancel()
    with pytest.raises(Canceled):
        report.pdf(job)
    with pytest.raises(Canceled):
        PrintedReport(page, PAPERS["a4"], family, "en", job)


def test_the_page_is_a_tree() -> None:
    page = '<body><p class="a b">x<strong>y</strong></p><svg viewBox="0 0 1 1"><g/></svg></body>'
    body = page_tree(page)
    first, second = body.elements
    assert first.classes == {"a", "b"}
    assert first.text == "xy"
    assert second.children == ['<svg viewBox="0 0 1 1"><g/></svg>']
    assert second.text == ""
    assert body.count == 3
    assert isinstance(first.children[1], Element)


@pytest.mark.parametrize(
    ("place", "expected"),
    [("US", "letter"), ("JP", "a4"), ("DE", "a4"), ("CA", "letter"), ("GB", "a4")],
)
def test_paper_is_that_of_the_country(
    place: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class System:
        @staticmethod
        def system() -> QLocale:
            return QLocale(QLocale.Language.AnyLanguage, QLocale.codeToTerritory(place))

        @staticmethod
        def territoryToCode(territory: QLocale.Country) -> str:
            return QLocale.territoryToCode(territory)

    monkeypatch.setattr(paper, "QLocale", System)
    assert usual_paper() == expected


def test_the_command(audit: Audit, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_audit(audit, tmp_path / "a.h5")
    out = tmp_path / "r.pdf"
    call = [str(tmp_path / "a.h5"), "--pdf", str(out), "--paper", "letter", "--language", "ja"]
    assert main(call) == 0
    pages = pdf_pages(out.read_bytes())
    assert f"r.pdf: {len(pages)} pages" in capsys.readouterr().out
    assert pages[0].width == pytest.approx(612, abs=1)
    assert "バックドア監査" in pages[0].words
    out.write_bytes(b"mine")
    assert main(call) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert out.read_bytes() == b"mine"
    assert main([*call, "--run", "3", "--overwrite"]) == 2
    assert main([*call, "--overwrite"]) == 0
    assert len(pdf_pages(out.read_bytes())) == len(pages)
    assert main([str(tmp_path / "no.h5"), "--pdf", str(out), "--overwrite"]) == 3
    assert main([call[0], "--pdf", call[0], "--overwrite"]) == 2, "never the audit itself"
    with pytest.raises(SystemExit):
        main(["--pdf", str(out)])


def test_the_command_needs_no_screen(audit: Audit, tmp_path: Path) -> None:
    save_audit(audit, tmp_path / "a.h5")
    environment = {name: value for name, value in os.environ.items() if name != "QT_QPA_PLATFORM"}
    done = subprocess.run(
        [sys.executable, "-m", "bdshift_gui", "a.h5", "--pdf", "r.pdf"],
        env={**environment, "DISPLAY": "", "WAYLAND_DISPLAY": ""}, cwd=tmp_path,
        capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    pages = pdf_pages((tmp_path / "r.pdf").read_bytes())
    assert done.stdout == f"r.pdf: {len(pages)} pages\n"
    assert "Probablybackdoored" in pages[0].words


def test_without_a_screen_a_sentence_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    assert main([]) == 2
    assert "needs a screen" in capsys.readouterr().err
