"""Layers that a file holds twice. A network may be registered under two names; of these, whichever
its program loads last counts, so both have to get new weights.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import torch

from bdshift.checkpoints.layout import StateDict


def copies_of_used(whole: StateDict, unused: Iterable[str]) -> dict[str, str]:
    """Full keys in the file of ``unused`` tensors whose layers are copies of layers that are used,
    and the full keys of those. Layers without weights of their own choosing (all tensors constant)
    are no copies of each other.
    """
    left = set(unused)
    if not left:
        return {}
    used: dict[str, list[str]] = {}
    others: dict[str, list[str]] = {}
    for key in whole.tensors:
        (others if key in left else used).setdefault(key.rpartition(".")[0], []).append(key)
    kinds = {_kind(whole, keys) for keys in others.values()}
    originals: dict[bytes, list[str]] = {}
    for keys in used.values():
        if _kind(whole, keys) in kinds and (mark := _digest(whole, keys)):
            originals.setdefault(mark, keys)
    found: dict[str, str] = {}
    for keys in others.values():
        mark = _digest(whole, keys) if originals else b""
        if mark in originals:
            found.update(_pairs(whole, keys, originals[mark]))
    return found


def _kind(whole: StateDict, keys: Iterable[str]) -> tuple[tuple[str, tuple[int, ...], str], ...]:
    return tuple(
        sorted((k.rpartition(".")[2], whole.tensors[k].shape, whole.tensors[k].dtype) for k in keys)
    )


def _digest(whole: StateDict, keys: Iterable[str]) -> bytes:
    """Of all the layer's numbers; empty if all its tensors are constant."""
    digest = hashlib.sha256(repr(_kind(whole, keys)).encode())
    says_something = False
    for key in sorted(keys, key=lambda key: key.rpartition(".")[2]):
        value = whole.tensors[key].load().contiguous()
        if not value.numel():
            continue
        says_something |= bool((value != value.flatten()[0]).any())
        digest.update(value.flatten().view(torch.uint8).numpy().tobytes())
    return digest.digest() if says_something else b""


def _pairs(
    whole: StateDict, copies: Iterable[str], originals: Iterable[str]
) -> Iterator[tuple[str, str]]:
    by_name = {key.rpartition(".")[2]: key for key in originals}
    for key in copies:
        original = by_name[key.rpartition(".")[2]]
        yield whole.layout.in_file(key), whole.layout.in_file(original)
