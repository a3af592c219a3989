"""A recovered trigger as a file: written, read as data, and used like a known trigger."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from known import STICKER, TARGET
from members import check_member
from recovered import made_recovery, sticker_params
from safetensors.torch import save

from bdshift.audit import Audit, Material, add_tac
from bdshift.changes import CHANGES
from bdshift.changes.change_file import AboutChange, SavedChange, read_change
from bdshift.errors import InputError, UsageError
from bdshift.recovery.kept import kept_as, kept_trigger
from bdshift.triggers import parse_trigger


def saved(**about: object) -> SavedChange:
    told = {"kind": "mask", "side": 32, "target": 9, "class_name": "speed_80", **about}
    return SavedChange(AboutChange(**told), sticker_params())  # type: ignore[arg-type]


def written(folder: Path, found: SavedChange | bytes) -> Path:
    path = folder / "t.safetensors"
    path.write_bytes(found if isinstance(found, bytes) else found.content())
    return path


def pixels(side: int = 32) -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (4, 3, side, side), generator=rng).float()


@pytest.mark.parametrize("name", [*CHANGES])
def test_every_kind_of_change_goes_through_a_file(name: str, tmp_path: Path) -> None:
    check_member(CHANGES, name)
    kind = CHANGES.parse(name)
    params = kind.scout(torch.tensor([1, 2]), 16, 0)
    kind.check_params(params, 16)
    first = {key: value[0] for key, value in params.items()}
    path = written(tmp_path, SavedChange(AboutChange(kind.spec, 16), first))
    found = read_change(path)
    assert found.about == AboutChange(kind.spec, 16)
    assert all(torch.equal(found.params[key], value) for key, value in first.items())
    images = pixels(16)
    changed = parse_trigger(f"recovered:file={path}")(images)
    assert torch.allclose(changed, kind.changed(params, images / 255)[0] * 255, atol=1e-3)
    overlay = kind.overlay(params)
    assert overlay.shape == (2, 4, 16, 16)
    assert 0 <= float(overlay.min()) <= float(overlay.max()) <= 1
    if kind.covers:
        laid = images / 255 * (1 - overlay[0, 3:]) + overlay[0, 3:] * overlay[0, :3]
        assert torch.allclose(laid, kind.changed(params, images / 255)[0], atol=1e-5)
    for bad in (
        {**params, "more": params[next(iter(params))]},
        {key: value.double() for key, value in params.items()},
        {key: value * float("nan") for key, value in params.items()},
        {},
    ):
        with pytest.raises(InputError):
            kind.check_params(bad, 16)


@pytest.mark.parametrize("name", [*CHANGES])
def test_a_file_may_be_for_images_of_any_size(name: str, tmp_path: Path) -> None:
    kind = CHANGES.parse(name)
    for side in (1, 2):
        about, numbers = AboutChange(kind.spec, side), {"a": torch.zeros(3, side, side)}
        with pytest.raises(InputError, match=r"t\.safetensors"):
            read_change(written(tmp_path, SavedChange(about, numbers)))
        with pytest.raises(InputError):
            kind.check_params({"a": torch.zeros(1, 3, side, side)}, side)
    kind.check_params(kind.scout(torch.tensor([1, 2]), 3, 0), 3)


def test_it_works_like_the_trigger_itself(
    victim_scan: tuple[Audit, Material], measured_audit: Audit, tmp_path: Path
) -> None:
    trigger = parse_trigger(f"recovered:file={written(tmp_path, saved())}")
    images = pixels()
    assert torch.allclose(trigger(images), parse_trigger(STICKER)(images), atol=0.01)
    [tac] = add_tac(*victim_scan, trigger, TARGET).tac
    [known] = measured_audit.tac
    assert tac.asr == pytest.approx(known.asr, abs=0.005)
    assert abs(tac.change - known.change).max() < 0.01 * known.change.max()


def test_images_of_another_size_are_refused(tmp_path: Path) -> None:
    trigger = parse_trigger(f"recovered:file={written(tmp_path, saved())}")
    with pytest.raises(UsageError, match="for images of 32 × 32 pixels, but these have 16 × 16"):
        trigger(pixels(16))


def test_the_users_copy_is_named_by_its_content(measured_audit: Audit, tmp_path: Path) -> None:
    recovery = made_recovery(measured_audit)
    folder = tmp_path / "triggers"
    assert not folder.exists()
    first = kept_trigger(recovery, folder)
    assert first == kept_as(recovery.saved(), folder)
    assert parse_trigger(first.spec) == first
    content = Path(first.file).read_bytes()
    assert kept_trigger(recovery, folder) == first
    Path(first.file).write_bytes(b"damaged")
    kept_trigger(recovery, folder)
    assert Path(first.file).read_bytes() == content
    assert [path.name for path in folder.iterdir()] == [Path(first.file).name]
    other = made_recovery(measured_audit, target=3)
    assert kept_trigger(other, folder) != first


def table(change: Callable[[dict[str, object]], object]) -> bytes:
    """The file with another table of tensors."""
    content = saved().content()
    (length,) = struct.unpack("<Q", content[:8])
    head = json.loads(content[8 : 8 + length])
    change(head)
    text = json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + content[8 + length :]


def told(text: object) -> bytes:
    about = text if isinstance(text, str) else json.dumps(text)
    return bytes(save(sticker_params(), {"bdshift": about}))


GOOD = {"format": "bdshift-change", "version": 1, "kind": "mask", "side": 32}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no trigger"),
        (b"\x80\x02}q\x00.", "no trigger"),
        (b"\xff" * 64, "no trigger"),
        (b"\xff" * 7 + b"\x00{", "more than 16 MiB"),
        (bytes(save(sticker_params(), {"format": "pt"})), "no trigger"),
        (bytes(save(sticker_params())), "no trigger"),
        (told("{"), "JSON"),
        (told([]), "no trigger"),
        (told({**GOOD, "format": "other"}), "no trigger"),
        (told({**GOOD, "version": 2}), "newer bdshift"),
        (told({**GOOD, "side": 10**9}), "no trigger"),
        (told({**GOOD, "side": "32"}), "no trigger"),
        (told({**GOOD, "side": 31}), "are not those of a change of the kind mask for images of 31"),
        (told({**GOOD, "kind": "additive"}), "are not those of a change"),
        (told({**GOOD, "kind": "of-tomorrow"}), "unknown change 'of-tomorrow'"),
        (told({**GOOD, "kind": ["mask"]}), "no trigger"),
        (told({**GOOD, "class_name": "x" * 20_000}), "no trigger"),
        (saved().content()[:-1], "damaged safetensors"),
        (table(lambda head: head.pop("mask")), "damaged safetensors"),
        (table(lambda head: head.update(__metadata__=[1])), "damaged safetensors"),
    ],
)
def test_what_is_no_trigger_is_refused_in_words(content: bytes, words: str, tmp_path: Path) -> None:
    path = written(tmp_path, content)
    with pytest.raises(InputError, match=words) as caught:
        parse_trigger(f"recovered:file={path}")(pixels())
    assert str(caught.value).startswith(str(path))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        parse_trigger(f"recovered:file={tmp_path}")(pixels())
    with pytest.raises(UsageError, match="needs file="):
        parse_trigger("recovered")
    with pytest.raises(InputError, match="another machine"):
        parse_trigger("recovered:file=//other/share/t.safetensors")(pixels())


def test_the_numbers_of_a_trigger_are_not_its_card(tmp_path: Path) -> None:
    numbers = tmp_path / "t.safetensors"
    (tmp_path / "t.safetensors.json").write_text("{}")
    with pytest.raises(UsageError, match=r"name its card, .*t\.safetensors\.json"):
        parse_trigger(str(numbers))
