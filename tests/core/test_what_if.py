"""Cuts and excitation, against the network itself."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch

from bdshift.audit import Audit, ScanSettings, add_tac, reopen, scan
from bdshift.neurons.excite import excitation, histogram_by_class, most_excited
from bdshift.neurons.what_if import cut
from bdshift.shift.exact import solve_exact
from bdshift.triggers import parse_trigger

STICKER = "badnets:size=4,color=ffd800,row=20,column=14"


@pytest.fixture(scope="module")
def audit(victim: Path, signs: Path) -> Audit:
    found = scan(victim, signs, ScanSettings(sample=240))
    classifier, clean = reopen(found)
    return add_tac(found, classifier, clean, parse_trigger(STICKER), 9)


def test_a_cut_is_a_mask_before_the_head(audit: Audit) -> None:
    embedding, weight = audit.embedding, audit.model.weight
    assert embedding is not None
    neurons = [3, 19, 114]
    found = cut(embedding, weight, [19, 3, 114, 3], audit.tac[0])
    assert found.neurons == (3, 19, 114)
    phi = embedding.phi.copy()
    phi[:, neurons] = 0
    logits = phi @ weight.T + audit.model.bias
    assert np.allclose(found.logits, logits, atol=1e-3)
    assert np.allclose(phi @ weight.T, embedding.phi @ found.weight.T, atol=1e-3)
    assert found.accuracy == (logits.argmax(1) == embedding.labels).mean()
    assert np.isclose(np.nanmean(found.by_class), found.accuracy)  # as many images of each class


def test_cutting_nothing_changes_nothing_and_everything_all(audit: Audit) -> None:
    embedding, weight, tac = audit.embedding, audit.model.weight, audit.tac[0]
    assert embedding is not None
    nothing = cut(embedding, weight, [], tac)
    assert (nothing.accuracy, nothing.asr, nothing.ra) == (audit.accuracy, tac.asr, tac.ra)
    everything = cut(embedding, weight, range(weight.shape[1]), tac)
    assert np.ptp(everything.logits - audit.model.bias, axis=0).max() < 1e-2
    assert not everything.weight.any()


def test_the_shifts_neurons_carry_the_backdoor(audit: Audit) -> None:
    """Cutting the strongest quarter by shift costs the attack, and as many at random do not."""
    embedding, weight, tac = audit.embedding, audit.model.weight, audit.tac[0]
    assert embedding is not None
    count = weight.shape[1] // 4
    strongest = np.argsort(-audit.shifts.shift[9])[:count]
    others = np.random.default_rng(0).choice(np.argsort(-audit.shifts.shift[9])[count:], count)
    by_shift, by_chance = (cut(embedding, weight, which, tac) for which in (strongest, others))
    assert by_shift.asr is not None
    assert by_chance.asr is not None
    assert by_shift.asr < 0.5 < 0.9 < by_chance.asr
    assert solve_exact(by_shift.logits, by_shift.weight).l2[9] > 1.2 * audit.shifts.l2[9]


def test_a_cut_is_answered_at_once(audit: Audit) -> None:
    assert audit.embedding is not None
    started = time.perf_counter()
    for _ in range(10):
        cut(audit.embedding, audit.model.weight, range(20), audit.tac[0])
    assert (time.perf_counter() - started) / 10 < 0.05


def test_what_excites_a_neuron(audit: Audit) -> None:
    embedding = audit.embedding
    assert embedding is not None
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


def test_thumbnails_are_what_the_network_saw(audit: Audit, signs: Path) -> None:
    from PIL import Image

    embedding, triggered = audit.embedding, audit.tac[0].triggered
    assert embedding is not None
    assert triggered is not None
    first = embedding.files[0]
    pixels = np.asarray(Image.open(signs / first.name)).transpose(2, 0, 1)
    assert np.array_equal(embedding.thumbnails[0], pixels)
    changed = np.argwhere((embedding.thumbnails != triggered.thumbnails).any((0, 1)))
    assert changed.min(0).tolist() == [20, 14]
    assert changed.max(0).tolist() == [23, 17]


def test_large_images_make_small_thumbnails() -> None:
    from bdshift.shift.embed import THUMBNAIL, shrink

    large = torch.zeros(2, 3, 224, 224, dtype=torch.uint8)
    large[:, 0, :112] = 200
    small = shrink(large)
    assert small.shape == (2, 3, THUMBNAIL, THUMBNAIL)
    assert small[0, 0, 0, 0] == 200
    assert small[0, 0, -1, 0] == 0
