"""The purification methods: their texts, settings and words, and what each is said to do."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from members import check_member
from purified import same_weights, weights_of
from workbenches import Given, given_by

from bdshift.audit import Audit, Material
from bdshift.errors import UsageError
from bdshift.measure import measure
from bdshift.purification import METHODS, Step, tuning
from bdshift.purification.frozen import tune_from
from bdshift.purification.methods import shift_tuning
from bdshift.purification.methods.cut import Cut
from bdshift.purification.methods.shift_tuning import PAPER, ShiftTuning
from bdshift.setting import options_of

QUICK: dict[str, Any] = {"epochs": 2, "iterations": 10, "unlearn_epochs": 1}
"""Settings with which methods end soon."""


@pytest.fixture(scope="module")
def given(victim_audit: Audit, victim_material: Material) -> Given:
    return given_by(victim_audit, victim_material)


@pytest.mark.parametrize("name", [*METHODS, *(one.name for one in METHODS.presets())])
def test_every_method_explains_itself(name: str) -> None:
    check_member(METHODS, name)


@pytest.mark.parametrize("name", [*METHODS, *(one.name for one in METHODS.presets())])
def test_every_method_gives_a_new_model_and_leaves_the_old_one(given: Given, name: str) -> None:
    before = given.weights()
    method = METHODS.parse(name)
    options = {option.name for option in options_of(type(method))}
    quick = {key: value for key, value in QUICK.items() if key in options}
    if name == "tsbd":
        quick["neuron_share"] = 0.01  # so few epochs of tuning mend no more
        quick["epochs"] = 6
    if name == "paper":
        quick["rate"] = 0.001  # ten times as much ruins so small a network
    method = dataclasses.replace(method, **quick)
    found = given.purified(method)
    assert same_weights(before, given.weights()), "the source was touched"
    after = weights_of(found)
    too_short = name in ("rnp", "gradient-ascent")  # two epochs bring no mask, and no ASR, down
    assert too_short or not same_weights(before, after)
    assert all(value.isfinite().all() for value in after.values())
    assert found.complete
    assert len(found.rows) == method.total or (name == "tbar" and len(found.rows) < method.total)
    assert found.kept in {row.step.number for row in found.rows}
    assert METHODS.parse(found.method) == method
    purified = found.applied_to(given.classifier)
    assert measure(purified.network, purified.preprocessing, given.clean.held, 12).acc > 0.9
    assert not any(p.requires_grad for p in purified.network.parameters())
    assert same_weights(before, given.weights()), "the source was touched"


@pytest.mark.parametrize("name", [*METHODS])
def test_rows_of_the_tables_are_texts_of_the_method(name: str) -> None:
    kind = METHODS[name]
    rows = (*kind.table_rows, *kind.published_rows)
    for title, text in (*rows, *kind.quick_rows):
        assert METHODS.parse(text).name == name, title
    assert {title for title, _ in kind.quick_rows} <= {title for title, _ in rows}
    if kind.takes_neurons:
        assert kind.takes_neurons in {option.name for option in options_of(kind)}


@pytest.mark.parametrize(
    ("text", "words"),
    [("shift-tuning:epochs=0", "epochs=0 needs head_first=true"),
     ("fine-tuning:epochs=-1", "epochs is a whole number from 1 to 500, not -1"),
     ("shift-tuning:batch=1", "batch is a whole number from 2 to"),
     ("fine-tuning:rate=-1", "rate is a number above 0"),
     ("fine-pruning:rate=nan", "rate is a number above 0"),
     ("shift-tuning:scale=nan", "scale is a number above 0"),
     ("cut:tolerance=2", "tolerance is a number from 0 to 1, not 2.0"),
     ("cut:neurons=3+x", r"neurons are numbers joined by \+, not '3\+x'"),
     ("fine-pruning:batch=0", "batch is a whole number from 2 to"),
     ("shift-tuning:tolerance=-1", "tolerance is a number from 0 to 1"),
     ("shift-tuning:keep=first", "keep is one of reach, last, not 'first'"),
     ("paper:epochs=3", "method 'paper'")],
)  # fmt: skip
def test_settings_out_of_range_are_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        METHODS.parse(text)


# Shift tuning


@pytest.mark.slow
def test_the_shift_no_longer_reaches_the_target(given: Given) -> None:
    found = given.purified(ShiftTuning(epochs=4))
    figures = [row.step.figures for row in found.rows]
    assert figures[-1]["target_norm"] > 1.1 * float(given.shift.norm())
    assert figures[-1]["held_out_accuracy"] > 0.85
    assert figures[-1]["target_norm"] > figures[-1]["other_norms"]


def test_other_classes_may_need_no_shift(given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    """The only other class of two, if the network says it of every image."""
    figures = {"held_out_accuracy": 1.0, "target_norm": 3.0, "other_norms": 0.0}
    monkeypatch.setattr(tuning, "held_out", lambda *_: (0.0, dict(figures)))
    monkeypatch.setattr(shift_tuning, "held_out", lambda *_: (0.0, dict(figures)))
    [row] = given.purified(ShiftTuning(epochs=1)).rows
    assert row.step.score is not None
    assert 1 < row.step.score < float("inf")


def test_the_head_alone_is_solved_without_touching_the_backbone(given: Given) -> None:
    found = given.purified(ShiftTuning(epochs=0, head_first=True))
    before, after = given.weights(), weights_of(found)
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed == {"fc.weight", "fc.bias"}
    assert found.backwards == 0


def test_a_network_that_lost_too_much_is_said() -> None:
    """The best of such epochs is kept, since something has to be."""
    lost, fine = Step(0, -1.38, {}), Step(1, 1.4, {})
    said = ShiftTuning(tolerance=0.03).conclusion([lost], lost)
    assert said is not None
    assert "the best one loses 38.0% on held-out images, where 3.0% are allowed" in str(said)
    assert ShiftTuning().conclusion([lost, fine], fine) is None
    assert PAPER.conclusion([lost], lost) is None, "it keeps the last epoch, whatever became of it"


def test_the_papers_settings() -> None:
    assert METHODS.parse("paper") is PAPER
    assert isinstance(PAPER, ShiftTuning)
    assert (PAPER.epochs, PAPER.rate, PAPER.cosine, PAPER.scale) == (50, 0.01, False, 1.0)
    assert METHODS.parse(PAPER.spec) == PAPER


@pytest.mark.slow
def test_the_paper_keeps_the_last_epoch_whatever_became_of_it(given: Given) -> None:
    assert isinstance(PAPER, ShiftTuning)
    short = dataclasses.replace(PAPER, epochs=4, batch=16, tolerance=1.0)
    found = given.purified(short)
    assert found.kept == 3
    scores = [row.step.score or 0 for row in found.rows]
    assert max(scores) > scores[3], "the last is not also the best, or this shows nothing"
    reach = given.purified(dataclasses.replace(short, keep="reach"))
    assert reach.kept == scores.index(max(scores))


# Only the last layers


def test_fixed_layers_are_run_once_and_stay(given: Given) -> None:
    found = given.purified(ShiftTuning(epochs=2, tune_from="layer3"))
    before, after = given.weights(), weights_of(found)
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert {key.partition(".")[0] for key in changed} == {"layer3", "layer4", "fc"}


def test_the_last_layers_alone_give_what_the_network_gives(given: Given) -> None:
    whole = given.bench().embed(given.clean.held)
    for first in ("layer1", "layer2", "layer4"):
        bench = given.bench()
        tune_from(bench, first)
        assert torch.allclose(bench.embed(bench.clean.held), whole, atol=1e-5)
    with pytest.raises(UsageError, match="cannot be split before 'fc'"):
        tune_from(given.bench(), "fc")
    with pytest.raises(UsageError, match="'layer9' is not a layer to tune from; choose one of"):
        tune_from(given.bench(), "layer9")


# Cuts


def test_a_cut_sets_columns_of_the_head_to_zero(given: Given) -> None:
    found = given.purified(Cut(neurons="3+17"))
    columns = found.applied_to(given.classifier).weight.abs().sum(0)
    assert torch.nonzero(columns == 0)[:, 0].tolist() == [3, 17]
    with pytest.raises(UsageError, match="there is no neuron 4000"):
        given.purified(Cut(neurons="4000"))
