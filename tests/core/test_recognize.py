"""Every family: a file of the project's own network is recognized, and computes the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from reference_networks import (
    CifarBlock,
    CifarBottleneck,
    CifarNet,
    PreActBlock,
    Wrn,
    randomize,
)
from torch import nn

from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.checkpoints.recognize import recognize
from bdshift.checkpoints.users_own import OwnNetwork, typed
from bdshift.errors import InputError, UsageError

WIDTHS = (8, 16, 32, 64)


def torchvision(name: str, **kwargs: object) -> nn.Module:
    import torchvision

    return getattr(torchvision.models, name)(num_classes=7, **kwargs)


def small_stem(name: str, kernel: int) -> nn.Module:
    """Torchvision's network with the stem that people give it for CIFAR."""
    network = torchvision(name)
    network.conv1 = nn.Conv2d(3, 64, kernel, 1, kernel // 2, bias=False)
    network.maxpool = nn.Identity()
    return network


CASES: dict[str, tuple[Callable[[], nn.Module], str, int]] = {
    "torchvision resnet18": (lambda: torchvision("resnet18"), "ResNet-18, ImageNet stem", 64),
    "torchvision resnet34": (lambda: torchvision("resnet34"), "ResNet-34, ImageNet stem", 64),
    "torchvision resnet50": (lambda: torchvision("resnet50"), "ResNet-50, ImageNet stem", 64),
    "torchvision resnext50": (
        lambda: torchvision("resnext50_32x4d"),
        "ResNeXt-50 32×4d, ImageNet stem",
        64,
    ),
    "torchvision wide50": (
        lambda: torchvision("wide_resnet50_2"),
        "Wide ResNet-50-2, ImageNet stem",
        64,
    ),
    "torchvision, CIFAR stem": (lambda: small_stem("resnet18", 3), "ResNet-18, CIFAR stem", 32),
    "pytorch-cifar resnet18": (
        lambda: CifarNet(CifarBlock, (2, 2, 2, 2), (64, 128, 256, 512), 10),
        "ResNet-18, CIFAR stem",
        32,
    ),
    "pytorch-cifar narrow resnet34": (
        lambda: CifarNet(CifarBlock, (3, 4, 6, 3), WIDTHS, 10),
        "ResNet-34, width 8, CIFAR stem",
        32,
    ),
    "pytorch-cifar resnet50": (
        lambda: CifarNet(CifarBottleneck, (3, 4, 6, 3), WIDTHS, 10),
        "ResNet-50, width 8, CIFAR stem",
        32,
    ),
    "pytorch-cifar preact18": (
        lambda: CifarNet(PreActBlock, (2, 2, 2, 2), (64, 128, 256, 512), 10, preact=True),
        "PreActResNet-18",
        32,
    ),
    "akamaster resnet20 A": (
        lambda: CifarNet(CifarBlock, (3, 3, 3), (16, 32, 64), 10, option="A"),
        "ResNet-20, A shortcut, CIFAR stem",
        32,
    ),
    "akamaster resnet56 B": (
        lambda: CifarNet(CifarBlock, (9, 9, 9), (16, 32, 64), 10, option="B"),
        "ResNet-56, CIFAR stem",
        32,
    ),
    "akamaster resnet110 A": (
        lambda: CifarNet(CifarBlock, (18, 18, 18), (16, 32, 64), 10, option="A"),
        "ResNet-110, A shortcut, CIFAR stem",
        32,
    ),
    "NAD WRN-16-1": (lambda: Wrn(16, 1, 10), "WRN-16-1", 32),
    "NAD WRN-28-4": (lambda: Wrn(28, 4, 10), "WRN-28-4", 32),
}


@pytest.mark.parametrize("case", CASES)
def test_recognized_and_the_same_network(case: str, tmp_path: Path) -> None:
    make, name, size = CASES[case]
    network = randomize(make())
    torch.save(network.state_dict(), tmp_path / "model.pt")
    opened = open_checkpoint(tmp_path / "model.pt")
    assert opened.candidates[0].name == name
    images = torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = network(images)
    loaded = opened.load(opened.candidates[0])
    phi, logits = loaded.embed(images)
    assert torch.allclose(logits, expected, rtol=1e-3, atol=1e-3 * expected.abs().max().item())
    assert phi.shape == (3, loaded.embedding_dim)
    assert loaded.classes == expected.shape[1]
    assert loaded.checked(images) is loaded


def test_what_the_weights_do_not_say_is_enumerated(tmp_path: Path) -> None:
    torch.save(torchvision("resnet18").state_dict(), tmp_path / "model.pt")
    names = [candidate.name for candidate in open_checkpoint(tmp_path / "model.pt").candidates]
    assert len(names) == 3
    assert all(name.startswith("ResNet-18, ") for name in names)
    assert len({name for name in names if "max-pool" in name}) == 1


def test_old_files_without_batch_counters_are_recognized(tmp_path: Path) -> None:
    network = randomize(CifarNet(CifarBlock, (1, 1, 1, 1), WIDTHS, 4))
    weights = {k: v for k, v in network.state_dict().items() if "num_batches" not in k}
    torch.save(weights, tmp_path / "model.pt")
    opened = open_checkpoint(tmp_path / "model.pt")
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        expected = network(images)
    logits = opened.load(opened.candidates[0]).embed(images)[1]
    assert torch.allclose(logits, expected, atol=1e-3)


def test_the_nearest_and_the_differing_keys_are_named() -> None:
    network = CifarNet(CifarBlock, (2, 2, 2, 2), WIDTHS, 10)
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    shapes["layer3.1.conv2.weight"] = (32, 32, 5, 5)
    shapes["attention.weight"] = (9, 9)
    with pytest.raises(InputError) as caught:
        recognize(shapes)
    text = str(caught.value)
    assert "nearest is ResNet-18, width 8" in text
    assert "layer3.1.conv2.weight [32, 32, 5, 5], expected [32, 32, 3, 3]" in text
    assert "attention.weight" in text
    assert "--arch" in text


def test_unlike_anything_known() -> None:
    with pytest.raises(InputError, match=r"keys begin encoder\.0\.bias"):
        recognize({"encoder.0.weight": (5, 5), "encoder.0.bias": (5,)})


def test_numbers_with_gaps_do_not_make_thousands_of_blocks() -> None:
    shapes: dict[str, tuple[int, ...]] = {
        "conv1.weight": (8, 3, 3, 3),
        "fc.weight": (10, 8),
        "layer1.0.conv2.weight": (8, 8, 3, 3),
        "layer1.9999.conv1.weight": (8, 8, 3, 3),
    }
    found = recognize(shapes).candidates
    assert all(one.rebuilt and one.name.startswith("CNN of 3 convolutions") for one in found)


MODULE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.body = nn.Conv2d(3, 5, 3, padding=1)
        self.out = nn.Linear(5, num_classes)
        self.register_buffer("scale", torch.full((1,), 2.0), persistent=False)
    def forward(self, x):
        return self.out(self.body(x).mean((2, 3)) * self.scale)

class Softmaxed(Net):
    def forward(self, x):
        return super().forward(x).softmax(1)

class LogSoftmaxed(Net):
    def forward(self, x):
        return super().forward(x).log_softmax(1)

class Doubled(Net):
    def forward(self, x):
        return 2 * super().forward(x)

def no_head():
    return nn.Conv2d(3, 5, 3)

def raises(num_classes):
    raise ValueError("no")
"""


@pytest.fixture
def own_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my_nets.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    weights = {
        "body.weight": torch.randn(5, 3, 3, 3),
        "body.bias": torch.randn(5),
        "out.weight": torch.randn(4, 5),
        "out.bias": torch.randn(4),
    }
    torch.save(weights, tmp_path / "model.pt")
    return tmp_path / "model.pt"


def test_the_users_own_network(own_network: Path) -> None:
    opened = open_checkpoint(own_network, arch=OwnNetwork("my_nets:Net"))
    loaded = opened.load(opened.candidates[0])
    assert (loaded.classes, loaded.embedding_dim) == (4, 5)
    images = torch.randn(2, 3, 8, 8)
    assert loaded.checked(images) is loaded
    assert torch.isfinite(loaded.embed(images)[0]).all()  # its buffer is not in the file


@pytest.mark.parametrize("module", ["my-nets", "モデル", "2nd"])
def test_any_importable_name_is_the_users_own(own_network: Path, module: str) -> None:
    (own_network.parent / f"{module}.py").write_text(MODULE, encoding="utf-8")
    opened = open_checkpoint(own_network, arch=OwnNetwork(f"{module}:Net"))
    assert opened.from_user
    assert opened.candidates[0].name == f"{module}:Net"


@pytest.mark.parametrize("arch", ["my_nets:Softmaxed", "my_nets:LogSoftmaxed"])
def test_a_softmax_inside_is_looked_behind(own_network: Path, arch: str) -> None:
    opened = open_checkpoint(own_network, arch=OwnNetwork(arch))
    assert opened.load(opened.candidates[0]).checked(torch.randn(2, 3, 8, 8)).softmax_inside


def test_anything_else_after_the_head_is_refused(own_network: Path) -> None:
    opened = open_checkpoint(own_network, arch=OwnNetwork("my_nets:Doubled"))
    with pytest.raises(InputError, match="does something after its layer out"):
        opened.load(opened.candidates[0]).checked(torch.randn(2, 3, 8, 8))


@pytest.mark.parametrize(
    ("arch", "error", "words"),
    [
        ("my_nets", UsageError, "what fits is CNN of 1 convolution .* more, which bdshift info"),
        ("my_nets:Missing", UsageError, "Missing"),
        ("no_such_module:Net", UsageError, "no_such_module"),
        ("my_nets:no_head", UsageError, "no linear layer"),
        ("my_nets:raises", UsageError, "calling it failed"),
        ("torchvision.models:resnet18", InputError, "differs from the file"),
        ("net:", UsageError, r"must be package\.module:callable, not 'net:'"),
        (":Net", UsageError, r"must be package\.module:callable, not ':Net'"),
        (".my_nets:Net", UsageError, "importing it failed: TypeError"),
        ("CNN of 3 convolutions: padding same", UsageError, "what fits is CNN of 1 convolution"),
    ],
)
def test_a_wrong_arch_is_said(
    own_network: Path, arch: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        open_checkpoint(own_network, arch=typed(arch))
