"""The drop of a class, and the order that it gives."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bdshift.recovery.drop import drops, ranks, typical


def test_a_drop_is_the_log_of_a_ratio() -> None:
    scores = np.array([1.0, 8.0, 4.0, 2.0])
    found = drops(scores)
    assert found[0] == pytest.approx(math.log(4))
    assert found[1] == pytest.approx(math.log(2 / 8))
    assert (ranks(found) == [1, 4, 3, 2]).all()
    np.testing.assert_allclose(drops(1000 * scores), found)
    assert (drops(1 / scores, low_is_suspicious=False) == -drops(1 / scores)).all()
    np.testing.assert_allclose(drops(1 / scores, low_is_suspicious=False)[0], np.log(1 / 0.25))


def test_classes_out_of_reach() -> None:
    some = drops(np.array([2.0, 4.0, 8.0, np.inf]))
    assert some[0] == pytest.approx(math.log(8 / 2))
    assert some[3] == -np.inf
    most = drops(np.array([2.0, 6.0, np.inf, np.inf]))  # the others are at least 6
    assert most[0] == pytest.approx(math.log(3))
    assert most[1] == pytest.approx(math.log(2 / 6))
    assert np.isnan(drops(np.array([np.inf, np.inf, np.inf]))).all()
    assert drops(np.array([2.0, np.inf, np.inf])).tolist() == [np.inf, -np.inf, -np.inf]


def test_scores_that_say_nothing() -> None:
    found = drops(np.array([np.nan, 1.0, 2.0, -1.0]))
    assert np.isnan(found).tolist() == [True, False, False, True]
    assert found[1] == pytest.approx(math.log(2))
    assert np.isnan(drops(np.array([1.0]))).all()
    assert ranks(found)[1] == 1
    assert (ranks(found)[[0, 3]] == 4).all()


def test_a_tie_is_no_success() -> None:
    assert ranks(drops(np.array([1.0, 1.0, 5.0]))).tolist() == [2, 2, 3]


def test_a_median_of_which_some_are_not_reached() -> None:
    assert typical(np.array([1.0, 3.0, np.inf])) == 3
    assert typical(np.array([2.0, np.inf, np.inf])) == 2
    assert typical(np.array([np.inf, np.inf])) == np.inf
    assert math.isnan(typical(np.array([])))
