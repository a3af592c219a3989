"""The rivals: what each of them is said to do, and that a stop loses nothing."""

from __future__ import annotations

import copy
import math
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import torch
from torch import nn

from bdshift.audit import Audit, reopen
from bdshift.checkpoints.classifier import Classifier
from bdshift.errors import UsageError
from bdshift.jobs import Canceled, Event, Figures, JobContext
from bdshift.purify import CleanData, parse_method, purify, read_part, split_clean
from bdshift.purify.ascent import unlearn
from bdshift.purify.channels import Masks, fixed_statistics, registered_pairs, traced_pairs
from bdshift.purify.clp import Clp
from bdshift.purify.masked_pruning import prune
from bdshift.purify.method import Step
from bdshift.purify.sharpness import sharp_gradient
from bdshift.purify.tuning import Sgd
from bdshift.purify.workbench import Workbench

TARGET = 9
QUICK = (
    "clp", "anp:iterations=10,batch=16", "rnp:unlearn_epochs=2,epochs=2",
    "tsbd:unlearn_epochs=2,epochs=1", "ft-sam:epochs=2", "beear:epochs=2,inner=5",
    "shift-tuning:epochs=2",
)  # fmt: skip


@pytest.fixture(scope="module")
def bench(victim_audit: Audit) -> Workbench:
    classifier, data, shift = _opened(victim_audit)
    network = copy.deepcopy(classifier.network).requires_grad_(True)
    return Workbench(network, classifier.head_name, data, TARGET, shift)


def _opened(audit: Audit) -> tuple[Classifier, CleanData, torch.Tensor]:
    classifier, found = reopen(audit)
    assert classifier.preprocessing is not None
    part = read_part(found.collection, found.files[::4], found.class_map.of_folder, 32)
    data = split_clean(part, classifier.preprocessing)
    return classifier, data, torch.from_numpy(audit.shifts.shift[TARGET].copy())


class _StopAfter(JobContext):
    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def report(self, event: Event) -> None:
        if isinstance(event, Figures) and event.number == self.step:
            self.cancel()


@pytest.mark.parametrize("text", QUICK)
def test_it_ranks_runs_again_and_goes_on(victim_audit: Audit, text: str, tmp_path: Path) -> None:
    classifier, data, shift = _opened(victim_audit)
    method = parse_method(text)
    whole = purify(classifier, data, method, TARGET, shift)
    assert whole.weights is not None
    assert len(whole.rows) == method.total
    state = tmp_path / "state"
    stopped = False
    try:
        purify(classifier, data, method, TARGET, shift, resume=state, job=_StopAfter(0))
    except Canceled:
        stopped = True
    resumed = purify(classifier, data, method, TARGET, shift, resume=state)
    assert resumed.weights is not None
    assert all(torch.equal(whole.weights[k], resumed.weights[k]) for k in whole.weights), stopped
    if text.startswith("ft-sam"):
        assert whole.ranking is None
    else:
        assert whole.ranking is not None
        assert whole.ranking.shape == (classifier.embedding_dim,)
        assert resumed.ranking is not None
        assert (whole.ranking == resumed.ranking).all()


# --- CLP


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


def test_clp_cuts_the_channel_that_stands_out(bench: Workbench) -> None:
    network = copy.deepcopy(bench.network)
    conv, norm = network.layer3[0].conv1, network.layer3[0].bn1  # type: ignore[index, union-attr]
    with torch.no_grad():
        conv.weight[5] *= 40  # type: ignore[operator, index]
    own = Workbench(network, bench.head_name, bench.clean, TARGET, bench.shift)
    before = norm.weight.detach().clone()  # type: ignore[operator, union-attr]
    (step,) = Clp(u=3).steps(own)
    assert norm.weight[5] == 0  # type: ignore[index]
    assert norm.bias[5] == 0  # type: ignore[index]
    kept = torch.arange(len(before)) != 5
    assert torch.equal(norm.weight[kept], before[kept])  # type: ignore[index]
    assert step.final


# --- masks and sharpness


def test_a_mask_multiplies_gamma(bench: Workbench) -> None:
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
    other = copy.deepcopy(bench.network)
    for name, value in zip(masks.names, masks.values, strict=True):
        other.get_submodule(name).weight.data.mul_(value)  # type: ignore[operator, union-attr]
    own = Workbench(other, bench.head_name, bench.clean, TARGET, bench.shift)
    assert torch.allclose(own.phi(images), masked, rtol=2e-2, atol=2e-2)
    assert not torch.allclose(plain, masked, rtol=2e-2, atol=2e-2)


def test_as_many_channels_are_cut_as_held_out_accuracy_allows(bench: Workbench) -> None:
    own = Workbench(copy.deepcopy(bench.network), "fc", bench.clean, TARGET, bench.shift)
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
    fixed = Workbench(copy.deepcopy(bench.network), "fc", bench.clean, TARGET, bench.shift)
    again = Masks(fixed)
    with torch.no_grad():
        again.values[0][:] = 0.6
    step = prune(fixed, again, threshold=0.7, tolerance=0.05, number=0)
    assert step.figures["cut"] == len(again.values[0]), "a given threshold asks nobody"


def test_statistics_are_not_remembered(bench: Workbench) -> None:
    before = {k: v.clone() for k, v in bench.network.state_dict().items() if "running" in k}
    bench.network.train()
    with fixed_statistics(bench.network):
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


def test_unlearning_ends_between_epochs_when_it_is_looked_at_often(bench: Workbench) -> None:
    """Accuracy falls far within an epoch: whoever looks only then has gone too far."""
    used = []
    for look in (0, 64):
        network = copy.deepcopy(bench.network)
        one = Workbench(network, bench.head_name, bench.clean, TARGET, bench.shift)
        reached = unlearn(one, 0.05, 32, 0.5, 10, look=look)
        assert reached <= 0.5
        used.append(one.backwards)
    images = len(bench.clean.tune)
    assert used[0] >= images - 1
    assert used[1] < used[0]
    assert used[1] % 64 == 0


def test_sharp_shift_tuning_takes_the_gradient_twice(victim_audit: Audit) -> None:
    classifier, data, shift = _opened(victim_audit)
    plain, sharp = (
        purify(classifier, data, parse_method(f"shift-tuning:epochs=1{more}"), TARGET, shift)
        for more in (",rho=0", "")
    )
    assert sharp.backwards == 2 * plain.backwards
    with pytest.raises(UsageError, match="rho"):
        parse_method("shift-tuning:rho=-1")


# --- as published


@pytest.mark.parametrize("form", ["fixed", "reference"])
def test_anp_goes_past_its_bound_as_published(
    bench: Workbench, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    largest = [0.0]
    plain = Masks.on

    def on(masks: Masks, *noise: list[torch.Tensor] | None) -> AbstractContextManager[None]:
        changes = [float(n.detach().abs().max()) for some in noise for n in some or ()]
        largest.append(max(changes, default=0.0))
        return plain(masks, *noise)

    monkeypatch.setattr(Masks, "on", on)
    own = Workbench(copy.deepcopy(bench.network), "fc", bench.clean, TARGET, bench.shift)
    *_, last = parse_method(f"anp:iterations=10,batch=16,epsilon=0.4,form={form}").steps(own)
    if form == "fixed":
        assert max(largest) == pytest.approx(0.4)
    else:
        assert 0.6 < max(largest) <= 0.8
        assert last.figures["threshold"] == 0.2


def test_rnp_and_tsbd_end_at_their_codes_accuracy(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def unlearned(*given: object, **named: object) -> float:
        asked.append((given[3], named))
        return 0.0

    monkeypatch.setattr("bdshift.purify.rnp.unlearn", unlearned)
    monkeypatch.setattr("bdshift.purify.tsbd.unlearn", unlearned)
    for name in ("rnp", "tsbd"):
        for form in ("fixed", "reference"):
            own = Workbench(copy.deepcopy(bench.network), "fc", bench.clean, TARGET, bench.shift)
            next(iter(parse_method(f"{name}:form={form}").steps(own)))
    classes = bench.head.out_features
    assert asked == [
        (2 / classes, {"look": 500}), (0.2, {"clip": math.inf}),
        (1 / classes, {"grow": 1.25}), (0.1, {"grow": 1.0}),
    ]  # fmt: skip


def test_rnp_as_published_ends_where_it_unlearns_too_little(bench: Workbench) -> None:
    own = Workbench(copy.deepcopy(bench.network), "fc", bench.clean, TARGET, bench.shift)
    method = parse_method("rnp:form=reference,unlearn_epochs=1,unlearn_rate=1e-9")
    with pytest.raises(UsageError, match=r"100% after 1 epochs .* form=fixed goes on"):
        next(iter(method.steps(own)))
    done = parse_method("rnp:form=reference,unlearn_rate=0.1,batch=32,epochs=1")
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

    monkeypatch.setattr("bdshift.purify.ft_sam.tune", tuned)
    for text in ("ft-sam", "ft-sam:form=reference"):
        assert not list(parse_method(text).steps(bench))
    assert chosen == ["cosine", "swinging"]


@pytest.mark.parametrize("name", ["clp", "anp", "rnp", "tsbd", "ft-sam"])
def test_there_are_two_forms(name: str) -> None:
    assert parse_method(f"{name}:form=reference").spec != parse_method(name).spec
    with pytest.raises(UsageError, match=f"{name}: form is fixed or reference, not 'mine'"):
        parse_method(f"{name}:form=mine")
