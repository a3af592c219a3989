"""Purification: what a method may see, what is kept, and that no kill loses anything."""

from __future__ import annotations

import copy
import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from known import STICKER, TARGET
from purified import same_weights, weights_of
from workbenches import Given, given_by

from bdshift.audit import Audit, Material
from bdshift.errors import InputError, UsageError
from bdshift.images.preprocessing import Preprocessing, parse_normalization
from bdshift.jobs import Canceled, EarlierFigures, Event, Figures, JobContext
from bdshift.measure import Measured, attack_success, der, measure
from bdshift.purification import (
    METHODS,
    CleanData,
    LabeledImages,
    Method,
    Purified,
    Step,
    Watch,
    split_clean,
)
from bdshift.purification.methods.cut import Cut
from bdshift.purification.methods.fine_tuning import FineTuning
from bdshift.purification.methods.shift_tuning import ShiftTuning
from bdshift.purification.quantities import HELD_OUT_ACCURACY
from bdshift.purification.tuning import of_norms, reach
from bdshift.purification.unlearning import TRIGGER_WORKS, worth
from bdshift.purification.workbench import Workbench
from bdshift.resume import read_state, write_state
from bdshift.triggers import parse_trigger


@pytest.fixture(scope="module")
def given(victim_audit: Audit, victim_material: Material) -> Given:
    return given_by(victim_audit, victim_material, every=3)


class StopsAfter(JobContext):
    """Cancels itself once it was told of so many steps."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.left = steps
        self.before: list[int] = []

    def report(self, event: Event) -> None:
        if isinstance(event, Figures):
            self.left -= 1
            if self.left == 0:
                self.cancel()
        if isinstance(event, EarlierFigures):
            self.before += [one.number for one in event.steps]


# The clean data


def test_every_class_is_held_out_in_its_share() -> None:
    labels = torch.tensor([0] * 50 + [1] * 10 + [2] * 2 + [3])
    pixels = torch.arange(63, dtype=torch.uint8).view(63, 1, 1, 1).expand(63, 3, 2, 2)
    half = Preprocessing(2, parse_normalization("half"))
    images = LabeledImages(pixels, labels)
    found = split_clean(images, half, held=0.2, seed=1)
    assert torch.bincount(found.held.labels, minlength=4).tolist() == [10, 2, 1, 0]
    seen = torch.cat([found.tune.pixels, found.held.pixels])[:, 0, 0, 0]
    assert sorted(seen.tolist()) == list(range(63)), "each image in one part"
    again = split_clean(images, half, held=0.2, seed=1)
    assert torch.equal(found.held.pixels, again.held.pixels)
    other = split_clean(images, half, held=0.2, seed=2)
    assert not torch.equal(found.held.pixels, other.held.pixels)


def test_too_few_images_to_hold_out_are_refused() -> None:
    half = Preprocessing(2, parse_normalization("half"))
    some = LabeledImages(torch.zeros(9, 3, 2, 2, dtype=torch.uint8), torch.zeros(9).long())
    with pytest.raises(InputError, match="1 clean image is too few"):
        split_clean(some[:1], half)
    with pytest.raises(UsageError, match="between 0 and 1"):
        split_clean(some, half, held=1)


def test_methods_cannot_see_triggers_or_test_images() -> None:
    """All that goes into a method is a `Workbench`; it holds no trigger and no test image. Images
    with a trigger are there only for methods that say that they unlearn one
    (test_task_vectors.py).
    """
    assert {field.name for field in dataclasses.fields(Workbench)} == {
        "network", "head_name", "clean", "target", "shift", "seed", "job", "state", "precision",
        "forwards", "backwards", "through", "_kept", "_recomputing",
    }  # fmt: skip
    assert {field.name for field in dataclasses.fields(CleanData)} == {
        "tune", "held", "preprocess", "triggered",
    }  # fmt: skip
    folder = Path(sys.modules[Method.__module__].__file__ or "").parent
    files = [*folder.rglob("*.py")]
    assert {"method", "run", "shift_tuning", "tsbd", "beear"} < {path.stem for path in files}
    for path in files:
        text = path.read_text()
        assert "bdshift.triggers" not in text
        assert "bdshift.measure" not in text


# A run


def test_the_same_seed_gives_the_same_weights(given: Given) -> None:
    first, second, other = (given.purified(ShiftTuning(epochs=1), seed=seed) for seed in (0, 0, 1))
    assert same_weights(weights_of(first), weights_of(second))
    assert not same_weights(weights_of(first), weights_of(other))


def test_dropout_is_drawn_alike_by_every_run_of_a_seed(given: Given, tmp_path: Path) -> None:
    network = copy.deepcopy(given.classifier.network)
    assert isinstance(network.layer4, torch.nn.Sequential)
    network.layer4.append(torch.nn.Dropout(0.5))
    dropping = dataclasses.replace(
        given, classifier=dataclasses.replace(given.classifier, network=network)
    )
    torch.manual_seed(7)
    before, method = torch.get_rng_state(), FineTuning(epochs=3)
    whole = dropping.purified(method)
    assert torch.equal(torch.get_rng_state(), before), "it leaves no trace"
    torch.manual_seed(8)
    state = tmp_path / "state"
    dropping.purified(method, resume=state, job=StopsAfter(1))
    assert same_weights(weights_of(whole), weights_of(dropping.purified(method, resume=state)))
    assert not same_weights(weights_of(whole), weights_of(given.purified(method)))


def test_classes_that_no_shift_reaches_are_no_part_of_a_mean() -> None:
    norms = np.array([2.0, np.inf, 4.0, 6.0])
    found = of_norms(norms, 0)
    assert (found["target_norm"], found["other_norms"]) == (2, 5)
    assert found["target_z"] == pytest.approx((2 - 4) / np.std([2, 4, 6]))
    assert reach(found) == pytest.approx(0.4)
    assert reach(of_norms(norms, 1)) == np.inf, "the target is out of reach"
    assert reach(of_norms(np.array([3.0, np.inf]), 0)) == 0, "it is the only one in reach"
    assert reach(of_norms(np.array([3.0, 0.0]), 0)) > 1e5, "the other needs no shift"


def test_just_as_much_as_is_allowed_may_be_lost() -> None:
    """Shares are means of float32: 190 of 200 is a little less than 0.95."""
    right = (torch.arange(200) < 190).float().mean().item()
    figures = {HELD_OUT_ACCURACY: right, TRIGGER_WORKS: 0.2}
    assert worth(figures, {HELD_OUT_ACCURACY: 1.0}, 0.95) > -1
    assert worth({**figures, HELD_OUT_ACCURACY: 0.9499}, {HELD_OUT_ACCURACY: 1.0}, 0.95) < -1


def test_what_is_watched_changes_nothing(given: Given) -> None:
    """Attack success is reported between steps; the run must not depend on it."""
    seen = iter(range(100))

    def watch(network: torch.nn.Module) -> dict[str, float]:
        torch.manual_seed(next(seen))
        return {"asr": float(next(seen))}

    plain = given.purified(ShiftTuning(epochs=2))
    watched = given.purified(ShiftTuning(epochs=2), watch=Watch("all", watch))
    assert same_weights(weights_of(plain), weights_of(watched))
    assert [row.watched["asr"] for row in watched.rows] == [1.0, 3.0]


def test_a_tuning_that_runs_away_is_said(victim_audit: Audit, victim_material: Material) -> None:
    given = given_by(victim_audit, victim_material)
    with pytest.raises(UsageError, match=r"fine-tuning:.*: training diverged; try a smaller rate"):
        given.purified(FineTuning(epochs=2, rate=10))
    with pytest.raises(UsageError, match="seed must not be negative, but is -1"):
        given.purified(FineTuning(epochs=1), seed=-1)


# Choosing, canceling, resuming


@dataclasses.dataclass(frozen=True)
class Scripted(Method):
    """Sets the head's bias to each step's number, with given scores."""

    name = "scripted"

    scores: tuple[float, ...] = ()
    final: int = -1

    @property
    def total(self) -> int:
        return len(self.scores)

    def steps(self, bench: Workbench) -> Iterator[Step]:
        for number in range(bench.state.get("done", 0), len(self.scores)):
            bench.job.raise_if_canceled()
            with torch.no_grad():
                bench.head.bias.fill_(number)
            bench.state["done"] = number + 1
            yield Step(number, self.scores[number], {}, final=number == self.final)


def test_the_best_on_held_out_images_is_kept(given: Given) -> None:
    found = given.purified(Scripted((1, 3, 2)))
    assert found.kept == 1
    assert weights_of(found)["fc.bias"].unique().tolist() == [1]
    found = given.purified(Scripted((1, 3, 2), final=2))
    assert weights_of(found)["fc.bias"].unique().tolist() == [2]


def test_why_a_step_was_kept_counts_the_steps_that_were_made(given: Given) -> None:
    """A method may end before the most that it could take."""
    found = given.purified(Scripted((1, 3, 2)))
    assert str(found.why_kept).startswith("step 2 of 3 was kept, the best on the held-out images;")
    known = dataclasses.replace(found, method="fine-tuning:epochs=5")
    assert str(known.why_kept).startswith("step 2 of 3 was kept")


def test_canceled_it_keeps_the_best_until_then(given: Given) -> None:
    found = given.purified(Scripted((1, 3, 9)), job=StopsAfter(2))
    assert not found.complete
    assert str(found.why_kept).startswith("stopped after 2 steps; step 2 was kept, the best of")
    one = given.purified(Scripted((1, 3, 9)), job=StopsAfter(1))
    assert str(one.why_kept) == "stopped after its first step, which was kept."
    assert found.kept == 1
    at_once = JobContext()
    at_once.cancel()
    with pytest.raises(Canceled):
        given.purified(Scripted((1,)), job=at_once)


@pytest.mark.parametrize("name", ["shift-tuning:epochs=2,head_first=true", "fine-pruning:epochs=2"])
def test_stopped_after_any_step_it_ends_with_the_same_weights(
    given: Given, name: str, tmp_path: Path
) -> None:
    method = METHODS.parse(name)
    whole = given.purified(method)
    for stop in (1, 2):
        file = tmp_path / f"{stop}.state"
        assert not given.purified(method, resume=file, job=StopsAfter(stop)).complete
        found = given.purified(method, resume=file, job=(job := StopsAfter(-1)))
        assert job.before == list(range(stop)), "the curves begin where they did"
        assert same_weights(weights_of(found), weights_of(whole))
        assert [row.step for row in found.rows] == [row.step for row in whole.rows]
        assert found.forwards == whole.forwards


def test_a_cut_that_was_made_is_not_made_again(given: Given, tmp_path: Path) -> None:
    """Killed after its one step, it would choose anew on a network that is cut already."""
    whole, again = (
        given.purified(Cut(ranking="weights"), resume=tmp_path / "state") for _ in range(2)
    )
    assert same_weights(weights_of(whole), weights_of(again))
    assert len(again.rows) == 1


def test_nothing_is_kept_of_work_half_done(given: Given, tmp_path: Path) -> None:
    """RNP's network that forgot its task is nobody's result."""
    method = METHODS.parse("rnp:unlearn_epochs=2,epochs=2")
    state = tmp_path / "state"
    with pytest.raises(Canceled):
        given.purified(method, resume=state, job=StopsAfter(1))
    found = given.purified(method, resume=state)
    assert found.kept == method.total - 1
    assert [row.step.score is None for row in found.rows] == [True, True, True, False]


def test_a_state_of_another_run_is_refused(given: Given, tmp_path: Path) -> None:
    file = tmp_path / "a.state"
    given.purified(Cut(neurons="3"), resume=file)
    with pytest.raises(InputError, match="state of another run"):
        given.purified(Cut(neurons="4"), resume=file)
    older = read_state(file, torch.device("cpu"))
    del older["identity"]["format"]
    write_state(file, older)
    with pytest.raises(InputError, match="state of another run"):
        given.purified(Cut(neurons="3"), resume=file)
    file.write_bytes(b"no state")
    with pytest.raises(InputError, match="holds no state"):
        given.purified(Cut(neurons="4"), resume=file)


def test_figures_of_another_trigger_are_not_taken_for_these(given: Given, tmp_path: Path) -> None:
    def watched(what: str, asr: float) -> list[dict[str, float]]:
        found: Purified = given.purified(
            Scripted((1, 2)), resume=tmp_path / "state", watch=Watch(what, lambda _: {"asr": asr})
        )
        return [row.watched for row in found.rows]

    assert watched("this", 0.5) == [{"asr": 0.5}] * 2
    assert watched("this", 0.1) == [{"asr": 0.5}] * 2, "from the file"
    assert watched("that", 0.1) == [{}] * 2


def test_a_state_that_cannot_be_written_is_said(given: Given, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        given.purified(Cut(neurons="3"), resume=tmp_path / "no" / "state")


# Measuring


def test_der_gives_the_papers_table() -> None:
    def at(acc: float, asr: float | None) -> Measured:
        return Measured(acc, asr, None, (acc,))

    assert der(at(0.9381, 1.0), at(0.9255, 0.0573)) == pytest.approx(0.9650, abs=1e-4)
    assert der(at(0.9341, 0.9959), at(0.1023, 1.0)) == pytest.approx(0.0841, abs=1e-4)
    assert der(at(0.9381, 1.0), at(0.9364, 1.0)) == pytest.approx(0.4992, abs=1e-4)
    assert der(at(0.9, None), at(0.9, 0.1)) is None


def test_asr_leaves_out_the_target_class(given: Given) -> None:
    classifier, held = given.classifier, given.clean.held
    of_target = held[held.labels == TARGET]
    trigger = parse_trigger(STICKER)
    about = classifier.network, classifier.preprocessing
    found = measure(*about, of_target, 12, trigger, TARGET)
    assert found.asr is None
    assert found.ra is None
    assert attack_success(*about, of_target, trigger, TARGET) is None
    found = measure(*about, held, 12, trigger, TARGET)
    assert found.asr is not None
    assert found.asr > 0.99
    assert len(found.by_class) == 12
    assert attack_success(*about, held, trigger, TARGET) == (found.asr, found.ra)
