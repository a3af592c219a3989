"""A network with known weights: backbone φ, linear head (W, b), and where they came from."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bdshift.checkpoints.families import Candidate
from bdshift.checkpoints.hints import told_names, told_normalizations
from bdshift.checkpoints.layout import Layout, StateDict, find_state_dict
from bdshift.checkpoints.reader import CheckpointFile, read_checkpoint
from bdshift.checkpoints.recognize import find_candidates, is_users_own
from bdshift.errors import InputError
from bdshift.images.preprocessing import Normalization, Preprocessing
from bdshift.jobs import SILENT, JobContext


def to_head(
    network: nn.Module, head: nn.Module, images: torch.Tensor
) -> tuple[list[torch.Tensor], Any]:
    """What comes into ``head`` while ``network`` is run, once for each time, and the output."""
    caught: list[torch.Tensor] = []
    hook = head.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))
    try:
        return caught, network(images)
    finally:
        hook.remove()


@dataclass(frozen=True)
class Classifier:
    """An image classifier as bdshift sees it.

    Attributes:
        network: in eval mode, float32, without gradients.
        head_name: module path of the last linear layer.
        architecture: its name for people.
        path, sha256: of the file.
        layout: how the weights lay in the file.
        preprocessing: what images go through, once it is known.
        sizes: input sizes worth trying.
        channels: of the images, 1 or 3.
        softmax_inside: whether the network ends in a softmax of its own, or its logarithm; logits
            are then the head's.
    """

    network: nn.Module
    head_name: str
    architecture: str
    path: Path
    sha256: str
    layout: Layout
    preprocessing: Preprocessing | None = None
    sizes: tuple[int, ...] = ()
    channels: int = 3
    softmax_inside: bool = False

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
        """The same network, its images treated so."""
        return replace(self, preprocessing=preprocessing)

    def embed(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """φ(x) (n, d) and what the network returns (n, C), for preprocessed images.

        Raises `InputError` if the head is not fed one vector an image.
        """
        with torch.inference_mode():
            caught, output = to_head(self.network, self.head, images)
        if len(caught) != 1 or caught[0].dim() != 2 or not isinstance(output, torch.Tensor):
            raise InputError(
                f"{self.path}: layer {self.head_name} is not fed one embedding an image, so it is "
                "not the head of a classifier"
            )
        return caught[0], output

    def checked(self, images: torch.Tensor) -> Classifier:
        """The classifier itself, known to give φWᵀ + b, or the softmax of that, for ``images``.

        Raises `InputError` if it does anything else after its head.
        """
        phi, output = self.embed(images)
        logits = phi @ self.weight.T + self.bias
        if not torch.isfinite(output).all():
            raise InputError(
                f"{self.path}: the network's outputs are not finite: its weights or batch norms "
                "are broken"
            )
        if output.shape == logits.shape:
            if torch.allclose(output, logits, 1e-3, 1e-3):
                return self
            for squashed in (logits.softmax(1), logits.log_softmax(1)):
                if torch.allclose(output, squashed, 1e-3, 1e-5):
                    return replace(self, softmax_inside=True)
        raise InputError(
            f"{self.path}: the network does something after its layer {self.head_name}, so its "
            "output is not the head's logits"
        )


@dataclass(frozen=True)
class Opened:
    """A checkpoint that was read and recognized; more than one candidate if they share all shapes.

    `classifier` makes one of them; clean accuracy says which (`bdshift.checkpoints.settle`).

    Attributes:
        file, state: as they were read; ``state`` holds what the candidates use.
        candidates: all that fit.
        from_user: whether it is a network of the user's own (``--arch package.module:callable``).
        ignored: tensors that no candidate uses.
        told: normalizations that the file, or a config.json beside it, names.
        class_names: as the file or the config has them, by index; () if it does not say.
    """

    file: CheckpointFile
    state: StateDict
    candidates: tuple[Candidate, ...]
    from_user: bool
    ignored: tuple[str, ...] = ()
    told: tuple[Normalization, ...] = ()
    class_names: tuple[str, ...] = ()

    @property
    def classes(self) -> int:
        """Number of classes C, the same for all candidates."""
        return self.state.tensors[f"{self.candidates[0].head}.weight"].shape[0]

    @property
    def is_rebuilt(self) -> bool:
        """Whether all candidates are put together from the weights alone."""
        return all(candidate.rebuilt for candidate in self.candidates)

    @cached_property
    def _weights(self) -> dict[str, torch.Tensor]:
        return _as_float32(self.state)

    def classifier(self, candidate: Candidate) -> Classifier:
        """The candidate with the file's weights, on the CPU."""
        try:
            for_real = self.from_user or candidate.computes
            # Hundreds of networks may be put together from the same weights: they share them.
            tensors = self._weights if candidate.rebuilt else _as_float32(self.state)
            network = _with_weights(candidate.build, tensors, on_meta=not for_real)
            if not candidate.rebuilt:
                network = network.to(memory_format=torch.channels_last)
        except InputError as error:
            raise InputError(f"{self.file.path}: {error}") from error
        except RuntimeError as error:  # tensors of the right shape, but of a kind it cannot take
            reason = str(error).splitlines()[0]
            raise InputError(f"{self.file.path}: its weights cannot be used ({reason})") from error
        head = network.get_submodule(candidate.head)
        if not isinstance(head, nn.Linear):
            raise InputError(f"{self.file.path}: {candidate.head} is not a linear layer")
        return Classifier(
            network, candidate.head, candidate.name, self.file.path, self.file.sha256,
            self.state.layout, sizes=candidate.sizes,
            channels=candidate.channels or _first_channels(network),
        )  # fmt: skip


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

    Ours are built on the meta device, which saves the initialization; a user's own network, or a
    library's, may compute buffers while it is built, so it is built for real.
    """
    if on_meta:
        with torch.device("meta"):
            network = build()
    else:
        network = build()
    for key, _ in network.named_parameters():
        if key in tensors and not tensors[key].is_floating_point():
            raise InputError(f"its {key} holds {tensors[key].dtype} numbers, which are no weights")
    state: Any = OrderedDict(tensors)
    state._metadata = getattr(
        network.state_dict(), "_metadata", None
    )  # versions: some ask for them
    network.load_state_dict(state, strict=False, assign=True)
    for module in network.modules():
        for name, buffer in module.named_buffers(recurse=False):
            if buffer.is_meta:  # num_batches_tracked, which old files lack and nobody reads
                setattr(module, name, torch.zeros(buffer.shape, dtype=buffer.dtype))
    return network.eval().requires_grad_(False)


def open_checkpoint(
    path: str | Path,
    *,
    arch: str | None = None,
    weights: str | None = None,
    job: JobContext = SILENT,
) -> Opened:
    """Read a checkpoint, or a Hugging Face folder, and recognize its architecture; nothing in the
    file is run.

    ``arch`` is as `find_candidates` has it; only a network of the user's own has its code run.
    ``weights`` says which model is meant where a file holds several, as "netC".

    Raises `InputError` if the file is unreadable, unsafe, damaged or not recognized, `UsageError`
    if ``arch`` or ``weights`` cannot be used.
    """
    file = read_checkpoint(path, job=job)
    return recognized(file, find_state_dict(file, weights), arch)


def recognized(file: CheckpointFile, whole: StateDict, arch: str | None) -> Opened:
    """A checkpoint that was read, with the networks that it could be; ``whole`` is the state dict
    that is meant.

    Raises as `open_checkpoint` does, but for what concerns reading.
    """
    try:
        found = find_candidates(whole, arch, file.beside.config)
    except InputError as error:
        raise type(error)(f"{file.path}: {error}") from error
    # Under a prefix, what is ignored lies outside; a name in there may be the same.
    state = whole.under(found.prefix) if found.prefix else whole.without(found.ignored)
    opened = Opened(
        file,
        state,
        found.candidates,
        arch is not None and is_users_own(arch),
        ignored=found.ignored,
        told=told_normalizations(whole, found.ignored, file.beside),
    )
    return replace(opened, class_names=told_names(file, opened.classes))
