"""A class has no images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from bdshift.lab.condition import CONDITIONS, Circumstances, CleanImages, Condition
from bdshift.setting import setting
from bdshift.words import words


@CONDITIONS.register
@dataclass(frozen=True)
class WithoutClass(Condition):
    """One folder is missing: the target's, or another."""

    name = "without-class"
    label = words("A class missing", ja="欠けたクラス")
    summary = words("One class has no images.", ja="1 つのクラスの画像がありません。")
    place = 50

    which: Literal["target", "other"] = setting(
        "target", words("Class to leave out", ja="除くクラス"),
        words("The one that a trigger sends to (of a clean model, the first), or another.",
              ja="トリガーの標的（クリーンなモデルでは最初のクラス）か、別のクラス。"),
    )  # fmt: skip
    told: bool = setting(
        True, words("Told", ja="対応の指定"),
        words("The user says which class each of the folders is.",
              ja="各フォルダーがどのクラスかを利用者が指定します。"),
    )  # fmt: skip

    def change(self, images: CleanImages, about: Circumstances) -> CleanImages:
        """See `Condition`."""
        target = self.which == "target"
        missing = about.target if target else about.another(images.classes)
        return replace(images.only(images.labels != missing), told=self.told)
