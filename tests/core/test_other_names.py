"""Networks under names that no project uses, with the head elsewhere, and with something beside
them that they do not use.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import torchvision
from bounded import calls_at_most
from reference_networks import CifarBlock, CifarBottleneck, CifarNet, PreActBlock, Wrn, randomize
from renamed_networks import (
    DETACHED,
    WIDTHS,
    State,
    nameless,
    resnet,
    same_logits,
    saved,
    state_of,
)
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from bdshift.checkpoints.classifier import Opened, open_checkpoint
from bdshift.checkpoints.export import write_checkpoint
from bdshift.checkpoints.export.forms.original import OriginalForm
from bdshift.checkpoints.export.forms.safetensors import SafetensorsForm
from bdshift.checkpoints.recognize import recognize
from bdshift.checkpoints.settle import settle
from bdshift.errors import InputError
from bdshift.images.preprocessing import NORMALIZATIONS, Preprocessing


class ShortcutFirst(nn.Module):
    """The shortcut is created before the convolutions, which have a bias."""

    def __init__(self, i: int, o: int, stride: int) -> None:
        super().__init__()
        if i != o:
            self.skip: nn.Module = nn.Conv2d(i, o, 1, stride)
            self.skip_norm: nn.Module = nn.BatchNorm2d(o)
        else:
            self.skip = self.skip_norm = nn.Identity()
        self.a, self.b = nn.Conv2d(i, o, 3, stride, 1), nn.Conv2d(o, o, 3, 1, 1)
        self.a_norm, self.b_norm = nn.BatchNorm2d(o), nn.BatchNorm2d(o)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.b_norm(self.b(F.relu(self.a_norm(self.a(x)))))
        return F.relu(out + self.skip_norm(self.skip(x)))


class HeadFirst(nn.Module):
    """The head is created before the body."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = nn.Linear(32, 7)
        self.enter, self.enter_norm = nn.Conv2d(1, 8, 3, 1, 1), nn.BatchNorm2d(8)
        self.steps = nn.Sequential(
            ShortcutFirst(8, 8, 1), ShortcutFirst(8, 16, 2), ShortcutFirst(16, 32, 2)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.steps(F.relu(self.enter_norm(self.enter(x))))
        return self.answer(x.mean((2, 3)))


class Gem(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.tensor([2.5]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.clamp(min=1e-6).pow(self.p).mean((2, 3)).pow(1 / self.p)


class MaxAndMean(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x.amax((2, 3)), x.mean((2, 3))], 1)


class Mean(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3))


def children(network: CifarNet) -> list[nn.Module]:
    """All modules but the head, as ``Sequential(*children())`` has them."""
    parts: list[nn.Module] = [network.conv1, network.bn1, nn.ReLU()]
    return [*parts, *(getattr(network, f"layer{n + 1}") for n in range(4))]


def with_head(*head: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Sequential(*children(resnet())), nn.Sequential(*head))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "basic": resnet,
    "bottleneck": lambda: CifarNet(CifarBottleneck, (1, 2, 1, 1), WIDTHS, 7),
    "shortcuts without weights": lambda: CifarNet(
        CifarBlock, (1, 1, 1), (8, 16, 32), 7, option="A"
    ),
    "pre-activation": lambda: CifarNet(PreActBlock, (1, 2, 1, 1), WIDTHS, 7, preact=True),
    "wide": lambda: Wrn(10, 1, 7),
    "head and shortcuts first, gray": HeadFirst,
    "a head of several layers": lambda: with_head(
        Mean(), nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 7)
    ),
    "a norm before the head": lambda: with_head(Mean(), nn.BatchNorm1d(64), nn.Linear(64, 7)),
    "GeM pooling": lambda: with_head(Gem(), nn.Linear(64, 7)),
    "fastai": lambda: with_head(
        MaxAndMean(), nn.BatchNorm1d(128), nn.Dropout(), nn.Linear(128, 24, bias=False), nn.ReLU(),
        nn.BatchNorm1d(24), nn.Dropout(), nn.Linear(24, 7, bias=False),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_layers_under_any_names(name: str, tmp_path: Path) -> None:
    network = randomize(NETWORKS[name]())
    state = state_of(network) if "GeM" in name else nameless(network)
    opened = open_checkpoint(saved(state, tmp_path))
    assert opened.classes == 7
    assert not opened.ignored
    assert any(same_logits(opened, network))


def test_children_in_a_row(tmp_path: Path) -> None:
    network = randomize(nn.Sequential(*children(resnet()), Mean(), nn.Linear(64, 7)))
    opened = open_checkpoint(saved(state_of(network), tmp_path))
    assert any(same_logits(opened, network))
    assert opened.candidates[0].head == "8"


def test_names_sorted_as_safetensors_are(tmp_path: Path) -> None:
    network = randomize(CifarNet(CifarBlock, (12, 1, 1), (8, 16, 32), 7))
    state = {f"x.{key}": value for key, value in sorted(state_of(network).items())}
    state = {key.replace("shortcut", "way"): value for key, value in state.items()}
    opened = open_checkpoint(saved(state, tmp_path))
    assert same_logits(opened, network)[0]


@pytest.mark.parametrize("name", DETACHED)
def test_a_known_body_with_its_head_elsewhere(name: str, tmp_path: Path) -> None:
    network = randomize(resnet())
    opened = open_checkpoint(saved(state_of(network, DETACHED[name]), tmp_path))
    assert opened.candidates[0].name.startswith("ResNet-12, width 8")
    assert same_logits(opened, network)[0]


@pytest.mark.parametrize(
    ("name", "body", "head"),
    [("mobilenet_v2", "0.", "2.1."), ("mobilenet_v2", "encoder.", "fc.")],
)
def test_torchvisions_networks_without_their_names(
    name: str, body: str, head: str, tmp_path: Path
) -> None:
    network = torchvision.models.get_model(name, num_classes=7).eval()
    state = state_of(
        network, lambda key: key.replace("features.", body).replace("classifier.1.", head)
    )
    opened = open_checkpoint(saved(state, tmp_path))
    assert any(same_logits(opened, network))


def test_wrappers_inside_of_names(tmp_path: Path) -> None:
    network = randomize(resnet())

    def wrapped(key: str) -> str:
        for n, word in enumerate(("_orig_mod", "module", "_checkpoint_wrapped_module"), 1):
            key = key.replace(f"layer{n}.", f"layer{n}.{word}.")
        return f"_fsdp_wrapped_module.{key}"

    opened = open_checkpoint(saved(state_of(network, wrapped), tmp_path))
    assert opened.candidates[0].name == "ResNet-12, width 8, CIFAR stem"
    assert not opened.ignored
    assert same_logits(opened, network)[0]
    _changed_and_read_back(opened, state_of(network, wrapped), tmp_path)


@pytest.mark.parametrize("rename", [nameless, lambda n: state_of(n, DETACHED["deeper"])])
def test_an_export_has_the_files_own_names(
    rename: Callable[[nn.Module], State], tmp_path: Path
) -> None:
    network = randomize(resnet())
    state = {**rename(network), "ema_decay": torch.tensor(0.5)}
    opened = open_checkpoint(saved(state, tmp_path))
    _changed_and_read_back(opened, state, tmp_path)


def _changed_and_read_back(opened: Opened, state: State, tmp_path: Path) -> None:
    """Exports with another bias of the head hold the file's names, and only that bias differs."""
    loaded = opened.load(opened.candidates[0])
    loaded.head.bias.data += 1
    classifier = loaded.with_preprocessing(Preprocessing(32, NORMALIZATIONS["none"], "rgb"))
    write_checkpoint(classifier, tmp_path / "out.pt", OriginalForm())
    found = torch.load(tmp_path / "out.pt", weights_only=True)
    assert list(found) == list(state)
    differing = [key for key in state if not torch.equal(found[key], state[key])]
    assert [found[key].shape for key in differing] == [loaded.bias.shape]
    write_checkpoint(classifier, tmp_path / "out.safetensors", SafetensorsForm())
    again = open_checkpoint(tmp_path / "out.safetensors")
    assert torch.equal(again.load(again.candidates[0]).bias, loaded.bias)


def test_a_cosine_head_is_tried_where_there_is_no_bias(tmp_path: Path) -> None:
    network = randomize(resnet())
    network.linear = nn.Identity()
    rng = torch.Generator().manual_seed(1)
    noise = torch.rand(400, 3, 4, 4, generator=rng).repeat_interleave(8, 2).repeat_interleave(8, 3)
    pixels = (255 * noise).to(torch.uint8)
    with torch.inference_mode():
        features = F.normalize(network.eval()(pixels / 255), dim=1)
        mean = F.normalize(features.mean(0), dim=0)
        spread = torch.linalg.svd(features - features.mean(0), full_matrices=False).Vh[:4]
        weight = torch.cat([spread, -spread[:3]])  # so that every class occurs
        weight = F.normalize(weight - (weight @ mean)[:, None] * mean, dim=1)
        logits = features @ weight.T
    network.linear = nn.Linear(64, 7, bias=False)
    lengths = torch.tensor([1, 2, 1, 0.5, 1, 1, 1.5])
    network.linear.weight.data = weight * lengths[:, None]
    opened = open_checkpoint(saved(state_of(network), tmp_path))
    labels = logits.argmax(1).numpy()
    none = NORMALIZATIONS["none"]
    found = settle(opened, lambda _: pixels.numpy(), labels, sizes=(32,), normalization=none)
    assert found.classifier.architecture == "ResNet-12, width 8, CIFAR stem, cosine head"
    assert found.ranking[0].accuracy > 0.98
    phi, output = found.classifier.checked(pixels[:8] / 255).embed(pixels[:8] / 255)
    assert torch.allclose(phi.norm(dim=1), torch.ones(8), atol=1e-5)
    assert torch.allclose(output, 16 * logits[:8], atol=1e-3)


def test_images_of_four_channels_are_refused_in_words(tmp_path: Path) -> None:
    state = state_of(randomize(resnet()))
    state["conv1.weight"] = torch.rand(8, 4, 3, 3)
    opened = open_checkpoint(saved(state, tmp_path))
    with pytest.raises(InputError, match="takes images of 4 channels"):
        opened.load(opened.candidates[0])


def test_a_head_with_a_bias_is_no_cosine_head() -> None:
    shapes = {key: tuple(value.shape) for key, value in resnet().state_dict().items()}
    names = [r.name for one in recognize(shapes).candidates for r in one.rare]
    assert names
    assert not any("cosine" in name for name in names)


def test_the_newer_spectral_norm(tmp_path: Path) -> None:
    network = randomize(resnet())
    spectral_norm(network.get_submodule("layer1.0.conv1"))
    network.train()(torch.randn(2, 3, 32, 32))
    opened = open_checkpoint(saved(state_of(network.eval()), tmp_path))
    assert opened.state.layout.folded["layer1.0.conv1.weight"][0] == "spectral norm"
    assert not opened.ignored
    assert same_logits(opened, network)[0]


def test_a_long_row_of_equal_layers_takes_bounded_work() -> None:
    shapes: dict[str, tuple[int, ...]] = {"s.weight": (8, 3, 3, 3)}
    for number in range(1000):
        shapes[f"x{number}.y.weight"] = (8, 8, 1, 1) if number % 3 else (8, 8, 3, 3)
    shapes["h.weight"] = (5, 8)
    with calls_at_most(1_000_000), pytest.raises(InputError):
        recognize(shapes)
