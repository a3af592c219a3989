"""The table of clean models: scales of strength, p, and the table that ships."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from made_verdicts import clean, spread_table

from bdshift.assets import asset
from bdshift.verdict.calibration import (
    ROUND_LEVELS,
    Calibration,
    calibrated,
    count_up_to,
    share_curve,
)
from bdshift.verdict.clean_models import (
    TABLE,
    CleanModels,
    StageFigures,
    read_table,
    shipped_table,
    table_text,
)
from bdshift.verdict.strength import StrengthScale, capped, fit_scale


def test_a_scale_is_made_of_the_upper_quarter() -> None:
    drops = np.array([0.1, 0.2, 0.3, 0.9, 0.15, 0.25, 0.5, 0.05])
    scale = fit_scale("mask", drops, np.ones(8))
    assert (scale.start, scale.models) == (0.3, 8)
    assert math.isclose(scale.scale, (0.6 + 0.2) / 2)
    assert float(scale.strength(np.array(0.7), 10)) == pytest.approx(1.0)
    # seven relatives count as one: with two clusters, the upper quarter is the other one
    weights = np.array([1 / 7] * 3 + [1.0] + [1 / 7] * 4)
    assert fit_scale("mask", drops, weights).start == 0.9
    assert fit_scale("warp", np.zeros(8), np.ones(8)).scale == 0.05


def test_classes_do_not_raise_alarms_by_their_number() -> None:
    scale = StrengthScale("mask", 0.5, 0.2, 8)
    few, ten, many = (float(scale.strength(np.array(1.0), count)) for count in (4, 10, 1000))
    assert few == ten
    assert many == pytest.approx(ten - math.log(100))


def test_the_largest_of_many_clean_classes_is_no_stronger() -> None:
    """Models of 10 and of 1000 classes whose drops fall off exponentially."""
    rng = np.random.default_rng(0)
    largest = {count: rng.exponential(0.2, (4000, count)).max(1) for count in (10, 1000)}
    scale = fit_scale("mask", largest[10], np.ones(4000))
    strengths = {count: scale.strength(drops, count) for count, drops in largest.items()}
    for share in (0.5, 0.9, 0.98):
        low, high = (np.quantile(one, share) for one in strengths.values())
        assert abs(low - high) < 0.5


def test_what_is_not_known_or_endless_is_capped() -> None:
    found = capped(np.array([np.nan, -np.inf, -1.0, 0.5, np.inf]))
    assert found.tolist() == [0, 0, 0, 0.5, 2.9957]


def test_p_is_the_share_of_clean_models_and_relatives_count_as_one() -> None:
    models = [clean("a", "x", mask=0.9), clean("b", "x", mask=0.1), clean("c", mask=0.8),
              clean("d", mask=0.2), clean("e", shift=0.1)]  # fmt: skip
    table = CleanModels({"mask": StrengthScale("mask", 0.0, 1.0, 4)}, tuple(models))
    null = table.null(["mask"])
    found = null.standing(0.5)
    assert (found.count, found.models) == (2, 4)
    assert found.p == pytest.approx((1 + 1.5) / (1 + 3))
    assert null.standing(2.0).p == found.least == 0.25
    assert null.standing(0.8).count == 2  # as strong counts


def test_the_table_is_text_and_back(tmp_path: Path) -> None:
    table = spread_table()
    path = tmp_path / "table.json"
    figures = StageFigures(10, 5, 60, 1)
    known = Calibration((0.05, 0.5), (1.0,))
    whole = CleanModels(table.scales, table.models, {"command": "x"}, None, figures, known)
    path.write_text(table_text(whole), encoding="utf-8")
    found = read_table(path)
    assert (found.models, found.made) == (whole.models, whole.made)
    assert (found.first, found.both, found.calibration) == (None, figures, known)
    assert list(found.scales) == list(whole.scales)
    for kind, scale in found.scales.items():
        assert scale.scale == pytest.approx(whole.scales[kind].scale, abs=1e-6)


def test_how_right_p_is_is_kept_in_order_and_drawn_in_steps() -> None:
    found = calibrated([0.5, 0.02777, 0.1], [])
    assert found == Calibration((0.0278, 0.1, 0.5), ())
    assert [count_up_to(found.left_out, one) for one in (0.02, *ROUND_LEVELS, 1)] == [0, 1, 2, 3]
    curve = share_curve([0.5, 0.1])
    assert curve == [(0, 0), (0.1, 0), (0.1, 0.5), (0.5, 0.5), (0.5, 1), (1, 1)]
    assert share_curve([]) == [(0, 0), (1, 0)]


def test_the_table_that_ships_is_small_and_says_how_it_was_made() -> None:
    found = shipped_table()
    assert asset(TABLE).stat().st_size < 150_000
    assert found.made["command"].startswith("bdshift lab verdict ")
    assert {"shift", "mask"} <= found.scales.keys()
    assert found.first is not None
    assert found.both is not None
    assert found.both.clean == found.first.clean == len(found.models)
    assert found.both.named > found.first.named
    assert len(found.calibration.left_out) == found.both.clean
    assert 0 < found.calibration.left_out[0] <= ROUND_LEVELS[0], "too few to judge anything"
