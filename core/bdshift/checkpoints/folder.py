"""Reads what is next to the weights: the config.json of a Hugging Face folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bdshift.checkpoints.foreign_files import CHECKPOINTS, FOLDERS, SAVE_STATE_DICT
from bdshift.checkpoints.listing import first_few
from bdshift.errors import InputError
from bdshift.files import open_regular
from bdshift.images.framing import Fit
from bdshift.images.preprocessing import MAX_SIZE
from bdshift.json_data import parse_json

_WEIGHTS = ("model.safetensors", "pytorch_model.bin", "open_clip_model.safetensors",
            "open_clip_pytorch_model.bin")  # fmt: skip
INDEX_SUFFIX = ".index.json"
"""How the names of files end that say over which files the weights are split."""

INDEXES = (f"model.safetensors{INDEX_SUFFIX}", f"pytorch_model.bin{INDEX_SUFFIX}")
_MAX_VALUE = 1e6  # of a mean or std; NaN is not below it
_MAX_LISTED = 4  # checkpoints in a folder
_FULL_SHARE = 0.94  # of the shorter side: nearer to all of it than to the usual 7/8
_MAX_CONFIG_BYTES = 16 * 1024 * 1024
_MAX_CONFIG_VALUES = 500_000  # two for each name of a class


@dataclass(frozen=True)
class Beside:
    """What a config says, as far as bdshift uses it.

    Attributes:
        config: the whole config.json; {} without one. "model_cfg" is from open_clip_config.json.
        mean, std: of the images, one value per channel; () if not given.
        size: side of the images in pixels; 0 if not given.
        fit: how they become squares; the usual way if it is not given.
        names: of the classes, by their index; () if not given.
    """

    config: Mapping[str, Any] = field(default_factory=dict)
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    size: int = 0
    fit: Fit = "crop"
    names: tuple[str, ...] = ()


NOTHING = Beside()


def holds_weights(folder: Path) -> bool:
    """Whether it is a Hugging Face folder."""
    return any((folder / name).is_file() for name in (*_WEIGHTS, *INDEXES))


def weights_in(folder: Path) -> Path:
    """The file of weights in a Hugging Face folder, or the index of several.

    Raises `InputError`, without the folder's name, if there is none: it says what the folder is, or
    which checkpoints it holds.
    """
    for name in (*_WEIGHTS, *INDEXES):
        if (folder / name).is_file():
            return folder / name
    for name, template in FOLDERS.items():
        if (folder / name).exists():
            raise InputError(template, advice=SAVE_STATE_DICT)
    found = sorted(one.name for one in folder.iterdir() if one.name.endswith(CHECKPOINTS))
    if found:
        raise InputError(
            "is a folder; give the checkpoint file in it: {names}",
            names=first_few([name[:80] for name in found], _MAX_LISTED),
        )
    raise InputError(
        "is a folder without {first} or {second}; give the checkpoint file",
        first=_WEIGHTS[0], second=_WEIGHTS[1],
    )  # fmt: skip


def read_beside(weights: Path) -> Beside:
    """What config.json, open_clip_config.json and preprocessor_config.json next to ``weights`` say;
    what cannot be read, or makes no sense, is treated as missing.
    """
    config = _json(weights.parent / "config.json")
    if weights.name not in (*_WEIGHTS, *INDEXES) and "architectures" not in config:
        config = {} if "pretrained_cfg" not in config else config
    open_clip = _json(weights.parent / "open_clip_config.json")
    if isinstance(open_clip.get("model_cfg"), dict):
        config = {**config, "model_cfg": open_clip["model_cfg"]}
    if not config:
        return NOTHING
    images = _json(weights.parent / "preprocessor_config.json")
    trained = config.get("pretrained_cfg")
    trained = trained if isinstance(trained, dict) else open_clip.get("preprocess_cfg")
    trained = trained if isinstance(trained, dict) else {}
    mean = _numbers(images.get("image_mean")) or _numbers(trained.get("mean"))
    std = _numbers(images.get("image_std")) or _numbers(trained.get("std"))
    if images.get("do_normalize") is False:
        mean, std = (), ()
    size = _size(images.get("crop_size")) or _size(images.get("size"))
    size = size or _size(trained.get("input_size")) or _size(config.get("image_size"))
    names = _names(config.get("id2label")) or _names(config.get("label_names"))
    if len(mean) != len(std) or min(std, default=1) <= 0:
        mean, std = (), ()
    return Beside(config, mean, std, size, _fit(images, trained), names)


def _fit(images: Mapping[str, Any], trained: Mapping[str, Any]) -> Fit:
    """What a processor of transformers does, or timm's ``crop_mode`` and ``crop_pct``."""
    whole, crop = images.get("size"), images.get("crop_size")
    share: object = trained.get("crop_pct") or images.get("crop_pct")
    mode = trained.get("crop_mode")
    if images.get("do_center_crop") and _size(whole) and _size(crop):
        share = _size(crop) / _size(whole)
    elif isinstance(whole, int) or (isinstance(whole, dict) and "height" in whole):
        mode = mode or ("squash" if share is None else None)
    if mode in ("squash", "border"):
        return "squeeze" if mode == "squash" else "pad"
    full = isinstance(share, int | float) and share >= _FULL_SHARE
    return "center" if full else "crop"


def _json(path: Path) -> dict[str, Any]:
    try:
        with open_regular(path) as stream:
            data = stream.read(_MAX_CONFIG_BYTES + 1)
        found = {} if len(data) > _MAX_CONFIG_BYTES else parse_json(data, _MAX_CONFIG_VALUES)
    except (OSError, InputError):
        return {}
    return found if isinstance(found, dict) else {}


def _numbers(value: Any) -> tuple[float, ...]:
    if not isinstance(value, list) or len(value) not in (1, 3):
        return ()
    if not all(isinstance(v, (int, float)) and abs(v) < _MAX_VALUE for v in value):
        return ()
    return tuple(float(v) for v in value)


def _size(value: Any) -> int:
    """224 from 224, {"height": 224}, {"shortest_edge": 224} or [3, 224, 224]."""
    if isinstance(value, dict):
        value = value.get("height", value.get("shortest_edge"))
    if isinstance(value, list) and value:
        value = value[-1]
    return value if type(value) is int and 0 < value <= MAX_SIZE else 0


def _names(value: Any) -> tuple[str, ...]:
    if isinstance(value, dict):
        value = [value.get(str(index)) for index in range(len(value))]
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        return ()
    return tuple(map(str, value))
