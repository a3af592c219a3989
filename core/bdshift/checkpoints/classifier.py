"""A network with known weights: backbone φ, linear head (W, b), and where they came from."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bdshift.checkpoints.copies import copies_of_used
from bdshift.checkpoints.families import Candidate
from bdshift.checkpoints.foreign_models import what_network
from bdshift.checkpoints.hints import declared_names, declared_normalizations
from bdshift.checkpoints.layout import Layout, StateDict, find_state_dict
from bdshift.checkpoints.one_output import read_as_two_classes, write_as_one_output
from bdshift.checkpoints.prompts import ClassPrompts
from bdshift.checkpoints.reader import CheckpointFile, read_checkpoint
from bdshift.checkpoints.recognize import find_candidates
from bdshift.checkpoints.unused import outermost
from bdshift.checkpoints.users_own import Architecture, OwnNetwork
from bdshift.errors import InputError, UnknownArchitecture
from bdshift.images.preprocessing import Normalization, Preprocessing
from bdshift.jobs import SILENT, JobContext

_ROUNDING = 1e-3


def to_head(
    network: nn.Module, head: nn.Module, images: torch.Tensor
) -> tuple[list[torch.Tensor], Any]:
    """The inputs of ``head`` while ``network`` runs, one for each call, and the output."""
    caught: list[torch.Tensor] = []
    hook = head.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))
    try:
        return caught, network(images)
    finally:
        hook.remove()


@dataclass(frozen=True)
class LoadedNetwork:
    """A network with a file's weights. The preprocessing of its images is not known yet; with it,
    this becomes a `Classifier`.

    Attributes:
        network: in eval mode, float32, without gradients.
        head_name: module path of the last linear layer.
        architecture: its human-readable name.
        path, sha256: of the file.
        layout: how the weights were stored in the file.
        sizes: input sizes worth trying.
        channels: of the images, 1 or 3.
        softmax_inside: whether the network itself ends in a softmax, log-softmax or sigmoid; the
            logits are then the head's.
        one_output: whether the file's head has a single row (`bdshift.checkpoints.one_output`);
            here it has two.
        prompts: what the head was made of, if the file holds none.
        made_head: W as it was made of them, float32 (C, d); None without prompts.
    """

    network: nn.Module
    head_name: str
    architecture: str
    path: Path
    sha256: str
    layout: Layout
    sizes: tuple[int, ...] = ()
    channels: int = 3
    softmax_inside: bool = False
    one_output: bool = False
    prompts: ClassPrompts | None = None
    made_head: torch.Tensor | None = None

    @cached_property
    def head(self) -> nn.Linear:
        """The last linear layer."""
        head = self.network.get_submodule(self.head_name)
        assert isinstance(head, nn.Linear)
        return head

    @property
    def weight(self) -> torch.Tensor:
        """W, float32 (C, d)."""
        return self.head.weight.detach()

    @property
    def bias(self) -> torch.Tensor:
        """b, float32 (C,); zeros if the head has none."""
        bias = self.head.bias
        return self.weight.new_zeros(self.classes) if bias is None else bias.detach()

    @property
    def classes(self) -> int:
        """Number of classes C."""
        return self.head.out_features

    @property
    def embedding_dim(self) -> int:
        """Embedding dimension d."""
        return self.head.in_features

    def with_preprocessing(self, preprocessing: Preprocessing) -> Classifier:
        """The classifier whose images go through ``preprocessing``."""
        own = {one.name: getattr(self, one.name) for one in fields(LoadedNetwork)}
        return Classifier(**own, preprocessing=preprocessing)

    def with_made_head(self, weight: NDArray[np.float32]) -> Self:
        """The same with the head (C, d) that an audit remembers, if that is the one made of the
        prompts but for rounding, which differs from machine to machine; else itself.
        """
        made = torch.from_numpy(weight.copy())
        if self.made_head is None or made.shape != self.made_head.shape:
            return self
        if not torch.allclose(made, self.made_head, _ROUNDING, _ROUNDING):
            return self
        self.head.weight.copy_(made)
        return replace(self, made_head=made)

    def embed(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """φ(x) (n, d) and what the network returns (n, C), for preprocessed images.

        Raises `InputError` if the head does not get one vector per image.
        """
        with torch.inference_mode():
            caught, output = to_head(self.network, self.head, images)
        if len(caught) != 1 or caught[0].dim() != 2 or not isinstance(output, torch.Tensor):
            raise InputError(
                "{path}: layer {layer} does not get one embedding per image, so it is not the head "
                "of a classifier",
                path=self.path, layer=self.head_name,
            )  # fmt: skip
        return caught[0], output

    def checked(self, images: torch.Tensor) -> Self:
        """The same network, verified to return φWᵀ + b, or its softmax, for ``images``.

        Raises `InputError` if it does anything else after its head.
        """
        phi, output = self.embed(images)
        logits = phi @ self.weight.T + self.bias
        if not torch.isfinite(output).all():
            raise InputError(
                "{path}: the network's outputs are not finite: its weights or batch norms are "
                "broken",
                path=self.path,
            )
        if output.shape == logits.shape:
            if torch.allclose(output, logits, 1e-3, 1e-3):
                return self
            sigmoid = (logits.sigmoid(),) if self.one_output else ()
            for squashed in (logits.softmax(1), logits.log_softmax(1), *sigmoid):
                if torch.allclose(output, squashed, 1e-3, 1e-5):
                    return replace(self, softmax_inside=True)
        raise InputError(
            "{path}: the network does something after its layer {layer}, so its output is not the "
            "head's logits",
            path=self.path, layer=self.head_name,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Classifier(LoadedNetwork):
    """An image classifier as bdshift sees it: a network and the preprocessing of its images."""

    preprocessing: Preprocessing

    def as_in_file(self) -> Classifier:
        """The same with as many outputs as the file's network has; ``self`` is not changed."""
        if not self.one_output:
            return self
        found = replace(self, network=copy.deepcopy(self.network), one_output=False)
        write_as_one_output(found.head)
        return found


@dataclass(frozen=True)
class Opened:
    """A checkpoint that was read and recognized; more than one candidate if they share all shapes.

    `load` builds one of them; clean accuracy decides which (`bdshift.checkpoints.settle`).

    Attributes:
        file, state: as they were read; ``state`` holds what the candidates use.
        candidates: all that fit.
        from_user: whether it is the user's own network (`OwnNetwork`).
        ignored: tensors that no candidate uses.
        beside: the modules that hold them, the outermost of each.
        declared: normalizations that the file, or a config.json next to it, names.
        class_names: as given in the file or the config, by index; () if neither gives them.
        prompts: what the head is made of, if the file holds none; None until they are given.
    """

    file: CheckpointFile
    state: StateDict
    candidates: tuple[Candidate, ...]
    from_user: bool
    ignored: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    declared: tuple[Normalization, ...] = ()
    class_names: tuple[str, ...] = ()
    prompts: ClassPrompts | None = None

    @property
    def needs_names(self) -> bool:
        """Whether its head is made from the names of the classes (`with_prompts`)."""
        return self.candidates[0].head_from_names is not None

    @property
    def classes(self) -> int:
        """Number of classes C, the same for all candidates; two for a single output, 0 until there
        are prompts for a network that needs them.
        """
        if self.needs_names:
            return 0 if self.prompts is None else len(self.prompts.names)
        return max(2, self.state.tensors[self.candidates[0].head_key].shape[0])

    @property
    def embedding_dim(self) -> int:
        """Embedding dimension d."""
        first = self.candidates[0]
        return first.embedding or self.state.tensors[first.head_key].shape[1]

    def with_prompts(self, prompts: ClassPrompts) -> Opened:
        """The same with a head for these classes."""
        return replace(self, prompts=prompts)

    @property
    def is_rebuilt(self) -> bool:
        """Whether all candidates are reconstructed from the weights alone."""
        return all(candidate.rebuilt for candidate in self.candidates)

    @cached_property
    def _weights(self) -> dict[str, torch.Tensor]:
        return _as_float32(self.state)

    def load(self, candidate: Candidate, job: JobContext = SILENT) -> LoadedNetwork:
        """The candidate with the file's weights, on the CPU.

        Raises `InputError` if they cannot be used, or if it needs prompts and there are none.
        """
        try:
            for_real = self.from_user or candidate.computes
            # Several networks may be made of the same weights: they share them.
            shared = candidate.rebuilt or self.needs_names
            tensors = self._weights if shared else _as_float32(self.state)
            network = _with_weights(candidate.build, tensors, on_meta=not for_real)
            if candidate.head_from_names is not None:
                network = candidate.head_from_names(network, self._required_prompts(), job)
            if not candidate.rebuilt:
                network = network.to(memory_format=torch.channels_last)
        except InputError as error:
            raise error.at(self.file.path) from error
        except RuntimeError as error:  # tensors of the right shape, but of a dtype it cannot take
            reason = str(error).splitlines()[0]
            raise InputError(
                "{path}: its weights cannot be used ({reason})", path=self.file.path, reason=reason
            ) from error
        head = network.get_submodule(candidate.head)
        if not isinstance(head, nn.Linear):
            raise InputError(
                "{path}: {layer} is not a linear layer", path=self.file.path, layer=candidate.head
            )
        one_output = head.out_features == 1
        if one_output:
            read_as_two_classes(head)
        channels = candidate.channels or _first_channels(network)
        if channels not in (1, 3) and not self.from_user:
            raise InputError(
                "{path}: takes images of {count} channels; only color images (3) and gray ones (1) "
                "can be given to it",
                path=self.file.path, count=channels,
            )  # fmt: skip
        return LoadedNetwork(
            network, candidate.head, candidate.name, self.file.path, self.file.sha256,
            self.state.layout, sizes=candidate.sizes,
            channels=channels, one_output=one_output, prompts=self.prompts,
            made_head=None if self.prompts is None else head.weight.detach().clone(),
        )  # fmt: skip

    def _required_prompts(self) -> ClassPrompts:
        if self.prompts is None:
            raise InputError(
                "is a CLIP model, which classifies images only once its classes have names: scan "
                "it with images, and give the audit"
            )
        return self.prompts


def _first_channels(network: nn.Module) -> int:
    """Channels that the first convolution takes; 3 without one."""
    convs = (part for part in network.modules() if isinstance(part, nn.Conv2d))
    return next((conv.in_channels for conv in convs), 3)


def _as_float32(state: StateDict) -> dict[str, torch.Tensor]:
    return {
        key: value.float() if value.is_floating_point() else value
        for key, value in state.load().items()
    }


def _with_weights(
    build: Callable[[], nn.Module], tensors: Mapping[str, torch.Tensor], *, on_meta: bool
) -> nn.Module:
    """Build the network and give it the weights.

    Ours are built on the meta device, which skips the initialization; a user's own network, or a
    library's, may compute buffers while it is built, so it is built for real.
    """
    if on_meta:
        with torch.device("meta"):
            network = build()
    else:
        network = build()
    for key, _ in network.named_parameters():
        if key in tensors and not tensors[key].is_floating_point():
            raise InputError(
                "its {key} holds {dtype} numbers, which cannot be weights",
                key=key, dtype=str(tensors[key].dtype),
            )  # fmt: skip
    state: Any = OrderedDict(tensors)
    # Versions of the modules, which some of them look up.
    state._metadata = getattr(network.state_dict(), "_metadata", None)
    network.load_state_dict(state, strict=False, assign=True)
    for module in network.modules():
        for name, buffer in module.named_buffers(recurse=False):
            if buffer.is_meta:  # num_batches_tracked, which old files lack and nothing reads
                setattr(module, name, torch.zeros(buffer.shape, dtype=buffer.dtype))
    return network.eval().requires_grad_(False)


def open_checkpoint(
    path: str | Path,
    *,
    arch: Architecture | None = None,
    weights: str | None = None,
    job: JobContext = SILENT,
) -> Opened:
    """Read a checkpoint, or a Hugging Face folder, and recognize its architecture; nothing in the
    file is run.

    ``arch`` is as in `find_candidates`; only an `OwnNetwork` has its code run. ``weights``
    selects a model where the file holds several, such as "netC".

    Raises `InputError` if the file is unreadable, unsafe, damaged or not recognized, `UsageError`
    if ``arch`` or ``weights`` cannot be used.
    """
    file = read_checkpoint(path, job=job)
    return recognized(file, find_state_dict(file, weights), arch)


def recognized(file: CheckpointFile, whole: StateDict, arch: Architecture | None) -> Opened:
    """A checkpoint that was read, with the networks that it could be; ``whole`` is the selected
    state dict.

    Raises as `open_checkpoint` does, except for read errors.
    """
    for key, tensor in whole.tensors.items():
        if len(tensor.shape) > 1 and 0 in tensor.shape:
            if (other := what_network(whole.tensors, file.names)) is not None:
                raise other.at(file.path)
            raise InputError(
                "{path}: its {key} has the shape {shape}, which holds no numbers: no network can "
                "be made of it",
                path=file.path, key=key, shape=str(list(tensor.shape)),
            )  # fmt: skip
    try:
        found = find_candidates(whole, arch, file.beside.config)
    except UnknownArchitecture as error:
        raise (what_network(whole.tensors, file.names) or error).at(file.path) from error
    except InputError as error:
        raise error.at(file.path) from error
    copies = copies_of_used(whole, found.ignored)
    state = whole.without(found.ignored).under(found.prefix).with_repeated(copies)
    ignored = tuple(key for key in found.ignored if whole.layout.in_file(key) not in copies)
    opened = Opened(
        file,
        state,
        found.candidates,
        isinstance(arch, OwnNetwork),
        ignored=ignored,
        beside=outermost(whole.shapes(), ignored),
        declared=declared_normalizations(whole, found.ignored, file.beside),
    )
    usual = found.candidates[0].normalization
    if usual is not None and not opened.declared:
        opened = replace(opened, declared=(usual,))
    if opened.needs_names:
        return opened
    return replace(opened, class_names=declared_names(file, opened.classes))
