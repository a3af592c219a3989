"""The features that a CLIP model gives the names of classes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from open_clip.tokenizer import SimpleTokenizer
from torch.nn import functional

from bdshift.checkpoints.prompts import ClassPrompts
from bdshift.jobs import JobContext

_MAX_TEXTS_AT_A_TIME = 16
_WORK = 2e9  # multiply-adds, about, between two chances to cancel
_USUAL_TOKENS = 20  # of a prompt


def text_rows(towers: Any, prompts: ClassPrompts, context: int, job: JobContext) -> torch.Tensor:
    """The text features (C, d) of classes, float32, of length 1: those of each class's texts, at
    length 1, averaged. ``context`` is the most tokens of a text, which is cut if it has more.
    """
    count = len(prompts.templates)
    total = len(prompts.names) * count
    weights = sum(one.numel() for one in towers.get_submodule("transformer").parameters())
    most = max(1, min(_MAX_TEXTS_AT_A_TIME, int(_WORK / (_USUAL_TOKENS * weights))))
    sums: torch.Tensor | None = None
    for start in range(0, total, most):
        job.progress("Reading the class names", start, total, "texts")
        numbers = range(start, min(start + most, total))
        with torch.no_grad():
            found = towers.encode_text(tokens_of(prompts, context, numbers))
        if sums is None:
            sums = found.new_zeros(len(prompts.names), found.shape[1])
        sums.index_add_(0, torch.tensor([number // count for number in numbers]), found)
    assert sums is not None
    job.progress("Reading the class names", total, total, "texts")
    return functional.normalize(sums, dim=-1)


def tokens_of(
    prompts: ClassPrompts, context: int, numbers: Sequence[int] | None = None
) -> torch.Tensor:
    """The texts as int64 tokens (n, length), cut to the longest of them: all, or those with these
    ``numbers``, class by class.
    """
    count = len(prompts.templates)
    chosen = range(len(prompts.names) * count) if numbers is None else numbers
    tokens = _tokenizer(context)(
        [prompts.text(number // count, number % count) for number in chosen]
    )
    return tokens[:, : int(tokens.argmax(1).max()) + 1]


@lru_cache(maxsize=2)
def _tokenizer(context: int) -> Any:
    """Reading its vocabulary takes a second."""
    return SimpleTokenizer(context_length=context)
