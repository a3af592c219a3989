"""What a checkpoint holds, for the user to check before doing anything with it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from bdshift.checkpoints.classifier import Opened
from bdshift.checkpoints.layout import PROGRAMS, StateDict, find_state_dict
from bdshift.checkpoints.names import foreign
from bdshift.checkpoints.reader import CheckpointFile
from bdshift.words import Sentence, words

_NORMS = {"running_mean", "running_var", "num_batches_tracked"}


@dataclass(frozen=True)
class LayerRow:
    """A layer: its ``path``, ``kind``, the ``shape`` of its weight, and all its ``numbers``."""

    path: str
    kind: str
    shape: tuple[int, ...]
    numbers: int


@dataclass(frozen=True)
class Recognition:
    """Which network it is.

    Attributes:
        architectures: all that fit, the likeliest first.
        how: how it was recognized.
        ignored: tensors that it does not use.
        head: name of the last linear layer.
        classes, embedding_dim: C and d; C is 0 if the head is made of the classes' names.
        input_sizes: sides of images that it is usually given, in pixels.
        normalizations: named by the file, or by a config next to it.
        class_names: as given in the file, by index; () if it gives none.
    """

    architectures: tuple[str, ...]
    how: Sentence
    ignored: tuple[str, ...]
    head: str
    classes: int
    embedding_dim: int
    input_sizes: tuple[int, ...]
    normalizations: tuple[str, ...]
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class Description:
    """What a checkpoint holds.

    Attributes:
        path, sha256, size: of the file, the size in bytes.
        container: what kind of file it is.
        wrapper: keys that lead to the weights, from outside in.
        prefix: before the names of all tensors.
        saved_class: of a whole module that was saved; "" if only weights were.
        has_program: whether the file holds code that could be run.
        beside: what else is in it.
        other_models: that it holds, by name.
        folded: tensors that were combined from others, counted by method.
        tensors, numbers: how many.
        dtypes: tensors counted by type.
        names_in_pickle: everything that its pickle names.
        foreign_names: those of them that loading with torch would import and run.
        layers: all of them, in the file's order.
        recognized: which network it is; None if that is not known.
    """

    path: str
    sha256: str
    size: int
    container: str
    wrapper: tuple[str, ...]
    prefix: str
    saved_class: str
    has_program: bool
    beside: tuple[str, ...]
    other_models: tuple[str, ...]
    folded: Mapping[str, int]
    tensors: int
    numbers: int
    dtypes: Mapping[str, int]
    names_in_pickle: tuple[str, ...]
    foreign_names: tuple[str, ...]
    layers: tuple[LayerRow, ...]
    recognized: Recognition | None


def describe(
    file: CheckpointFile, weights: str | None = None, opened: Opened | None = None
) -> Description:
    """Describe a checkpoint that was read; ``weights`` is as in `open_checkpoint`, and ``opened``
    is what it was recognized as.

    Raises `InputError` if it holds no weights, `UsageError` if ``weights`` cannot be used.
    """
    state = find_state_dict(file, weights)
    shapes = state.shapes()
    return Description(
        path=str(file.path),
        sha256=file.sha256,
        size=file.size,
        container=file.container,
        wrapper=tuple(state.layout.wrapper),
        prefix=state.layout.prefix,
        saved_class=state.layout.kind,
        has_program=file.container in PROGRAMS,
        beside=tuple(state.layout.beside),
        other_models=(*state.layout.copies, *state.layout.others),
        folded=dict(Counter(way for way, _ in state.layout.folded.values())),
        tensors=len(shapes),
        numbers=sum(math.prod(shape) for shape in shapes.values()),
        dtypes=dict(Counter(state.layout.dtypes.values())),
        names_in_pickle=tuple(str(name) for name in file.names),
        foreign_names=tuple(foreign(file.names)),
        layers=layer_table(state),
        recognized=None if opened is None else _recognized(opened),
    )


def _recognized(opened: Opened) -> Recognition:
    first = opened.candidates[0]
    return Recognition(
        architectures=tuple(candidate.name for candidate in opened.candidates),
        how=_how(opened),
        ignored=tuple(opened.ignored),
        head=first.head,
        classes=opened.classes,
        embedding_dim=opened.embedding_dim,
        input_sizes=tuple(first.sizes),
        normalizations=tuple(one.name for one in opened.declared),
        class_names=tuple(opened.class_names),
    )


_ORDER_IN_FILE = words("in the file", ja="ファイルから")
_ORDER_FROM_SHAPES = words("from the shapes", ja="形状から")


def _how(opened: Opened) -> Sentence:
    """How it was recognized as this architecture."""
    first = opened.candidates[0]
    if opened.from_user:
        return Sentence(words("you named it; its code is run",
                              ja="ユーザーが指定しました（コードを実行します）"))  # fmt: skip
    if first.rebuilt:
        ways = sum(1 + len(candidate.rare) for candidate in opened.candidates)
        known = bool(opened.state.layout.kind)
        return Sentence(
            words("rebuilt from the weights, the order of layers {order}; "
                  "{ways:|way fits|ways fit}, and clean accuracy decides",
                  ja="重みから再構成（層の順は{order}）。{ways} 通りが合い、"
                     "クリーン正解率で決めます"),
            {"order": Sentence(_ORDER_IN_FILE if known else _ORDER_FROM_SHAPES), "ways": ways},
        )  # fmt: skip
    if first.by_shape:
        return Sentence(
            words("the shapes and the order of its layers; "
                  "{count:|network fits|networks fit}, and clean accuracy decides",
                  ja="層の形状と順序。{count} 個のネットワークが合い、"
                     "クリーン正解率で決めます"),
            {"count": len(opened.candidates)},
        )  # fmt: skip
    if first.name.endswith("(transformers)"):
        return Sentence(words("its config.json, and the names and shapes of all its tensors",
                              ja="config.json と全テンソルの名前・形状"))  # fmt: skip
    if len(opened.candidates) > 1:
        return Sentence(
            words("{count} networks have these tensors; clean accuracy decides",
                  ja="{count} 個のネットワークがこのテンソルを持ちます。"
                     "クリーン正解率で決めます"),
            {"count": len(opened.candidates)},
        )  # fmt: skip
    return Sentence(words("the names and shapes of all its tensors",
                          ja="全テンソルの名前・形状"))  # fmt: skip


def layer_table(state: StateDict) -> tuple[LayerRow, ...]:
    """A row for each layer, in the file's order.

    The kind is the saved class if a pickled module gives it, else what its tensors suggest.
    """
    saved = {layer.path: layer.kind.rpartition(".")[2] for layer in state.layers}
    groups: dict[str, dict[str, tuple[int, ...]]] = {}
    for key, tensor in state.tensors.items():
        path, _, name = key.rpartition(".")
        groups.setdefault(path, {})[name] = tensor.shape
    return tuple(
        LayerRow(
            path,
            saved.get(path) or _kind(own),
            tuple(_main(own)),
            sum(math.prod(shape) for name, shape in own.items() if name not in _NORMS),
        )
        for path, own in groups.items()
    )


def _main(own: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    return own.get("weight") or own.get("running_mean") or next(iter(own.values()))


_KINDS = {
    4: words("convolution", ja="畳み込み"),
    2: words("linear", ja="線形"),
    1: words("norm", ja="正規化層"),
}


def _kind(own: Mapping[str, tuple[int, ...]]) -> str:
    if "running_mean" in own:
        return words("batch norm", ja="バッチ正規化")
    return _KINDS.get(len(own.get("weight", ()))) or words("tensor", ja="テンソル")
