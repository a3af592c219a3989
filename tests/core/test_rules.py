"""The rules: published norms, false alarms, several targets, and where nothing can be said."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from remarks import other_cautions
from scipy import stats

from bdshift.audit.facts import Facts, Judged
from bdshift.audit.finding import Finding, conclude
from bdshift.detect.detector import Evidence
from bdshift.detect.detectors.embedding_shift import EmbeddingShift
from bdshift.detect.rule import RULES, Rule, default_rule, judge, z_scores
from bdshift.detect.rules.grubbs import Grubbs, grubbs_p
from bdshift.detect.rules.paper import Paper
from bdshift.errors import UsageError

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


def finding(norms: Sequence[float], names: Sequence[str], rule: Rule | None = None) -> Finding:
    """What an audit with these norms means; nothing else in it is in doubt."""
    detector = EmbeddingShift()
    scores = np.array(norms, dtype=np.float64)
    judged = Judged(
        detector, Evidence(detector.spec, scores), detector.judge(scores, rule or default_rule())
    )
    counts = [100] * len(names)
    return conclude(
        Facts(class_names=names, counts=counts, accuracy=0.95, explained=None, judged=[judged])
    )


def cautions(found: Finding) -> list[str]:
    return [str(one.sentence) for one in other_cautions(found)]


@pytest.mark.parametrize("name", [*PUBLISHED])
@pytest.mark.parametrize("rule", [*RULES])
def test_the_published_models_are_flagged(name: str, rule: str) -> None:
    norms, printed = PUBLISHED[name]
    judgment = judge(norms, RULES.parse(rule))
    assert judgment.rule.name == rule
    assert judgment.flagged == (0,)
    assert judgment.p < 0.05
    assert judgment.usable == tuple(range(10))
    found = finding(norms, TEN, RULES.parse(rule))
    assert (found.level, found.classes) == ("backdoored", (0,))
    if printed is not None:  # the other two rows do not follow from the printed norms
        assert z_scores(np.array(norms))[0] == pytest.approx(printed, abs=6e-4)
        assert judgment.statistics["paper"][0] == pytest.approx(printed, abs=6e-4)


def test_class_1_of_the_published_models_is_no_target() -> None:
    """Without class 0 nothing is flagged, though class 1 lies far above."""
    for norms, _ in PUBLISHED.values():
        assert not judge(norms[1:]).flagged
        assert finding(norms[1:], TEN[1:]).level == "nothing-unusual"


def test_grubbs_is_the_leave_one_out_t_test() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=12)
    p = grubbs_p(x)
    for i in np.flatnonzero(x < x.mean()):
        rest = np.delete(x, i)
        t = (x[i] - rest.mean()) / (rest.std(ddof=1) * np.sqrt(1 + 1 / len(rest)))
        assert p[i] == pytest.approx(min(1, 12 * stats.t.cdf(t, len(rest) - 1)), rel=1e-9)
    assert (p[x >= x.mean()] == 1).all()
    assert np.array_equal(judge(x).statistics["grubbs"], p)


@pytest.mark.parametrize("classes", [3, 5, 10, 43, 100])
def test_false_alarms_stay_near_five_percent(classes: int) -> None:
    rng = np.random.default_rng(1)
    models = 600
    alarms = sum(bool(judge(10 + rng.normal(size=classes)).flagged) for _ in range(models))
    assert alarms / models < 0.09
    if classes >= 10:
        paper = sum(
            bool(judge(10 + rng.normal(size=classes), Paper()).flagged) for _ in range(models)
        )
        assert paper / models > 0.25  # which is why it is not the default


def test_two_targets_that_hide_each_other() -> None:
    norms = [3.05, 3.05, 5.0, 5.1, 5.2, 5.25, 5.3, 5.35, 5.4, 5.5]
    assert judge(norms).flagged == (0, 1)
    found = finding(norms, TEN)
    assert (found.level, found.classes) == ("backdoored", (0, 1))
    assert found.reasons[0].code == "shift-several-stand-out"
    assert found.reasons[0].values["other"] == 5.0
    assert str(found.statement).startswith(
        "2 classes are reached by unusually small shifts: 0 “c0” (3.05), 1 “c1” (3.05); "
    )
    assert not judge(norms, Paper()).flagged


def test_few_classes() -> None:
    five = [1.0, 5.0, 5.1, 5.2, 5.3]
    found = finding(five, TEN[:5])
    assert (found.level, found.classes) == ("backdoored", (0,))
    assert cautions(found) == ["With only 5 classes the test has little power."]
    assert not judge(five, Paper()).flagged  # |z| cannot pass 2
    paper = finding(five, TEN[:5], Paper())
    assert (paper.level, paper.classes) == ("inconclusive", ())
    assert paper.reasons[0].code == "rule-cannot-flag"
    assert "The rule “paper:beta=2.0” cannot flag any of these 5 classes" in str(paper.statement)
    assert finding(five, TEN[:5], Paper(beta=1.9)).level == "backdoored", "a smaller β can"
    equal = finding([5.0, 5.1, 5.2, 5.3, 5.4], TEN[:5])
    assert (equal.level, equal.reasons[0].code) == ("inconclusive", "little-power")
    judgment = judge([1.0, 5.0])
    assert not judgment.flagged
    assert np.isnan(judgment.p)
    two = finding([1.0, 5.0], TEN[:2])
    assert (two.level, two.reasons[0].code) == ("inconclusive", "too-few-classes")
    assert "fewer than three classes" in str(two.statement)


def test_unreachable_classes_are_left_out() -> None:
    norms = [*PUBLISHED["R18 WaNet"][0], np.inf]
    judgment = judge(norms)
    assert judgment.flagged == (0,)
    assert judgment.usable == tuple(range(10))
    assert np.isnan(z_scores(np.array(norms))[-1])
    assert all(np.isnan(values[-1]) for values in judgment.statistics.values())
    assert all(np.isfinite(values[:-1]).all() for values in judgment.statistics.values())
    found = finding(norms, [*TEN, "far"])
    assert (found.level, found.classes) == ("backdoored", (0,))
    assert cautions(found) == ["1 of 11 classes cannot be reached by any shift."]
    nothing = judge([np.inf, np.inf])
    assert (nothing.flagged, nothing.usable) == ((), ())
    out_of_reach = finding([np.inf, np.inf], TEN[:2])
    assert (out_of_reach.level, out_of_reach.classes) == ("inconclusive", ())
    assert [one.code for one in out_of_reach.reasons] == ["too-few-classes"]


def test_equal_norms_are_no_outliers() -> None:
    assert not judge([2.0] * 10).flagged
    one = judge([1.0] + [2.0] * 9)  # all others equal: t is infinite
    assert one.flagged == (0,)
    assert one.p < 1e-12


def test_the_paper_flags_either_side() -> None:
    norms = [5.0, 5.1, 5.2, 5.0, 5.1, 5.2, 5.0, 5.1, 5.2, 9.0]
    assert judge(norms, Paper()).flagged == (9,)
    found = finding(norms, TEN, Paper())
    assert found.reasons[0].code == "shift-far-out"
    assert "unusually large shift: L2 9.00; the next largest is 5.20" in str(found.statement)
    assert not judge(norms).flagged


def test_words() -> None:
    norms = PUBLISHED["R18 WaNet"][0]
    found = finding(norms, ["airplane", *TEN[1:]])
    assert str(found) == (
        "Probably backdoored: Class 0 “airplane” is reached by an unusually small shift: L2 3.31; "
        "the next smallest is 4.61 (p = 0.00026 if the values are normal)."
    )
    assert found.statement.render("ja") == (
        "クラス 0「airplane」には異常に小さいシフトで到達します：L2 3.31、他の最小は 4.61"
        "（正規分布なら p = 0.00026）。"
    )
    clean = finding(norms[1:], TEN[1:])
    assert str(clean.headline) == "Nothing unusual found"
    assert clean.headline.render("ja") == "異常は見つかりません"
    assert str(clean.statement).startswith("No class is reached by an unusually small shift")


@given(
    st.lists(st.floats(0.1, 100), min_size=3, max_size=30, unique=True),
    st.floats(0.01, 1000),
)
def test_units_do_not_matter(norms: list[float], factor: float) -> None:
    values = np.array(norms)
    one, other = judge(values), judge(values * factor)
    assert one.flagged == other.flagged or one.p == pytest.approx(0.05, rel=1e-6)
    for a, b in zip(z_scores(values), z_scores(values * factor), strict=True):
        assert a == pytest.approx(b, rel=1e-5, abs=1e-6, nan_ok=True)


def test_bad_rules() -> None:
    with pytest.raises(UsageError, match=r"rule 'guess'.* grubbs, mad, paper"):
        RULES.parse("guess")
    with pytest.raises(UsageError, match="beta is a number above 0, up to 1,000,000, not 0"):
        Paper(beta=0)
    with pytest.raises(UsageError, match="significance is a number above 0"):
        RULES.parse("grubbs:significance=0")


@pytest.mark.parametrize("rule", [*RULES])
def test_the_line_in_the_plot_is_where_the_rule_decides(rule: str) -> None:
    rng = np.random.default_rng(0)
    agree = 0
    for _ in range(200):
        norms = rng.normal(8, 1, 10)
        norms[0] -= rng.uniform(0, 6)
        lowest = int(norms.argmin())
        judgment = judge(norms, RULES.parse(rule))
        agree += (lowest in judgment.flagged) == (norms[lowest] < judgment.line)
    assert agree >= (195 if rule == Grubbs.name else 200)  # it also tries without the smallest


@pytest.mark.parametrize("rule", [*RULES])
def test_where_there_is_no_line(rule: str) -> None:
    chosen = RULES.parse(rule)
    assert np.isnan(judge([1.0, 2.0], chosen).line)
    assert np.isnan(judge([3.0] * 10, chosen).line)
    assert np.isfinite(judge([1.0, 2.0, 3.0, np.inf], chosen).line)
