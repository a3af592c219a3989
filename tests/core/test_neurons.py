"""TAC and rankings."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from bdshift.errors import InputError
from bdshift.images.collection import ImageFile
from bdshift.neurons.rankings import agreement, compare_with_tac, data_free_direction, overlap_curve
from bdshift.neurons.tac import measure_tac
from bdshift.shift.embed import Embedding

Array = NDArray[np.float64]


def embedding(phi: Array, logits: Array, labels: list[int], name: str = "a") -> Embedding:
    return Embedding(
        phi=phi.astype(np.float32),
        logits=logits.astype(np.float32),
        labels=np.array(labels),
        thumbnails=np.zeros((len(labels), 3, 2, 2), np.uint8),
        files=tuple(ImageFile(f"{name}/{i}", label) for i, label in enumerate(labels)),
        images_hash="hash",
        skipped=(),
        precision="float32",
        batch=8,
        seconds=0.0,
    )


def test_tac_asr_and_ra() -> None:
    labels = [0, 1, 2, 1]
    phi = np.zeros((4, 2))
    moved = np.array([[1.0, -2.0], [1.0, 2.0], [1.0, -2.0], [1.0, 2.0]])
    logits = np.eye(3)[[0, 1, 2, 1]]
    triggered = np.eye(3)[[0, 0, 2, 0]]  # of three images of other classes two go to class 0
    found = measure_tac(
        embedding(phi, logits, labels), embedding(phi + moved, triggered, labels), "t", 0
    )
    assert found.change.tolist() == [1.0, 2.0]
    assert found.signed.tolist() == [1.0, 0.0]
    assert found.asr == pytest.approx(2 / 3)
    assert found.ra == pytest.approx(1 / 3)
    with pytest.raises(InputError, match="not those of the clean pass"):
        measure_tac(embedding(phi, logits, labels), embedding(phi, logits, labels, "b"), "t", 0)


def test_data_free_direction() -> None:
    weight = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 9.0]])
    assert data_free_direction(weight, 2).tolist() == [2.0, 4.0]


vectors = st.lists(st.floats(-10, 10), min_size=3, max_size=40)


@given(vectors, st.randoms(use_true_random=False))
def test_overlap_is_the_share_of_common_neurons(values: list[float], random: Random) -> None:
    a = np.array(values)
    b = np.array(sorted(values, key=lambda _: random.random()))
    curve = overlap_curve(a, b)
    top_a, top_b = np.argsort(-a, kind="stable"), np.argsort(-b, kind="stable")
    for k in range(1, len(a) + 1):
        assert curve[k - 1] == pytest.approx(len(set(top_a[:k]) & set(top_b[:k])) / k)
    assert curve[-1] == 1
    assert (overlap_curve(a, a) == 1).all()


def test_agreement_against_scipy() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=50), rng.normal(size=50)
    b[:10] = b[10:20]  # ties
    found = agreement(a, b)
    assert found.pearson == pytest.approx(stats.pearsonr(a, b).statistic)
    assert found.spearman == pytest.approx(stats.spearmanr(a, b).statistic)
    assert found.cosine == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    assert found.cosine_abs == pytest.approx(
        abs(a) @ abs(b) / np.linalg.norm(a) / np.linalg.norm(b)
    )
    assert found.overlap_at(0.1) == found.overlap[4]
    assert np.isnan(agreement(np.zeros(3), np.ones(3)).cosine)


def test_comparison_with_tac_has_its_ablation() -> None:
    rng = np.random.default_rng(0)
    shift, free = rng.normal(size=6), rng.normal(size=6)
    moved = rng.normal(size=(3, 6))
    zero = np.zeros((3, 6))
    tac = measure_tac(
        embedding(zero, zero[:, :2], [0, 1, 1]), embedding(moved, zero[:, :2], [0, 1, 1]), "t", 0
    )
    found = compare_with_tac(shift, free, tac)
    assert found["shift"].cosine == pytest.approx(agreement(shift, tac.change).cosine)
    assert found["data_free_signed"].cosine == pytest.approx(agreement(free, tac.signed).cosine)
