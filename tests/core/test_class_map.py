"""Which class each folder stands for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bdshift.errors import ClassesDoNotFit, InputError, UsageError
from bdshift.images.class_fit import class_doubt
from bdshift.images.labels import LEFT_OUT, map_classes


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
    with pytest.raises(InputError, match="missing: there is no such file; a file of labels"):
        map_classes(["a"], 3, tmp_path / "missing")


def test_folders_are_left_out_by_hand_or_by_a_file(tmp_path: Path) -> None:
    found = map_classes(["bird", "cat", "dog"], 2, {"dog": 0, "cat": LEFT_OUT, "bird": 1})
    assert found.of_folder == (1, LEFT_OUT, 0)
    assert found.names == ("dog", "bird"), "the last one has no class to give its name to"
    (tmp_path / "classes.json").write_text('{"dog": 0, "cat": -1, "bird": 1}')
    assert map_classes(["bird", "cat", "dog"], 2, tmp_path / "classes.json").of_folder == (1, -1, 0)
    with pytest.raises(ClassesDoNotFit):
        map_classes(["bird", "cat"], 2, {"bird": LEFT_OUT, "cat": LEFT_OUT})
    with pytest.raises(InputError, match="does not name the folder 'cat'"):
        map_classes(["bird", "cat"], 2, {"bird": 0})


def test_numbered_folders_keep_the_names_of_their_classes() -> None:
    given = {"0": 1, "1": 0, "2": LEFT_OUT, "stop": 1, "yield": 0}
    found = map_classes(["0", "1", "2"], 2, given)
    assert found.of_folder == (1, 0, LEFT_OUT), "the numbers are folders, not classes"
    assert found.names == ("yield", "stop")


def test_what_is_wrong_is_said_before_a_scan() -> None:
    twelve, ten = [f"c{i:02}" for i in range(12)], [f"c{i:02}" for i in range(10)]
    assert str(class_doubt(twelve, 10)).startswith(
        "The images have 12 class folders, but the model has 10 outputs."
    )
    assert class_doubt(ten, 10) is None
    few = str(class_doubt(ten[:8], 10))
    assert "8 class folders, but the model has 10 outputs, and nothing says which" in few
    assert "“c00” for class 0" in few
    left = dict(zip(twelve, [*range(10), LEFT_OUT, LEFT_OUT], strict=True))
    assert class_doubt(twelve, 10, left) is None
    assert class_doubt(["3", "7"], 10) is None, "they say which they are"
    names = [f"name {i}" for i in range(10)]
    assert "there is no class “c00”" in str(class_doubt(ten, 10, None, names))
    assert class_doubt([*reversed(names)], 10, None, names) is None
    for found in (class_doubt(twelve, 10), class_doubt(ten[:8], 10)):
        assert found is not None
        assert "クラスフォルダー" in found.render("ja")
