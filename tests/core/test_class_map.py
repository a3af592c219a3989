"""Which class each folder stands for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bdshift.errors import InputError, UsageError
from bdshift.images.labels import map_classes


def test_sorted_order_and_numbers() -> None:
    assert map_classes(["a", "b"], 2).of_folder == (0, 1)
    found = map_classes(["0", "10", "2"], 12)
    assert found.of_folder == (0, 10, 2)
    assert found.names[:3] == ("0", "class 1", "2")
    assert str(found.source) == "folder numbers"
    assert str(map_classes(["7", "9"], 7).source) == "sorted order"  # 9 is no index of 7 classes


@pytest.mark.parametrize(
    "text",
    ["dog\ncat\nbird\n", '["dog", "cat", "bird"]', '{"dog": 0, "cat": 1, "bird": 2}',
     '{"0": "dog", "1": "cat", "2": "bird"}'],
)  # fmt: skip
def test_class_name_files(tmp_path: Path, text: str) -> None:
    (tmp_path / "names").write_text(text)
    found = map_classes(["bird", "dog"], 3, tmp_path / "names")
    assert found.of_folder == (2, 0)
    assert found.names == ("dog", "cat", "bird")


def test_classes_given_by_hand() -> None:
    found = map_classes(["bird", "dog"], 3, {"dog": 0, "bird": 2})
    assert found.of_folder == (2, 0)
    assert found.names == ("dog", "class 1", "bird")
    assert str(found.source) == "given by hand"
    with pytest.raises(InputError, match="the given order: does not name the folder 'cat'"):
        map_classes(["cat"], 3, {"dog": 0})


def test_missing_folders_are_known_by_their_names_or_guessed(tmp_path: Path) -> None:
    names = ["cat", "great dane", "eel, Anguilla", "owl"]
    found = map_classes(["eel", "Great_Dane"], 4, None, names)
    assert (found.of_folder, found.guessed) == ((2, 1), False)
    found = map_classes(["eel", "rat"], 4, None, names)
    assert (found.of_folder, found.guessed) == ((0, 1), True)
    assert not map_classes(["a", "b", "c", "d"], 4).guessed
    assert not map_classes(["0", "3"], 4).guessed
    (tmp_path / "class_names.json").write_text(json.dumps(names[:3]))
    assert map_classes(["eel", "cat"], 4, None, (), [tmp_path]).guessed, "of another network"
    (tmp_path / "idx_to_class.json").write_text(json.dumps(dict(enumerate(names))))
    found = map_classes(["eel", "cat"], 4, None, (), [tmp_path])
    assert (found.of_folder, found.guessed) == ((2, 0), False)
    assert str(found.source) == str(tmp_path / "idx_to_class.json")
    (tmp_path / "class_names.json").write_text(
        json.dumps({i: [f"n0{i}", name] for i, name in enumerate(names)})
    )
    assert map_classes(["n03", "n01"], 4, None, (), [tmp_path]).of_folder == (3, 1)


def test_wrong_class_names(tmp_path: Path) -> None:
    (tmp_path / "names").write_text("dog\ncat\n")
    with pytest.raises(InputError, match="does not name the folder 'bird'"):
        map_classes(["bird"], 3, tmp_path / "names")
    with pytest.raises(InputError, match="4 class folders do not fit a network of 3"):
        map_classes(["a", "b", "c", "d"], 3)
    (tmp_path / "names").write_text('{"a": [1]}')
    with pytest.raises(UsageError, match="class-name file"):
        map_classes(["a"], 3, tmp_path / "names")
    with pytest.raises(InputError, match="cannot be read"):
        map_classes(["a"], 3, tmp_path / "missing")
