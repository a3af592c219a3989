"""Weight-disentanglement error of a backdoor (TBAR, after Ortiz-Jimenez et al., 2023): whether the
part of the weights that holds it and the rest work independently of one another.

The weights are taken apart into θ_pre, from which both models started, τ_c, what the purified one
has learned since, and τ_t, what the purification has removed: θ_pre + τ_c + τ_t are the weights of
the audited model. Of a network f with θ_pre + α_c·τ_c + α_t·τ_t,

    ξ(α_c, α_t) = P_clean[f(α_c, 0) ≠ f(α_c, α_t)] + P_triggered[f(0, α_t) ≠ f(α_c, α_t)],

between 0 and 2. Running statistics of batch norms stay those of the audited model.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from bdshift.audit.records import Audit, Purification
from bdshift.audit.stages import Material
from bdshift.checkpoints.classifier import LoadedNetwork
from bdshift.devices import pick_device
from bdshift.errors import InputError, UsageError
from bdshift.jobs import SILENT, JobContext
from bdshift.purify import read_images
from bdshift.purify.vectors import difference, layers_of, move, weights_of
from bdshift.triggers import Trigger

POINTS = (7, 13)
"""Points along each axis: first few, then the ones between them."""

REACH = 3.0
"""α goes from −3 to 3, as in the paper on disentanglement."""

_IMAGES = 200
_BATCH = 100

Place = tuple[float, float]
"""α_c and α_t."""


@dataclass(frozen=True)
class Mixture:
    """A point of the plane; ``clean`` and ``triggered`` are the two terms of ξ."""

    alpha_clean: float
    alpha_trigger: float
    clean: float
    triggered: float

    @property
    def error(self) -> float:
        """ξ."""
        return self.clean + self.triggered


class Plane:
    """Measures points of the plane, one at a time.

    Args:
        audit, material: of the model with the backdoor.
        made: a purification of it.
        base: the model that it was made from, with the same head.
        trigger: its trigger.
        device: where to compute.

    Raises `InputError` if the networks are of two architectures, or the images are not those of
    the audit, `UsageError` without the purified weights.
    """

    def __init__(
        self,
        audit: Audit,
        material: Material,
        made: Purification,
        base: LoadedNetwork,
        trigger: Trigger,
        *,
        device: str = "auto",
        job: JobContext = SILENT,
    ) -> None:
        where = pick_device(device)
        original = material.classifier
        self._network = copy.deepcopy(original.network).to(where).eval()
        names = layers_of(self._network)

        def parameters(network: nn.Module) -> dict[str, torch.Tensor]:
            return {k: v.to(where) for k, v in weights_of(network, names).items()}

        self._start = parameters(base.network)
        full, purified = (
            parameters(original.network),
            parameters(made.result.applied_to(original).network),
        )
        if {k: v.shape for k, v in self._start.items()} != {k: v.shape for k, v in full.items()}:
            raise InputError(
                "{path}: its weights do not have the shapes of those of {other}",
                path=base.path, other=str(original.path),
            )  # fmt: skip
        self._clean_vector = difference(purified, self._start)
        self._trigger_vector = difference(full, purified)
        self._preprocess, self._job = original.preprocessing, job
        pixels, others = _images(audit, material, made.result.target, job)
        self._clean = pixels.to(where)
        self._triggered = trigger(others.to(where).float()).round_()
        self._answers: dict[Place, tuple[torch.Tensor, torch.Tensor]] = {}
        told = (audit.model.sha256, base.sha256, made.result.method, str(made.result.seed),
                str(made.result.kept), trigger.spec, audit.images.sha256)  # fmt: skip
        self.identity = hashlib.sha256("\0".join(told).encode()).hexdigest()
        """Of everything that the figures depend on."""

    def measure(self, place: Place) -> Mixture:
        """One point."""
        alpha_clean, alpha_trigger = place
        both = self._answer(place)
        first = self._answer((alpha_clean, 0.0))[0]
        second = self._answer((0.0, alpha_trigger))[1]
        return Mixture(
            alpha_clean, alpha_trigger,
            float((first != both[0]).float().mean()), float((second != both[1]).float().mean()),
        )  # fmt: skip

    def _answer(self, place: Place) -> tuple[torch.Tensor, torch.Tensor]:
        """Predicted classes of the clean and of the triggered images."""
        if place not in self._answers:
            move(self._network, self._start, self._clean_vector, place[0])
            now = weights_of(self._network, self._trigger_vector)
            move(self._network, now, self._trigger_vector, place[1])
            found = self._predict(self._clean), self._predict(self._triggered)
            if 0.0 not in place:
                return found
            self._answers[place] = found  # these are needed again
        return self._answers[place]

    def _predict(self, images: torch.Tensor) -> torch.Tensor:
        found = []
        with torch.no_grad():
            for part in images.split(_BATCH):
                self._job.raise_if_canceled()
                found.append(self._network(self._preprocess(part)).argmax(1).cpu())
        return torch.cat(found)


def _images(
    audit: Audit, material: Material, target: int, job: JobContext
) -> tuple[torch.Tensor, torch.Tensor]:
    """A sample of the audit's images, and those of them that are not of the target."""
    clean, preprocess = material.clean, material.classifier.preprocessing
    everything = read_images(
        clean.collection, clean.files, clean.class_map.of_folder, preprocess.size,
        framing=preprocess.framing, expected=audit.images.sha256, job=job,
    )  # fmt: skip
    order = np.random.default_rng(0).permutation(len(everything))[:_IMAGES]
    chosen = everything[torch.from_numpy(order)]
    others = chosen[chosen.labels != target]
    if not len(others):
        raise InputError("there are no images of other classes to put the trigger on")
    return chosen.pixels, others.pixels


def places(points: int) -> list[Place]:
    """All points of a grid, along both axes from −`REACH` to `REACH`.

    Raises `UsageError` unless there is a point at 0 and one between it and the end.
    """
    if points < 5 or points % 2 == 0 or points > 61:
        raise UsageError("the points along an axis are an odd number from 5 to 61, not {count}",
                         count=points)  # fmt: skip
    axis = [round(float(one), 6) for one in np.linspace(-REACH, REACH, points)]
    return [(clean, triggered) for triggered in axis for clean in axis]


def measure_plane(
    plane: Plane,
    known: Sequence[Mixture] = (),
    points: Sequence[int] = POINTS,
    *,
    job: JobContext = SILENT,
) -> Iterator[Mixture]:
    """The points that are not ``known``, grid after grid, each as soon as it is measured."""
    done = {(one.alpha_clean, one.alpha_trigger) for one in known}
    wanted = dict.fromkeys(place for count in points for place in places(count))
    for number, place in enumerate(wanted):
        job.progress("Measuring disentanglement", number, len(wanted), "points")
        if place not in done:
            yield plane.measure(place)
    job.progress("Measuring disentanglement", len(wanted), len(wanted), "points")


def plane_json(mixtures: Sequence[Mixture], about: Mapping[str, object]) -> dict[str, object]:
    """All points, sorted, and what they were measured with."""
    rows = sorted(mixtures, key=lambda one: (one.alpha_trigger, one.alpha_clean))
    return {
        **about,
        "points": [
            {"alpha_clean": one.alpha_clean, "alpha_trigger": one.alpha_trigger,
             "error": one.error, "clean": one.clean, "triggered": one.triggered}
            for one in rows
        ],
    }  # fmt: skip
