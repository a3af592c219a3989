"""One trained network in every layout that checkpoints come in, and other networks in their own;
the layouts test and the table in docs/layouts.md are made from these.
"""

from __future__ import annotations

import argparse
import copy
import json
import pickle
import sys
import types
import warnings
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

State = dict[str, torch.Tensor]
Layout = Callable[[nn.Module, Path], None]


def _foreign(network: nn.Module, body: Callable[[], None]) -> None:
    """Run ``body`` while the network's classes belong to a temporary module, like a student's
    script: what is pickled then names classes that cannot be imported.
    """
    theirs = types.ModuleType("their_script")
    sys.modules["their_script"] = theirs
    kinds = {type(part) for part in network.modules() if "bdshift" in type(part).__module__}
    before = {kind: (kind.__module__, kind.__qualname__) for kind in kinds}
    try:
        for kind in kinds:
            kind.__module__, kind.__qualname__ = "their_script", kind.__name__
            setattr(theirs, kind.__name__, kind)
        theirs.__file__ = __file__  # torch looks for the source code, and finds none
        body()
    finally:
        for kind, (module, name) in before.items():
            kind.__module__, kind.__qualname__ = module, name
        del sys.modules["their_script"]


def _plain(network: nn.Module) -> nn.Module:
    """A copy without what cannot be pickled (functions as attributes)."""
    found = copy.deepcopy(network)
    for part in found.modules():
        for name in ("activate", "plan"):
            part.__dict__.pop(name, None)
    return found


def whole(network: nn.Module, save: Callable[[nn.Module], None], wrap: Any = None) -> None:
    """Save a whole module, in ``wrap`` if that is given."""
    plain = _plain(network)
    _foreign(plain, lambda: save(plain if wrap is None else wrap(plain)))


def _trained(network: nn.Module) -> dict[str, Any]:
    """What training scripts keep: an optimizer that has stepped, and its schedule."""
    head = list(network.parameters())[-2:]
    for part in head:
        part.requires_grad_(True)
        part.grad = torch.zeros_like(part)
    optimizer = torch.optim.SGD(head, 0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [10, 20])
    optimizer.step()
    schedule.step()
    for part in head:
        part.requires_grad_(False)
    return {"optimizer": optimizer, "scheduler": schedule}


def _masked(state: State) -> State:
    """As torch.nn.utils.prune leaves it: the mask has no zero, so that nothing changes."""
    found: State = OrderedDict()
    for key, value in state.items():
        if value.dim() == 4:
            found[f"{key}_orig"], found[f"{key}_mask"] = value, torch.ones_like(value)
        else:
            found[key] = value
    return found


def _normed(state: State) -> State:
    found: State = OrderedDict()
    for key, value in state.items():
        base = key.removesuffix("weight")
        if value.dim() == 4:
            norms = value.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
            found[f"{base}weight_g"], found[f"{base}weight_v"] = norms, value
        else:
            found[key] = value
    return found


def _numpy_like() -> dict[str, Any]:
    import numpy as np

    return {"bd_test": {"indices": np.arange(5), "paths": ["a.png"]}, "asr": np.float64(0.98)}


def _grids() -> dict[str, torch.Tensor]:
    return {"identity_grid": torch.zeros(1, 32, 32, 2), "noise_grid": torch.zeros(1, 32, 32, 2)}


def _script(network: nn.Module, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(network, torch.zeros(1, 3, 32, 32)), path)


def _export(network: nn.Module, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(network, (torch.zeros(2, 3, 32, 32),))
        with path.open("wb") as stream:
            torch.export.save(program, stream)


def _sd(network: nn.Module) -> State:
    return OrderedDict(network.state_dict())


def _prefixed(prefix: str, state: State) -> State:
    return OrderedDict((prefix + key, value) for key, value in state.items())


def _dump(value: Any, path: Path) -> None:
    path.write_bytes(pickle.dumps(value))


def _old(value: Any, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch misses the source code of classes
        torch.save(value, path, _use_new_zipfile_serialization=False)


def _other(seed: int = 1) -> State:
    """Smaller weights of something else, such as a generator."""
    rng = torch.Generator().manual_seed(seed)
    return OrderedDict({"enc.weight": torch.randn(4, 3, 3, 3, generator=rng)})


LAYOUTS: dict[str, Layout] = {
    "bare (TrojanZoo, backdoor-toolbox, torchvision)": lambda n, p: torch.save(_sd(n), p),
    "torch before 1.6, bare (ANP .th)": lambda n, p: _old(_sd(n), p),
    "BackdoorBench attack_result.pt": lambda n, p: torch.save(
        {"model_name": "resnet18", "num_classes": 12, "model": _sd(n), "img_size": (32, 32, 3),
         "clean_data": "signs", **_numpy_like()}, p),
    "BackdoorBench defense_result.pt of Fine-Pruning": lambda n, p: torch.save(
        {"model_name": "resnet18", "num_classes": 12, "model": _masked(_sd(n))}, p),
    "weight norm": lambda n, p: torch.save(_normed(_sd(n)), p),
    "NAD, ABL, RNP .tar": lambda n, p: _old(
        {"epoch": 9, "state_dict": _sd(n), "best_clean_acc": 0.9,
         "optimizer": _trained(n)["optimizer"].state_dict()}, p),
    "CLP (state_dict, trigger)": lambda n, p: torch.save(
        {"state_dict": _sd(n), "trigger": torch.zeros(3, 32, 32)}, p),
    "I-BAU, pytorch-cifar (net, acc, epoch; module.)": lambda n, p: torch.save(
        {"net": _prefixed("module.", _sd(n)), "acc": 0.9, "epoch": 9}, p),
    "akamaster .th": lambda n, p: _old(
        {"best_prec1": 90.1, "state_dict": _prefixed("module.", _sd(n))}, p),
    "WaNet (netC, grids)": lambda n, p: torch.save(
        {"netC": _sd(n), "optimizerC": _trained(n)["optimizer"].state_dict(),
         "schedulerC": _trained(n)["scheduler"].state_dict(), **_grids()}, p),
    "Input-aware (netC, netG, netM, Namespace)": lambda n, p: torch.save(
        {"netC": _sd(n), "netG": _other(1), "netM": _other(2),
         "opt": argparse.Namespace(dataset="signs", bs=128)}, p),
    "LIRA (netC, atkmodel, scheduler object)": lambda n, p: torch.save(
        {"netC": _sd(n), "atkmodel": _other(1), **_trained(n)}, p),
    "BackdoorBox, several GPUs": lambda n, p: torch.save(_prefixed("module.", _sd(n)), p),
    "torch.compile": lambda n, p: torch.save(_prefixed("_orig_mod.", _sd(n)), p),
    "averaged weights (SWA)": lambda n, p: torch.save(
        OrderedDict(n_averaged=torch.tensor(3), **_prefixed("module.", _sd(n))), p),
    "FLOPs counted (thop)": lambda n, p: torch.save(
        OrderedDict(total_ops=torch.zeros(1, dtype=torch.float64), **_sd(n)), p),
    "an old head left in": lambda n, p: torch.save(
        OrderedDict(_sd(n), **{"old_fc.weight": torch.zeros(7, 128),
                               "old_fc.bias": torch.zeros(7)}), p),
    "a normalizing layer before it": lambda n, p: torch.save(
        OrderedDict(**{"0.mean": torch.full((3,), 0.5), "0.std": torch.full((3,), 0.5)},
                    **_prefixed("1.", _sd(n))), p),
    "a backbone beside a loss": lambda n, p: torch.save(
        OrderedDict(**{"criterion.weight": torch.ones(12)}, **_prefixed("model.", _sd(n))), p),
    "float16": lambda n, p: torch.save({k: v.half() if v.is_floating_point() else v
                                        for k, v in _sd(n).items()}, p),
    "safetensors": lambda n, p: save_file({k: v.contiguous() for k, v in _sd(n).items()}, p),
    "whole module (TrojAI, scripts)": lambda n, p: whole(n, lambda m: torch.save(m, p)),
    "whole module, torch before 1.6": lambda n, p: whole(n, lambda m: _old(m, p)),
    "whole module in DataParallel": lambda n, p: whole(n, lambda m: torch.save(m, p),
                                                       nn.DataParallel),
    "whole module in a dict": lambda n, p: whole(
        n, lambda m: torch.save({"model": m, "epoch": 3, "classes": ["x"]}, p)),
    "whole module by pickle.dump": lambda n, p: whole(n, lambda m: _dump(m, p)),
    "state dict by pickle.dump": lambda n, p: _dump(_sd(n), p),
    "TorchScript": _script,
    "torch.export (.pt2)": _export,
}  # fmt: skip
"""Name → what saves a network, which already has its weights, in that layout."""


def hugging_face_folder(folder: Path) -> nn.Module:
    """Write a small ViT from transformers to ``folder`` with save_pretrained, and return it."""
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=48, num_hidden_layers=3, num_attention_heads=3, intermediate_size=64,
        image_size=32, patch_size=8, id2label=dict(enumerate("abcdefg")),
        label2id={c: i for i, c in enumerate("abcdefg")},
    )  # fmt: skip
    network: Any = ViTForImageClassification(config)
    network.eval()
    network.save_pretrained(folder)
    declared = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.2, 0.2], "size": {"height": 32}}
    (folder / "preprocessor_config.json").write_text(json.dumps(declared))
    whole: nn.Module = network
    return whole
