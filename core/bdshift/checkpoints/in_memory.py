"""A network that is in memory, an ``nn.Module``, as if it had been read from a file.

What is audited is a copy, in eval mode and float32: the module keeps its mode, its device, its
gradients and its hooks, and may be trained on while its audit is looked at. The copy has no hooks,
because what they do is the user's: it would be done thousands of times.
"""

from __future__ import annotations

import copy
import hashlib
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from bdshift.checkpoints.classifier import LoadedNetwork, Opened
from bdshift.checkpoints.eval_mode import in_eval_mode
from bdshift.checkpoints.families import Candidate
from bdshift.checkpoints.layout import IN_MEMORY, Layout, StateDict
from bdshift.checkpoints.reader import CheckpointFile
from bdshift.checkpoints.tensors import LazyTensor
from bdshift.errors import InputError
from bdshift.files import in_memory

_HOOKS = (
    "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks",
)  # fmt: skip
_PROBES = 2  # images that show whether a hook matters, and which layer is the head
_CLOSE = 1e-4  # relative: the same outputs, but for rounding


def opened_module(
    module: nn.Module, images: torch.Tensor | None = None, head: str | None = None
) -> Opened:
    """The module, as `open_checkpoint` gives a file.

    The head is the linear layer ``head``, or the last one whose output is what the module returns;
    without ``images``, float32 (n, channels, s, s) as the module gets them, the last of all.

    Raises `InputError` if it has no such layer, holds numbers that are not finite, cannot be copied
    or run, or has a hook that changes what it returns.
    """
    plain = _unwrapped(module)
    name = type(plain).__name__
    path = in_memory(name)
    if isinstance(plain, torch.jit.ScriptModule):
        raise InputError(
            "{path}: is compiled by TorchScript, and its layers cannot be looked into; save it "
            "with torch.jit.save, and scan the file",
            path=path,
        )
    heads = [key for key, part in plain.named_modules() if isinstance(part, nn.Linear)]
    if not heads:
        raise InputError(
            "{path}: has no linear layer that could be its head: a scan needs a classifier whose "
            "last layer is torch.nn.Linear",
            path=path,
        )
    _require_numbers(plain, path)
    try:
        network = _copy(plain)
    except Exception as error:  # of the user's module, which may do anything when it is copied
        raise InputError(
            "{path}: cannot be copied ({reason})",
            path=path, reason=(str(error) or type(error).__name__).splitlines()[0],
        ) from error  # fmt: skip
    chosen = heads[-1] if head is None or head not in heads else head
    if images is not None:
        chosen = _head_of(network, heads, path, images)
        _require_idle_hooks(plain, network, path, images)
    return _opened(plain, network, chosen, 0 if images is None else images.shape[1])


def _unwrapped(module: nn.Module) -> nn.Module:
    """The network in what torch wraps around it to run it on several devices, or compiled."""
    inner = module
    if isinstance(inner, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        inner = inner.module
    return getattr(inner, "_orig_mod", inner)


def _require_numbers(module: nn.Module, path: Any) -> None:
    for key, tensor in _tensors(module).items():
        if is_lazy(tensor):
            raise InputError(
                "{path}: its {key} has no shape yet: run the module once, so that its lazy layers "
                "are made",
                path=path, key=key,
            )  # fmt: skip
        if not torch.is_floating_point(tensor):
            continue
        if not bool(torch.isfinite(tensor).all()):
            raise InputError(
                "{path}: its {key} holds values that are not numbers (NaN or infinity)",
                path=path, key=key,
            )  # fmt: skip


def _tensors(module: nn.Module) -> dict[str, torch.Tensor]:
    """Its state dict, without what modules of the user's may keep there besides."""
    return {
        key: value for key, value in module.state_dict(keep_vars=True).items()
        if isinstance(value, torch.Tensor)
    }  # fmt: skip


def _copy(module: nn.Module) -> nn.Module:
    """A copy on the CPU, in eval mode, float32, without gradients and hooks. Weights that torch
    computes (parametrizations, weight_norm, pruning) are plain ones in it.
    """
    memo: dict[int, Any] = {}
    for part in module.modules():
        for value in vars(part).values():  # weight_norm keeps a result there, which has no copy
            if isinstance(value, torch.Tensor) and not value.is_leaf:
                memo[id(value)] = value.detach().clone()
    found = copy.deepcopy(module, memo)
    for part in found.modules():
        hooks: list[Any] = list(part._forward_pre_hooks.values())
        for hook in filter(_is_torchs, hooks):
            hook.remove(part)
        for name in list(getattr(part, "parametrizations", ())):
            parametrize.remove_parametrizations(part, name)
        for kind in _HOOKS:
            getattr(part, kind).clear()
    return found.cpu().float().eval().requires_grad_(False)


def _is_torchs(hook: Any) -> bool:
    """Whether torch itself has set a hook, to compute a weight: weight_norm, pruning."""
    owner = getattr(hook, "__self__", hook)
    return (getattr(type(owner), "__module__", "") or "").startswith("torch.nn.utils.")


def _hooks_of_user(module: nn.Module) -> bool:
    kinds = ("_forward_hooks", "_forward_pre_hooks")
    hooks = (hook for part in module.modules() for kind in kinds
             for hook in getattr(part, kind).values())  # fmt: skip
    return not all(map(_is_torchs, hooks))


def _head_of(network: nn.Module, heads: list[str], path: Any, images: torch.Tensor) -> str:
    """The last linear layer that gives what the network returns, or its softmax.

    Raises `InputError` as `LoadedNetwork.checked` does of the last of all, if there is none.
    """
    probes = images[:_PROBES]
    first: InputError | None = None
    for head in reversed(heads):
        loaded = LoadedNetwork(
            network, head, path.name, path, "", Layout(IN_MEMORY, (), "", {}, ())
        )
        try:
            loaded.checked(probes)
        except InputError as error:
            first = first or error
            continue
        except Exception as error:  # of the user's code
            raise InputError(
                "{path}: the network cannot be run on these images ({reason})",
                path=path, reason=(str(error) or type(error).__name__).splitlines()[0],
            ) from error  # fmt: skip
        return head
    assert first is not None
    raise first


def _require_idle_hooks(
    module: nn.Module, network: nn.Module, path: Any, images: torch.Tensor
) -> None:
    """Raise `InputError` if the module has hooks that change what it returns."""
    if not _hooks_of_user(module):
        return
    probes = images[:_PROBES]
    place = next(iter(module.parameters()))
    with in_eval_mode(module), torch.no_grad():
        output = module(probes.to(place.device, place.dtype)).float().cpu()
        expected = network(probes)
    scale = max(1.0, float(expected.abs().max()))
    exact = place.dtype in (torch.float32, torch.float64)
    if not torch.allclose(output, expected, atol=scale * (_CLOSE if exact else 0.05), rtol=0):
        raise InputError(
            "{path}: a hook changes what it returns, and an audit runs no hooks: remove it, or "
            "make what it does a layer",
            path=path,
        )


def _opened(module: nn.Module, network: nn.Module, head: str, channels: int) -> Opened:
    name = type(module).__name__
    values = _tensors(network)
    tensors = {
        key: LazyTensor(
            tuple(value.shape), str(value.dtype).removeprefix("torch."), value.detach().clone
        )
        for key, value in values.items()
    }
    layout = Layout(
        IN_MEMORY, (), "", {key: tensor.dtype for key, tensor in tensors.items()}, (),
    )  # fmt: skip
    size = sum(value.numel() * value.element_size() for value in _tensors(module).values())
    file = CheckpointFile(in_memory(name), _digest(module), size, IN_MEMORY, None, ())
    build = partial(copy.deepcopy, network)
    candidate = Candidate(name, build, head, (32, 224), channels=channels)
    return Opened(file, StateDict(tensors, layout), (candidate,), True)


def _digest(module: nn.Module) -> str:
    """SHA-256 over the class and all numbers of the module, in hex."""
    digest = hashlib.sha256(f"{type(module).__module__}.{type(module).__qualname__}".encode())
    for key, value in _tensors(module).items():
        flat = value.detach().cpu().contiguous().flatten()
        digest.update(f"\0{key}\0{value.dtype}\0{tuple(value.shape)}\0".encode())
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
