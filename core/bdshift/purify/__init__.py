"""Removes a backdoor: one method per file, all with the same interface.

A method is written as text, ``name:option=value,option=value``, like a trigger: ``shift-tuning``,
``shift-tuning:epochs=12``, ``cut:ranking=weights``. ``paper`` stands for the paper's settings.
"""

from __future__ import annotations

from bdshift.purify.clean_data import CleanData, LabeledImages, read_images, split_clean
from bdshift.purify.method import METHODS, Method, Step
from bdshift.purify.run import Purified, StepRecord, Watch, purify

__all__ = [
    "METHODS",
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
