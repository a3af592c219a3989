"""What is said of a recovered trigger: text, JSON, the page, and the files of the trigger."""

from __future__ import annotations

import base64
import html
import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from known import STICKER, TARGET
from PIL import Image
from recovered import made_recovery

from bdshift.audit import Audit, with_recovery
from bdshift.errors import UsageError
from bdshift.outputs import Output
from bdshift.reports.html_report import html_report
from bdshift.reports.json_report import audit_json, neurons_json
from bdshift.reports.recovery_json import recovery_json
from bdshift.reports.recovery_report import recovery_text, write_trigger
from bdshift.reports.recovery_words import recovery_sentences, title
from bdshift.reports.text_report import audit_text, neurons_text
from bdshift.triggers import card_target, parse_trigger, read_card
from bdshift.words import LANGUAGES


def unwrapped(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture
def audit(measured_audit: Audit) -> Audit:
    """With a recovery, and no known trigger."""
    return with_recovery(replace(measured_audit, tac=()), made_recovery(measured_audit))


def test_text_says_everything(audit: Audit) -> None:
    text = unwrapped(recovery_text(audit, audit.recoveries[0]))
    assert text.startswith(
        "Trigger recovered for class 9 “speed_80”: Mask and pattern It sends 99.0% of 210 unused "
        "images of other classes to this class."
    )
    for words in (
        "160 for control classes (median): 10.00 times as much",
        "◆ Mask and pattern, pixels covered 8 16 32 99.0% 2.30 2.5",
        "Additive pattern, L2 of the change 4 5 ∞ 84.0% 3.47 1.5",
        "This is evidence of a backdoor", "97.0% of the images of the others",
        "cosine with |shift| 0.", "4.2 s; 1,700 images forward, 1,500 back; seed 0.",
        "The audit: Probably backdoored",
    ):  # fmt: skip
        assert words in text
    first = int(audit.recoveries[0].tac.change.argmax())
    assert f"strongest neurons: {first} (" in text


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"size": math.inf}, "No change of this kind was found that reaches 80%."),
        ({"control": math.inf}, "for the control classes none was found"),
        ({"control": 20.0}, "This is no evidence of a backdoor"),
        ({"source": 2}, "of class “no_passing” to this class"),
        ({"source": 2}, "control classes and the other way take at least five times as much"),
        ({"source": 2, "back": 20.0}, "a fifth of the size for control classes and the other way"),
        ({"transfer": math.nan}, "seed 0"),
    ],
)
def test_sentences_follow_the_numbers(
    measured_audit: Audit, changed: dict[str, float], words: str
) -> None:
    recovery = made_recovery(measured_audit, **changed)
    audit = with_recovery(measured_audit, recovery)
    words = words.replace("no_passing", measured_audit.images.class_names[2])
    text = unwrapped(recovery_text(audit, recovery))
    assert words in text
    assert ("Found on half" in text) is not math.isnan(recovery.transfer)
    told = recovery_json(audit, recovery)
    reverse = told["reverse"]
    assert (reverse is None) is (recovery.source < 0)
    assert reverse is None or told["reverse_factor"] == pytest.approx(reverse["sizes"][1] / 16)
    assert told["elsewhere"] == (None if recovery.source < 0 else 0.12)
    assert told["confirms"] is ("This is evidence" in text)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    for sentence in recovery_sentences(audit, recovery):
        assert sentence.render("en") != sentence.render("ja")
        assert "{" not in sentence.render("ja")


def test_a_scan_and_its_json_tell_of_it(audit: Audit) -> None:
    recovery = audit.recoveries[0]
    text = unwrapped(audit_text(audit))
    assert str(title(audit, recovery)) in text
    assert str(recovery_sentences(audit, recovery)[0]) in text
    [told] = audit_json(audit)["recoveries"]
    assert told == recovery_json(audit, recovery)
    assert told["target"] == {"index": 9, "name": "speed_80"}
    assert (told["kind"], told["size"], told["control_size"], told["factor"]) == (
        "mask", 16.0, 160.0, 10.0,
    )  # fmt: skip
    assert told["drop"] == pytest.approx(math.log(10))
    assert told["attempts"][0]["target"]["sizes"] == [4.0, 5.0, None]
    assert len(told["attempts"][1]["controls"]) == 3
    shift = abs(audit.shifts.shift[9])
    change = recovery.tac.change
    expected = shift @ change / np.linalg.norm(shift) / np.linalg.norm(change)
    assert told["proxy_tac"]["cosine_abs_shift"] == pytest.approx(expected)
    assert audit_json(replace(audit, recoveries=()))["recoveries"] == []


def test_neurons_use_it_as_a_proxy(audit: Audit, measured_audit: Audit) -> None:
    tac = audit.tac_of(TARGET)
    text = unwrapped(neurons_text(audit, TARGET, tac, 5))
    assert "No trigger is known. TAC is a proxy, under the trigger that was recovered" in text
    assert "Trigger recovered:" not in text
    assert neurons_json(audit, TARGET, tac)["trigger"]["recovered"] is True
    known = with_recovery(measured_audit, audit.recoveries[0])
    assert "proxy" not in neurons_text(known, TARGET, known.tac_of(TARGET), 5)
    assert neurons_json(known, TARGET, known.tac_of(TARGET))["trigger"]["recovered"] is False
    assert "or bdshift recover" in unwrapped(neurons_text(audit, 2, audit.tac_of(2), 5))


def test_the_page_shows_it(audit: Audit, measured_audit: Audit) -> None:
    recovery = audit.recoveries[0]
    for language in LANGUAGES:
        page = html.unescape(html_report(audit, language))
        assert title(audit, recovery).render(language) in page
        for sentence in recovery_sentences(audit, recovery):
            assert sentence.render(language) in page
        assert page.count('class="pair"') == 8
        assert page.count("<circle") > 12
    assert "proxy TAC" in html_report(audit)
    pictures = re.findall(r"data:image/png;base64,([\w+/=]+)", page)
    sizes = {Image.open(io.BytesIO(base64.b64decode(one))).size for one in pictures}
    assert sizes == {(32, 32)}
    assert "Recovered triggers" not in html_report(measured_audit)
    assert "proxy TAC" not in html_report(with_recovery(measured_audit, recovery))


@pytest.mark.parametrize("sizes", [(math.inf,) * 3, (1e-3, 1.0, 1e3), (2.0, 2.0, 2.0)])
def test_the_page_of_other_sizes(audit: Audit, sizes: tuple[float, ...]) -> None:
    one = audit.recoveries[0]
    attempt = replace(
        one.attempt, target=replace(one.attempt.target, sizes=sizes), controls=()
    )  # fmt: skip
    page = html_report(replace(audit, recoveries=(replace(one, attempts=(attempt,)),)))
    assert page.count("<circle") >= 3
    assert not re.search(r'="(nan|inf)', page)
    assert ("not reached" in page) is (sizes[-1] == math.inf)


def test_a_page_without_images_or_a_known_kind(audit: Audit) -> None:
    one = audit.recoveries[0]
    small = replace(one, tac=replace(one.tac, triggered=None))
    page = html_report(replace(audit, embedding=None, recoveries=(small,)))
    assert 'class="pair"' not in page
    assert 'class="thumbs trigger"' in page
    first, second = (audit.images.class_names[i] for i in one.beside)
    assert page.index(f">control “{first}”</fig") < page.index(f">control “{second}”</fig")
    of_tomorrow = replace(
        one, kind="of-tomorrow", attempts=(replace(one.attempt, kind="of-tomorrow"),)
    )
    page = html_report(replace(audit, recoveries=(of_tomorrow,)))
    assert "of-tomorrow" in page
    assert 'class="thumbs trigger"' not in page


# Its files


def test_the_files_of_a_trigger(audit: Audit, tmp_path: Path) -> None:
    out = tmp_path / "a b.safetensors"
    write_trigger(audit, audit.recoveries[0], Output(out))
    names = ["a b.safetensors", "a b.safetensors.json", "a b.safetensors.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    card = f"{out}.json"
    assert card_target(card) == "speed_80"
    assert json.loads(Path(card).read_text())["recovery"]["kind"] == "mask"
    trigger = parse_trigger(card)
    assert trigger == parse_trigger(read_card(card))
    images = torch.full((1, 3, 32, 32), 100.0)
    wanted = parse_trigger(STICKER)(images)
    assert torch.allclose(trigger(images), wanted, atol=0.01)
    picture = parse_trigger(f'patch:file="{out}.png"')
    assert torch.allclose(picture(images), wanted, atol=1.5), "a mask's picture is the trigger"
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in names:
        (tmp_path / name).rename(moved / name)
    assert torch.allclose(parse_trigger(str(moved / names[1]))(images), wanted, atol=0.01)


def test_no_file_is_replaced_by_a_trigger(audit: Audit, tmp_path: Path) -> None:
    out = tmp_path / "t.safetensors"
    out.with_name("t.safetensors.png").write_text("mine")
    with pytest.raises(UsageError, match="exists; --overwrite"):
        write_trigger(audit, audit.recoveries[0], Output(out))
    assert [path.name for path in tmp_path.iterdir()] == ["t.safetensors.png"]
    write_trigger(audit, audit.recoveries[0], Output(out, overwrite=True))
    assert out.is_file()
