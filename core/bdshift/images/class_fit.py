"""Whether the folders of images and the classes of a network fit each other, before any scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bdshift.errors import ClassesDoNotFit, InputError, UsageError
from bdshift.files import KeptPath
from bdshift.images.labels import map_classes
from bdshift.words import Sentence, words

TOO_MANY_FOLDERS = words(
    "The images have {folders:|class folder|class folders}, but the model has "
    "{classes:|output|outputs}. Say which folder is which class, and which ones to leave out.",
    ja="画像のクラスフォルダーは {folders} 個ですが、モデルの出力は {classes} 個です。"
       "どのフォルダーがどのクラスか、どれを除くかを指定してください。",
)  # fmt: skip
TOO_FEW_FOLDERS = words(
    "The images have {folders:|class folder|class folders}, but the model has "
    "{classes:|output|outputs}, and nothing says which of them the folders are. A scan would take "
    "them for the first ones: “{first}” for class 0, and so on.",
    ja="画像のクラスフォルダーは {folders} 個ですが、モデルの出力は {classes} 個で、"
       "どのクラスに当たるかを示すものがありません。このままスキャンすると、「{first}」をクラス 0 "
       "とするなど、先頭のクラスとみなします。",
)  # fmt: skip
OTHER_NAMES = words(
    "The class folders are not called like the classes in the model’s file: there is no class "
    "“{folder}”. A scan would take the folders in sorted order: “{first}” for class 0 “{name}”, "
    "and so on.",
    ja="クラスフォルダーの名前が、モデルのファイルにあるクラス名と一致しません"
       "（「{folder}」というクラスはありません）。このままスキャンすると、名前順に、「{first}」を"
       "クラス 0「{name}」とするなどとみなします。",
)  # fmt: skip


def class_doubt(
    folders: Sequence[str],
    classes: int,
    given: Path | KeptPath | Mapping[str, int] | None = None,
    model_names: Sequence[str] = (),
    places: Sequence[Path] = (),
) -> Sentence | None:
    """What is wrong with the folders, or a guess about them, in plain words; None if they fit. The
    arguments are those of `map_classes`.
    """
    if not folders:  # images without labels
        return None
    counts = {"folders": len(folders), "classes": classes}
    try:
        found = map_classes(folders, classes, given, model_names, places)
    except ClassesDoNotFit as error:
        return Sentence(TOO_MANY_FOLDERS, counts) if len(folders) > classes else error.sentence
    except (InputError, UsageError) as error:
        return error.sentence
    if found.guessed:
        return Sentence(TOO_FEW_FOLDERS, counts | {"first": folders[0]})
    if model_names and found.in_order:
        known = {name.casefold() for name in model_names}
        strange = next((one for one in folders if one.casefold() not in known), folders[0])
        values = {"folder": strange, "first": folders[0], "name": model_names[0]}
        return Sentence(OTHER_NAMES, values)
    return None
