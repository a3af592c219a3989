"""The verdict: published norms, false alarms, several targets, and where it can say nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bdshift.errors import UsageError
from bdshift.shift.verdict import grubbs_p, judge, threshold

# Tables 2 and 3 of the paper: class 0 is the target. Then z of class 0 as printed.
PUBLISHED: dict[str, tuple[list[float], float | None]] = {
    "R18 BadNets": (
        [4.5902, 5.7068, 5.0467, 5.1318, 5.2074, 5.2113, 5.2538, 5.2919, 5.3592, 5.4181],
        -2.3270,
    ),
    "R18 Trojan": (
        [4.4713, 5.7013, 5.0536, 5.1178, 5.1718, 5.2152, 5.3006, 5.3549, 5.4100, 5.5185],
        -2.4268,
    ),
    "R18 Blend": (
        [4.3044, 5.6376, 5.0498, 5.1227, 5.1316, 5.1859, 5.2904, 5.3484, 5.4945, 5.4183],
        -2.5897,
    ),
    "R18 WaNet": (
        [3.3077, 5.2566, 4.6121, 4.7036, 5.0406, 5.0018, 5.0899, 4.9878, 4.8985, 5.1066],
        -2.8203,
    ),
    "R50 BadNets": (
        [4.1445, 6.0710, 5.3332, 5.6283, 5.5600, 5.6164, 5.7831, 5.6715, 5.6829, 5.8469],
        -2.7915,
    ),
    "R50 Trojan": (
        [4.6884, 6.5206, 6.0624, 6.1341, 6.0718, 6.0586, 6.3775, 6.3162, 6.1675, 6.4331],
        -2.8403,
    ),
    "R50 Blend": (
        [4.1723, 6.0552, 5.7315, 5.7608, 5.7854, 5.8249, 5.9527, 5.8044, 5.7338, 5.9459],
        None,
    ),
    "R50 WaNet": (
        [3.5280, 6.4481, 6.4772, 6.3523, 6.5849, 6.6053, 6.8495, 6.4669, 6.6952, 6.8567],
        None,
    ),
}
TEN = tuple(f"c{i}" for i in range(10))


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("rule", ["grubbs", "mad", "paper"])
def test_the_published_models_are_flagged(name: str, rule: str) -> None:
    norms, printed = PUBLISHED[name]
    verdict = judge(norms, TEN, rule=rule)
    assert verdict.suspicious
    assert verdict.poisoned == (0,)
    assert verdict.p_value < 0.05
    if printed is not None:  # the other two rows do not follow from the printed norms
        assert verdict.scores[0].z == pytest.approx(printed, abs=6e-4)


def test_class_1_of_the_published_models_is_no_target() -> None:
    """Without class 0 nothing is flagged, though class 1 lies far above."""
    for norms, _ in PUBLISHED.values():
        assert not judge(norms[1:], TEN[1:]).suspicious


def test_grubbs_is_the_leave_one_out_t_test() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=12)
    p = grubbs_p(x)
    for i in np.flatnonzero(x < x.mean()):
        rest = np.delete(x, i)
        t = (x[i] - rest.mean()) / (rest.std(ddof=1) * np.sqrt(1 + 1 / len(rest)))
        assert p[i] == pytest.approx(min(1, 12 * stats.t.cdf(t, len(rest) - 1)), rel=1e-9)
    assert (p[x >= x.mean()] == 1).all()


@pytest.mark.parametrize("classes", [3, 5, 10, 43, 100])
def test_false_alarms_stay_near_five_percent(classes: int) -> None:
    rng = np.random.default_rng(1)
    names = [""] * classes
    runs = 600
    alarms = sum(judge(10 + rng.normal(size=classes), names).suspicious for _ in range(runs))
    assert alarms / runs < 0.09
    if classes >= 10:
        paper = sum(
            judge(10 + rng.normal(size=classes), names, rule="paper").suspicious
            for _ in range(runs)
        )
        assert paper / runs > 0.25  # which is why it is not the default


def test_two_targets_that_hide_each_other() -> None:
    norms = [3.05, 3.05, 5.0, 5.1, 5.2, 5.25, 5.3, 5.35, 5.4, 5.5]
    verdict = judge(norms, TEN)
    assert verdict.poisoned == (0, 1)
    assert verdict.reason.startswith("2 classes are reached by unusual shifts")
    assert not judge(norms, TEN, rule="paper").suspicious


def test_few_classes() -> None:
    five = [1.0, 5.0, 5.1, 5.2, 5.3]
    assert judge(five, TEN[:5]).poisoned == (0,)
    paper = judge(five, TEN[:5], rule="paper")
    assert not paper.suspicious  # |z| cannot pass 2
    assert "can never flag" in paper.cautions[0]
    two = judge([1.0, 5.0], TEN[:2])
    assert not two.suspicious
    assert np.isnan(two.p_value)
    assert "fewer than three classes" in two.cautions[0]
    assert "little power" in judge(five, TEN[:5]).cautions[0]


def test_unreachable_classes_are_left_out() -> None:
    norms = [*PUBLISHED["R18 WaNet"][0], np.inf]
    verdict = judge(norms, [*TEN, "far"])
    assert verdict.poisoned == (0,)
    assert np.isnan(verdict.scores[-1].z)
    assert verdict.cautions[0].startswith("1 of 11 classes cannot be reached")
    nothing = judge([np.inf, np.inf], TEN[:2])
    assert not nothing.suspicious
    assert "nothing can be said" in nothing.reason


def test_equal_norms_are_no_outliers() -> None:
    verdict = judge([2.0] * 10, TEN)
    assert not verdict.suspicious
    one = judge([1.0] + [2.0] * 9, TEN)  # all others equal: t is infinite
    assert one.poisoned == (0,)
    assert one.p_value < 1e-12


def test_the_paper_flags_either_side() -> None:
    norms = [5.0, 5.1, 5.2, 5.0, 5.1, 5.2, 5.0, 5.1, 5.2, 9.0]
    verdict = judge(norms, TEN, rule="paper")
    assert verdict.poisoned == (9,)
    assert "unusually large" in verdict.reason
    assert not judge(norms, TEN).suspicious


def test_words() -> None:
    verdict = judge(PUBLISHED["R18 WaNet"][0], ["airplane", *TEN[1:]])
    assert verdict.reason == (
        "Class 0 “airplane” is reached by an unusually small shift (L2 3.31, the smallest of the "
        "others 4.61; among normal norms one so low has p = 0.00026)."
    )
    clean = judge(PUBLISHED["R18 WaNet"][0][1:], TEN[1:])
    assert clean.reason.startswith("No class is reached by an unusually small shift")


@given(
    st.lists(st.floats(0.1, 100), min_size=3, max_size=30, unique=True),
    st.floats(0.01, 1000),
)
def test_units_do_not_matter(norms: list[float], factor: float) -> None:
    one, other = (judge(np.array(norms) * f, [""] * len(norms)) for f in (1.0, factor))
    assert one.poisoned == other.poisoned or one.p_value == pytest.approx(0.05, rel=1e-6)
    for a, b in zip(one.scores, other.scores, strict=True):
        assert a.z == pytest.approx(b.z, rel=1e-5, abs=1e-6, nan_ok=True)


def test_bad_rules() -> None:
    with pytest.raises(UsageError, match="none of grubbs, mad, paper"):
        judge([1, 2, 3], TEN[:3], rule="guess")
    with pytest.raises(UsageError, match="beta"):
        judge([1, 2, 3], TEN[:3], beta=0)


@pytest.mark.parametrize("rule", ["grubbs", "mad", "paper"])
def test_the_line_in_the_plot_is_where_the_rule_decides(rule: str) -> None:
    rng = np.random.default_rng(0)
    names = [str(i) for i in range(10)]
    agree = 0
    for _ in range(200):
        norms = rng.normal(8, 1, 10)
        norms[0] -= rng.uniform(0, 6)
        lowest = int(norms.argmin())
        flagged = lowest in judge(norms, names, rule=rule).poisoned
        agree += flagged == (norms[lowest] < threshold(norms, rule))
    assert agree >= (195 if rule == "grubbs" else 200)  # grubbs also tries without the smallest


def test_where_there_is_no_line() -> None:
    assert np.isnan(threshold(np.array([1.0, 2.0])))
    assert np.isnan(threshold(np.full(10, 3.0)))
    assert np.isfinite(threshold(np.array([1.0, 2.0, 3.0, np.inf])))
