"""Cuts and excitation, against the network itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from known import TARGET
from numpy.typing import NDArray
from PIL import Image

from bdshift.audit import Audit
from bdshift.neurons.excite import excitation, histogram_by_class, most_excited
from bdshift.neurons.tac import Tac
from bdshift.neurons.what_if import cut
from bdshift.shift.embed import Embedding
from bdshift.shift.exact import solve_exact
from bdshift.shift.thumbnails import THUMBNAIL, shrink

Cached = tuple[Embedding, NDArray[np.float32], Tac]


@pytest.fixture
def cached(measured_audit: Audit) -> Cached:
    """All that a cut needs: the clean pass, the head, and TAC."""
    assert measured_audit.embedding is not None
    return measured_audit.embedding, measured_audit.model.weight, measured_audit.tac[0]


def test_a_cut_is_a_mask_before_the_head(measured_audit: Audit, cached: Cached) -> None:
    embedding, weight, tac = cached
    neurons = [3, 19, 50]
    found = cut(embedding, weight, [19, 3, 50, 3], tac)
    assert found.neurons == (3, 19, 50)
    phi = embedding.phi.copy()
    phi[:, neurons] = 0
    logits = phi @ weight.T + measured_audit.model.bias
    assert np.allclose(found.logits, logits, atol=1e-3)
    assert np.allclose(phi @ weight.T, embedding.phi @ found.weight.T, atol=1e-3)
    assert found.accuracy == (logits.argmax(1) == embedding.labels).mean()
    assert np.isclose(np.nanmean(found.by_class), found.accuracy)  # as many images of each class


def test_cutting_nothing_changes_nothing_and_everything_all(
    measured_audit: Audit, cached: Cached
) -> None:
    embedding, weight, tac = cached
    nothing = cut(embedding, weight, [], tac)
    assert (nothing.accuracy, nothing.asr, nothing.ra) == (measured_audit.accuracy, tac.asr, tac.ra)
    everything = cut(embedding, weight, range(weight.shape[1]), tac)
    assert np.ptp(everything.logits - measured_audit.model.bias, axis=0).max() < 1e-2
    assert not everything.weight.any()


def test_the_shifts_neurons_carry_the_backdoor(measured_audit: Audit, cached: Cached) -> None:
    """Cutting the strongest quarter by shift costs the attack, and as many at random do not."""
    embedding, weight, tac = cached
    count = weight.shape[1] // 4
    order = np.argsort(-measured_audit.shifts.shift[TARGET])
    others = np.random.default_rng(0).choice(order[count:], count)
    by_shift, by_chance = (cut(embedding, weight, which, tac) for which in (order[:count], others))
    assert by_shift.asr is not None
    assert by_chance.asr is not None
    assert by_shift.asr < 0.5 < 0.9 < by_chance.asr
    without = solve_exact(by_shift.logits, by_shift.weight)
    assert without.l2[TARGET] > 1.2 * measured_audit.shifts.l2[TARGET]


multiplications: list[int] = []


class Counted(np.ndarray[Any, np.dtype[np.float32]]):
    """Notes how many multiplications its matrix products take."""

    def __array_ufunc__(self, ufunc: Any, method: Any, *inputs: Any, **more: Any) -> Any:
        plain = [np.asarray(one) for one in inputs]
        if ufunc is np.matmul:
            multiplications.append(plain[0].size * plain[1].shape[1])
        return getattr(ufunc, method)(*plain, **more)


def test_a_cut_costs_one_thin_product_a_pass(cached: Cached) -> None:
    """So it is answered at once, while a slider moves."""

    def counted(embedding: Embedding | None) -> Embedding:
        assert embedding is not None
        phi: NDArray[np.float32] = embedding.phi.view(Counted)
        return dataclasses.replace(embedding, phi=phi)

    multiplications.clear()
    embedding, weight, tac = cached
    tac = dataclasses.replace(tac, triggered=counted(tac.triggered))
    found = cut(counted(embedding), weight, range(20), tac)
    assert found.asr is not None
    images, classes = embedding.logits.shape
    assert multiplications == [images * 20 * classes] * 2, "clean and triggered"


def test_what_excites_a_neuron(cached: Cached) -> None:
    embedding, _, _ = cached
    best = most_excited(embedding, [7, 9], 5)
    values = excitation(embedding, [7, 9])
    assert values.shape == (len(embedding.labels),)
    assert values[best[0]] == values.max()
    assert list(values[best]) == sorted(values, reverse=True)[:5]
    edges = np.linspace(values.min(), values.max(), 8)
    counts = histogram_by_class(values, embedding.labels, 13, edges)
    assert counts.shape == (13, 7)
    assert np.array_equal(counts[4], np.histogram(values[embedding.labels == 4], edges)[0])
    assert counts.sum() == len(values)
    assert not counts[12].any()


def test_thumbnails_are_what_the_network_saw(cached: Cached, signs: Path) -> None:
    embedding, _, tac = cached
    triggered = tac.triggered
    assert triggered is not None
    first = embedding.files[0]
    pixels = np.asarray(Image.open(signs / first.name)).transpose(2, 0, 1)
    assert np.array_equal(embedding.thumbnails[0], pixels)
    changed = np.argwhere((embedding.thumbnails != triggered.thumbnails).any((0, 1)))
    assert changed.min(0).tolist() == [20, 14]
    assert changed.max(0).tolist() == [23, 17]


def test_large_images_make_small_thumbnails() -> None:
    large = torch.zeros(2, 3, 224, 224, dtype=torch.uint8)
    large[:, 0, :112] = 200
    small = shrink(large)
    assert small.shape == (2, 3, THUMBNAIL, THUMBNAIL)
    assert small[0, 0, 0, 0] == 200
    assert small[0, 0, -1, 0] == 0
