"""A known body under a prefix, or under none, with a head that is not where it usually is: under
another name, or in a module of its own (``encoder.…`` and ``classifier.…``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import product

from bdshift.checkpoints import heads
from bdshift.checkpoints.blind.head import is_beside
from bdshift.checkpoints.blind.renamed import renamed
from bdshift.checkpoints.families import Candidate, Shapes
from bdshift.checkpoints.families.zoo import known_heads
from bdshift.checkpoints.unused import is_loose, may_be_unused

_STARTS = ("", "features.")
"""What the names of a known body begin with; `Sequential(*children())` and programs that take only
the module of the features lose it.
"""

_MAX_DEPTH = 3  # of a body's prefix
_MAX_BODIES, _MAX_HEADS = 3, 3


def propose(shapes: Shapes, recognize: Callable[[Shapes], list[Candidate]]) -> Iterator[Candidate]:
    """The networks that ``recognize`` knows when the head is put in its usual place, with the
    file's names. All have the same head; tensors may be left over.
    """
    for prefix in _bodies(shapes):
        for head in _heads(shapes, prefix):
            found = list(_with_head(shapes, prefix, head, recognize))
            if found:
                yield from found
                return


def _bodies(shapes: Shapes) -> list[str]:
    """Prefixes of what may be a body: none, and those of most tensors."""
    found = [""]
    for depth in range(1, _MAX_DEPTH + 1):
        deep = [key for key in shapes if key.count(".") > depth]
        counts = Counter(".".join(key.split(".")[:depth]) + "." for key in deep)
        found += [p for p, count in counts.most_common(2) if 2 * count > len(shapes)]
    return found[:_MAX_BODIES]


def _heads(shapes: Shapes, prefix: str) -> list[str]:
    """Modules that may be the head: the outermost ones outside the body that hold linear layers and
    norms only; last in the file first, and those called a projection after all others.
    """
    groups: dict[str, list[str]] = {}
    for key in shapes:
        inside = prefix if prefix and key.startswith(prefix) else ""
        if prefix and inside:
            continue
        groups.setdefault(key.partition(".")[0], []).append(key)
        if key.count(".") > 1:
            groups.setdefault(key.rpartition(".")[0], []).append(key)
    found = [
        path
        for path, keys in groups.items()
        if any(len(shapes[key]) == 2 for key in keys)
        and all(len(shapes[key]) <= 2 and not is_loose(key, shapes[key]) for key in keys
                if not key.endswith("num_batches_tracked"))
    ]  # fmt: skip
    found.reverse()
    return sorted(found, key=is_beside)[:_MAX_HEADS]


def _with_head(
    shapes: Shapes, prefix: str, head: str, recognize: Callable[[Shapes], list[Candidate]]
) -> Iterator[Candidate]:
    inside = [key for key in shapes if key.startswith(f"{head}.")]
    body = [key for key in shapes if key.startswith(prefix) and key not in set(inside)]
    outside = [key for key in shapes if key not in {*inside, *body}]
    if outside and not may_be_unused(shapes, outside):
        return
    starts = _STARTS if prefix else _STARTS[:1]
    for place, start in product(_places(shapes, body, prefix), starts):
        names = {start + key.removeprefix(prefix): key for key in body}
        names |= {place + key[len(head) :]: key for key in inside}
        known = {key: shapes[theirs] for key, theirs in names.items()}
        found = recognize(known)
        if not found and f"{place}.weight" not in known:
            found = list(heads.at(known, recognize, place, place))
        moved = {key: theirs for key, theirs in names.items() if key != theirs}
        yield from (renamed(one, moved) for one in found)
        if found:
            return


def _places(shapes: Shapes, body: Sequence[str], prefix: str) -> list[str]:
    """Where known networks have their head, and this body has nothing."""
    places = dict.fromkeys((*heads.HEADS, *known_heads()))
    return [
        place for place in places if not any(key.startswith(f"{prefix}{place}.") for key in body)
    ]
