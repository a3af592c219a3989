"""The rivals: what each of them is said to do, and that a stop loses nothing."""

from __future__ import annotations

import dataclasses
import math
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import torch
from known import TARGET
from purified import same_weights, weights_of
from torch import nn
from workbenches import Given, given_by

from bdshift.audit import Audit, Material
from bdshift.checkpoints.recompute import same_statistics
from bdshift.errors import UsageError
from bdshift.jobs import Canceled, Event, Figures, JobContext
from bdshift.purification import METHODS
from bdshift.purification.ascent import unlearn
from bdshift.purification.channels import Masks, registered_pairs, traced_pairs
from bdshift.purification.masked_pruning import prune
from bdshift.purification.method import Step
from bdshift.purification.methods.clp import Clp
from bdshift.purification.methods.ro_clip import RoClip
from bdshift.purification.sharpness import sharp_gradient
from bdshift.purification.tuning import Sgd
from bdshift.purification.workbench import Workbench
from bdshift.setting import options_of

QUICK: dict[str, Any] = {
    "iterations": 10, "batch": 16, "unlearn_epochs": 2, "epochs": 2, "inner": 5,
}  # fmt: skip
"""Settings with which methods end soon."""

WITHOUT_RANKING = {
    "cut", "fine-tuning", "cleanclip", "roclip", "ft-sam", "tbar", "relabeling",
    "gradient-ascent",
}  # fmt: skip


@pytest.fixture(scope="module")
def given(victim_audit: Audit, victim_material: Material) -> Given:
    return given_by(victim_audit, victim_material, every=3)


@pytest.fixture(scope="module")
def bench(given: Given) -> Workbench:
    return given.bench()


class _StopsAfter(JobContext):
    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def report(self, event: Event) -> None:
        if isinstance(event, Figures) and event.number == self.step:
            self.cancel()


@pytest.mark.parametrize("name", [*METHODS])
def test_it_ranks_runs_again_and_goes_on(given: Given, name: str, tmp_path: Path) -> None:
    options = {option.name for option in options_of(METHODS[name])}
    quick = {key: value for key, value in QUICK.items() if key in options}
    method = dataclasses.replace(METHODS.parse(name), **quick)
    whole = given.purified(method)
    assert len(whole.rows) == method.total or (name == "tbar" and len(whole.rows) < method.total)
    state = tmp_path / "state"
    stopped = False
    try:
        given.purified(method, resume=state, job=_StopsAfter(0))
    except Canceled:
        stopped = True
    resumed = given.purified(method, resume=state)
    assert same_weights(weights_of(whole), weights_of(resumed)), stopped
    if name in WITHOUT_RANKING:
        assert whole.ranking is None
    else:
        assert whole.ranking is not None
        assert whole.ranking.shape == (given.classifier.embedding_dim,)
        assert resumed.ranking is not None
        assert (whole.ranking == resumed.ranking).all()


# CLP


def test_a_norm_belongs_to_the_convolution_before_it_in_the_pass(bench: Workbench) -> None:
    for pair in traced_pairs(bench):
        if pair.name.startswith("layer") and "downsample" not in pair.name:
            expected = bench.network.get_submodule(pair.name.replace("conv", "bn"))
            assert pair.norm is expected, pair.name
    assert len(traced_pairs(bench)) == 20


class _NormFirst(nn.Module):
    """Pre-activation: the norm made behind ``conv1`` stands before ``conv2``, of another width."""

    def __init__(self) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(3)
        self.conv1 = nn.Conv2d(3, 8, 3)
        self.conv2 = nn.Conv2d(8, 8, 3)
        self.bn2 = nn.BatchNorm2d(8)
        self.fc = nn.Linear(8, 12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.bn2(self.conv1(self.bn1(x)))
        return self.fc(self.conv2(x).mean((2, 3)))


def test_the_order_in_which_layers_were_made_says_nothing(bench: Workbench) -> None:
    other = Workbench(_NormFirst(), "fc", bench.clean, TARGET, torch.zeros(8))
    found = {pair.name: pair.norm for pair in traced_pairs(other)}
    assert found == {"conv1": other.network.bn2, "conv2": None}
    wrong = {pair.name: pair.norm for pair in registered_pairs(other)}
    assert wrong == {"conv2": other.network.bn2}, "as CLP's own code has it"


def test_clp_cuts_the_channel_that_stands_out(given: Given) -> None:
    own = given.bench()
    conv, norm = (own.network.get_submodule(f"layer3.0.{name}") for name in ("conv1", "bn1"))
    assert isinstance(conv, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    with torch.no_grad():
        conv.weight[5] *= 40
    before = norm.weight.detach().clone()
    (step,) = Clp(u=3).steps(own)
    assert norm.weight[5] == 0
    assert norm.bias[5] == 0
    kept = torch.arange(len(before)) != 5
    assert torch.equal(norm.weight[kept], before[kept])
    assert step.final


# RoCLIP


@pytest.mark.parametrize("every", [1, 2])
def test_the_most_similar_caption_takes_the_place_of_the_label(given: Given, every: int) -> None:
    tune = given.clean.tune
    other = dataclasses.replace(tune, labels=tune.labels.roll(1))
    relabeled = dataclasses.replace(given, clean=dataclasses.replace(given.clean, tune=other))
    method = RoClip(every=every, epochs=1, batch=16)
    one, two = (weights_of(which.purified(method)) for which in (given, relabeled))
    assert same_weights(one, two) == (every == 1), "the labels of an epoch in between count"
    assert not same_weights(one, given.weights())


# Masks and sharpness


def test_a_mask_multiplies_gamma(given: Given, bench: Workbench) -> None:
    images = bench.clean.preprocess(bench.clean.tune.pixels[:8])
    bench.network.eval()
    masks = Masks(bench)
    plain = bench.phi(images)
    with masks.on():
        assert torch.allclose(bench.phi(images), plain, rtol=1e-2, atol=1e-2)
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in masks.values:
            value.copy_(torch.rand(value.shape, generator=rng))
    with masks.on():
        masked = bench.phi(images)
    own = given.bench()
    with torch.no_grad():
        for norm, value in zip(Masks(own).norms, masks.values, strict=True):
            norm.weight.mul_(value)
    own.network.eval()
    assert torch.allclose(own.phi(images), masked, rtol=2e-2, atol=2e-2)
    assert not torch.allclose(plain, masked, rtol=2e-2, atol=2e-2)


def test_as_many_channels_are_cut_as_held_out_accuracy_allows(given: Given) -> None:
    own = given.bench()
    masks = Masks(own)
    with torch.no_grad():
        masks.values[3][:2] = 0.1  # two channels are spared easily, all of the first are not
        masks.values[0][:] = 0.6
    step = prune(own, masks, threshold=0, tolerance=0.05, number=3)
    assert step.figures["threshold"] == pytest.approx(0.55)
    assert step.figures["cut"] == 2
    assert step.final
    assert not masks.norms[3].weight[:2].any()
    assert masks.norms[0].weight.all()
    assert own.state["ranking"].shape == (own.head.in_features,)
    fixed = given.bench()
    again = Masks(fixed)
    with torch.no_grad():
        again.values[0][:] = 0.6
    step = prune(fixed, again, threshold=0.7, tolerance=0.05, number=0)
    assert step.figures["cut"] == len(again.values[0]), "a given threshold asks nobody"


def test_statistics_are_not_remembered(bench: Workbench) -> None:
    before = {k: v.clone() for k, v in bench.network.state_dict().items() if "running" in k}
    bench.network.train()
    with same_statistics(bench.network):
        bench.phi(bench.clean.preprocess(bench.clean.tune.pixels[:8]))
    bench.network.eval()
    assert all(torch.equal(bench.network.state_dict()[k], v) for k, v in before.items())


@pytest.mark.parametrize("adaptive", [False, True])
def test_the_gradient_is_taken_uphill(adaptive: bool) -> None:
    """Of f(w) = Σ w⁴/4: g = w³, by hand."""
    network = nn.Linear(3, 1, bias=False)
    w = torch.tensor([1.0, -2.0, 0.5])
    network.weight.data.copy_(w[None])
    own = Workbench.__new__(Workbench)
    own.network = network

    def forward() -> torch.Tensor:
        return (network.weight**4).sum() / 4

    sharp_gradient(0.1, adaptive=adaptive, share=0.7)(own, forward)
    g = w**3
    move = 0.1 * w**2 * g / (w.abs() * g).norm() if adaptive else 0.1 * g / g.norm()
    expected = 0.3 * g + 0.7 * (w + move) ** 3
    assert network.weight.grad is not None
    assert torch.allclose(network.weight.grad[0], expected, atol=1e-5)
    assert torch.allclose(network.weight.detach()[0], w, atol=1e-6), "back where it was"


def test_unlearning_ends_between_epochs_when_it_is_looked_at_often(given: Given) -> None:
    """Accuracy falls far within an epoch: whoever looks only then has gone too far."""
    used = []
    for look in (0, 64):
        bench = given.bench()
        assert unlearn(bench, 0.05, 32, 0.5, 10, look=look) <= 0.5
        used.append(bench.backwards)
    images = len(given.clean.tune)
    assert used[0] >= images - 1
    assert used[1] < used[0]
    assert used[1] % images == 64, "at the first look within an epoch"


def test_sharp_shift_tuning_takes_the_gradient_twice(given: Given) -> None:
    plain, sharp = (
        given.purified(METHODS.parse(f"shift-tuning:epochs=1{more}")) for more in (",rho=0", "")
    )
    assert sharp.backwards == 2 * plain.backwards
    with pytest.raises(UsageError, match="rho is a number from 0 to 1,000,000, not -1"):
        METHODS.parse("shift-tuning:rho=-1")


# As published


@pytest.mark.parametrize("form", ["fixed", "reference"])
def test_anp_goes_past_its_bound_as_published(
    given: Given, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    largest = [0.0]
    plain = Masks.on

    def on(masks: Masks, *noise: list[torch.Tensor] | None) -> AbstractContextManager[None]:
        changes = [float(n.detach().abs().max()) for some in noise for n in some or ()]
        largest.append(max(changes, default=0.0))
        return plain(masks, *noise)

    monkeypatch.setattr(Masks, "on", on)
    own = given.bench()
    *_, last = METHODS.parse(f"anp:iterations=10,batch=16,epsilon=0.4,form={form}").steps(own)
    if form == "fixed":
        assert max(largest) == pytest.approx(0.4)
    else:
        assert 0.6 < max(largest) <= 0.8
        assert last.figures["threshold"] == 0.2


def test_rnp_and_tsbd_end_at_their_codes_accuracy(
    given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def unlearned(*values: object, **named: object) -> float:
        asked.append((values[3], named))
        return 0.0

    monkeypatch.setattr("bdshift.purification.methods.rnp.unlearn", unlearned)
    monkeypatch.setattr("bdshift.purification.methods.tsbd.unlearn", unlearned)
    for name in ("rnp", "tsbd"):
        for form in ("fixed", "reference"):
            own = given.bench()
            next(iter(METHODS.parse(f"{name}:form={form}").steps(own)))
    classes = given.classifier.classes
    assert asked == [
        (2 / classes, {"look": 500}), (0.2, {"clip": math.inf}),
        (1 / classes, {"grow": 1.25}), (0.1, {"grow": 1.0}),
    ]  # fmt: skip


def test_of_two_classes_twice_as_good_as_guessing_is_no_unlearning(
    given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def told(
        _: Workbench, rate: float, batch: int, least: float, epochs: int, **more: Any
    ) -> float:
        asked.append(least)
        return least

    monkeypatch.setattr("bdshift.purification.methods.rnp.unlearn", told)
    for classes in (2, 3, 10):
        own = given.bench()
        own.network.fc = nn.Linear(own.head.in_features, classes)
        next(iter(METHODS.parse("rnp").steps(own)))
    assert asked == pytest.approx([0.75, 2 / 3, 0.2])


@pytest.mark.parametrize(
    ("name", "lacks"), [("rnp", "batch norms"), ("anp", "batch norms"), ("tsbd", "convolutions")]
)
def test_a_method_that_cannot_work_says_so_before_it_does(
    given: Given, name: str, lacks: str
) -> None:
    bench = Workbench(_Plain(), "fc", given.clean, TARGET, torch.zeros(8))
    before = {key: value.clone() for key, value in bench.network.state_dict().items()}
    with pytest.raises(UsageError, match=lacks):
        next(iter(METHODS.parse(name).steps(bench)))
    assert same_weights(before, bench.network.state_dict())


class _Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.fc = nn.Linear(3, 8), nn.Linear(8, 12)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.fc(self.hidden(images.mean((2, 3))).relu())
        return found


def test_rnp_as_published_ends_where_it_unlearns_too_little(given: Given) -> None:
    own = given.bench()
    method = METHODS.parse("rnp:form=reference,unlearn_epochs=1,unlearn_rate=1e-9")
    with pytest.raises(UsageError, match=r"100% after 1 epoch of .* 20%; .* form=fixed continues"):
        next(iter(method.steps(own)))
    done = METHODS.parse("rnp:form=reference,unlearn_rate=0.1,batch=32,epochs=1")
    *_, last = done.steps(own)
    assert last.figures["threshold"] == 0.7


def test_a_rate_swings_once_a_batch() -> None:
    swinging = Sgd(10, 32, 0.4, schedule="swinging")
    assert [swinging.rate_at(done, 630) for done in (0, 50, 100, 200)] == pytest.approx(
        [0.4, 0.2, 0.0, 0.4]
    )
    falling = Sgd(10, 32, 0.4, schedule="cosine")
    assert [falling.rate_at(done, 630) for done in (0, 315, 630)] == pytest.approx([0.4, 0.2, 0.0])
    assert Sgd(10, 32, 0.4).rate_at(20, 630) == 0.4


def test_ft_sam_swings_as_published(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = []

    def tuned(_: Workbench, sgd: Sgd, *rest: object, **named: object) -> list[Step]:
        chosen.append(sgd.schedule)
        return []

    monkeypatch.setattr("bdshift.purification.methods.ft_sam.tune", tuned)
    for text in ("ft-sam", "ft-sam:form=reference"):
        assert not list(METHODS.parse(text).steps(bench))
    assert chosen == ["cosine", "swinging"]


WITH_FORMS = [
    kind.name for kind in METHODS.kinds() if "form" in {one.name for one in options_of(kind)}
]


@pytest.mark.parametrize("name", WITH_FORMS)
def test_there_are_two_forms(name: str) -> None:
    assert METHODS[name].published_rows, "the tables show its published form when asked"
    assert METHODS.parse(f"{name}:form=reference").spec != METHODS.parse(name).spec
    with pytest.raises(UsageError, match=f"{name}: form is one of fixed, reference, not 'mine'"):
        METHODS.parse(f"{name}:form=mine")
