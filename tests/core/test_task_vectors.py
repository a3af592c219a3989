"""Unlearning a trigger: TBAR, its rivals, and task vectors as files."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from known import STICKER, TARGET
from purified import same_weights, weights_of
from torch import nn
from workbenches import Given, given_by

from bdshift.audit import Audit, Material
from bdshift.errors import InputError, UsageError
from bdshift.measure import attack_success, measure
from bdshift.purification import Method, Purified
from bdshift.purification.alphas import MOST_ALPHAS, Point, next_alpha
from bdshift.purification.clean_data import LabeledImages
from bdshift.purification.methods.fine_tuning import FineTuning
from bdshift.purification.methods.relabeling import Relabeling
from bdshift.purification.methods.tbar import (
    LEFT_WITHOUT_CONTROL,
    NO_USEFUL_ALPHA,
    RECALL_UNKNOWN,
    REMOVED,
    SUPPRESSED,
    Tbar,
)
from bdshift.purification.unlearning import NONE_FITS, NONE_WORKS
from bdshift.purification.vectors import (
    AboutVector,
    SavedVector,
    difference,
    layers_of,
    move,
    read_vector,
)
from bdshift.purification.vectors import (
    weights_of as parameters_of,
)
from bdshift.purification.workbench import Workbench
from bdshift.triggers import parse_trigger


@pytest.fixture(scope="module")
def given(victim_audit: Audit, victim_material: Material) -> Given:
    return given_by(victim_audit, victim_material)


@pytest.fixture(scope="module")
def unlearned(given: Given) -> Purified:
    return given.purified(Tbar())


def figures_of(given: Given, found: Purified) -> tuple[float, float]:
    """Accuracy and ASR of a purified model, on the held-out images."""
    after, held = found.applied_to(given.classifier), given.clean.held
    acc = measure(after.network, after.preprocessing, held, 12).acc
    attack = attack_success(
        after.network, after.preprocessing, held, parse_trigger(STICKER), TARGET
    )
    assert attack is not None
    return acc, attack[0]


def test_the_backdoor_is_subtracted(given: Given, unlearned: Purified) -> None:
    acc, asr = figures_of(given, unlearned)
    assert acc >= 0.95
    assert asr <= 0.05
    said = unlearned.conclusion
    assert said is not None
    assert said.template == REMOVED
    kept = next(row.step.figures for row in unlearned.rows if row.step.number == unlearned.kept)
    assert said.values["after"] == kept["held_out_asr"] == pytest.approx(asr, abs=0.01)
    assert said.values["control"] > asr + 0.1, "the class alone is not what was unlearned"


def test_the_vector_of_the_paper(given: Given) -> None:
    """Learned from the target's label alone."""
    found = given.purified(Tbar(contrast=False))
    acc, asr = figures_of(given, found)
    assert acc >= 0.95
    assert asr <= 0.05


def test_by_default_what_true_labels_teach_is_taken_off(given: Given) -> None:
    """So one that teaches nothing but the clean images is no vector."""
    learned = []

    def look(self: Tbar, bench: Workbench, key: str) -> LabeledImages:
        learned.append((key, whole := images(self, bench, key)))
        return whole

    images = Tbar._images
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tbar, "_images", look)
        found = given.purified(Tbar(epochs=1, images=20, alpha=1))
    [(first, wanted), (second, truth)] = learned
    assert (first, second) == ("target", "truth")
    assert torch.equal(wanted.pixels, truth.pixels)
    assert len(wanted) == 20 + 4 * 20, "and four clean images for each"
    assert (wanted.labels[:20] == TARGET).all()
    assert (truth.labels[:20] != TARGET).all()
    assert torch.equal(wanted.labels[20:], truth.labels[20:])
    assert len(found.rows) == 1 + 2


def test_statistics_are_not_part_of_it(given: Given, unlearned: Purified) -> None:
    before, after = given.weights(), weights_of(unlearned)
    learned = {name for name, _ in given.classifier.network.named_parameters()}
    for name in before:
        assert name in learned or torch.equal(before[name], after[name]), name
    assert not torch.equal(before["conv1.weight"], after["conv1.weight"])


def test_layers_are_chosen(given: Given) -> None:
    found = given.purified(Tbar(epochs=1, layers="layer4+fc", alpha=1))
    before, after = given.weights(), weights_of(found)
    changed = {
        name.partition(".")[0] for name in before if not torch.equal(before[name], after[name])
    }
    assert changed == {"layer4", "fc"}
    with pytest.raises(UsageError, match="'layer9' is no layer with weights"):
        given.purified(Tbar(layers="layer9"))


def test_without_a_trigger_there_is_nothing_to_unlearn(given: Given) -> None:
    bare = dataclasses.replace(given, clean=dataclasses.replace(given.clean, triggered=None))
    for method in (Tbar(), Relabeling()):
        with pytest.raises(UsageError, match="unlearns a trigger, so it needs one"):
            bare.purified(method)


def test_no_other_method_sees_the_trigger(given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    steps = FineTuning.steps

    def look(self: FineTuning, bench: object) -> object:
        seen.append(bench.clean.triggered)  # type: ignore[attr-defined]
        return steps(self, bench)  # type: ignore[arg-type]

    monkeypatch.setattr(FineTuning, "steps", look)
    given.purified(FineTuning(epochs=1))
    assert seen == [None]


def test_a_vector_in_a_file_does_the_same_and_is_undone(
    given: Given, unlearned: Purified, tmp_path: Path
) -> None:
    network = given.classifier.network
    names = layers_of(network)
    before, after = given.weights(), weights_of(unlearned)
    vector = {name: before[name] - after[name] for name in names}
    file = tmp_path / "tau.safetensors"
    saved = SavedVector(AboutVector(model="0" * 64, trigger=STICKER, target=TARGET), vector)
    file.write_bytes(saved.content())
    assert file.read_bytes() == saved.content()
    read = read_vector(file, network)
    assert read.about == saved.about
    again = given.purified(Tbar(vector=str(file), alpha=1))
    for name in names:
        assert torch.allclose(weights_of(again)[name], after[name], atol=1e-6), name
    purified = dataclasses.replace(given, classifier=again.applied_to(given.classifier))
    undone = purified.purified(Tbar(vector=str(file), alpha=-1))
    for name in names:
        assert torch.allclose(weights_of(undone)[name], before[name], atol=1e-6), name
    chosen = given.purified(Tbar(vector=str(file)))
    assert figures_of(given, chosen)[1] <= 0.05


def test_a_vector_of_another_architecture_is_refused(given: Given, tmp_path: Path) -> None:
    file = tmp_path / "tau.safetensors"
    file.write_bytes(SavedVector(AboutVector(), {"conv1.weight": torch.ones(2, 2)}).content())
    with pytest.raises(InputError, match="of another architecture"):
        given.purified(Tbar(vector=str(file), alpha=1))


@pytest.mark.parametrize(
    ("content", "words", "shape"),
    [(b"", "is no task vector", 1), (b"\x00" * 100, "is no task vector", 1),
     (b"\x02\x00\x00\x00\x00\x00\x00\x00{}", "is no task vector", 1),
     (SavedVector(AboutVector(), {"a": torch.tensor([float("nan")])}).content(), "no finite", 1),
     (SavedVector(AboutVector(), {"a": torch.ones(1).double()}).content(), "no finite float32", 1),
     (SavedVector(AboutVector(), {"a": torch.ones(2)}).content(), "of another architecture", 1),
     (SavedVector(AboutVector(), {"b": torch.ones(1)}).content(), "of another architecture", 1),
     (SavedVector(AboutVector(alpha=float("nan")), {"a": torch.ones(1)}).content(), "is no", 1),
     (b"\x00" * (17 * 1024 * 1024), "is larger than a task vector", 1),
     (SavedVector(AboutVector(), {"a": torch.ones(4)}).content()[:-4], "damaged", 4)],
)  # fmt: skip
def test_hostile_vectors_are_refused(
    content: bytes, words: str, shape: int, tmp_path: Path
) -> None:
    file = tmp_path / "hostile.safetensors"
    file.write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_vector(file, nn.ParameterDict({"a": nn.Parameter(torch.zeros(shape))}))


def test_vectors_add_up() -> None:
    network = nn.Linear(2, 2)
    base = parameters_of(network, layers_of(network))
    vector = {name: torch.ones_like(value) for name, value in base.items()}
    move(network, base, vector, -0.5)
    found = difference(parameters_of(network, base), base)
    assert all(torch.allclose(value, torch.full_like(value, -0.5)) for value in found.values())


# Which multiples are looked at


def curve_until(limit: float, gone: float) -> dict[float, Point]:
    """All that is asked for, if α up to ``limit`` leaves enough accuracy and the trigger is gone
    from ``gone`` on.
    """
    curve: dict[float, Point] = {}
    while (alpha := next_alpha(curve)) is not None:
        assert alpha not in curve
        curve[alpha] = Point(alpha <= limit, 1.0 if alpha < gone else 0.0)
        assert len(curve) <= MOST_ALPHAS
    return curve


@pytest.mark.parametrize("limit", [0.003, 0.07, 0.9, 1.7, 13.0, 700.0])
def test_the_range_follows_the_limit_of_accuracy(limit: float) -> None:
    """Whatever the length of the vector."""
    curve = curve_until(limit, gone=1e9)
    fitting = [alpha for alpha, point in curve.items() if point.fits]
    assert 0 in curve
    assert max(fitting) > 0.9 * limit, "finer around the limit"
    assert len(fitting) > 8


def test_a_trigger_that_is_gone_ends_the_doubling() -> None:
    curve = curve_until(limit=1e9, gone=5)
    assert max(curve) == 8
    assert min(alpha for alpha in curve if alpha >= 5) < 5.5


def test_a_vector_that_ruins_everything_leaves_the_network_as_it_was() -> None:
    curve = curve_until(limit=0.0, gone=1e9)
    assert [alpha for alpha, point in curve.items() if point.fits] == [0]


# What is said


@pytest.mark.parametrize(
    ("recall", "template"), [(0.5, SUPPRESSED), (1.0, REMOVED), (math.nan, RECALL_UNKNOWN)]
)
def test_what_the_class_alone_explains_is_no_removal_if_it_was_spent(
    unlearned: Purified, recall: float, template: str
) -> None:
    """A control may do as well because the trigger is close to clean images, as a warp is."""
    rows = []
    for row in unlearned.rows:
        figures = dict(row.step.figures)
        if "control_asr" in figures:
            figures |= {"control_asr": 0.0, "control_accuracy": 1.0}
        elif figures.get("alpha"):
            figures["target_recall"] = recall
        rows.append(dataclasses.replace(row, step=dataclasses.replace(row.step, figures=figures)))
    said = dataclasses.replace(unlearned, rows=tuple(rows)).conclusion
    assert said is not None
    assert said.template == template


@pytest.mark.parametrize(("rate", "template"), [(1e-9, NONE_WORKS), (1.0, NONE_FITS)])
def test_a_network_that_stays_as_it_was_is_not_called_purified(
    given: Given, rate: float, template: str
) -> None:
    found = given.purified(Relabeling(epochs=1, rate=rate))
    assert same_weights(weights_of(found), given.weights())
    assert found.conclusion is not None
    assert found.conclusion.template == template
    assert given.purified(Relabeling(epochs=2)).conclusion is None


@pytest.mark.slow
def test_no_useful_multiple_is_said(given: Given) -> None:
    found = given.purified(Tbar(epochs=1, rate=1e-9, images=2))
    assert found.conclusion is not None
    assert found.conclusion.template == NO_USEFUL_ALPHA
    assert figures_of(given, found)[1] > 0.9


def test_a_vector_from_a_file_has_no_control(unlearned: Purified) -> None:
    """Nothing is claimed of what was not looked at."""
    rows = tuple(row for row in unlearned.rows if "control_asr" not in row.step.figures)
    said = dataclasses.replace(unlearned, rows=rows).conclusion
    assert said is not None
    assert said.template == LEFT_WITHOUT_CONTROL
    assert dataclasses.replace(unlearned, complete=False).conclusion is None


def test_an_alpha_that_is_given_is_done_once(given: Given, tmp_path: Path) -> None:
    """Also if it was killed after the last step."""
    state = tmp_path / "state"
    method = Tbar(epochs=1, alpha=1)
    first = given.purified(method, resume=state)
    again = given.purified(method, resume=state)
    assert len(first.rows) == len(again.rows) == method.total
    assert first.kept == again.kept
    assert same_weights(weights_of(first), weights_of(again))


@pytest.mark.parametrize("method", [Tbar(epochs=1, rate=1e6), Relabeling(epochs=1, rate=1e6)])
def test_divergence_is_said(given: Given, method: Method) -> None:
    with pytest.raises(UsageError, match="training diverged; try a smaller rate"):
        given.purified(method)


def test_true_labels_are_learned_again(given: Given) -> None:
    acc, asr = figures_of(given, given.purified(Relabeling()))
    assert acc >= 0.95
    assert asr <= 0.05
