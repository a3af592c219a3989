"""Folders and zips of any kind of picture become the right pixels, labels and lists of skips."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bdshift.checkpoints.reader import read_checkpoint
from bdshift.errors import InputError, UsageError
from bdshift.images import collection as collection_module
from bdshift.images.collection import ImageFile, open_images, sample_files
from bdshift.images.decode import decode_image, image_size
from bdshift.images.loader import content_hash, decode_all, decoded_batches
from bdshift.images.preprocessing import NORMALIZATIONS, Preprocessing, parse_normalization
from bdshift.jobs import Canceled, JobContext
from bdshift.triggers.attacks.patch import Patch


def picture(width: int = 32, height: int = 32, seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "clean"
    for label, name in enumerate(("cat", "dog", "été 犬")):
        for number in range(4 + label):
            path = root / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(picture(seed=10 * label + number)))
    return root


def as_zip(folder: Path, path: Path, prefix: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, prefix + file.relative_to(folder).as_posix())
    return path


def test_folder_and_zip_are_the_same(folder: Path, tmp_path: Path) -> None:
    found = [
        open_images(folder),
        open_images(as_zip(folder, tmp_path / "a.zip")),
        open_images(as_zip(folder, tmp_path / "b.zip", "data/clean/")),
    ]
    assert found[0].folders == ("cat", "dog", "été 犬")
    assert found[0].counts() == [4, 5, 6]
    batches = [decode_all(item, item.files, 32) for item in found]
    for batch in batches:
        assert np.array_equal(batch.pixels, batches[0].pixels)
        assert batch.labels.tolist() == [0] * 4 + [1] * 5 + [2] * 6
    hashes = {content_hash(batch.files, batch.digests) for batch in batches}
    assert len(hashes) == 1
    first = np.asarray(picture(seed=0)).transpose(2, 0, 1)
    assert np.array_equal(batches[0].pixels[0], first)


def test_one_folder_around_is_entered(folder: Path) -> None:
    assert open_images(folder.parent).folders == ("cat", "dog", "été 犬")


def test_foreign_and_hidden_files(folder: Path) -> None:
    (folder / "cat" / "notes.txt").write_text("hello")
    (folder / "readme.md").write_text("hello")
    (folder / "cat" / ".DS_Store").write_text("x")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "x.png").write_bytes(encoded(picture()))
    (folder / "cat" / "Thumbs.db").write_text("x")
    found = open_images(folder)
    assert found.counts() == [4, 5, 6]
    assert {(s.name, str(s.reason)) for s in found.skipped} == {
        ("cat/notes.txt", "not an image by its suffix"),
        ("readme.md", "not in a class folder"),
    }


def test_broken_pictures_are_listed_not_fatal(folder: Path) -> None:
    good = encoded(picture())
    broken = {
        "empty.png": (b"", "not an image"),
        "html.jpg": (b"<html></html>", "not an image"),
        "cut.png": (good[: len(good) // 2], "broken image"),
    }
    for name, (data, _) in broken.items():
        (folder / "cat" / name).write_bytes(data)
    found = open_images(folder)
    batch = decode_all(found, found.files, 32)
    assert len(batch.files) == 15
    reasons = {skip.name: str(skip.reason) for skip in batch.skipped}
    for name, (_, reason) in broken.items():
        assert reasons[f"cat/{name}"].startswith(reason)


def test_only_formats_of_pixels_are_decoded(folder: Path) -> None:
    """Pillow would hand this file to a PostScript interpreter, whatever its suffix."""
    program = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 32\n%%EndComments\nshowpage\n%%EOF\n"
    with pytest.raises(InputError, match="not an image"):
        decode_image(program, 32)
    (folder / "sticker.png").write_bytes(program)
    with pytest.raises(InputError, match="not a readable image"):
        Patch(str(folder / "sticker.png"))(torch.zeros(1, 3, 64, 64))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes among files")
def test_pipes_are_passed_by(folder: Path) -> None:
    os.mkfifo(folder / "cat" / "pipe.png")
    found = open_images(folder)
    batch = decode_all(found, found.files, 32)
    assert [(skip.name, str(skip.reason)) for skip in batch.skipped] == [
        ("cat/pipe.png", "not a file, or a broken link")
    ]
    os.mkfifo(folder / "pipe")
    for opening in (open_images, read_checkpoint):
        with pytest.raises(InputError, match=r"neither a folder nor a zip|a device or a pipe"):
            opening(folder / "pipe")


def test_a_picture_bomb_is_refused_before_it_is_decoded() -> None:
    data = bytearray(encoded(picture()))
    data[16:24] = (60_000).to_bytes(4, "big") * 2  # width and height in the PNG header
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    with pytest.raises(InputError, match="megapixels"):
        decode_image(bytes(data), 32)


def test_zip_entries_are_bounded(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collection_module, "MAX_FILE_BYTES", 50_000)
    (folder / "cat" / "bomb.png").write_bytes(bytes(1_000_000))
    for path in (folder, as_zip(folder, tmp_path / "a.zip")):
        found = open_images(path)
        batch = decode_all(found, found.files, 32)
        assert [skip.name for skip in batch.skipped] == ["cat/bomb.png"]
        assert "larger than" in str(batch.skipped[0].reason)


def test_links_do_not_loop(folder: Path) -> None:
    os.symlink(folder, folder / "cat" / "loop")
    os.symlink(folder.parent, folder / "up")
    found = open_images(folder)
    assert found.counts()[0] == 4  # a link inside a class folder is not followed
    assert len(found.files) < 100


def test_a_class_folder_may_be_a_link(folder: Path, tmp_path: Path) -> None:
    os.symlink(folder / "cat", folder / "katze")
    assert "katze" in open_images(folder).folders
    (tmp_path / "linked").mkdir()
    os.symlink(folder / "cat", tmp_path / "linked" / "katze")
    with pytest.raises(InputError, match="katze: a link that leads out of the folder"):
        open_images(tmp_path / "linked")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: p / "none", "no such"),
        (lambda p: p, "holds no files"),
        (lambda p: (p / "a.txt").write_text("x") and p / "a.txt", "neither a folder nor a zip"),
    ],
)
def test_what_is_no_collection(tmp_path: Path, make: Callable[[Path], Path], words: str) -> None:
    with pytest.raises(InputError, match=words):
        open_images(make(tmp_path))


def test_train_and_test_folders_must_be_chosen(folder: Path) -> None:
    root = folder.parent
    (root / "test").mkdir()
    folder.rename(root / "train")
    (root / "test" / "cat").mkdir()
    (root / "test" / "cat" / "a.png").write_bytes(encoded(picture()))
    with pytest.raises(InputError, match="test and train; open one of them"):
        open_images(root)


# --- pixels


def test_exif_orientation_is_applied() -> None:
    image = picture(48, 32)
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise
    data = encoded(image, "PNG", exif=exif.tobytes())
    turned = image.transpose(Image.Transpose.ROTATE_270)
    assert np.array_equal(decode_image(data, 32), decode_image(encoded(turned), 32))


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1", "CMYK", "I;16", "I", "PA"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    gray = picture().convert("L")
    if mode in ("I;16", "I"):
        values = np.asarray(gray).astype(np.uint16) * 257
        image = Image.fromarray(values)
        image = image.convert("I") if mode == "I" else image
        form = "PNG" if mode == "I;16" else "TIFF"
    else:
        image = gray.convert("RGB").convert(mode)
        form = "TIFF" if mode in ("CMYK", "PA") else "PNG"
        form = "PNG" if mode == "PA" else form
        if mode == "PA":
            image = gray.convert("P")
    pixels = decode_image(encoded(image, form), 32)
    assert pixels.shape == (3, 32, 32)
    assert pixels.dtype == np.uint8
    if mode in ("L", "LA", "RGBA", "I;16", "I"):
        assert np.array_equal(pixels[0], np.asarray(gray))
        assert np.array_equal(pixels[0], pixels[2])


def test_the_center_square_is_kept() -> None:
    image = Image.new("RGB", (96, 32), (255, 0, 0))
    image.paste((0, 255, 0), (32, 0, 64, 32))
    pixels = decode_image(encoded(image), 32)
    assert (pixels[1] == 255).all()
    assert decode_image(encoded(picture(500, 375)), 224).shape == (3, 224, 224)
    assert decode_image(encoded(picture(3, 2)), 32).shape == (3, 32, 32)


def test_size_from_the_header() -> None:
    assert image_size(encoded(picture(48, 32))) == (48, 32)
    with pytest.raises(InputError, match="not an image"):
        image_size(b"nothing")


# --- loading


def test_batches_keep_the_order_and_skip(folder: Path) -> None:
    (folder / "cat" / "2.png").write_bytes(b"broken")
    found = open_images(folder)
    files = list(found.files) * 9  # several chunks
    parts = list(decoded_batches(found, files, 16, batch=32))
    assert len(parts) > 2
    names = [file.name for part in parts for file in part.files]
    assert names == [file.name for file in files if file.name != "cat/2.png"]
    assert sum(len(part.skipped) for part in parts) == 9


def test_loading_can_be_canceled(folder: Path) -> None:
    found = open_images(folder)
    job = JobContext()
    job.cancel()
    with pytest.raises(Canceled):
        decode_all(found, found.files, 32, job=job)


# --- sampling


files_strategy = st.lists(st.integers(1, 60), min_size=1, max_size=8).map(
    lambda counts: [
        ImageFile(f"{label}/{i}", label) for label, count in enumerate(counts) for i in range(count)
    ]
)


@given(files=files_strategy, amount=st.integers(1, 400), seed=st.integers(0, 5))
def test_samples_are_stratified(files: list[ImageFile], amount: int, seed: int) -> None:
    picked = sample_files(files, amount, seed=seed)
    assert picked == sample_files(list(files), amount, seed=seed)
    assert len(set(picked)) == len(picked)
    assert set(picked) <= set(files)
    labels = {file.label for file in files}
    assert {file.label for file in picked} == labels
    wanted = min(amount, len(files))
    assert wanted <= len(picked) <= wanted + len(labels)
    for label in labels:
        share = sum(f.label == label for f in files) / len(files) * wanted
        got = sum(f.label == label for f in picked)
        assert got <= max(1, np.ceil(share)) + 1e-9
        assert got >= np.floor(share)


def test_sample_amounts(folder: Path) -> None:
    files = open_images(folder).files
    assert len(sample_files(files, None)) == 15
    assert len(sample_files(files, 0.2)) == 3
    assert len(sample_files(files, 6)) == 6
    assert sample_files(files, 6, seed=0) != sample_files(files, 6, seed=1)
    for bad in (0, -1, 1.5, -0.1):
        with pytest.raises(UsageError, match="sample"):
            sample_files(files, bad)


# --- preprocessing


def test_preprocessing_is_what_it_says() -> None:
    pixels = torch.randint(0, 256, (2, 3, 5, 5), dtype=torch.uint8)
    for name, n in NORMALIZATIONS.items():
        mean = torch.tensor(n.mean).view(1, 3, 1, 1)
        std = torch.tensor(n.std).view(1, 3, 1, 1)
        expected = (pixels.float() / n.divisor - mean) / std
        for order in ("rgb", "bgr"):
            got = Preprocessing(5, n, order)(pixels)
            want = expected
            if order == "bgr":
                want = (pixels.flip(1).float() / n.divisor - mean) / std
            assert torch.allclose(got, want, atol=1e-4), name
            assert got.is_contiguous(memory_format=torch.channels_last)


def test_preprocessing_leaves_its_input_alone() -> None:
    pixels = torch.rand(2, 3, 4, 4).to(memory_format=torch.channels_last) * 255
    before = pixels.clone()
    Preprocessing(4, NORMALIZATIONS["cifar10"])(pixels)
    assert torch.equal(pixels, before)


def test_normalization_texts() -> None:
    assert parse_normalization("half").mean == (0.5, 0.5, 0.5)
    assert parse_normalization("0.1/0.2").std == (0.2, 0.2, 0.2)
    assert parse_normalization("0.1,0.2,0.3/0.4 0.5 0.6").mean == (0.1, 0.2, 0.3)
    for bad in ("nothing", "0.1,0.2/0.3", "0.1/0", "a/b", "0.1/0.2/0.3"):
        with pytest.raises(UsageError, match="normalization"):
            parse_normalization(bad)


def test_gradients_go_through_a_normalization_that_was_first_used_without_them() -> None:
    """As when accuracy is measured before a search of the images."""
    preprocess = Preprocessing(4, NORMALIZATIONS["cifar10"])
    with torch.inference_mode():
        preprocess(torch.zeros(1, 3, 4, 4))
    leaf = torch.zeros(1, 3, 4, 4, requires_grad=True)
    preprocess(leaf * 255).sum().backward()
    assert leaf.grad is not None
    assert (leaf.grad > 0).all()
