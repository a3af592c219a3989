"""Parts of an audit file at their limits, and those that do not fit each other."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from audit_files import change, description, old_audit, remove

from bdshift.errors import InputError
from bdshift.shift.thumbnails import THUMBNAIL
from bdshift.store import load_audit, save_audit


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An audit with an embedding, TAC and a purification."""
    save_audit(old_audit("schema-2-embeddings"), tmp_path / "a.h5")
    return tmp_path / "a.h5"


def test_what_is_wrong_names_the_file_once(path: Path) -> None:
    with pytest.raises(InputError, match="is a folder") as folder:
        load_audit(path.parent)
    assert str(folder.value).startswith(f"{path.parent}: ")
    remove(path, "model", "sha256")
    with pytest.raises(InputError, match="lacks sha256") as lacking:
        load_audit(path)
    with h5py.File(path, "r+") as file:
        file.attrs["schema"] = 99
    with pytest.raises(InputError, match="newer bdshift") as newer:
        load_audit(path)
    for error in (lacking, newer):
        assert str(error.value).startswith(f"{path}: ")
        assert str(error.value).count(str(path)) == 1


@pytest.mark.parametrize("accuracy", [0.0, 1.0])
def test_an_accuracy_may_be_nothing_or_all(path: Path, accuracy: float) -> None:
    change(path, "accuracy", value=accuracy)
    assert load_audit(path).accuracy == accuracy


@pytest.mark.parametrize("place", ["evidence/shift/record/shift", "purifications/0/result/ranking"])
@pytest.mark.parametrize("number", [np.inf, np.nan])
def test_one_number_that_is_not_finite(path: Path, place: str, number: float) -> None:
    with h5py.File(path, "r+") as file:
        file[place][(0,) * file[place].ndim] = number
    with pytest.raises(InputError, match="its parts do not fit"):
        load_audit(path)


@pytest.mark.parametrize("larger", [0, 1])
def test_pictures_have_a_limit(path: Path, larger: int) -> None:
    with h5py.File(path, "r+") as file:
        for name in ("embedding/thumbnails", "tac/0/triggered/thumbnails"):
            count, side = len(file[name]), THUMBNAIL + larger
            del file[name]
            file[name] = np.zeros((count, 3, side, side), np.uint8)
    if larger:
        with pytest.raises(InputError, match="its parts do not fit"):
            load_audit(path)
    else:
        found = load_audit(path).embedding
        assert found is not None
        assert found.thumbnails.shape[2:] == (THUMBNAIL, THUMBNAIL)


@pytest.mark.parametrize("label", [-1, 12, 99])
def test_labels_are_of_classes(path: Path, label: int) -> None:
    with h5py.File(path, "r+") as file:
        file["embedding/labels"][0] = label
    with pytest.raises(InputError, match="its parts do not fit"):
        load_audit(path)


def test_images_with_the_trigger_may_be_missing(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["tac/0/triggered"]
    [tac] = load_audit(path).tac
    assert tac.triggered is None


@pytest.mark.parametrize("part", ["weight", "bias"])
def test_weights_are_those_that_were_measured(path: Path, part: str) -> None:
    head = load_audit(path).model.head
    names = description(path)["purifications"][0]["result"]["weights"]
    with h5py.File(path, "r+") as file:
        file[f"purifications/0/result/weights/{names.index(f'{head}.{part}')}"][...] = 1.0
    with pytest.raises(InputError, match="its parts do not fit"):
        load_audit(path)


def test_a_file_without_a_schema_is_no_audit(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file.attrs["schema"]
    with pytest.raises(InputError, match="is damaged"):
        load_audit(path)


def test_a_class_may_be_the_first_and_not_one_after_the_last(path: Path) -> None:
    for way in (("tac", 0, "target"), ("purifications", 0, "result", "target")):
        change(path, *way, value=0)
        audit = load_audit(path)
        change(path, *way, value=audit.model.classes)
        with pytest.raises(InputError, match="its parts do not fit"):
            load_audit(path)
        change(path, *way, value=0)
    assert (audit.tac[0].target, audit.purifications[0].result.target) == (0, 0)


@pytest.mark.parametrize(
    ("way", "value"),
    [(("accuracy",), 1.5), (("evidence", "shift", "detector"), "shift:alpha=0.2,solver=exact")],
)
def test_numbers_that_say_different_things(
    path: Path, way: tuple[str, ...], value: float | str
) -> None:
    change(path, *way, value=value)
    with pytest.raises(InputError, match="its parts do not fit"):
        load_audit(path)


def test_settings_without_detectors_are_the_usual_ones(path: Path) -> None:
    before = load_audit(path).settings
    remove(path, "settings", "detectors")
    assert load_audit(path).settings == before


def test_options_of_a_newer_version_are_left_out(path: Path) -> None:
    before = load_audit(path)
    change(path, "settings", "rule", value=f"{before.settings.rule.spec},later=1")
    shift = description(path)["evidence"]["shift"]["detector"]
    change(path, "evidence", "shift", "detector", value=f"{shift},later=1")
    assert load_audit(path).settings == before.settings


def test_the_description_is_a_row_of_bytes(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        text = file["audit.json"][()]
        del file["audit.json"]
        file["audit.json"] = text[None]
    with pytest.raises(InputError, match="is not text"):
        load_audit(path)
