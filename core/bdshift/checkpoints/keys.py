"""What training wraps a network in, taken out of its tensors' names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

_PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.")
"""Of a network whose tensors have no modules."""

_WRAPPERS = frozenset(
    "module _orig_mod _checkpoint_wrapped_module _fsdp_wrapped_module _forward_module "
    "_dynamo_orig_callable".split()
)
"""Modules that training puts around any other, in a network's names wherever they are."""

_MAX_PREFIXES = 8

T = TypeVar("T")


def without_wrappers(key: str) -> str:
    """The key without the names of wrappers; the last name always stays."""
    *modules, name = key.split(".")
    return ".".join((*(part for part in modules if part not in _WRAPPERS), name))


def cleaned(tensors: Mapping[str, T]) -> tuple[str, dict[str, T], dict[str, str]]:
    """What was in front of every key, the tensors without it and without wrappers inside, and the
    keys in the file of those whose names had any inside. Wrappers stay if two tensors would get the
    same name.
    """
    prefix, found = _strip(dict(tensors))
    short = {key: without_wrappers(key) for key in found}
    if len(set(short.values())) < len(short) or all(k == s for k, s in short.items()):
        return prefix, found, {}
    inside = {name: prefix + key for key, name in short.items() if key != name}
    named = {short[key]: item for key, item in found.items()}
    more, named = _strip(named)
    inner = {key: inside.get(more + key, prefix + more + key) for key in named}
    return prefix + more, named, {k: v for k, v in inner.items() if v != prefix + more + k}


def _strip(tensors: dict[str, T]) -> tuple[str, dict[str, T]]:
    """Remove what all keys begin with: what training wraps a network in, and any other module
    around the whole network, such as the ``1.`` of a Sequential(Resize, network).
    """
    prefix = ""
    for _ in range(_MAX_PREFIXES):
        heads = {key.partition(".")[0] + "." for key in tensors}
        if len(heads) != 1:
            break
        head = heads.pop()
        inner = any("." in key[len(head) :] for key in tensors)
        if not all(k.startswith(head) for k in tensors) or not (inner or head in _PREFIXES):
            break
        tensors = {key[len(head) :]: item for key, item in tensors.items()}
        prefix += head
    return prefix, tensors
