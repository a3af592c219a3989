"""Removes a backdoor: one method per file, all with the same interface.

A method is written as text, ``name:option=value,option=value``, like a trigger: ``shift-tuning``,
``shift-tuning:epochs=12``, ``cut:ranking=weights``. ``paper`` stands for the paper's settings.

Importing this package costs nothing; torch is loaded when something that needs it is used, since
the window draws curves by their names (`bdshift.purification.quantities`) before it is there.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bdshift.purification.clean_data import CleanData, LabeledImages, read_images, split_clean
    from bdshift.purification.method import METHODS, Method, Step
    from bdshift.purification.run import Purified, StepRecord, Watch, purify

_HOMES = {
    "CleanData": "clean_data", "LabeledImages": "clean_data", "read_images": "clean_data",
    "split_clean": "clean_data", "METHODS": "method", "Method": "method", "Step": "method",
    "Purified": "run", "StepRecord": "run", "Watch": "run", "purify": "run",
}  # fmt: skip

USUAL_METHOD = "shift-tuning"
"""The method, by its text, if none is asked for."""

__all__ = [
    "METHODS",
    "USUAL_METHOD",
    "CleanData",
    "LabeledImages",
    "Method",
    "Purified",
    "Step",
    "StepRecord",
    "Watch",
    "purify",
    "read_images",
    "split_clean",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'bdshift.purification' has no attribute {name!r}")
    return getattr(importlib.import_module(f"bdshift.purification.{_HOMES[name]}"), name)
