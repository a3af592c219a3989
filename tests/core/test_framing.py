"""How pictures become squares: what each way does, and which one a scan chooses."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from known import TARGET
from numpy.typing import NDArray
from PIL import Image
from remarks import other_cautions

from bdshift.audit import Audit, ScanSettings, reopen, scan
from bdshift.checkpoints.folder import read_beside
from bdshift.errors import UsageError
from bdshift.images.decode import decode_image, is_turned
from bdshift.images.framing import FITS, Fit, Framing
from bdshift.remark import Remark
from bdshift.reports.html_report import html_report
from bdshift.reports.json_report import audit_json
from bdshift.reports.text_report import audit_text
from bdshift.store import load_audit, save_audit


def picture(width: int, height: int, form: str = "PNG", orientation: int = 1) -> bytes:
    """Red on the left, green in the middle third, blue on the right."""
    pixels = np.zeros((height, width, 3), np.uint8)
    third = width // 3
    for channel in range(3):
        pixels[:, channel * third : (channel + 1) * third or None, channel] = 255
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(stream, form, exif=exif.tobytes(), quality=95)
    return stream.getvalue()


def colors(pixels: NDArray[np.uint8]) -> list[int]:
    """Channel that is brightest in each column of the middle row; -1 for black."""
    row = pixels[:, pixels.shape[1] // 2].astype(int)
    return [int(column.argmax()) if column.max() > 60 else -1 for column in row.T]


def test_what_each_fit_shows() -> None:
    data = picture(96, 32)
    assert set(colors(decode_image(data, 32))) == {1}, "the center alone"
    whole = colors(decode_image(data, 32, Framing("squeeze")))
    assert [whole.count(channel) for channel in range(3)] == [11, 10, 11]
    padded = decode_image(data, 32, Framing("pad"))
    assert colors(padded) == whole
    assert padded[:, :10].max() == 0, "black above"
    assert padded[:, 11:21].max() == 255
    assert np.array_equal(decode_image(data, 32, Framing("center")), decode_image(data, 32))
    large = [colors(decode_image(picture(300, 300), 150, Framing(fit))) for fit in FITS]
    assert large[1] == large[2] == large[3]
    assert large[0].count(1) > large[1].count(1), "the usual margin is cut off"


@pytest.mark.parametrize("size", [(1, 3000), (3000, 1)])
def test_thin_pictures_take_no_more_memory_than_others(size: tuple[int, int]) -> None:
    stream = io.BytesIO()
    Image.new("L", size, 255).save(stream, "PNG")
    for fit in FITS:
        assert decode_image(stream.getvalue(), 32, Framing(fit)).shape == (3, 32, 32)


def test_deep_pictures_are_padded_too() -> None:
    stream = io.BytesIO()
    Image.fromarray(np.full((8, 16), 65535, np.uint16)).save(stream, "PNG")
    found = decode_image(stream.getvalue(), 16, Framing("pad"))
    assert found[:, 4:12].min() == 255
    assert found[:, :4].max() == 0


def test_orientation_is_applied_or_not() -> None:
    data = picture(96, 96, "JPEG", orientation=3)
    assert is_turned(data)
    assert not is_turned(picture(96, 96, "JPEG"))
    assert not is_turned(b"nothing")
    assert colors(decode_image(data, 48))[0] == 2
    assert colors(decode_image(data, 48, Framing(upright=False)))[0] == 0


def stored(signs: Path, folder: Path, change: Callable[[Image.Image, Path], object]) -> Path:
    """The signs, each stored in another way."""
    for path in signs.rglob("*.png"):
        (folder / path.parent.name).mkdir(parents=True, exist_ok=True)
        with Image.open(path) as image:
            change(image, folder / path.parent.name / path.stem)
    return folder


def wide(image: Image.Image, path: Path) -> None:
    image.resize((64, 32), Image.Resampling.BICUBIC).save(path.with_suffix(".png"))


def one(found: tuple[Remark, ...], name: str) -> Remark:
    [remark] = [remark for remark in found if remark.code == name]
    return remark


def test_squeezed_pictures_are_squeezed(
    victim: Path, clean_twin: Path, signs: Path, tmp_path: Path
) -> None:
    images = stored(signs, tmp_path / "wide", wide)
    audit = scan(victim, images, ScanSettings(sample=144))
    assert (audit.finding.level, audit.finding.classes) == ("backdoored", (TARGET,))
    assert audit.preprocessing.framing == Framing("squeeze")
    assert audit.preprocessing.normalization.name == "half"
    assert audit.accuracy > 0.97
    remark = one(audit.finding.cautions, "not-square")
    assert remark.values["share"] == 1
    assert remark.values["accuracy"] - remark.values["instead"] > 0.1
    assert "squeezed into a square" in str(remark.sentence)
    assert {trial.preprocessing.framing.fit for trial in audit.trials} == {"crop", "squeeze"}
    twin = scan(clean_twin, images, ScanSettings(sample=144, normalize="half"))
    assert twin.finding.level == "nothing-unusual"


def test_the_framing_is_kept_shown_and_used_again(
    victim: Path, signs: Path, tmp_path: Path
) -> None:
    images = stored(signs, tmp_path / "wide", wide)
    audit = scan(victim, images, ScanSettings(sample=144, fit="squeeze"))
    shown = audit_json(audit)["images"]
    assert (shown["fit"], shown["upright"]) == ("squeeze", True)
    assert "32 px, squeezed into a square, RGB" in audit_text(audit)
    assert "squeezed into a square" in html_report(audit)
    save_audit(audit, tmp_path / "a.h5")
    kept = load_audit(tmp_path / "a.h5")
    assert kept.trials == audit.trials
    assert kept.settings.fit == "squeeze"
    assert reopen(kept).classifier.preprocessing.framing == Framing("squeeze")


def test_a_fit_can_be_set(victim: Path, signs: Path, tmp_path: Path) -> None:
    images = stored(signs, tmp_path / "wide", wide)
    audit = scan(victim, images, ScanSettings(sample=144, fit="crop"))
    assert audit.preprocessing.framing == Framing("crop")
    assert audit.accuracy < 0.9
    assert "not-square" not in {caution.code for caution in audit.finding.cautions}
    with pytest.raises(UsageError, match="not by 'zoom'"):
        ScanSettings(fit="zoom")


def test_orientation_that_training_ignored(clean_twin: Path, signs: Path, tmp_path: Path) -> None:
    def tagged(image: Image.Image, path: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        image.save(path.with_suffix(".jpg"), exif=exif.tobytes(), quality=95)

    audit = scan(clean_twin, stored(signs, tmp_path / "tagged", tagged), ScanSettings(sample=120))
    assert audit.preprocessing.framing == Framing(upright=False)
    assert audit.accuracy > 0.95
    remark = one(audit.finding.cautions, "exif-orientation")
    assert remark.values["turned"] == remark.values["count"]
    assert remark.values["instead"] < 0.6


def test_square_pictures_are_left_alone(victim_audit: Audit) -> None:
    audit = victim_audit
    assert {trial.preprocessing.framing for trial in audit.trials} == {Framing()}
    assert other_cautions(audit.finding) == []


@pytest.mark.parametrize(
    ("processor", "fit"),
    [
        ({"size": {"height": 224, "width": 224}, "do_resize": True}, "squeeze"),
        ({"size": 224}, "squeeze"),
        ({"size": {"shortest_edge": 256}, "crop_size": 224, "do_center_crop": True}, "crop"),
        ({"size": {"shortest_edge": 224}, "crop_size": {"height": 224, "width": 224},
          "do_center_crop": True}, "center"),
        ({"size": {"shortest_edge": 224}, "crop_pct": 0.875}, "crop"),
        ({"size": {"shortest_edge": 224}, "crop_pct": 1.0}, "center"),
        ({"size": "large", "crop_pct": []}, "crop"),
    ],
)  # fmt: skip
def test_processors_name_their_fit(tmp_path: Path, processor: object, fit: Fit) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["ViT"]}))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(processor))
    assert read_beside(tmp_path / "model.safetensors").fit == fit


@pytest.mark.parametrize(
    ("trained", "fit"),
    [({"crop_pct": 0.95}, "center"), ({"crop_pct": 0.9, "crop_mode": "squash"}, "squeeze"),
     ({"crop_mode": "border"}, "pad"), ({"crop_pct": 0.875}, "crop")],
)  # fmt: skip
def test_timm_names_its_fit(tmp_path: Path, trained: object, fit: Fit) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"pretrained_cfg": trained}))
    assert read_beside(tmp_path / "model.safetensors").fit == fit
