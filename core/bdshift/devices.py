"""Which device to run on, in which precision, and how much memory there is."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from bdshift.errors import UsageError

if TYPE_CHECKING:
    import torch


_GPU_PACE = 15.0  # times two cores of a CPU: what a small GPU reaches; large ones are faster
GIB = 1024**3
"""Bytes."""

_KINDS = ("cpu", "cuda", "mps")


def pick_device(name: str = "auto") -> torch.device:
    """``auto`` is CUDA, else Apple's MPS, else the CPU; or any name torch knows.

    Raises `UsageError` if torch does not know the name or the device is not available.
    """
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        if device.type not in _KINDS:
            raise UsageError(
                "device {name} cannot be used: it is not one of {kinds}",
                name=repr(name), kinds=_KINDS,
            )  # fmt: skip
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            "device {name} cannot be used: {reason}", name=repr(name), reason=reason
        ) from error
    return device


def has_native_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 convolutions run in hardware there. Emulated ones are slower than float32,
    so "unknown" (a CPU under torch < 2.9, which cannot tell) counts as no.
    """
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):
        found = torch.cpu.get_capabilities()
        return any(found.get(key, False) for key in ("avx512_bf16", "amx_bf16", "sve_bf16"))
    return False


def pace(device: torch.device) -> float:
    """How many seconds of two cores a second on ``device`` is taken for."""
    return _GPU_PACE if device.type == "cuda" else 1.0


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out; on the CPU, torch reports that as a plain `RuntimeError`, and oneDNN
    says that it could not create what it had described.
    """
    kinds = (
        "can't allocate memory", "out of memory", "not enough memory",
        "could not create a primitive",
    )  # fmt: skip
    if "primitive descriptor" in str(error):  # that is what it cannot do at all
        return False
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in kinds)
    )


def usual_precision(device: torch.device) -> str:
    """``bfloat16`` where the hardware has it, else ``float32``."""
    return "bfloat16" if has_native_bfloat16(device) else "float32"


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Torch's autocast to ``bfloat16``, or nothing for ``float32``."""
    import torch

    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def sent(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A small tensor of the CPU on ``device``. A GPU gets it in turn with its other work, which
    does not wait for it, nor does the caller.
    """
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def free_memory(device: torch.device) -> int:
    """Bytes that can be allocated there now without evicting anything."""
    import psutil
    import torch

    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + cached
    return int(psutil.virtual_memory().available)


def memory_in_use() -> tuple[str, int, int]:
    """Where the work is done, the bytes in use there and the bytes in total: ("CUDA", …) for the
    whole device once CUDA has been used, else ("RAM", …) for this process and the machine. Does not
    import torch.
    """
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "cuda") and torch.cuda.is_initialized():
        free, whole = torch.cuda.mem_get_info()
        return "CUDA", whole - free, whole
    import psutil

    return "RAM", psutil.Process().memory_info().rss, psutil.virtual_memory().total
