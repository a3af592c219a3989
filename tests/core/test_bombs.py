"""Small files that ask for much: each was once a hang, or gigabytes, found by an attack. What they
cost is counted.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bounded import calls_at_most, peak_at_most, read_apart
from checkpoint_files import dumps, legacy, storage_id, torch_zip
from PIL import Image

from bdshift.checkpoints import footprint
from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.checkpoints.families.resnet import CIFAR_STEM, ResNet, ResNetPlan
from bdshift.checkpoints.footprint import bytes_per_image, largest_batch
from bdshift.checkpoints.recognize import recognize
from bdshift.errors import InputError
from bdshift.images.collection import open_images
from bdshift.images.decode import decode_image
from bdshift.shift.exact import solve_exact

PROTO = b"\x80\x02"


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value: int) -> bytes:
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8b" + struct.pack("<i", len(data)) + data


def tensor(*sizes: bytes) -> bytes:
    """A tensor of 16 floats, of the sizes that the opcodes push (2 by 2 if none are given)."""
    shape = b"(" + (b"".join(sizes) or number(2) * 2) + b"t"
    stride = b"(" + number(0) * max(len(sizes), 2 * (not sizes)) + b"t"
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage_id("0", 16) + number(0) + shape + stride
        + b"\x89}tR"
    )  # fmt: skip


def dict_of(*items: bytes) -> bytes:
    return b"}(" + b"".join(items) + b"u"


MODEL = dict_of(text("x") + tensor())
WIDE = 60


def _aliased_dicts() -> bytes:
    """Five levels of dicts, each naming the one below sixty times: 60⁵ paths."""
    data = PROTO + MODEL + b"q\x010"
    for level in range(2, 6):
        rows = b"".join(text(f"k{i}") + b"h" + bytes([level - 1]) for i in range(WIDE))
        data += b"}(" + rows + b"uq" + bytes([level]) + b"0"
    return data + b"h\x05."


def _beside(key: bytes) -> bytes:
    """Under an odd key beside the weights."""
    return PROTO + dict_of(text("state_dict") + MODEL, key + b"N") + b"."


DOUBLING = b")q\x02" + b"h\x02\x86q\x02" * 60  # a tuple of 2⁶⁰ parts
DEEP = b")" + b"\x85" * 5000
HUGE = b"\x8b" + struct.pack("<i", 4000) + b"\x7f" * 4000
COLLIDING = b"".join(number((2**61 - 1) * k) + b"N" for k in range(1, 60_001))

PICKLES: dict[str, Callable[[], bytes]] = {
    "aliased dicts": _aliased_dicts,
    "key of a doubling tuple": lambda: _beside(DOUBLING),
    "key of a deep tuple": lambda: _beside(DEEP),
    "key of a huge integer": lambda: _beside(HUGE),
    "colliding integers": lambda: PROTO + dict_of(COLLIDING) + b".",
    "huge key, often": lambda: (
        PROTO + number(2**8_000_000) + b"q\x010}" + b"h\x01Ns" * 100_000 + b"."
    ),
    "product of huge sizes": lambda: (
        PROTO + number(2**8_000_000) + b"q\x010"
        + dict_of(text("x") + tensor(*[b"h\x01"] * 60)) + b"."
    ),
    "one tensor, named often": lambda: (
        PROTO + tensor() + b"q\x010"
        + dict_of(text("state_dict") + MODEL, text("l") + b"](" + b"h\x01" * 300_000 + b"e")
        + b"."
    ),
    "long prefix": lambda: PROTO + dict_of(text("net." * 1_000_000 + "x") + tensor()) + b".",
}  # fmt: skip


def test_pickles_that_ask_for_much(tmp_path: Path) -> None:
    paths = []
    for name, make in PICKLES.items():
        paths.append(torch_zip(tmp_path / f"{name}.pth", make(), {"0": b"\0" * 64}))
    for name, key in (("doubling", DOUBLING), ("deep", DEEP), ("huge", HUGE)):
        paths.append(tmp_path / f"legacy {name}.pth")
        keys = PROTO + b"]" + key + b"a."
        whole = legacy(PROTO + MODEL + b".", ["0"], [])
        paths[-1].write_bytes(whole[: -len(dumps(["0"]))] + keys)
    results = dict(zip([path.stem for path in paths], read_apart(*paths), strict=True))
    assert results["aliased dicts"][0] == "read"
    assert "a name in it has 4,000,001 characters" in results["long prefix"][1]
    assert results["legacy deep"][0] == "refused"


def test_shapes_that_ask_for_a_monstrous_network() -> None:
    shapes: dict[str, tuple[int, ...]] = {"conv1.weight": (2, 1, 3, 3), "fc.weight": (3, 2)}
    shapes |= {f"block1.layer.{b}.x": (1,) for b in range(2000)}
    shapes |= {f"block{s}.layer.0.conv1.weight": (1, 1, 1, 1) for s in range(1, 301)}
    shapes |= {f"layer{s}.0.conv2.weight": (1, 1, 1, 1) for s in range(1, 4001)}
    with calls_at_most(12_000_000), pytest.raises(InputError, match="not known"):
        recognize(shapes)


@pytest.mark.parametrize(
    "shapes",
    [
        {
            "conv1.weight": (2, 1, 3, 3),
            "layer1.0.conv2.weight": (2, 1, 1, 1),
            "fc.weight": (2**62, 0),
        },
        {
            "conv1.weight": (0, 3, 3, 3),
            "block1.layer.0.conv1.weight": (2, 1, 1, 1),
            "fc.weight": (3, 2),
        },
    ],
)
def test_shapes_that_are_none(shapes: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(InputError):
        recognize(shapes)


@pytest.mark.parametrize("dtype", [torch.int32, torch.complex64])
def test_weights_that_are_no_weights(victim: Path, tmp_path: Path, dtype: torch.dtype) -> None:
    state = torch.load(victim, weights_only=True)["state_dict"]
    state["conv1.weight"] = state["conv1.weight"].to(dtype)
    torch.save(state, tmp_path / "model.pth")
    opened = open_checkpoint(tmp_path / "model.pth")
    with pytest.raises(InputError, match=r"conv1.weight holds torch\.\w+ numbers"):
        opened.load(opened.candidates[0])


def test_activations_are_counted_before_an_image_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    thin = ResNet(ResNetPlan((1,), (8,), 8, 12), CIFAR_STEM).eval()
    wide = ResNet(ResNetPlan((1,), (8,), 4000, 12), CIFAR_STEM).eval()
    assert bytes_per_image(thin, 32) == 4 * 4 * 8 * 32 * 32
    assert bytes_per_image(wide, 32) == 4 * 4 * 4000 * 32 * 32
    monkeypatch.setattr(footprint, "free_memory", lambda _: 2**30)
    cpu = torch.device("cpu")
    assert largest_batch(thin, 32, cpu, 256) == 256
    assert largest_batch(wide, 32, cpu, 256) == 4
    with pytest.raises(InputError, match=r"one image of 224×224 takes 3.0 GiB"):
        largest_batch(wide, 224, cpu, 256)


def _png(width: int, height: int, depth: int = 8) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    rows = (b"\0" + b"\0" * (width * depth // 8)) * height
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("sides", [(1, 60_000), (60_000, 1)])
def test_thin_pictures_are_not_scaled_up_whole(
    sides: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[int, int]] = []
    new = Image.Image._new

    def watched(self: Image.Image, core: Any) -> Image.Image:
        made.append(core.size)
        return new(self, core)

    monkeypatch.setattr(Image.Image, "_new", watched)
    assert decode_image(_png(*sides), 224).shape == (3, 224, 224)
    assert (224, 224) in made
    assert max(width * height for width, height in made) <= 60_000


def test_sixteen_bits_are_scaled_after_the_picture_is_small() -> None:
    data = _png(4000, 4000, 16)
    with peak_at_most(2**20):  # all of it as numbers is 64 MB
        assert not decode_image(data, 32).any()


def test_a_jpeg_of_many_scans(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.new("L", (64, 64)).save(stream, "JPEG", progressive=True)
    data = stream.getvalue()
    assert decode_image(data, 32).shape == (3, 32, 32)
    scan = data.rfind(b"\xff\xda")
    with pytest.raises(InputError, match="more than 100 scans"):
        decode_image(data[:-2] + data[scan:-2] * 200 + data[-2:], 32)


def test_a_tiff_of_many_strips() -> None:
    entry = struct.pack("<HHL", 273, 4, 500_000) + b"\x08\0\0\0"
    with pytest.raises(InputError, match="more than 10,000 strips"):
        decode_image(b"II*\0\x08\0\0\0\x01\0" + entry + b"\0" * 64, 32)


def test_names_in_a_zip_of_images(tmp_path: Path) -> None:
    path = tmp_path / "images.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(100):
            archive.writestr("a/" * 30_000 + f"{number % 12}/{number}.png", b"")
        archive.writestr("cat/1.png", b"")
    with calls_at_most(12_000_000):  # two a part of a name
        found = open_images(path)
    assert [file.name for file in found.files] == ["cat/1.png"]
    assert str(found.skipped[0].reason) == "its name is too long"
    data = bytearray(path.read_bytes())
    entry = data.find(b"PK\x01\x02")
    data[entry + 6] = 99  # the version that is needed to unpack it
    path.write_bytes(data)
    with pytest.raises(InputError, match="cannot be read"):
        open_images(path)


def test_a_head_that_was_scaled_to_hide_behind_its_logits() -> None:
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(12, 32)).astype(np.float32) * 1e30
    logits = rng.normal(size=(72, 12)).astype(np.float32) * 1e30
    with calls_at_most(5_000), pytest.raises(InputError, match="which no training produces"):
        solve_exact(logits, weight)


def test_the_counters_themselves_would_notice() -> None:
    with calls_at_most(1000), peak_at_most(100_000):
        list(map(len, ["x"]))
    with pytest.raises(pytest.fail.Exception, match="more than 10 calls"), calls_at_most(10):
        [len(text) for text in "x" * 100]
    with pytest.raises(AssertionError, match="bytes"), peak_at_most(100_000):
        bytes(1_000_000)
