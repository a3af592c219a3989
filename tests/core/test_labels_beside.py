"""Images without class folders: labels in a file beside them, in any of its forms, or in names."""

from __future__ import annotations

import csv
import io
import json
import os
import pickle
import re
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from image_set_files import png

from bdshift.errors import InputError
from bdshift.images.collection import ImageCollection, open_images
from bdshift.images.decode import decode_image

COUNT = 24
KINDS = ("cat", "dog", "eel")
LABELS = [(row * 7) % 3 for row in range(COUNT)]
NAMES = [f"{row}.png" for row in range(COUNT)]  # 10.png comes after 9.png, not after 1.png


def picture(row: int) -> bytes:
    return png(np.full((4, 4, 3), row, np.uint8))


def fill(folder: Path, names: Sequence[str] = NAMES) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for row, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(picture(row))
    return folder


def table(path: Path, *rows: Sequence[object], delimiter: str = ",") -> None:
    with path.open("w", newline="") as stream:
        csv.writer(stream, delimiter=delimiter).writerows(rows)


def labeled(found: ImageCollection) -> dict[int, str]:
    """Label by the number of the picture, read from its pixels."""
    rows = [int(decode_image(found.read(file), 4)[0, 0, 0]) for file in found.files]
    return dict(zip(rows, [found.folders[file.label] for file in found.files], strict=True))


AS_NUMBERS = {row: str(label) for row, label in enumerate(LABELS)}
AS_KINDS = {row: KINDS[label] for row, label in enumerate(LABELS)}


def _older_tensor(path: Path) -> None:
    torch.save(torch.tensor(LABELS), path, _use_new_zipfile_serialization=False)


def _pickle(path: Path, value: object) -> None:
    path.write_bytes(pickle.dumps(value))


LISTS: dict[str, Callable[[Path], object]] = {
    "clean_labels": lambda p: torch.save(torch.tensor(LABELS), p),
    "labels.pt": lambda p: torch.save({"labels": torch.tensor(LABELS)}, p),
    "targets.pth": _older_tensor,
    "labels_list.pt": lambda p: torch.save([torch.tensor(one) for one in LABELS], p),
    "y.npy": lambda p: np.save(p, np.array(LABELS)),
    "one_hot_labels.npy": lambda p: np.save(p, np.eye(3)[LABELS]),
    "labels.npz": lambda p: np.savez_compressed(p, ids=np.arange(COUNT), labels=np.array(LABELS)),
    "labels.pkl": lambda p: _pickle(p, LABELS),
    "labels_array.pkl": lambda p: _pickle(p, {"labels": np.array(LABELS)}),
    "labels.json": lambda p: p.write_text(json.dumps(LABELS)),
    "ground_truth.txt": lambda p: p.write_text("\n".join(map(str, LABELS)) + "\n"),
    "labels.csv": lambda p: table(p, ["label"], *([one] for one in LABELS)),
}


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("where", ["beside", "inside", "above"])
def test_lists_of_labels_are_in_the_order_of_the_numbers(
    tmp_path: Path, name: str, where: str
) -> None:
    data = fill(tmp_path / "set" / "data")
    LISTS[name](data / name if where == "inside" else data.parent / name)
    found = open_images(data if where == "above" else data.parent)
    assert labeled(found) == AS_NUMBERS
    assert name in str(found.notes[0])
    assert not found.skipped


def _rows(*, suffix: bool = True, head: Sequence[str] = ()) -> list[Sequence[object]]:
    cells = [[name if suffix else name[:-4], AS_KINDS[row]] for row, name in enumerate(NAMES)]
    return [head, *cells] if head else list(cells)


TABLES: dict[str, Callable[[Path], object]] = {
    "labels.csv": lambda p: table(p, *_rows(suffix=False, head=["id", "kind"])),
    "dogs.csv": lambda p: table(p, *_rows(suffix=False, head=["id", "breed"])),
    "eyes.csv": lambda p: table(p, *_rows(suffix=False, head=["id_code", "diagnosis"])),
    "train.csv": lambda p: table(p, *_rows(suffix=False, head=["image_id", "label"])),
    "files.csv": lambda p: table(p, *_rows(head=["filename", "class"])),
    "semicolon.csv": lambda p: table(p, *_rows(head=["Bild", "Art"]), delimiter=";"),
    "pairs.tsv": lambda p: table(p, *_rows(), delimiter="\t"),
    "paths.txt": lambda p: p.write_text(
        "".join(f"/home/x/set/data/{name} {kind}\n" for name, kind in _rows())
    ),
    "val_annotations.txt": lambda p: table(
        p, *([*row, 0, i % 3, 62, 61] for i, row in enumerate(_rows())), delimiter="\t"
    ),
    "zeros.csv": lambda p: table(
        p, ["id", "kind"], *([f"{row:05d}", kind] for row, kind in AS_KINDS.items())
    ),
    "LOC_solution.csv": lambda p: table(
        p, ["ImageId", "PredictionString"],
        *([row, f"{kind} 1 2 3 4"] for row, kind in AS_KINDS.items()),
    ),
    "one_hot.csv": lambda p: table(
        p, ["image", *KINDS],
        *([row, *(f"{float(kind == one)}" for one in KINDS)] for row, kind in AS_KINDS.items()),
    ),
    "more.csv": lambda p: table(
        p, ["id", "filename", "width", "label", "sex"],
        *([900 + i, name, 4, kind, "fm"[i % 2]] for i, (name, kind) in enumerate(_rows())),
    ),
    "metadata.jsonl": lambda p: p.write_text(
        "".join(json.dumps({"file_name": n, "label": k}) + "\n" for n, k in _rows())
    ),
    "labels.json": lambda p: p.write_text(json.dumps(dict(_rows()))),  # type: ignore[arg-type]
    "dataset.json": lambda p: p.write_text(json.dumps({"labels": _rows()})),
    "labels.pkl": lambda p: _pickle(p, dict(_rows())),  # type: ignore[arg-type]
    "coco.json": lambda p: p.write_text(json.dumps({
        "images": [{"id": 5 * i, "file_name": n} for i, n in enumerate(NAMES)],
        "annotations": [{"image_id": 5 * i, "category_id": one} for i, one in enumerate(LABELS)],
        "categories": [{"id": i, "name": kind} for i, kind in enumerate(KINDS)],
    })),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_all_kinds_name_the_images(tmp_path: Path, name: str) -> None:
    data = fill(tmp_path / "set" / "data")
    TABLES[name](data.parent / name)
    found = open_images(data.parent)
    assert labeled(found) == AS_KINDS
    assert name in str(found.notes[0])
    if name.endswith("sv"):
        assert labeled(open_images(data.parent / name)) == AS_KINDS, "the table itself is opened"


def test_archives_carry_their_tables(tmp_path: Path) -> None:
    data = fill(tmp_path / "set" / "train")
    TABLES["labels.csv"](data.parent / "labels.csv")
    files = [path for path in data.parent.rglob("*") if path.is_file()]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for path in files:
            archive.write(path, path.relative_to(tmp_path))
    for mode, name in (("w", "a.tar"), ("w:gz", "a.tgz")):
        with tarfile.open(tmp_path / name, mode) as tar:  # type: ignore[call-overload]
            for path in files:
                tar.add(path, path.relative_to(tmp_path))
    for name in ("a.zip", "a.tar", "a.tgz"):
        assert labeled(open_images(tmp_path / name)) == AS_KINDS, name


def test_columns_of_one_hot_are_in_their_own_order(tmp_path: Path) -> None:
    data = fill(tmp_path / "set" / "data")
    order = ("eel", "owl", "cat", "dog")
    rows = [[row, *(int(kind == one) for one in order)] for row, kind in AS_KINDS.items()]
    table(data.parent / "truth.csv", ["image", *order], *rows)
    assert open_images(data.parent).folders == order


@pytest.mark.parametrize(
    "form",
    ["{kind}.{row}.png", "{kind}_{row:04d}.png", "{kind}{row}.png", "{row:06d}_{kind}.png",
     "big_{kind}_{row}.png"],
)  # fmt: skip
def test_names_that_carry_the_class(tmp_path: Path, form: str) -> None:
    names = [form.format(kind=kind, row=row) for row, kind in AS_KINDS.items()]
    found = open_images(fill(tmp_path / "train", names))
    assert {row: label.removeprefix("big_") for row, label in labeled(found).items()} == AS_KINDS
    assert "file names" in str(found.notes[0])


@pytest.mark.parametrize("form", ["{label}_{row:06d}.png", "{row:06d}_{label}.png",
                                  "class{label}_{row}.png", "{row}-num{label}.png"])  # fmt: skip
def test_names_that_carry_a_number(tmp_path: Path, form: str) -> None:
    names = [form.format(label=label, row=row + 10) for row, label in enumerate(LABELS)]
    assert labeled(open_images(fill(tmp_path / "train", names))) == AS_NUMBERS


@pytest.mark.parametrize("form", ["img_{row}.png", "IMG_{row}.png {row}", "2024_{label}_{row}.png"])
def test_numbers_of_images_are_no_classes(tmp_path: Path, form: str) -> None:
    names = [form.format(label=label, row=row) for row, label in enumerate(LABELS)]
    names = [("DSC" if row % 2 else "IMG") + f"_{row}.png" if " " in name else name
             for row, name in enumerate(names)]  # fmt: skip
    found = open_images(fill(tmp_path / "train", names))
    assert (found.labeled, len(found.files)) == (False, len(LABELS))


def test_a_list_of_another_length_is_refused(tmp_path: Path) -> None:
    data = fill(tmp_path / "set" / "data")
    np.save(data.parent / "labels.npy", np.array(LABELS[1:]))
    with pytest.raises(InputError, match=r"labels.npy: holds 23 labels for 24 images"):
        open_images(data.parent)


def test_class_names_are_no_labels(tmp_path: Path) -> None:
    data = fill(tmp_path / "set" / "data")
    (data.parent / "labels.txt").write_text("\n".join(KINDS))
    assert not open_images(data.parent).labeled


def test_unclear_columns_are_refused(tmp_path: Path) -> None:
    data = fill(tmp_path / "set" / "data")
    rows = [[name, "ab"[i % 2], "xy"[i % 3 > 0]] for i, name in enumerate(NAMES)]
    table(data.parent / "about.csv", ["file", "one", "two"], *rows)
    with pytest.raises(InputError, match="which of its columns is their label is unclear"):
        open_images(data.parent)


def test_test_labels_are_preferred_and_parts_without_labels_left_out(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for part in ("train", "test"):
        fill(root / part, [f"{part[:2]}{row}.png" for row in range(COUNT)])
        rows = [[f"{part[:2]}{row}", kind] for row, kind in AS_KINDS.items()]
        table(root / f"{part}.csv", ["id", "kind"], *rows)
    found = open_images(root)
    assert labeled(found) == AS_KINDS
    assert all(file.name.startswith("test/") for file in found.files)
    (root / "test.csv").unlink()
    found = open_images(root)
    assert all(file.name.startswith("train/") for file in found.files)
    assert "and not the images in test" in str(found.notes[0])


def test_folders_that_are_parts_and_no_classes(tmp_path: Path) -> None:
    root = tmp_path / "set"
    fill(root, [f"part_{row % 2}/{row}.png" for row in range(COUNT)])
    assert open_images(root).folders == ("part_0", "part_1")
    TABLES["labels.csv"](root / "metadata.csv")
    assert labeled(open_images(root)) == AS_KINDS


def test_class_folders_are_believed_where_a_table_agrees(tmp_path: Path) -> None:
    root = tmp_path / "set"
    fill(root, [f"{KINDS[label]}/{row}.png" for row, label in enumerate(LABELS)])
    table(root / "labels.csv", ["id", "label"], *([row, one] for row, one in enumerate(LABELS)))
    found = open_images(root)
    assert found.folders == KINDS
    assert [str(skip.reason) for skip in found.skipped] == ["not in a class folder"]


def test_the_part_with_class_folders_is_entered(tmp_path: Path) -> None:
    root = tmp_path / "set"
    fill(root / "train", [f"{KINDS[label]}/{row}.png" for row, label in enumerate(LABELS)])
    (root / "README.md").write_text("hello")
    assert open_images(root).folders == KINDS
    fill(root / "test")
    found = open_images(root)
    assert found.folders == KINDS
    assert str(found.notes[0]) == "Took train, and not test, where no class folders are"
    fill(root / "val", ["cat/a.png", "dog/b.png"])
    with pytest.raises(InputError, match="train and val; open one of them, best val"):
        open_images(root)


def test_what_else_a_folder_may_hold(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"")
    (tmp_path / "b.zip").write_bytes(b"")
    with pytest.raises(InputError, match=r"holds no images, but 2 archives \(a.zip\); unpack them"):
        open_images(tmp_path)


HOSTILE: dict[str, Callable[[], bytes]] = {
    "calls": lambda: b"cos\nsystem\n(S'touch owned'\ntR.",
    "pickle": lambda: b"\x80\x02cos\nsystem\nX\x05\x00\x00\x00touch\x85R.",
    "torch": lambda: _zip({"a/data.pkl": b"\x80\x02cos\nsystem\nX\x05\x00\x00\x00touch\x85R."}),
    "no pickle": lambda: _zip({"a/data.pkl": b"", "a/data/0": b""}),
    "npz": lambda: _zip({"labels.npy": b"\x93NUMPY\x01"}),
    "npz bomb": lambda: _zip({"labels.npy": bytes(80_000_000)}, zipfile.ZIP_DEFLATED),
    "bomb": lambda: _zip({"a/data.pkl": bytes(50_000_000)}, zipfile.ZIP_DEFLATED),
    "npy": lambda: (
        b"\x93NUMPY\x01\x00v\x00"
        + b"{'descr': '<i8', 'fortran_order': False, 'shape': (999999999,), }".ljust(118)
    ),
    "deep": lambda: b"[" * 100_000,
    "quotes": lambda: b'a,"' + b"x" * 1_000_000,
    "empty": lambda: b"",
    "zeros": lambda: bytes(10_000),
}


def _zip(entries: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return stream.getvalue()


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_of_labels_are_data(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = fill(tmp_path / "set" / "data")
    (data.parent / "labels").write_bytes(HOSTILE[kind]())
    monkeypatch.setattr(os, "system", lambda _: pytest.fail("it was run"))
    try:
        found = open_images(data.parent)
        assert (found.labeled, len(found.files)) == (False, len(NAMES))
        outcome = "without labels"
    except InputError as error:
        outcome = str(error).removeprefix(f"{data.parent}: ")
    assert re.match("without labels$|labels: is ", outcome)


def test_a_list_that_a_file_holds_very_often_is_read_once(tmp_path: Path) -> None:
    """Read anew each time, it would take hours."""
    fill(tmp_path)
    inner = list(range(50_000))
    torch.save({"a": [inner] * 50_000, "labels": torch.tensor(LABELS)}, tmp_path / "labels.pt")
    assert labeled(open_images(tmp_path)) == AS_NUMBERS


def test_broken_letters_of_an_array_are_refused(tmp_path: Path) -> None:
    fill(tmp_path)
    stream = io.BytesIO()
    np.save(stream, np.array([KINDS[label] for label in LABELS]))
    (tmp_path / "labels.npy").write_bytes(stream.getvalue()[:-4] + b"\xff\xff\xff\x7f")
    with pytest.raises(InputError, match=r"labels\.npy: holds broken text"):
        open_images(tmp_path)
