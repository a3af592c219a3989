"""Compares a candidate's tensors with a file's: it is built on the meta device, without memory."""

from __future__ import annotations

from dataclasses import dataclass

from bdshift.checkpoints.families import Candidate, Shapes
from bdshift.checkpoints.guard import TooLarge, held_to
from bdshift.checkpoints.listing import first_few, with_semicolons
from bdshift.words import Sentence

_BOOKKEEPING = "num_batches_tracked"  # missing in files older than torch 0.4.1


@dataclass(frozen=True)
class Mismatch:
    """How a candidate's tensors differ from the file's: names and shapes, sorted."""

    candidate: Candidate
    same: int
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    other_shape: tuple[Sentence, ...]

    @property
    def fits(self) -> bool:
        """Whether every name and shape is the same."""
        return not (self.missing or self.unexpected or self.other_shape)

    def first_differences(self, count: int = 3) -> str | Sentence:
        """The first differing keys, in words; there must be some."""
        parts = []
        if self.other_shape:
            keys = first_few(self.other_shape, count)
            parts.append(Sentence("other shape: {keys}", {"keys": keys}))
        if self.missing:
            keys = first_few(self.missing, count)
            parts.append(Sentence("not in the file: {keys}", {"keys": keys}))
        if self.unexpected:
            keys = first_few(self.unexpected, count)
            parts.append(Sentence("only in the file: {keys}", {"keys": keys}))
        return with_semicolons(parts)


def compare(candidate: Candidate, shapes: Shapes, *, for_real: bool = True) -> Mismatch:
    """Build ``candidate`` on the meta device, or in memory if that fails and ``for_real`` allows
    it, and compare its state dict with ``shapes``.
    """
    import torch

    with held_to(shapes):
        try:
            with torch.device("meta"):
                network = candidate.build()
        except (NotImplementedError, RuntimeError) as error:
            if not (for_real and candidate.computes) or isinstance(error, TooLarge):
                raise
            network = candidate.build()
    expected = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    other = sorted(k for k in expected.keys() & shapes.keys() if expected[k] != shapes[k])
    missing = sorted(expected.keys() - shapes.keys())
    return Mismatch(
        candidate,
        len(expected.keys() & shapes.keys()) - len(other),
        tuple(key for key in missing if not key.endswith(_BOOKKEEPING)),
        tuple(sorted(shapes.keys() - expected.keys())),
        tuple(_other_shape(key, shapes[key], expected[key]) for key in other),
    )


def _other_shape(key: str, found: tuple[int, ...], expected: tuple[int, ...]) -> Sentence:
    shown = {"found": str(list(found)), "expected": str(list(expected))}
    return Sentence("{key} {found}, expected {expected}", {"key": key, **shown})
