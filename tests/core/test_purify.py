"""Purification: what a method may see, what it keeps, and that no kill loses anything."""

from __future__ import annotations

import copy
import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from purified import of, same

from bdshift.audit import Audit, reopen
from bdshift.checkpoints.classifier import Classifier
from bdshift.errors import InputError, UsageError
from bdshift.images.preprocessing import Preprocessing, parse_normalization
from bdshift.jobs import Canceled, Event, Figures, JobContext
from bdshift.purify import (
    METHODS,
    PAPER,
    CleanData,
    Cut,
    FineTuning,
    Method,
    Part,
    Purified,
    ShiftTuning,
    Step,
    Watch,
    parse_method,
    purify,
    read_part,
    split_clean,
)
from bdshift.purify.frozen import tune_from
from bdshift.purify.measure import Measured, der, measure
from bdshift.purify.workbench import Workbench
from bdshift.triggers import parse_trigger

STICKER = "badnets:size=4,color=ffd800,row=20,column=14"
TARGET = 9


@pytest.fixture(scope="module")
def opened(victim_audit: Audit) -> tuple[Classifier, CleanData, torch.Tensor]:
    classifier, found = reopen(victim_audit)
    assert classifier.preprocessing is not None
    part = read_part(found.collection, found.files, found.class_map.of_folder, 32)
    data = split_clean(part, classifier.preprocessing)
    return classifier, data, torch.from_numpy(victim_audit.shifts.shift[TARGET].copy())


def weights(classifier: Classifier) -> dict[str, torch.Tensor]:
    return classifier.network.state_dict()


# --- the clean data


def test_every_class_is_held_out_in_its_share() -> None:
    labels = torch.tensor([0] * 50 + [1] * 10 + [2] * 2 + [3])
    pixels = torch.arange(63, dtype=torch.uint8).view(63, 1, 1, 1).expand(63, 3, 2, 2)
    half = Preprocessing(2, parse_normalization("half"))
    part = Part(pixels, labels)
    found = split_clean(part, half, held=0.2, seed=1)
    assert torch.bincount(found.held.labels, minlength=4).tolist() == [10, 2, 1, 0]
    seen = torch.cat([found.tune.pixels, found.held.pixels])[:, 0, 0, 0]
    assert sorted(seen.tolist()) == list(range(63)), "each image in one part"
    again = split_clean(part, half, held=0.2, seed=1)
    assert torch.equal(found.held.pixels, again.held.pixels)
    other = split_clean(part, half, held=0.2, seed=2)
    assert not torch.equal(found.held.pixels, other.held.pixels)


def test_too_few_images_to_hold_out_are_refused() -> None:
    half = Preprocessing(2, parse_normalization("half"))
    some = Part(torch.zeros(9, 3, 2, 2, dtype=torch.uint8), torch.zeros(9).long())
    with pytest.raises(InputError, match="too few"):
        split_clean(some[:1], half)
    with pytest.raises(UsageError, match="between 0 and 1"):
        split_clean(some, half, held=1)


# --- methods


@pytest.mark.parametrize("name", METHODS)
def test_every_method_gives_a_new_model_and_leaves_the_old_one(
    opened: tuple[Classifier, CleanData, torch.Tensor], name: str
) -> None:
    classifier, data, shift = opened
    before = {key: value.clone() for key, value in weights(classifier).items()}
    options = {field.name for field in dataclasses.fields(METHODS[name])}
    quick: dict[str, float] = {"epochs": 2, "iterations": 10, "unlearn_epochs": 1}
    if name == "tsbd":
        quick["neuron_share"] = 0.01  # one epoch of tuning mends no more
    few = ",".join(f"{key}={value}" for key, value in quick.items() if key in options)
    method = parse_method(f"{name}:{few}" if few else name)
    found = purify(classifier, data, method, TARGET, shift)
    assert same(before, weights(classifier)), "the source was touched"
    assert name == "rnp" or not same(before, of(found)), "two epochs bring no mask down"
    assert found.complete
    assert len(found.rows) == method.total
    assert found.kept in {row.step.number for row in found.rows}
    assert parse_method(found.method) == method
    assert classifier.preprocessing is not None
    network = found.applied_to(classifier).network
    assert measure(network, classifier.preprocessing, data.held, 12).acc > 0.9
    assert not any(p.requires_grad for p in network.parameters())
    assert same(before, weights(classifier)), "the source was touched"


def test_the_same_seed_gives_the_same_weights(
    opened: tuple[Classifier, CleanData, torch.Tensor],
) -> None:
    classifier, data, shift = opened
    method = ShiftTuning(epochs=1)
    first, second, other = (
        purify(classifier, data, method, TARGET, shift, seed=seed) for seed in (0, 0, 1)
    )
    assert same(of(first), of(second))
    assert not same(of(first), of(other))


def test_the_shift_no_longer_reaches_the_target(
    opened: tuple[Classifier, CleanData, torch.Tensor],
) -> None:
    classifier, data, shift = opened
    found = purify(classifier, data, ShiftTuning(epochs=4), TARGET, shift)
    figures = [row.step.figures for row in found.rows]
    assert figures[-1]["target_norm"] > 1.1 * float(shift.norm())
    assert figures[-1]["held_out_accuracy"] > 0.85
    assert figures[-1]["target_norm"] > figures[-1]["other_norms"]


def test_the_head_alone_is_solved_without_touching_the_backbone(
    opened: tuple[Classifier, CleanData, torch.Tensor],
) -> None:
    classifier, data, shift = opened
    found = purify(classifier, data, ShiftTuning(epochs=0, head_first=True), TARGET, shift)
    before, after = weights(classifier), of(found)
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed == {"fc.weight", "fc.bias"}
    assert found.backwards == 0


def test_a_cut_sets_columns_of_the_head_to_zero(
    opened: tuple[Classifier, CleanData, torch.Tensor],
) -> None:
    classifier, data, shift = opened
    found = purify(classifier, data, Cut(neurons="3+17"), TARGET, shift)
    columns = found.applied_to(classifier).weight.abs().sum(0)
    assert torch.nonzero(columns == 0)[:, 0].tolist() == [3, 17]
    with pytest.raises(UsageError, match="there is no neuron 4000"):
        purify(classifier, data, Cut(neurons="4000"), TARGET, shift)


def test_what_is_watched_changes_nothing(
    opened: tuple[Classifier, CleanData, torch.Tensor],
) -> None:
    """Attack success is reported between steps; the run must not depend on it."""
    classifier, data, shift = opened
    seen = iter(range(100))

    def watch(network: torch.nn.Module) -> dict[str, float]:
        torch.manual_seed(next(seen))
        return {"asr": float(next(seen))}

    plain = purify(classifier, data, ShiftTuning(epochs=2), TARGET, shift)
    watched = purify(
        classifier, data, ShiftTuning(epochs=2), TARGET, shift, watch=Watch("all", watch)
    )
    assert same(of(plain), of(watched))
    assert [row.watched["asr"] for row in watched.rows] == [1.0, 3.0]


def test_methods_cannot_see_triggers_or_test_images() -> None:
    """All that goes into a method is a `Workbench`; it holds no trigger and no test image."""
    assert {field.name for field in dataclasses.fields(Workbench)} == {
        "network", "head_name", "clean", "target", "shift", "seed", "job", "state", "forwards",
        "backwards", "through",
    }  # fmt: skip
    assert {field.name for field in dataclasses.fields(CleanData)} == {
        "tune", "held", "preprocess",
    }  # fmt: skip
    folder = Path(sys.modules[Method.__module__].__file__ or "").parent
    files = [path for path in folder.glob("*.py") if path.stem not in ("__init__", "measure")]
    assert {"shift_tuning", "tsbd", "beear"} < {path.stem for path in files}
    for path in files:
        text = path.read_text()
        assert "bdshift.triggers" not in text
        assert "purify.measure" not in text


@pytest.mark.parametrize(
    "text",
    ["shift-tuning:epochs=0", "fine-tuning:epochs=-1", "shift-tuning:batch=1",
     "fine-tuning:rate=-1",
     "fine-pruning:rate=nan", "shift-tuning:scale=nan", "cut:tolerance=2", "fine-pruning:batch=0",
     "shift-tuning:tolerance=-1"],
)  # fmt: skip
def test_settings_out_of_range_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_method(text)


def test_a_tuning_that_runs_away_is_said(
    opened: tuple[Classifier, CleanData, torch.Tensor],
) -> None:
    classifier, data, shift = opened
    with pytest.raises(UsageError, match="ran away"):
        purify(classifier, data, FineTuning(epochs=1, rate=1e6), TARGET, shift)
    with pytest.raises(UsageError, match="not negative"):
        purify(classifier, data, FineTuning(epochs=1), TARGET, shift, seed=-1)


# --- choosing, canceling, resuming


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


def test_the_best_on_held_out_images_is_kept(
    opened: tuple[Classifier, CleanData, torch.Tensor],
) -> None:
    classifier, data, shift = opened
    found = purify(classifier, data, Scripted((1, 3, 2)), TARGET, shift)
    assert found.kept == 1
    assert of(found)["fc.bias"].unique().tolist() == [1]
    found = purify(classifier, data, Scripted((1, 3, 2), final=2), TARGET, shift)
    assert of(found)["fc.bias"].unique().tolist() == [2]


def test_canceled_it_keeps_the_best_until_then(
    opened: tuple[Classifier, CleanData, torch.Tensor],
) -> None:
    classifier, data, shift = opened

    class Stopping(JobContext):
        def report(self, event: Event) -> None:
            if isinstance(event, Figures) and event.number == 1:
                self.cancel()

    found = purify(classifier, data, Scripted((1, 3, 9)), TARGET, shift, job=Stopping())
    assert not found.complete
    assert found.kept == 1
    at_once = JobContext()
    at_once.cancel()
    with pytest.raises(Canceled):
        purify(classifier, data, Scripted((1,)), TARGET, shift, job=at_once)


@pytest.mark.parametrize("name", ["shift-tuning:epochs=2,head_first=true", "fine-pruning:epochs=2"])
def test_stopped_after_any_step_it_ends_with_the_same_weights(
    opened: tuple[Classifier, CleanData, torch.Tensor], name: str, tmp_path: Path
) -> None:
    classifier, data, shift = opened
    method = parse_method(name)
    whole = purify(classifier, data, method, TARGET, shift)

    class After(JobContext):
        def __init__(self, steps: int) -> None:
            super().__init__()
            self.left = steps

        def report(self, event: Event) -> None:
            if isinstance(event, Figures):
                self.left -= 1
                if self.left == 0:
                    self.cancel()

    for stop in (1, 2):
        file = tmp_path / f"{stop}.state"
        cut = purify(classifier, data, method, TARGET, shift, resume=file, job=After(stop))
        assert not cut.complete
        found = purify(classifier, data, method, TARGET, shift, resume=file)
        assert same(of(found), of(whole))
        assert [row.step for row in found.rows] == [row.step for row in whole.rows]
        assert found.forwards == whole.forwards


def test_a_cut_that_was_made_is_not_made_again(
    opened: tuple[Classifier, CleanData, torch.Tensor], tmp_path: Path
) -> None:
    """Killed after its one step, it would choose anew on a network that is cut already."""
    classifier, data, shift = opened
    whole = purify(classifier, data, Cut(ranking="weights"), TARGET, shift, resume=tmp_path / "s")
    again = purify(classifier, data, Cut(ranking="weights"), TARGET, shift, resume=tmp_path / "s")
    assert same(of(whole), of(again))
    assert len(again.rows) == 1


def test_nothing_is_kept_of_work_half_done(
    opened: tuple[Classifier, CleanData, torch.Tensor], tmp_path: Path
) -> None:
    """RNP's network that forgot its task is nobody's result."""
    classifier, data, shift = opened
    method = parse_method("rnp:unlearn_epochs=2,epochs=2")

    class AtOnce(JobContext):
        def report(self, event: Event) -> None:
            if isinstance(event, Figures):
                self.cancel()

    state = tmp_path / "s"
    with pytest.raises(Canceled):
        purify(classifier, data, method, TARGET, shift, resume=state, job=AtOnce())
    found = purify(classifier, data, method, TARGET, shift, resume=state)
    assert found.kept == method.total - 1
    assert [row.step.score is None for row in found.rows] == [True, True, True, False]


def test_a_state_of_another_run_is_refused(
    opened: tuple[Classifier, CleanData, torch.Tensor], tmp_path: Path
) -> None:
    classifier, data, shift = opened
    file = tmp_path / "a.state"
    purify(classifier, data, Cut(neurons="3"), TARGET, shift, resume=file)
    with pytest.raises(InputError, match="state of another run"):
        purify(classifier, data, Cut(neurons="4"), TARGET, shift, resume=file)
    file.write_bytes(b"no state")
    with pytest.raises(InputError, match="holds no state"):
        purify(classifier, data, Cut(neurons="4"), TARGET, shift, resume=file)


def test_figures_of_another_trigger_are_not_taken_for_these(
    opened: tuple[Classifier, CleanData, torch.Tensor], tmp_path: Path
) -> None:
    classifier, data, shift = opened
    file = tmp_path / "a.state"

    def run(what: str, asr: float) -> Purified:
        return purify(
            classifier, data, Scripted((1, 2)), TARGET, shift, resume=file,
            watch=Watch(what, lambda _: {"asr": asr}),
        )  # fmt: skip

    assert [row.watched for row in run("this", 0.5).rows] == [{"asr": 0.5}] * 2
    assert [row.watched for row in run("this", 0.1).rows] == [{"asr": 0.5}] * 2, "from the file"
    assert [row.watched for row in run("that", 0.1).rows] == [{}] * 2


def test_a_state_that_cannot_be_written_is_said(
    opened: tuple[Classifier, CleanData, torch.Tensor], tmp_path: Path
) -> None:
    classifier, data, shift = opened
    with pytest.raises(InputError, match="cannot be written"):
        purify(classifier, data, Cut(neurons="3"), TARGET, shift, resume=tmp_path / "no" / "state")


# --- measuring


def test_der_gives_the_papers_table() -> None:
    def at(acc: float, asr: float) -> Measured:
        return Measured(acc, asr, None, (acc,))

    assert der(at(0.9381, 1.0), at(0.9255, 0.0573)) == pytest.approx(0.9650, abs=1e-4)
    assert der(at(0.9341, 0.9959), at(0.1023, 1.0)) == pytest.approx(0.0841, abs=1e-4)
    assert der(at(0.9381, 1.0), at(0.9364, 1.0)) == pytest.approx(0.4992, abs=1e-4)


def test_asr_leaves_out_the_target_class(
    opened: tuple[Classifier, CleanData, torch.Tensor],
) -> None:
    classifier, data, _ = opened
    assert classifier.preprocessing is not None
    only = data.held.labels == TARGET
    part = Part(data.held.pixels[only], data.held.labels[only])
    trigger = parse_trigger(STICKER)
    found = measure(classifier.network, classifier.preprocessing, part, 12, trigger, TARGET)
    assert found.asr is None
    found = measure(classifier.network, classifier.preprocessing, data.held, 12, trigger, TARGET)
    assert found.asr is not None
    assert found.asr > 0.99
    assert len(found.by_class) == 12


def test_the_papers_settings() -> None:
    assert parse_method("paper") is PAPER
    assert (PAPER.epochs, PAPER.rate, PAPER.cosine, PAPER.scale) == (50, 0.01, False, 1.0)
    assert parse_method(PAPER.spec) == PAPER


def test_the_paper_keeps_the_last_epoch_whatever_became_of_it(
    opened: tuple[Classifier, CleanData, torch.Tensor],
) -> None:
    classifier, data, shift = opened
    short = dataclasses.replace(PAPER, epochs=4, batch=16, tolerance=1.0)
    found = purify(classifier, data, short, TARGET, shift)
    assert found.kept == 3
    scores = [row.step.score for row in found.rows]
    assert max(scores) > scores[3], "the last is not also the best, or this shows nothing"
    reach = purify(classifier, data, dataclasses.replace(short, keep="reach"), TARGET, shift)
    assert reach.kept == scores.index(max(scores))
    with pytest.raises(UsageError, match="reach or last"):
        parse_method("shift-tuning:keep=first")


# --- only the last layers


def test_fixed_layers_are_run_once_and_stay(
    opened: tuple[Classifier, CleanData, torch.Tensor],
) -> None:
    classifier, data, shift = opened
    method = ShiftTuning(epochs=2, tune_from="layer3")
    found = purify(classifier, data, method, TARGET, shift)
    before = weights(classifier)
    changed = {key for key in before if not torch.equal(before[key], of(found)[key])}
    assert {key.partition(".")[0] for key in changed} == {"layer3", "layer4", "fc"}


def test_the_last_layers_alone_give_what_the_network_gives(
    opened: tuple[Classifier, CleanData, torch.Tensor],
) -> None:
    classifier, data, shift = opened
    bench = Workbench(copy.deepcopy(classifier.network), "fc", data, TARGET, shift)
    whole = bench.embed(data.held)
    for first in ("layer1", "layer2", "layer4", "fc"):
        if first == "fc":
            with pytest.raises(UsageError, match="cannot be split"):
                tune_from(bench, first)
            continue
        bench = Workbench(copy.deepcopy(classifier.network), "fc", data, TARGET, shift)
        tune_from(bench, first)
        assert torch.allclose(bench.embed(bench.clean.held), whole, atol=1e-5)
    with pytest.raises(UsageError, match="no layer to tune from"):
        tune_from(bench, "layer9")
