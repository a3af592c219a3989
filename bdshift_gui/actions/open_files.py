"""Open a model, images, or an audit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bdshift.words import words
from bdshift_gui.action import Action, action
from bdshift_gui.context import Context
from bdshift_gui.i18n import tr
from bdshift_gui.tasks import opening
from bdshift_gui.unsaved import may_replace

_IMAGE_FILES = (
    "*.zip *.tar *.tar.gz *.tgz *.tar.bz2 *.tar.xz *.npz *.h5 *.hdf5 *.parquet *.csv *.tsv *.bin "
    "*-ubyte *.gz"
)
"""CIFAR's pickled batches have no suffix, so the dialog offers all files too."""


def open_dropped(context: Context, paths: Sequence[Path]) -> None:
    """Open whatever is at ``paths``, if no job is running."""
    again = partial(open_dropped, context, paths)
    if paths and not context.state.busy and may_replace(context, again):
        opening.open_paths(context, paths)


def _open(context: Context, path: Path | None, start: Callable[[Context, Path], Any]) -> None:
    again = partial(_open, context, path, start)
    if path is not None and not context.state.busy and may_replace(context, again):
        start(context, path)


def _model(context: Context) -> None:
    _open(context, context.ask.file(tr("Open model")), opening.open_model)


def _images(context: Context) -> None:
    model = context.state.model_path
    beside = model if isinstance(model, Path) else None  # else it is of another machine
    _open(context, context.ask.folder(tr("Open images"), beside), opening.open_images)


def _image_file(context: Context) -> None:
    filters = f"{tr('Image sets')} ({_IMAGE_FILES});;{tr('All files')} (*)"
    _open(context, context.ask.file(tr("Open images"), filters), opening.open_images)


def _audit(context: Context) -> None:
    _open(context, context.ask.file(tr("Open audit"), "HDF5 (*.h5)"), opening.open_audit)


OPEN_MODEL = action(
    Action(
        "open_model", words("Open model…", ja="モデルを開く…"),
        words("Open a checkpoint; no code in it is run.",
              ja="チェックポイントを開きます。中のコードは実行しません。"),
        "file", 10, _model, shortcut="Ctrl+O", toolbar=10,
        icon="open-model",
    )
)  # fmt: skip
OPEN_IMAGES = action(
    Action(
        "open_images", words("Open images…", ja="画像を開く…"),
        words("Open a folder with one subfolder per class.",
              ja="クラスごとのフォルダーを含むフォルダーを開きます。"),
        "file", 20, _images, shortcut="Ctrl+I", toolbar=20,
        icon="open-images",
    )
)  # fmt: skip
OPEN_IMAGE_FILE = action(
    Action(
        "open_image_file",
        words("Open image file or archive…", ja="画像のファイルやアーカイブを開く…"),
        words("Open an archive, arrays or a table: zip, tar, npz, HDF5, CIFAR, MNIST, CSV, "
              "Parquet.",
              ja="アーカイブ、配列、表を開きます：zip、tar、npz、HDF5、CIFAR、MNIST、CSV、Parquet。"),
        "file", 30, _image_file, shortcut="Ctrl+Shift+I",
    )
)  # fmt: skip
OPEN_AUDIT = action(
    Action(
        "open_audit", words("Open audit…", ja="監査を開く…"),
        words("Open an audit file (.h5).", ja="監査ファイル（.h5）を開きます。"),
        "file", 40, _audit, shortcut="Ctrl+Shift+O",
        icon="open-audit",
    )
)  # fmt: skip
