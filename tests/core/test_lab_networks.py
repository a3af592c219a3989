"""Every network of the lab can be a victim, and its file is read back as what it was."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.checkpoints.prompts import ClassPrompts, as_in_sentence, templates_of
from bdshift.errors import InputError, UsageError
from bdshift.lab.data import LabData, load_lab_data
from bdshift.lab.networks import NETWORKS, NetworkName
from bdshift.lab.protocol import scales
from bdshift.lab.recipe import Recipe
from bdshift.lab.train import train_victim

AS_READ = {
    "resnet18": "ResNet-18, width 4, CIFAR stem",
    "resnet50": "ResNet-50, width 4, CIFAR stem",
    "resnet20": "ResNet-20, width 4, A shortcut, CIFAR stem",
    "wrn-16-1": "WRN-16-1",
    "cnn": "CNN of 3 convolutions and 2 linear layers: padding same, "
    "max-pool after each, ReLU, 32×32",
    "cnn-norm": "CNN of 4 convolutions and 1 linear layer: padding same, max-pool after 1 2 3, "
    "averaged to 1×1, ReLU, 32×32",
    "cnn-elu": "CNN of 2 convolutions and 2 linear layers: padding 0, "
    "max-pool after each, ELU, 32×32",
    "cnn-5x5": "CNN of 2 convolutions and 2 linear layers: padding 0, "
    "max-pool after each, ReLU, 32×32",
    "vgg": "CNN of 6 convolutions and 2 linear layers: padding same, "
    "max-pool after 2 4 6, ReLU, 32×32",
    "clip": "CLIP ResNet 1-1-1-1, width 4, QuickGELU",
}


@pytest.fixture(scope="module")
def lab(signs: Path) -> LabData:
    return load_lab_data(str(signs), "")


def recipe(network: NetworkName) -> Recipe:
    """One that is trained in a second."""
    return replace(scales()["small"].recipe, network=network, width=4, epochs=1, batch=192)


@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_trained_and_read_back(name: NetworkName, lab: LabData, tmp_path: Path) -> None:
    train_victim(recipe(name), lab, tmp_path / "v")
    saved = torch.load(tmp_path / "v/model.pth", weights_only=True)["state_dict"]
    network = NETWORKS[name].build(4, 32, lab.class_names).eval()
    network.load_state_dict(saved)
    opened = open_checkpoint(tmp_path / "v/model.pth")
    if opened.needs_names:
        opened = opened.with_prompts(
            ClassPrompts(tuple(map(as_in_sentence, lab.class_names)), templates_of("cifar"))
        )
    asked = [c for one in opened.candidates for c in (one, *one.rare) if c.name == AS_READ[name]]
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        [found] = [opened.load(one).network(images) for one in asked]
        torch.testing.assert_close(found, network(images))


def test_an_older_card_says_the_depth(lab: LabData, tmp_path: Path) -> None:
    asked = recipe("resnet50")
    done = train_victim(asked, lab, tmp_path / "v")
    path = tmp_path / "v/card.json"
    card = json.loads(path.read_text())
    del card["recipe"]["network"]
    path.write_text(json.dumps(card))
    with pytest.raises(InputError, match="another recipe"):
        train_victim(asked, lab, tmp_path / "v")
    card["recipe"]["depth"] = 50
    path.write_text(json.dumps(card))
    assert train_victim(asked, lab, tmp_path / "v") == done
    with pytest.raises(UsageError, match=r"recipe: network is one of resnet18, .*, not 'alexnet'"):
        recipe("alexnet")  # type: ignore[arg-type]
