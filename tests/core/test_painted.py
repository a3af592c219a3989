"""Triggers painted by hand: their pixels are in their text."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bdshift.audit import Audit, Material, add_tac
from bdshift.errors import BdshiftError, InputError, UsageError
from bdshift.reports.text_report import audit_text, neurons_text
from bdshift.spec import shortened
from bdshift.store import load_audit, save_audit
from bdshift.triggers import parse_trigger
from bdshift.triggers.attacks.painted import Painted
from bdshift.triggers.drawing import Drawing, drawing_of, drawing_text


def drawing(side: int = 8) -> Drawing:
    """A red dot and a half transparent blue one."""
    found = np.zeros((side, side, 4), np.uint8)
    found[1, 2] = (255, 0, 0, 255)
    found[5, 6] = (0, 0, 255, 128)
    return found


def as_text(image: Image.Image) -> str:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return base64.urlsafe_b64encode(stream.getvalue()).decode().rstrip("=")


def test_what_is_painted_is_what_changes() -> None:
    images = torch.full((2, 3, 8, 8), 100.0)
    trigger = Painted(drawing_text(drawing()))
    found = trigger(images)
    assert found[0, :, 1, 2].tolist() == [255, 0, 0]
    assert found[0, :, 5, 6].tolist() == pytest.approx([49.8, 49.8, 177.8], abs=0.1)
    found[:, :, 1, 2] = found[:, :, 5, 6] = 100
    assert torch.equal(found, images)
    faint = replace(trigger, opacity=0.5)(images)
    assert faint[0, :, 1, 2].tolist() == [177.5, 50, 50]


def test_its_text_is_all_there_is() -> None:
    trigger = Painted(drawing_text(drawing()), opacity=0.5)
    assert '"' not in trigger.spec, "it can be typed in a shell"
    assert parse_trigger(trigger.spec) == trigger
    assert np.array_equal(drawing_of(trigger.pixels, 8), drawing())
    assert not drawing_of("", 5).any()
    assert drawing_text(np.zeros((8, 8, 4), np.uint8)) == ""


def test_it_is_scaled_to_other_images() -> None:
    found = np.zeros((8, 8, 4), np.uint8)
    found[:, :4] = (255, 255, 255, 255)
    images = torch.zeros(1, 3, 32, 32)
    changed = Painted(drawing_text(found))(images)
    assert (changed[..., :14] > 250).all()
    assert (changed[..., 18:] == 0).all()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "nothing is painted yet"),
        ("A", "no painting"),
        ("////", "no painting"),
        ("AAAA", "no painting"),
        ("A" * 30_001, "no painting"),
        (as_text(Image.new("1", (1025, 4))), "no painting"),
    ],
)
def test_other_texts_are_refused(text: str, words: str) -> None:
    with pytest.raises(BdshiftError, match=words):
        Painted(text)(torch.zeros(1, 3, 8, 8))


def test_a_picture_that_claims_to_be_huge_is_not_decoded() -> None:
    data = bytearray(base64.urlsafe_b64decode(as_text(Image.new("1", (8, 8))) + "==="))
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    with pytest.raises(InputError, match="no painting"):
        Painted(base64.urlsafe_b64encode(bytes(data)).decode().rstrip("="))(torch.zeros(1, 3, 8, 8))


def test_a_painting_has_a_limit() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (224, 224, 4), np.uint8)
    with pytest.raises(UsageError, match="too many details"):
        drawing_text(noise)


def test_an_audit_keeps_it(victim_audit: Audit, victim_material: Material, tmp_path: Path) -> None:
    sticker = np.zeros((32, 32, 4), np.uint8)
    sticker[20:24, 14:18] = (255, 216, 0, 255)
    trigger = Painted(drawing_text(sticker))
    target = victim_audit.most_suspicious
    measured = add_tac(victim_audit, victim_material, trigger, target)
    assert measured.tac[-1].asr > 0.9, "it is the victim's sticker"
    save_audit(measured, tmp_path / "a.h5")
    kept = load_audit(tmp_path / "a.h5")
    assert parse_trigger(kept.tac[-1].trigger) == trigger
    assert len(shortened(trigger.spec)) < 50
    for said in (audit_text(kept), neurons_text(kept, target, kept.tac[-1], 5)):
        assert shortened(trigger.spec) in " ".join(said.split())
        assert trigger.pixels not in said
