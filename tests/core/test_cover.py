"""When an audit was made, by whom, and what they wrote on it: in the file, the report, JSON."""

from __future__ import annotations

import datetime
import html
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from audit_files import change, old_audit, remove
from commands import bdshift, one_line
from recovered import made_recovery

from bdshift.audit import Audit, with_recovery
from bdshift.audit.cover import MAX_AUTHOR, MAX_NOTES, Cover
from bdshift.audit.exhibit import exhibit, telling
from bdshift.audit.gallery import galleries
from bdshift.audit.made import in_words, now
from bdshift.errors import InputError, UsageError
from bdshift.outputs import Output
from bdshift.reports.html_report import html_report
from bdshift.reports.json_report import audit_json
from bdshift.reports.pictures import picture_uri
from bdshift.store import change_audit, load_audit, save_audit, save_merged
from bdshift.words import LANGUAGES

EVIL = '<img src="file:///dev/zero"><script>alert(1)</script>\u202e'
DAY = datetime.date(2025, 3, 5)


@pytest.fixture
def signed(measured_audit: Audit) -> Audit:
    cover = Cover("A. Uthor", "First line\n\n  second <b>line</b>\tend")
    return replace(measured_audit, date="2025-03-04T09:30Z", cover=cover)


def test_a_scan_has_a_date(measured_audit: Audit) -> None:
    assert re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d UTC", in_words(measured_audit.date))
    assert in_words("2025-03-04T09:30Z") == "2025-03-04 09:30 UTC"
    assert in_words("") == ""
    assert in_words(now()) == now().replace("T", " ").replace("Z", " UTC")


def test_the_page_says_who_and_when(signed: Audit) -> None:
    page = html_report(signed, day=DAY)
    assert "A. Uthor · audited 2025-03-04 09:30 UTC · report of 2025-03-05" in page
    assert "<p>First line</p>\n<p></p>\n<p>  second &lt;b&gt;line&lt;/b&gt;    end</p>" in page
    japanese = html_report(signed, "ja", day=DAY)
    assert "A. Uthor · 監査日時 2025-03-04 09:30 UTC · レポート作成日 2025-03-05" in japanese
    assert ">メモ</h2>" in japanese
    older = replace(signed, date="", cover=Cover())
    assert '<p class="muted">report of 2025-03-05</p>' in html_report(older, day=DAY)
    assert "Notes" not in html_report(older)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_written_stays_text(signed: Audit, language: str) -> None:
    page = html_report(replace(signed, cover=Cover(EVIL, EVIL)), language)  # type: ignore[arg-type]
    assert "<script" not in page
    assert "file:///dev/zero" in page
    assert '<img src="file' not in page
    assert "\u202e" not in page


def test_the_json_has_it(signed: Audit) -> None:
    told = audit_json(signed)
    assert (told["date"], told["author"]) == ("2025-03-04T09:30Z", "A. Uthor")
    assert told["notes"] == signed.cover.notes
    assert audit_json(old_audit("schema-2"))["date"] is None


def test_it_is_kept_and_older_files_have_none(signed: Audit, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    save_audit(signed, path)
    again = load_audit(path)
    assert (again.date, again.cover) == (signed.date, signed.cover)
    assert again.unknown == {}
    remove(path, "date")
    remove(path, "cover")
    older = load_audit(path)
    assert (older.date, older.cover) == ("", Cover())
    for name in ("schema-1", "schema-2"):
        assert (old_audit(name).date, old_audit(name).cover) == ("", Cover())


@pytest.mark.parametrize(
    ("way", "value"),
    [
        (("date",), "yesterday"), (("date",), "2025-13-04T09:30Z"), (("date",), 7),
        (("cover", "notes"), "x" * (MAX_NOTES + 1)), (("cover", "author"), ["x"]),
        (("cover", "author"), "x" * (MAX_AUTHOR + 1)),
    ],
)  # fmt: skip
def test_a_damaged_one_is_refused(
    signed: Audit, tmp_path: Path, way: tuple[str, ...], value: object
) -> None:
    path = tmp_path / "a.h5"
    save_audit(signed, path)
    change(path, *way, value=value)
    with pytest.raises(InputError, match=r"a\.h5: "):
        load_audit(path)


def test_what_another_program_wrote_on_it_is_kept(signed: Audit, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    save_audit(signed, path)
    before = load_audit(path)
    theirs, mine = Cover("B", "theirs"), Cover("C", "mine")
    change_audit(path, lambda audit: replace(audit, cover=theirs))
    output = Output(path, overwrite=True)
    assert save_merged(before, output, before=before).cover == theirs
    assert save_merged(replace(before, cover=mine), output, before=before).cover == mine
    assert save_merged(replace(before, cover=Cover()), output).cover == mine, "nothing was written"
    assert load_audit(path).cover == mine


def test_the_command(signed: Audit, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    save_audit(replace(signed, cover=Cover()), path)
    shown = bdshift("note", path)
    assert shown.output == "audited 2025-03-04 09:30 UTC\nauthor  –\n"
    assert bdshift("note", path, "--author", "A", "--notes", "x\nOK\x1b[2J").exit_code == 0
    told = bdshift("note", path).output
    assert told.endswith("author  A\n\nx\nOK\\x1b[2J\n")
    assert json.loads(bdshift("note", path, "--notes", "", "--json").output) == {
        "date": "2025-03-04T09:30Z", "author": "A", "notes": "",
    }  # fmt: skip
    assert load_audit(path).cover == Cover("A", "")
    content = path.read_bytes()
    one_line(bdshift("note", path, "--author", "x" * 201), 2, "201", "200")
    assert path.read_bytes() == content
    one_line(bdshift("note", tmp_path / "no.h5", "--author", "A"), 3, "no such file")


def test_images_have_predictions(measured_audit: Audit) -> None:
    """The same as the networks' outputs say, one image of each class in turn."""
    found = made_recovery(measured_audit)
    audit = with_recovery(replace(measured_audit, tac=()), found)
    page = html.unescape(html_report(audit))
    captions = re.findall(r'<figure class="pair">.*?<figcaption( class="bad")?>(.*?)<', page)
    clean, triggered = audit.embedding, found.tac.triggered
    assert clean is not None
    assert triggered is not None
    names = audit.images.class_names
    of = next(one for one in galleries(audit) if one.recovery is found)
    rows = telling(of, 8)
    was, after = clean.logits.argmax(1), triggered.logits.argmax(1)
    assert captions == [
        (' class="bad"' * bool(after[row] == 9), f"{names[was[row]]} → {names[after[row]]}")
        for row in rows
    ]
    assert len({text for _, text in captions}) == 8
    assert any(mark for mark, _ in captions)
    shown = exhibit(audit)
    assert shown is not None
    assert [str(one) for one in shown.captions] == [text for _, text in captions][:4], (
        "the same images as the window's card, in the same order"
    )
    assert page.count('<div class="pairs">') == 1, "what was recovered is not shown twice"


def test_a_known_trigger_is_shown_as_in_the_window(measured_audit: Audit) -> None:
    shown = exhibit(measured_audit)
    assert shown is not None
    for language in LANGUAGES:
        page = html.unescape(html_report(measured_audit, language))
        captions = re.findall(r'<figure class="pair">.*?<figcaption class="bad">(.*?)<', page)
        assert captions == [one.render(language) for one in shown.captions]
        assert shown.sentence.render(language) in page
        for pixels in (*shown.before, *shown.after):
            assert picture_uri(pixels) in page
    clean = replace(measured_audit, tac=())
    assert '<figure class="pair">' not in html_report(clean)


def test_bounds() -> None:
    Cover("x" * MAX_AUTHOR, "y" * MAX_NOTES)
    with pytest.raises(UsageError, match="the notes have 20,001 characters; 20,000 are allowed"):
        Cover("", "y" * (MAX_NOTES + 1))
