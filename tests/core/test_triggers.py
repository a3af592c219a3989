"""Triggers: their texts, settings and words, and what each does to pixels."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from members import check_member
from PIL import Image

from bdshift.errors import InputError, UsageError
from bdshift.registry import start_of
from bdshift.setting import options_of
from bdshift.triggers import TRIGGERS, parse_trigger
from bdshift.triggers.attacks.badnets import BadNets
from bdshift.triggers.attacks.blend import Blend
from bdshift.triggers.attacks.patch import Patch
from bdshift.triggers.card import file_options


def pixels(size: int = 8) -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (8, 3, size, size), generator=rng).float()


# Texts and settings


@pytest.mark.parametrize("name", [*TRIGGERS, *(one.name for one in TRIGGERS.presets())])
def test_every_trigger_explains_itself(name: str) -> None:
    check_member(TRIGGERS, name)


@pytest.mark.parametrize("name", [*TRIGGERS])
def test_every_trigger_changes_images_or_says_which_file_it_lacks(name: str) -> None:
    trigger = parse_trigger(start_of(TRIGGERS[name]))
    assert set(trigger.trained_settings()) <= set(vars(trigger))
    images = pixels(32)
    before = images.clone()
    try:
        found = trigger(images)
    except (InputError, UsageError):
        needed = [one.name for one in options_of(TRIGGERS[name]) if one.required]
        assert file_options(name) or needed, "what it needs can be given"
        return
    assert (found.shape, found.dtype) == (images.shape, images.dtype)
    assert torch.equal(images, before), "what it was given is left alone"
    assert not torch.equal(found, images)
    assert float(found.min()) >= 0
    assert float(found.max()) <= 255
    assert torch.equal(found, trigger(images)), "nothing is drawn at random"
    assert torch.equal(found[3:4], trigger(images[3:4])), "whatever else is there"


@pytest.mark.parametrize("spec", ["badnets", "badnets:size=4,color=ffd800,row=20,column=14",
                                  "blend:ratio=0.1,seed=5", "patch:file=x.png,row=3",
                                  'patch:file="a, b;c=\\"d\\" 犬.png",row=3'])  # fmt: skip
def test_texts_round_trip(spec: str) -> None:
    trigger = parse_trigger(spec)
    assert parse_trigger(trigger.spec) == trigger
    assert spec.split(":")[0] == trigger.name


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("nothing", "trigger 'nothing'.* badnets, blend, "),
        ("badnets:size", "badnets:size: 'size' is not an option=value"),
        ("badnets:width=3", "'badnets:width=3'.* 'width'.* size, color, row, column"),
        ("badnets:size=big", "size cannot be 'big'"),
        ("badnets:size=0", "size is a whole number from 1 to 1,024, not 0"),
        ("badnets:color=red", "hexadecimal"),
        ("blend:ratio=2", "ratio is a number above 0, up to 1, not 2"),
        ("patch", "trigger 'patch': needs file=…"),
        ('patch:file="a', "a quote is not closed"),
    ],
)
def test_bad_texts(spec: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_trigger(spec)


# Patches and patterns


def test_badnets_paints_its_patch_and_nothing_else() -> None:
    images = pixels()
    before = images.clone()
    found = BadNets(size=2, color="ffd800")(images)
    assert torch.equal(images, before)
    assert (found[:, :, 6:, 6:] == torch.tensor([255.0, 216.0, 0.0]).view(3, 1, 1)).all()
    found[:, :, 6:, 6:] = before[:, :, 6:, 6:]
    assert torch.equal(found, before)
    placed = BadNets(size=2, row=1, column=-3)(images)
    assert (placed[:, :, 1:3, 4:6] == 255).all()
    assert torch.equal(BadNets(size=2)(images), BadNets(size=2, row=6, column=6)(images))


def test_a_noise_patch_is_elsewhere_in_each_image_and_always_the_same() -> None:
    images = torch.rand((20, 3, 32, 32), generator=torch.Generator().manual_seed(0)) * 255
    trigger = parse_trigger("noise-patch:size=5")
    once = trigger(images)
    changed = (once != images).any(1)
    places = [tuple(torch.nonzero(one)[0].tolist()) for one in changed]
    assert len(set(places)) > 15
    for one, (top, left) in zip(changed, places, strict=True):
        assert not one.masked_fill_(corner(top, left, 5), False).any()
    assert torch.equal(once[3:5], trigger(images[3:5])), "whatever else is in the batch"
    assert not torch.equal(once, parse_trigger("noise-patch:size=5,seed=1")(images))
    with pytest.raises(UsageError, match="does not fit into 32 × 32"):
        parse_trigger("noise-patch:size=33")(images)


def corner(top: int, left: int, size: int) -> torch.Tensor:
    """Where such a patch is, of 32 × 32 pixels."""
    mask = torch.zeros((32, 32), dtype=torch.bool)
    mask[max(0, top) : top + size, max(0, left) : left + size] = True
    return mask


def test_blend(tmp_path: Path) -> None:
    images = pixels()
    found = Blend(ratio=0.25, seed=3)(images)
    pattern = (found - 0.75 * images) / 0.25
    assert torch.allclose(pattern[0], pattern[1], atol=1e-3)  # one pattern for all
    assert pattern.min() >= -1e-3
    assert pattern.max() <= 255.001
    assert torch.equal(found, Blend(ratio=0.25, seed=3)(images))
    Image.new("RGB", (8, 8), (255, 0, 0)).save(tmp_path / "red.png")
    red = Blend(ratio=1.0, pattern=str(tmp_path / "red.png"))(images)
    assert (red[:, 0] == 255).all()
    assert (red[:, 1:] == 0).all()


def test_patch_from_a_file_with_its_transparency_or_a_mask(tmp_path: Path) -> None:
    images = pixels()
    sticker = Image.new("RGBA", (2, 2), (255, 0, 0, 255))
    sticker.putpixel((0, 0), (0, 0, 0, 0))
    sticker.save(tmp_path / "s.png")
    found = Patch(file=str(tmp_path / "s.png"), row=2, column=3)(images)
    assert torch.equal(found[:, :, 2, 3], images[:, :, 2, 3])
    assert (found[:, 0, 3, 4] == 255).all()
    mask = Image.new("L", (2, 2), 0)
    mask.putpixel((1, 1), 255)
    mask.save(tmp_path / "m.png")
    masked = Patch(file=str(tmp_path / "s.png"), mask=str(tmp_path / "m.png"))(images)
    assert torch.equal(masked[:, :, :7, :], images[:, :, :7, :])
    assert (masked[:, 0, 7, 7] == 255).all()
    Image.new("RGB", (50, 50), (0, 255, 0)).save(tmp_path / "large.png")
    whole = Patch(file=str(tmp_path / "large.png"))(images)
    assert (whole[:, 1] == 255).all()


@pytest.mark.parametrize(
    ("size", "side", "set_to", "placed"),
    [
        ((50, 25), 8, 0, (4, 0, 4, 8)),  # larger: as large as fits, with its proportions
        ((4, 20), 8, 0, (0, 6, 8, 2)),  # larger in one direction
        ((50, 25), 8, 4, (6, 4, 2, 4)),
        ((3, 2), 8, 6, (4, 2, 4, 6)),  # scaled up
        ((3, 2), 8, 0, (6, 5, 2, 3)),  # its own size
        ((900, 1), 8, 3, (7, 5, 1, 3)),  # never less than a pixel
    ],
)
def test_a_picture_keeps_its_proportions(
    tmp_path: Path, size: tuple[int, int], side: int, set_to: int, placed: tuple[int, ...]
) -> None:
    Image.new("RGB", size, (0, 255, 0)).save(tmp_path / "p.png")
    trigger = Patch(file=str(tmp_path / "p.png"), size=set_to)
    at = trigger.outline(side, side)
    assert (at.top, at.left, at.height, at.width) == placed
    assert at.own == size[::-1]
    images = pixels(side) / 2
    found = trigger(images)
    inside = torch.zeros(side, side, dtype=torch.bool)
    inside[at.top : at.top + at.height, at.left : at.left + at.width] = True
    green = torch.tensor([0.0, 255.0, 0.0]).view(3, 1)
    assert (found[:, :, inside] == green).all()
    assert torch.equal(found[:, :, ~inside], images[:, :, ~inside])


def test_a_picture_that_is_placed_outside_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (4, 2)).save(tmp_path / "p.png")
    for wrong in ("size=9", "row=7", "column=-6"):
        with pytest.raises(UsageError, match="does not fit into 8 × 8"):
            parse_trigger(f"patch:file={tmp_path / 'p.png'},{wrong}").outline(8, 8)


def test_opacity_is_a_share_of_the_picture(tmp_path: Path) -> None:
    Image.new("RGB", (2, 2), (255, 0, 0)).save(tmp_path / "p.png")
    images = pixels()
    found = Patch(file=str(tmp_path / "p.png"), opacity=0.25)(images)
    red = torch.tensor([255.0, 0.0, 0.0]).view(3, 1, 1)
    expected = 0.75 * images[:, :, 6:, 6:] + 0.25 * red
    assert torch.allclose(found[:, :, 6:, 6:], expected, atol=1e-3)


@pytest.mark.parametrize("trigger", [BadNets(size=2, row=1, column=-3), BadNets(size=8)])
def test_an_outline_is_where_pixels_change(trigger: BadNets) -> None:
    at = trigger.outline(8, 8)
    changed = (trigger(torch.zeros(1, 3, 8, 8)) > 0).all(1)[0]
    assert int(changed.sum()) == at.height * at.width
    assert changed[at.top : at.top + at.height, at.left : at.left + at.width].all()


def test_triggers_that_cannot_be_applied(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not fit into 8 pixels"):
        BadNets(size=9)(pixels())
    with pytest.raises(UsageError, match="does not fit"):
        BadNets(size=3, row=7)(pixels())
    with pytest.raises(InputError, match="not a readable image"):
        Patch(file=str(tmp_path / "none.png"))(pixels())
    with pytest.raises(InputError, match="not a readable image"):
        Blend(pattern=str(tmp_path))(pixels())


@pytest.mark.parametrize("path", ["//host/share/p.png", "\\\\host\\share\\p.png", "/dev/zero", "."])
def test_a_picture_is_a_file_of_this_machine(path: str) -> None:
    """An audit file from anybody may name it."""
    for trigger in (parse_trigger(f"patch:file={path}"), Patch(file=path)):
        with pytest.raises(
            InputError, match=r"another machine|not a readable image|not the path of a file"
        ):
            trigger(torch.zeros(1, 3, 8, 8))


# Waves and warps


def test_sig_is_a_sine_along_the_rows() -> None:
    gray = torch.full((1, 3, 16, 32), 100.0)
    found = parse_trigger("sig:amplitude=40,frequency=4")(gray)
    assert (found == found[:, :1, :1]).all(), "the same in all rows and channels"
    row = found[0, 0, 0] - 100
    assert abs(float(row[2]) - 40) < 1e-4, "a quarter of the first wave"
    assert float(row.max()) <= 40.001
    assert int((row[:-1] * row[1:] < -1e-6).sum()) + 1 >= 4
    assert float(parse_trigger("sig:amplitude=200")(gray).min()) == 0, "clipped"


def test_wanet_bends_a_little_and_the_same_each_time() -> None:
    images = pixels(32)
    trigger = parse_trigger("wanet")
    found = trigger(images)
    assert torch.equal(found, trigger(images))
    assert torch.equal(found[3:4], trigger(images[3:4])), "one field for all images"
    smooth = torch.linspace(0, 255, 32).expand(1, 3, 32, 32).contiguous()
    moved = (trigger(smooth) - smooth).abs() / (255 / 31)  # in pixels
    assert 0.05 < float(moved.mean()) < 1.0
    assert not torch.equal(found, parse_trigger("wanet:seed=1")(images))
    assert trigger.has_cover
    cover = trigger.cover(images, torch.Generator().manual_seed(0))
    assert not torch.equal(cover, found)
    assert cover.shape == found.shape


@pytest.mark.parametrize("name", [*TRIGGERS])
def test_a_trigger_without_cover_images_makes_none(name: str) -> None:
    trigger = parse_trigger(start_of(TRIGGERS[name]))
    if not trigger.has_cover:
        with pytest.raises(NotImplementedError):
            trigger.cover(pixels(), torch.Generator())
