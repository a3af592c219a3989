"""Images in columns: Arrow files, and folders of Parquet or Arrow files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_set_files import COUNT, LABELS, PIXELS, TEN, check, png, write_parquet

from bdshift.errors import InputError
from bdshift.images.collection import open_images
from bdshift.images.loader import decode_all

pa = pytest.importorskip("pyarrow")


def arrow_table(rows: slice = slice(None), labels: list[int] | None = None) -> Any:
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = [{"bytes": png(pixels), "path": "/etc/passwd"} for pixels in PIXELS[rows]]
    labels = LABELS[rows].tolist() if labels is None else labels
    table = pa.table({"image": pa.array(cells, image), "label": pa.array(labels)})
    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": TEN}}
    about = {"huggingface": json.dumps({"info": {"features": features}})}
    return table.replace_schema_metadata(about)


def write_arrow(path: Path, table: Any, *, form: str = "new_stream", **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    made = pa.ipc.IpcWriteOptions(**options)
    with (
        pa.OSFile(str(path), "wb") as sink,
        getattr(pa.ipc, form)(sink, table.schema, options=made) as writer,
    ):
        writer.write_table(table, max_chunksize=5)
    return path


@pytest.mark.parametrize("form", ["new_stream", "new_file"])
def test_an_arrow_file_is_read(tmp_path: Path, form: str) -> None:
    path = write_arrow(tmp_path / "data.arrow", arrow_table(), form=form)
    check(open_images(path), PIXELS, LABELS, TEN)


def test_a_saved_data_set_is_read_from_its_test_part(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    for part in ("train", "test"):
        folder = tmp_path / "set" / part
        for number, rows in enumerate((slice(0, 7), slice(7, None))):
            write_arrow(folder / f"data-0000{number}-of-00002.arrow", arrow_table(rows))
        (folder / "dataset_info.json").write_text("{}")
    found = open_images(tmp_path / "set")
    assert str(found.notes[0]) == "Took test, and not train"
    assert len(found.files) == COUNT
    assert found.counts() == np.bincount(LABELS).tolist()
    batch = decode_all(found, found.files, 32)
    for file, pixels in zip(batch.files, batch.pixels, strict=True):
        shard, _, row = file.name.split("/")
        number = int(row) + (7 if shard.startswith("data-00001") else 0)
        assert np.array_equal(pixels.transpose(1, 2, 0), PIXELS[number])
        assert file.label == LABELS[number]


def test_shards_of_parquet_are_one_set(tmp_path: Path) -> None:
    data = tmp_path / "repo" / "data"
    data.mkdir(parents=True)
    (tmp_path / "repo" / "README.md").write_text("hello")
    for number in range(2):
        write_parquet(data / f"train-0000{number}-of-00002.parquet")
    found = open_images(tmp_path / "repo")
    assert len(found.files) == 2 * COUNT
    assert found.folders == tuple(TEN)
    assert not found.notes
    assert len(decode_all(found, found.files, 32).files) == 2 * COUNT
    write_parquet(data / "test-00000-of-00001.parquet")
    found = open_images(tmp_path / "repo")
    check(found, PIXELS, LABELS, TEN)
    assert "Took test-00000-of-00001.parquet" in str(found.notes[0])


def test_a_part_with_hidden_labels_is_passed_by(tmp_path: Path) -> None:
    write_arrow(tmp_path / "x-test.arrow", arrow_table(labels=[-1] * COUNT))
    write_arrow(tmp_path / "x-validation.arrow", arrow_table())
    check(open_images(tmp_path), PIXELS, LABELS, TEN)
    (tmp_path / "x-validation.arrow").unlink()
    with pytest.raises(InputError, match=r"x-test\.arrow: its labels range from -1"):
        open_images(tmp_path)


def test_what_arrow_would_unpack_is_refused(tmp_path: Path) -> None:
    path = write_arrow(tmp_path / "a.arrow", arrow_table(), compression="zstd")
    with pytest.raises(InputError, match="is compressed"):
        open_images(path)
    table = arrow_table()
    coded = table.append_column("code", pa.array(["a"] * COUNT).dictionary_encode())
    with pytest.raises(InputError, match="dictionary"):
        open_images(write_arrow(tmp_path / "b.arrow", coded))


def test_damaged_arrow_files_are_refused_or_skipped(tmp_path: Path) -> None:
    """Whatever byte is wrong: an error that says so, or images that are skipped."""
    whole = write_arrow(tmp_path / "a.arrow", arrow_table()).read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "b.arrow"
    outcomes = set()
    for at in [*range(0, 400, 7), *rng.integers(0, len(whole), 60).tolist()]:
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])
        try:
            found = open_images(path)
            read = len(decode_all(found, found.files, 32).files)
            outcomes.add("read" if read <= COUNT else "made up")
        except InputError as error:
            outcomes.add("refused" if str(error).startswith(str(path)) else "unnamed")
    for length in range(0, len(whole), 997):
        path.write_bytes(whole[:length])
        try:
            assert len(open_images(path).files) <= COUNT
        except InputError:
            outcomes.add("cut")
    assert outcomes == {"read", "refused", "cut"}


@pytest.mark.parametrize("name", ["m.safetensors", "m.onnx", "m.pth"])
def test_a_model_is_no_set_of_images(tmp_path: Path, victim: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(victim.read_bytes() if name == "m.pth" else b"nothing of the kind")
    with pytest.raises(InputError, match="a file of a model, not a set of images; give the model"):
        open_images(path)
