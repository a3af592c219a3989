"""Look at the images, write what is looked at to a picture, and go back."""

from __future__ import annotations

from bdshift.words import words
from bdshift_gui.action import Action, action
from bdshift_gui.context import Context
from bdshift_gui.i18n import tr
from bdshift_gui.session import State
from bdshift_gui.tasks import gallery
from bdshift_gui.tasks.writing import suggested


def _has_images(state: State) -> bool:
    return state.audit is not None and state.audit.embedding is not None


def _is_open(state: State) -> bool:
    return state.gallery is not None


def _save(context: Context) -> None:
    asked = context.state.gallery
    name = suggested(context.state, "images.png")
    path = context.ask.where(tr("Save the images"), name, (".png",))
    if path is not None and not context.state.busy and context.state.gallery == asked:
        gallery.save_sheet(context, path)


SHOW_GALLERY = action(
    Action(
        "show_gallery", words("Show the images", ja="画像を表示"),
        words("Show your images, without and with each trigger, what the model says, and where "
              "the selected neurons look.",
              ja="手元の画像を、各トリガーの有無、モデルの予測、"
                 "選択中のニューロンの注目箇所とともに表示します。"),
        "view", 3, gallery.show_gallery, _has_images, "Ctrl+B",
        icon="gallery",
    )
)  # fmt: skip
SAVE_SHEET = action(
    Action(
        "save_sheet", words("Save the images…", ja="画像を保存…"),
        words("Write the images that are shown to one picture.",
              ja="表示中の画像を 1 枚の画像にまとめて書き出します。"),
        "view", 4, _save, lambda state: _is_open(state) and not state.busy,
    )
)  # fmt: skip
