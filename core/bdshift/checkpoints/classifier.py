"""A network with known weights: backbone φ, linear head (W, b), and where they came from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import nn

from bdshift.checkpoints.families import Candidate
from bdshift.checkpoints.layout import Layout, StateDict, find_state_dict
from bdshift.checkpoints.reader import CheckpointFile, read_checkpoint
from bdshift.checkpoints.recognise import find_candidates, is_users_own
from bdshift.errors import InputError
from bdshift.images.preprocessing import Preprocessing
from bdshift.jobs import SILENT, JobContext


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
    """

    network: nn.Module
    head_name: str
    architecture: str
    path: Path
    sha256: str
    layout: Layout
    preprocessing: Preprocessing | None = None
    sizes: tuple[int, ...] = ()

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
        caught: list[torch.Tensor] = []

        def catch(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            caught.append(inputs[0])

        hook = self.head.register_forward_pre_hook(catch)
        try:
            with torch.inference_mode():
                output = self.network(images)
        finally:
            hook.remove()
        if len(caught) != 1 or caught[0].dim() != 2 or not isinstance(output, torch.Tensor):
            raise InputError(
                f"{self.path}: layer {self.head_name} is not fed one embedding an image, so it is "
                "not the head of a classifier"
            )
        return caught[0], output

    def check_head(self, images: torch.Tensor) -> None:
        """Raise `InputError` unless the network's output is φWᵀ + b and nothing after."""
        phi, output = self.embed(images)
        logits = phi @ self.weight.T + self.bias
        if not torch.isfinite(output).all():
            raise InputError(
                f"{self.path}: the network's outputs are not finite: its weights or batch norms "
                "are broken"
            )
        if output.shape != logits.shape or not torch.allclose(output, logits, 1e-3, 1e-3):
            raise InputError(
                f"{self.path}: the network does something after its layer {self.head_name}, so its "
                "output is not the head's logits"
            )


@dataclass(frozen=True)
class Opened:
    """A checkpoint that was read and recognised; more than one candidate if they share all shapes.

    `classifier` makes one of them; clean accuracy says which (`bdshift.checkpoints.settle`).
    """

    file: CheckpointFile
    state: StateDict
    candidates: tuple[Candidate, ...]
    from_user: bool

    @property
    def classes(self) -> int:
        """Number of classes C, the same for all candidates."""
        return self.state.tensors[f"{self.candidates[0].head}.weight"].shape[0]

    def classifier(self, candidate: Candidate) -> Classifier:
        """The candidate with the file's weights, on the CPU."""
        try:
            network = _with_weights(candidate.build, self.state, on_meta=not self.from_user)
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
        )  # fmt: skip


def _with_weights(build: Callable[[], nn.Module], state: StateDict, *, on_meta: bool) -> nn.Module:
    """Build the network and give it the weights, as float32.

    Ours are built on the meta device, which saves the initialisation; a user's own network may
    compute buffers while it is built, so it is built for real.
    """
    if on_meta:
        with torch.device("meta"):
            network = build()
    else:
        network = build()
    tensors = state.load()
    for key, _ in network.named_parameters():
        if key in tensors and not tensors[key].is_floating_point():
            raise InputError(f"its {key} holds {tensors[key].dtype} numbers, which are no weights")
    tensors = {
        key: value.float() if value.is_floating_point() else value for key, value in tensors.items()
    }
    network.load_state_dict(tensors, strict=False, assign=True)
    for module in network.modules():
        for name, buffer in module.named_buffers(recurse=False):
            if buffer.is_meta:  # num_batches_tracked, which old files lack and nobody reads
                setattr(module, name, torch.zeros(buffer.shape, dtype=buffer.dtype))
    network.eval().requires_grad_(False)
    return network.to(memory_format=torch.channels_last)


def open_checkpoint(
    path: str | Path, *, arch: str | None = None, job: JobContext = SILENT
) -> Opened:
    """Read a checkpoint and recognise its architecture; nothing in the file is run.

    ``arch`` is as `find_candidates` has it; only a network of the user's own has its code run.

    Raises `InputError` if the file is unreadable, unsafe, damaged or not recognised, `UsageError`
    if ``arch`` cannot be used.
    """
    file = read_checkpoint(path, job=job)
    state = find_state_dict(file)
    try:
        found = find_candidates(state.shapes(), arch)
    except InputError as error:
        raise type(error)(f"{file.path}: {error}") from error
    return Opened(file, state, tuple(found), arch is not None and is_users_own(arch))
