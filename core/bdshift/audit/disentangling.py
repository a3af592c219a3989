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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from bdshift.audit.purifying import clean_images
from bdshift.audit.records import Audit, Purification
from bdshift.audit.stages import Material
from bdshift.audit.task_vectors import check_alike
from bdshift.checkpoints.classifier import LoadedNetwork
from bdshift.devices import pick_device
from bdshift.jobs import SILENT, Canceled, JobContext, Mapped
from bdshift.purification.clean_data import put_trigger
from bdshift.purification.disentanglement import POINTS, Mixture, Place, WeightPlane, places
from bdshift.purification.vectors import difference, layers_of, move, weights_of
from bdshift.triggers import Trigger

_IMAGES = 200
_BATCH = 100


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

        check_alike(base, original)
        self._start = parameters(base.network)
        purified = parameters(made.result.applied_to(original).network)
        self._clean_vector = difference(purified, self._start)
        self._trigger_vector = difference(parameters(original.network), purified)
        self._preprocess, self._job = original.preprocessing, job
        everything = clean_images(audit, material, job=job)
        order = np.random.default_rng(0).permutation(len(everything))[:_IMAGES]
        clean = everything[torch.from_numpy(order)].to(where)
        self._clean = clean.pixels
        self._triggered = put_trigger(clean, trigger, made.result.target, job=job).pixels
        self._answers: dict[Place, tuple[torch.Tensor, torch.Tensor]] = {}
        told = (audit.model.sha256, base.sha256, made.result.method, str(made.result.seed),
                str(made.result.kept), str(made.result.target), _digest(purified),
                repr(self._preprocess), trigger.spec, audit.images.sha256)  # fmt: skip
        self.identity = hashlib.sha256("\0".join(told).encode()).hexdigest()
        """Of everything that the figures depend on."""
        self._empty = WeightPlane(str(base.path), base.sha256, trigger.spec, ())
        self.before = made.plane
        """What the audit has of the purification, perhaps with another model or trigger."""
        alike = made.plane is not None and made.plane.is_like(self._empty)
        self.known = made.plane.mixtures if made.plane is not None and alike else ()
        """Points that the audit has of the same."""

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

    def record(self, mixtures: Iterable[Mixture]) -> WeightPlane:
        """Points that were measured, as they are kept."""
        return self._empty.with_points(mixtures)

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


def measure_plane(
    plane: Plane,
    known: Sequence[Mixture] = (),
    points: Sequence[int] = POINTS,
    *,
    job: JobContext = SILENT,
) -> Iterator[Mixture]:
    """The points that are not ``known``, grid after grid, each as soon as it is measured."""
    done = {one.place for one in known}
    wanted = dict.fromkeys(place for count in points for place in places(count))
    for number, place in enumerate(wanted):
        job.progress("Measuring disentanglement", number, len(wanted), "points")
        if place not in done:
            yield plane.measure(place)
    job.progress("Measuring disentanglement", len(wanted), len(wanted), "points")


def measure_all(plane: Plane, *, job: JobContext = SILENT) -> WeightPlane:
    """The plane, with the points that the audit has of it; it is reported as it grows. Canceled,
    what was measured so far, unless the audit has more with another model.
    """
    found = list(plane.known)
    total = len(places(POINTS[-1]))
    try:
        for mixture in measure_plane(plane, plane.known, POINTS, job=job):
            found.append(mixture)
            job.report(Mapped(min(len(found), total), total, plane.record(found)))
    except Canceled:
        if not found or (plane.before is not None and len(plane.before.mixtures) > len(found)):
            raise
        job.keep_result()
    return plane.record(found)


def with_plane(audit: Audit, number: int, plane: WeightPlane) -> Audit:
    """The audit with the plane of purification ``number``, from 1; one that it had is replaced,
    unless that is alike and has more points.
    """
    made = list(audit.purifications)
    one = made[number - 1]
    made[number - 1] = replace(one, plane=plane.richer(one.plane))
    return replace(audit, purifications=tuple(made))


def _digest(weights: Mapping[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(weights.items()):
        digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
