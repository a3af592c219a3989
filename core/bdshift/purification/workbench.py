"""What a method works on: its own copy of the network, the clean data, the target and its shift."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from bdshift.channels_last import channels_last
from bdshift.checkpoints.classifier import Classifier, to_head
from bdshift.checkpoints.eval_mode import in_eval_mode
from bdshift.checkpoints.recompute import fits_with_gradients, kept_for_gradients, recompute
from bdshift.devices import autocast, usual_precision
from bdshift.jobs import SILENT, JobContext, PartOfJob
from bdshift.purification.clean_data import CleanData, LabeledImages
from bdshift.shift.exact import solve_exact
from bdshift.shift.result import Shifts

BATCH = 250
"""Images at a time without gradients."""


@dataclass
class Workbench:
    """Everything that a method may use. The original classifier is never changed.

    Attributes:
        network: a copy of the classifier's, float32, whose weights the method changes.
        head_name: module path of its last linear layer.
        clean: the data, on ``device``.
        target: index of the poisoned class.
        shift: its embedding shift before anything was changed, float32 (d,).
        seed: of everything random.
        state: what the method needs again after a crash: plain values and tensors.
        precision: of the convolutions, "float32" or "bfloat16"; by default bfloat16 where the
            hardware has it.
        forwards, backwards: number of images that have gone through the network in each direction.
        through: what φ is computed with: the network, or its last layers (`frozen.tune_from`).
    """

    network: nn.Module
    head_name: str
    clean: CleanData
    target: int
    shift: torch.Tensor
    seed: int = 0
    job: JobContext = SILENT
    state: dict[str, Any] = field(default_factory=dict)
    precision: str = ""
    forwards: int = 0
    backwards: int = 0
    through: nn.Module = field(init=False)
    _kept: int | None = field(default=None, init=False)  # bytes of an image, for gradients
    _recomputing: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.through = self.network
        self.precision = self.precision or usual_precision(self.device)

    @property
    def head(self) -> nn.Linear:
        """The last linear layer."""
        head = self.network.get_submodule(self.head_name)
        assert isinstance(head, nn.Linear)
        return head

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.head.weight.device

    def phi(self, images: torch.Tensor) -> torch.Tensor:
        """φ of what ``clean.preprocess`` returns, float32 (n, d), with gradients if enabled."""
        if torch.is_grad_enabled() and not self._recomputing:
            self._make_room(images)
        self.forwards += len(images)
        return self._run(images)

    def _run(self, images: torch.Tensor) -> torch.Tensor:
        with autocast(self.device, self.precision):
            caught, _ = to_head(self.through, self.head, images)
        return caught[0].float()

    def _make_room(self, images: torch.Tensor) -> None:
        """Have blocks computed again on the way back, if memory cannot hold them all."""
        if self._kept is None:
            with in_eval_mode(self.network):  # it must not learn from this
                self._kept = kept_for_gradients(self.network, lambda: self._run(images[:1]))
        if not fits_with_gradients(self._kept, len(images), self.device):
            recompute(self.network)
            self._recomputing = True

    def embed(self, part: LabeledImages) -> torch.Tensor:
        """φ of all images in a part, in eval mode and without gradients, float32 (n, d)."""
        was_training = self.network.training
        self.network.eval()
        found = []
        with torch.no_grad():
            for pixels in part.pixels.split(BATCH):
                self.job.raise_if_canceled()
                found.append(self.phi(self.clean.preprocess(pixels)))
        self.network.train(was_training)
        return torch.cat(found)

    def batches(self, epoch: int, size: int) -> Iterator[torch.Tensor]:
        """Rows of ``clean.tune``, in a different order for each epoch; the same for one seed, as is
        what the network draws meanwhile for dropout.
        """
        seed = self.seed * 100_003 + epoch + 1
        torch.manual_seed(seed)
        rng = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(self.clean.tune), generator=rng).to(self.device)
        for rows in order.split(size):
            if len(rows) > 1 or len(order) == 1:  # batch norm cannot learn from one image
                yield rows


def copy_network(classifier: Classifier, device: torch.device) -> nn.Module:
    """A trainable copy, channels-last, on ``device``."""
    network = copy.deepcopy(classifier.network)
    return channels_last(network.to(device)).requires_grad_(True)


def shifts_of(phi: torch.Tensor, head: nn.Linear, job: JobContext = SILENT) -> Shifts:
    """Eq. 4 for every class, from embeddings (n, d) and the head as they are now."""
    with torch.no_grad():
        logits = head(phi).float()
    device = phi.device if phi.device.type == "cuda" else torch.device("cpu")
    return solve_exact(
        logits.to(device), head.weight.detach().to(device), device=device, job=PartOfJob(job)
    )
