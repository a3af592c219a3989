"""What this version does not know in an audit file is kept, and never taken for damage; what would
be shown is never a template from a file.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from audit_files import change, description, edit, old_audit, same
from bounded import calls_at_most, peak_at_most

from bdshift.audit import Audit, with_tac
from bdshift.audit.doubts import FEW_IMAGES
from bdshift.audit.reading_notes import TENSORS_IGNORED
from bdshift.detect.detectors.embedding_shift import EmbeddingShift
from bdshift.detect.rules.paper import Paper
from bdshift.errors import InputError
from bdshift.remark import codes
from bdshift.reports.html_report import html_report
from bdshift.reports.json_report import audit_json
from bdshift.reports.text_report import audit_text
from bdshift.store import load_audit, save_audit
from bdshift.words import LANGUAGES

SURPRISE = {"x": [1, None, {"y": "ü"}]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An audit with an embedding, TAC and a purification."""
    save_audit(old_audit("schema-2-embeddings"), tmp_path / "a.h5")
    return tmp_path / "a.h5"


def saved_again(path: Path) -> Audit:
    """The audit, after it was saved once more in its file."""
    audit = load_audit(path)
    save_audit(audit, path)
    again = load_audit(path)
    same(audit, again)
    return again


# --- fields and datasets


@pytest.mark.parametrize(
    "way",
    [
        ("surprise",),
        ("settings", "surprise"),
        ("model", "surprise"),
        ("embedding", "surprise"),
        ("trials", 1, "preprocessing", "surprise"),
        ("evidence", "shift", "surprise"),
        ("evidence", "shift", "record", "surprise"),
        ("tac", 0, "surprise"),
        ("purifications", 0, "surprise"),
        ("purifications", 0, "result", "rows", 0, "step", "surprise"),
        ("purifications", 0, "rescan", "settings", "surprise"),
    ],
)
def test_an_unknown_field_is_kept(path: Path, way: tuple[str | int, ...]) -> None:
    before = load_audit(path)
    change(path, *way, value=SURPRISE)
    expected = description(path)
    audit = saved_again(path)
    assert audit.unknown == {"/".join(map(str, way)): SURPRISE}
    assert description(path) == expected
    same(dataclasses.replace(audit, unknown={}), before)


@pytest.mark.parametrize("name", ["a/b", "~", "a~1b", "", "0"])
def test_an_unknown_field_may_have_any_name(path: Path, name: str) -> None:
    change(path, name, value=1)
    change(path, "settings", name, value=2)
    expected = description(path)
    assert len(saved_again(path).unknown) == 2
    assert description(path) == expected


@pytest.mark.parametrize("place", ["surprise", "surprise/deep/er", "tac/0/more", "evidence/x/y"])
def test_an_unknown_dataset_is_kept(path: Path, place: str) -> None:
    values = np.arange(6, dtype=np.int16).reshape(2, 3)
    with h5py.File(path, "r+") as file:
        file[place] = values
    audit = saved_again(path)
    assert list(audit.unknown) == [place]
    same(audit.unknown[place], values)
    with h5py.File(path, "r") as file:
        same(file[place][()], values)


def test_what_is_unknown_of_a_part_that_is_gone_is_dropped(path: Path) -> None:
    change(path, "tac", 0, "surprise", value=SURPRISE)
    change(path, "settings", "surprise", value=SURPRISE)
    with h5py.File(path, "r+") as file:
        file["purifications/1/model/weight"] = np.zeros(3)  # of one that is not there
    audit = dataclasses.replace(load_audit(path), tac=())
    save_audit(audit, path)
    again = load_audit(path)
    assert again.tac == ()
    assert set(again.unknown) == {"settings/surprise", "purifications/1/model/weight"}
    more = dataclasses.replace(
        again, tac=load_audit(path).tac, purifications=2 * again.purifications
    )
    save_audit(more, path)
    assert len(load_audit(path).purifications) == 2


def test_a_place_that_is_known_by_now_is_not_overwritten(path: Path) -> None:
    audit = load_audit(path)
    other = {"model/weight": np.zeros((2, 2)), "accuracy": 0.5, "settings/seed": 77}
    save_audit(dataclasses.replace(audit, unknown=other), path)
    same(load_audit(path), audit)


def test_links_and_bombs_are_not_kept(path: Path, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as secret:
        secret["x"] = np.zeros(12)
    with h5py.File(path, "r+") as file:
        file["linked"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "x")
        file["soft"] = h5py.SoftLink("/model/weight")
        file["loop"] = file["model"]
        file["again"] = file["model/weight"]
        file["text"] = "of variable length"
    with calls_at_most(1_000_000):
        found = load_audit(path)
    assert (found.unknown, found.left_out) == ({}, ("text",))
    with h5py.File(path, "r+") as file:
        del file["text"]
        file.create_dataset("claims", (2**20, 2**21), np.float64)
        file.create_dataset("zipped", data=np.zeros(9), compression="gzip")
        file["flags"] = np.array([True, False])
    with peak_at_most(2**25):
        found = load_audit(path)
    assert list(found.unknown) == ["flags"]
    assert found.left_out == ("claims", "zipped")
    caution = found.finding.cautions[0]
    assert str(caution.sentence) == (
        "This version of bdshift cannot keep 2 parts of the audit file; saving it again loses "
        "them: claims, zipped."
    )
    save_audit(found, path)
    again = load_audit(path)
    assert (list(again.unknown), again.left_out) == (["flags"], ())


def test_what_is_unknown_of_a_trigger_stays_with_it(path: Path) -> None:
    audit = load_audit(path)
    first = audit.tac[0]
    second = dataclasses.replace(first, trigger="badnets:size=2")
    save_audit(with_tac(audit, second), path)
    change(path, "tac", 0, "surprise", value="of the first")
    change(path, "tac", 1, "surprise", value="of the second")
    with h5py.File(path, "r+") as file:
        file["tac/1/more"] = np.arange(3)
    found = with_tac(load_audit(path), first)  # measured again, it becomes the last
    save_audit(found, path)
    again = load_audit(path)
    assert [one.trigger for one in again.tac] == [second.trigger, first.trigger]
    assert set(again.unknown) == {"tac/0/surprise", "tac/0/more"}
    assert again.unknown["tac/0/surprise"] == "of the second"


# --- detectors and rules


def test_evidence_of_an_unknown_detector_is_kept(path: Path) -> None:
    before = load_audit(path)
    scores, record = np.full(12, 5.0), np.arange(4.0)
    scores[0] = -1000.0  # which any rule would flag
    row = {"detector": "tomorrow:depth=3", "seconds": 2.5, "forwards": 7, "record": SURPRISE,
           "more": 1}  # fmt: skip
    change(path, "evidence", "tomorrow", value=row)
    change(path, "settings", "detectors", value=["shift:alpha=0.1", 'tomorrow:depth=3,x="a,b"'])
    with h5py.File(path, "r+") as file:
        file["evidence/tomorrow/scores"] = scores
        file["evidence/tomorrow/pairs"] = np.ones((12, 12))
        file["evidence/tomorrow/record/path"] = record
    audit = saved_again(path)
    assert audit.settings.detectors == (EmbeddingShift(),)
    assert audit.settings.unknown_detectors == ('tomorrow:depth=3,x="a,b"',)
    shift, found = audit.evidence
    assert (found.name, found.detector) == ("tomorrow", "tomorrow:depth=3")
    assert (found.seconds, found.forwards, found.record) == (2.5, 7, None)
    same(found.scores, scores)
    assert found.pairs is not None
    assert audit.unknown["evidence/tomorrow/record"] == SURPRISE
    assert audit.unknown["evidence/tomorrow/more"] == 1
    same(audit.unknown["evidence/tomorrow/record/path"], record)
    kept = description(path)["evidence"]["tomorrow"]
    assert (kept["record"], kept["more"]) == (SURPRISE, 1)
    # The finding says so, and else nothing that is shown takes it into account.
    same(shift, before.evidence[0])
    assert [one.evidence.name for one in audit.judged] == ["shift"]
    caution, *others = audit.finding.cautions
    assert caution.code == "unknown-detectors"
    assert caution.values == {"detectors": ("tomorrow",)}
    same(dataclasses.replace(audit.finding, cautions=tuple(others)), before.finding)
    told, known = audit_json(audit), audit_json(before)
    told["finding"]["cautions"].pop(0)
    assert told == known
    above, now = (audit_text(one).partition("\n! ")[0] for one in (before, audit))
    assert now == above, "the finding and the tables; cautions are below"


def test_an_unknown_option_is_ignored(path: Path) -> None:
    before = load_audit(path)
    assert before.settings.rule == Paper(beta=1.5)
    change(path, "settings", "rule", value='paper:beta=1.5,gamma="a;b"')
    change(path, "settings", "detectors", value=["shift:alpha=0.1,solver=exact,starts=5"])
    change(path, "evidence", "shift", "detector", value="shift:alpha=0.1,starts=5,solver=exact")
    audit = saved_again(path)
    assert audit.settings == before.settings
    assert audit.evidence[0].detector == "shift:alpha=0.1,starts=5,solver=exact", "as it was run"
    same(audit.judgment, before.judgment)
    same(audit.finding, before.finding)


@pytest.mark.parametrize("accuracy", [None, -0.1, 1.5])
def test_an_accuracy_that_is_none(path: Path, accuracy: float | None) -> None:
    change(path, "accuracy", value=accuracy)
    with pytest.raises(InputError, match="is damaged"):
        load_audit(path)


@pytest.mark.parametrize("spec", ["shift:alpha=0.7", "shift:alpha=0.1,solver=adam"])
def test_a_detector_that_was_not_asked_for(path: Path, spec: str) -> None:
    before = description(path)
    change(path, "settings", "detectors", value=[spec])
    with pytest.raises(InputError, match="is damaged"):
        load_audit(path)
    change(path, "settings", "detectors", value=before["settings"]["detectors"])
    load_audit(path)
    change(path, "evidence", "shift", "detector", value=spec)
    with pytest.raises(InputError, match="is damaged"):
        load_audit(path)


def test_an_unknown_remark_keeps_its_words(path: Path) -> None:
    words = "What a later version would say."
    change(path, "notes", value=[{"code": "of-tomorrow", "values": {"x": 1}, "text": words}])
    audit = saved_again(path)
    assert str(audit.finding.cautions[-1].sentence) == words
    assert audit.finding.cautions[-1].code == "of-tomorrow"


def test_an_unknown_rule_is_named(path: Path) -> None:
    change(path, "settings", "rule", value="tomorrow:beta=2")
    with pytest.raises(InputError) as caught:
        load_audit(path)
    assert str(caught.value) == (
        f"{path}: unknown rule 'tomorrow'; choose one of grubbs, mad, paper"
    )


# --- sentences


HOSTILE = ("{text:>999999999}", "{text.__class__.__mro__}", "{text[0]}", "{0}", "{", "}", "{}",
           "{text!r:{text}}", "%s %(text)s")  # fmt: skip


@pytest.mark.parametrize("template", HOSTILE)
def test_an_unknown_template_is_never_filled_in(path: Path, template: str) -> None:
    value = {"template": template, "values": {"text": "x"}, "text": f"as written {template}"}
    change(path, "images", "label_source", value=value)
    change(path, "images", "skipped", value=[{"name": "a.png", "reason": value}])
    note = {"code": template, "values": {"text": "x", "code": value}}
    text = {"code": "as-written", "values": {"text": template}}
    change(path, "notes", value=[note, text])
    with peak_at_most(2**26):
        audit = saved_again(path)
        assert str(audit.images.label_source) == f"as written {template}"
        assert str(audit.images.skipped[0].reason) == f"as written {template}"
        unknown, written = audit.finding.cautions[-2:]
        assert str(unknown.sentence) == str(written.sentence) == template
        assert unknown.text == template
        for language in LANGUAGES:
            assert template in unknown.sentence.render(language)
            assert len(html_report(audit, language)) < 10_000_000
        assert len(audit_text(audit)) < 20_000


@pytest.mark.parametrize(
    "values",
    [
        {"images": "many", "classes": 12},
        {"images": {}, "classes": 12},
        {"images": 36},
        {},
        {"images": 36, "classes": {"template": "x", "values": [], "text": "x"}},
        {"images": 36, "classes": {"text": "x"}},
        {"images": [[36]], "classes": 12},
    ],
)
def test_values_that_do_not_fit_their_sentence(path: Path, values: dict[str, Any]) -> None:
    change(path, "notes", value=[{"code": "few-images", "values": values}])
    with pytest.raises(InputError, match="is damaged"):
        load_audit(path)
    sentence = {"template": codes()[FEW_IMAGES], "values": values, "text": "x"}
    change(path, "notes", value=[])
    change(path, "images", "label_source", value=sentence)
    with pytest.raises(InputError, match="is damaged"):
        load_audit(path)


@pytest.mark.parametrize("template", [3, None, [], {}])
def test_a_template_that_is_no_text(path: Path, template: object) -> None:
    value = {"template": template, "values": {}, "text": "x"}
    change(path, "images", "label_source", value=value)
    with pytest.raises(InputError, match="is damaged"):
        load_audit(path)


def test_sentences_in_sentences_do_not_multiply(path: Path) -> None:
    """A template that uses a value twice, which does so, too, and so on: forty lines of JSON, and
    terabytes of text.
    """
    template = codes()[TENSORS_IGNORED]
    assert template.count("{count") == 2
    for depth, fits in ((3, True), (40, False), (400, False)):
        value: Any = 1
        for _ in range(depth):
            value = {"template": template, "values": {"count": value, "names": "x"}, "text": ""}
        change(path, "images", "label_source", value=value)
        with peak_at_most(2**25), calls_at_most(1_000_000):
            if fits:
                assert str(load_audit(path).images.label_source).count(": x.") == 7
            else:
                with pytest.raises(
                    InputError, match=r"is damaged .*sentences in sentences without end"
                ):
                    load_audit(path)
    long = {"template": "{path}: {reason}", "values": {"path": "x" * 200_000, "reason": ""}}
    change(path, "images", "label_source", value={**long, "text": ""})
    with pytest.raises(InputError, match="a text without end in a sentence"):
        load_audit(path)


def test_numbers_beyond_all_digits(path: Path) -> None:
    def put(place: Any, name: str | int) -> None:
        place[name] = [{"code": "few-images", "values": {"images": 10**4000, "classes": 1e300}}]

    edit(path, "notes", by=put)
    assert len(str(load_audit(path).finding.cautions[-1].sentence)) < 10_000
