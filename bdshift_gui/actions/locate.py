"""Find a file again that was moved since the audit."""

from __future__ import annotations

from pathlib import Path

from bdshift.files import KeptPath
from bdshift.words import words
from bdshift_gui.action import Action, action
from bdshift_gui.context import Context
from bdshift_gui.i18n import tr
from bdshift_gui.session import State
from bdshift_gui.tasks import locating


def _is_of(state: State, place: Path | KeptPath | None) -> bool:
    """Whether the last error is about the file there."""
    failure = state.failure
    return failure is not None and failure.cause == "moved" and str(failure.path) == str(place)


def _ask(context: Context, title: str, was: str) -> Path | None:
    """A file or a folder, as it was before; a suffix of digits is part of a folder's name."""
    suffix = was.replace("\\", "/").rpartition("/")[2].rpartition(".")
    is_file = bool(suffix[1]) and any(letter.isalpha() for letter in suffix[2])
    return context.ask.file(title) if is_file else context.ask.folder(title)


def _locate(context: Context) -> None:
    state = context.state
    if _is_of(state, state.model_path):
        title, was, use = tr("Where is the model now?"), state.model_path, locating.use_model
    else:
        title, was, use = tr("Where are the images now?"), state.images_path, locating.use_images
    path = _ask(context, title, str(was))
    if path is not None and not context.state.busy and context.state.goes_on_from(state):
        use(context, path)


def _is_moved(state: State) -> bool:
    if state.original is None or state.busy:
        return False
    return _is_of(state, state.model_path) or _is_of(state, state.images_path)


LOCATE = action(
    Action(
        "locate", words("Locate…", ja="場所を指定…"),
        words("Say where the audit's model or images are now.",
              ja="監査のモデルや画像の現在の場所を指定します。"),
        "file", 45, _locate, _is_moved, remedy="moved",
    )
)  # fmt: skip
