"""torchvision's classification networks, and timm's where it is installed.

Their code is not copied here, and importing it takes longer than a scan. So a table that ships
with bdshift (``resources/architectures.json``, made by ``tools/fingerprints.py``) identifies
about 1300 of them by a hash of their tensors' names and shapes; only the one that matches is built,
by the library itself, without its weights.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import math
from collections.abc import Iterator, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from bdshift.assets import asset
from bdshift.checkpoints.families.base import Candidate, Shapes
from bdshift.errors import UnknownArchitecture
from bdshift.extras import pip_install
from bdshift.images.preprocessing import MAX_SIZE

if TYPE_CHECKING:
    from torch import nn

_MAX_CANDIDATES = 6  # of networks with the same tensors, how many are tried
_OURS = ("resnet", "resnext", "wide_resnet")
"""Networks that `bdshift.checkpoints.families.resnet` builds itself, without torchvision."""

_PLACES = ("pos_embed", "pos_embedding", "position_embedding")
_PATCHES, _PATCH_SIDES = "patch_embed.proj.weight", (16, 32, 14, 8)
_OTHER_HEADS = ("aux1.", "aux2.", "AuxLogits.")
_BY_SIZE = ("relative_position_bias_table", "relative_position_index", "attn_mask", "rel_pos_h")


def fingerprint(shapes: Shapes, head: str) -> str:
    """16 hex digits that do not depend on the number of classes, the image's size and its colors: a
    hash of all names and shapes, except those of ``head`` and of what grows with the image.
    """
    lines = []
    for key, shape in shapes.items():
        name = key.rpartition(".")[2]
        if key in (f"{head}.weight", f"{head}.bias") or name == "num_batches_tracked":
            continue
        if key.startswith(_OTHER_HEADS):
            continue
        if name in _PLACES or name.startswith(_BY_SIZE):
            lines.append(f"{key} …")
        elif len(shape) == 4 and shape[1] in (1, 3):  # colors, or a depthwise convolution
            lines.append(f"{key} {shape[0]},…,{shape[2]},{shape[3]}")
        else:
            lines.append(f"{key} {','.join(map(str, shape))}")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16]


@cache
def _table() -> dict[str, dict[str, list[dict[str, Any]]]]:
    found: dict[str, dict[str, list[dict[str, Any]]]] = json.loads(
        asset("architectures.json").read_text(encoding="utf-8")
    )
    return found


@cache
def known_heads() -> tuple[str, ...]:
    """Where the networks of either library have their last layer."""
    table = _table()
    rows = [r for lib in ("torchvision", "timm") for rows in table[lib].values() for r in rows]
    return tuple(sorted({row["head"] for row in rows}))


def propose(shapes: Shapes) -> Iterator[Candidate]:
    """Every network of either library that has these tensors.

    Raises `UnknownArchitecture` for one that cannot be audited, or whose library is not installed.
    """
    for head in known_heads():
        weight = shapes.get(f"{head}.weight", ())
        if len(weight) not in (2, 4):
            continue
        for library, rows, options in _found(shapes, head):
            if rows[0]["name"].startswith(_OURS):
                break
            if len(weight) == 4:
                raise UnknownArchitecture(
                    "it is {name} of {library}, whose classifier is a convolution, not a linear "
                    "layer, so it has no embedding to shift",
                    name=rows[0]["name"], library=library,
                )  # fmt: skip
            if importlib.util.find_spec(library) is None:
                raise UnknownArchitecture(
                    "it is a {name} of {library}; to open it: {command}",
                    name=rows[0]["name"], library=library, command=pip_install(library),
                )  # fmt: skip
            for row in rows[:_MAX_CANDIDATES]:
                if library == "timm":
                    yield _timm(row, shapes, weight[0], options)
                else:
                    yield _torchvision(row, shapes, weight[0])


def _found(shapes: Shapes, head: str) -> Iterator[tuple[str, list[dict[str, Any]], dict[str, Any]]]:
    """Library, networks with these tensors, and how they differ from the published ones."""
    table = _table()
    for published, options in _published(shapes):
        mark = fingerprint(published, head)
        found = False
        for library in ("torchvision", "timm") if not options else ("timm",):
            rows = [row for row in table[library].get(mark, ()) if row["head"] == head]
            if rows:
                found = True
                yield library, rows, options
        if found:
            return


def _published(shapes: Shapes) -> Iterator[tuple[Shapes, dict[str, Any]]]:
    """The tensors themselves; for a vision transformer of timm, also as they would be in a
    published one, with the options that make the difference: averaged tokens, no class token,
    smaller patches.
    """
    yield shapes, {}
    patch = shapes.get(_PATCHES, ())
    if len(patch) != 4:
        return
    changed, options = dict(shapes), dict[str, Any]()
    if "fc_norm.weight" in shapes and "norm.weight" not in shapes:
        options["global_pool"] = "avg"
        changed = {k.replace("fc_norm.", "norm."): shape for k, shape in changed.items()}
        if "cls_token" not in shapes:
            options["class_token"] = False
            changed["cls_token"] = (1, 1, patch[0])
    if options:
        yield changed, options
    if patch[2] == patch[3] and patch[2] not in _PATCH_SIDES:
        for side in _PATCH_SIDES:
            yield (
                {**changed, _PATCHES: (*patch[:2], side, side)},
                {**options, "patch_size": patch[2]},
            )
            break


def colors(shapes: Shapes) -> int:
    """Channels of the images: those of the first convolution that takes 1 or 3; 3 without one."""
    for shape in shapes.values():
        if len(shape) == 4 and shape[1] in (1, 3):
            return shape[1]
    return 3


def _side(shapes: Shapes, patch: int, size: int, extra: int) -> int:
    """Side of the image, from the number of positions that the network has embeddings for."""
    for key, shape in shapes.items():
        if key.rpartition(".")[2] in _PLACES and len(shape) == 3:
            places = math.isqrt(max(0, shape[1] - extra))
            if places * places == shape[1] - extra:
                return places * patch
    return size


def _patch(shapes: Shapes) -> int:
    """Side of the patches: the kernel of the convolution that takes the colors."""
    return next((s[2] for s in shapes.values() if len(s) == 4 and s[1] in (1, 3)), 16)


def _torchvision(row: dict[str, Any], shapes: Shapes, classes: int) -> Candidate:
    options: dict[str, Any] = {}
    size = row["size"]
    if row["name"] in ("googlenet", "inception_v3"):
        options["aux_logits"] = any(key.startswith(_OTHER_HEADS) for key in shapes)
    if row["name"].startswith("vit_"):
        size = options["image_size"] = _side(shapes, _patch(shapes), size, 1)
    sizes = (size,) if "image_size" in options else tuple(dict.fromkeys((size, 224, 32)))
    build = partial(_build_torchvision, row["name"], classes, options)
    any_size = "image_size" not in options
    return Candidate(
        f"{row['name']} (torchvision)", build, row["head"], sizes, any_size=any_size, computes=True
    )


def _build_torchvision(name: str, classes: int, options: dict[str, Any]) -> nn.Module:
    import torchvision

    more: dict[str, Any] = {"init_weights": False} if "aux_logits" in options else {}
    network: nn.Module = torchvision.models.get_model(
        name, weights=None, num_classes=classes, **options, **more
    )
    return network


def _timm(row: dict[str, Any], shapes: Shapes, classes: int, options: dict[str, Any]) -> Candidate:
    import timm

    size = row["size"]
    config = timm.get_pretrained_cfg(row["name"])
    fixed = config is not None and bool(config.fixed_input_size)
    places = next((k for k in shapes if k.rpartition(".")[2] in _PLACES), None)
    options = dict(options)
    changes = "".join(f", {name} {value}" for name, value in options.items())
    if places is not None and shapes[places][0] == 1:
        for extra in (1, 0, 2):
            side = _side(shapes, _patch(shapes), 0, extra)
            if side:
                break
        if side and side != size:
            size = options["img_size"] = side
    if colors(shapes) != 3:
        options["in_chans"] = colors(shapes)
    fixed = fixed or places is not None
    sizes = (size,) if fixed else tuple(dict.fromkeys((size, 224, 32)))
    build = partial(_build_timm, row["name"], classes, options)
    return Candidate(
        f"{row['name']}{changes} (timm)",
        build,
        row["head"],
        sizes,
        any_size=not fixed,
        computes=True,
    )


def propose_named(shapes: Shapes, config: Mapping[str, Any]) -> Iterator[Candidate]:
    """The network of timm that ``config``, from a config.json, names, if it has a linear head; none
    if it names none, or timm is not installed.
    """
    name = config.get("architecture")
    if not isinstance(name, str) or importlib.util.find_spec("timm") is None:
        return
    import timm

    described = timm.get_pretrained_cfg(name) if timm.is_model(name) else None
    if described is None:
        return
    head = described.classifier
    if not isinstance(head, str) or len(shapes.get(f"{head}.weight", ())) != 2:
        return
    size = _declared_side(config) or (described.test_input_size or described.input_size)[-1]
    row = {"name": name, "head": head, "size": size}
    for _, options in _published(shapes):
        yield _timm(row, shapes, shapes[f"{head}.weight"][0], options)


def _declared_side(config: Mapping[str, Any]) -> int:
    """Side of the images in pixels that a config names; 0 if it does not."""
    trained = config.get("pretrained_cfg")
    shape = trained.get("input_size") if isinstance(trained, dict) else None
    if not isinstance(shape, list) or len(shape) != 3:
        return 0
    return shape[2] if type(shape[2]) is int and 0 < shape[2] <= MAX_SIZE else 0


def _build_timm(name: str, classes: int, options: dict[str, Any]) -> nn.Module:
    import timm

    network: nn.Module = timm.create_model(name, pretrained=False, num_classes=classes, **options)
    return network
