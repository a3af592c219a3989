"""Which names in a pickle are harmless, which are worth reporting, and which cause a file to be
refused.

Reading never calls any of them: this is about what to tell the user, and what ``torch.load`` would
have done.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from bdshift.checkpoints.listing import first_few
from bdshift.checkpoints.tensors import is_storage_name
from bdshift.errors import InputError
from bdshift.pickle_values import Name

# What rebuilds weights, and what training scripts store next to them.
_WEIGHTS = frozenset(
    "collections.OrderedDict collections.Counter collections.defaultdict collections.deque "
    "torch._utils._rebuild_tensor torch._utils._rebuild_tensor_v2 torch._utils._rebuild_tensor_v3 "
    "torch._utils._rebuild_parameter torch._utils._rebuild_parameter_with_state "
    "torch._utils._rebuild_qtensor "
    "torch._tensor._rebuild_from_type_v2 torch.storage._load_from_bytes "
    "torch.nn.parameter.Parameter torch.nn.parameter.Buffer torch.Tensor torch.Size torch.device "
    "torch.serialization._get_layout _codecs.encode argparse.Namespace copyreg._reconstructor "
    "numpy.dtype numpy.ndarray numpy.core.multiarray.scalar numpy._core.multiarray.scalar "
    "numpy.core.multiarray._reconstruct numpy._core.multiarray._reconstruct "
    "numpy.core.numeric._frombuffer numpy._core.numeric._frombuffer".split()
)
_DTYPES = frozenset(
    "float16 float32 float64 bfloat16 int8 int16 int32 int64 uint8 bool complex64 complex128 "
    "half float double long float8_e4m3fn float8_e5m2 qint8 quint8 qint32 per_tensor_affine "
    "per_channel_affine".split()
)
_BUILTINS = frozenset(
    "set frozenset dict list tuple complex slice range object int float str bytes bool".split()
)
# The parts of the standard library that only hold data. Anything else in it is refused.
_LIBRARY = frozenset(
    "collections argparse datetime decimal fractions pathlib uuid enum copyreg copy_reg _codecs "
    "random time types.SimpleNamespace functools.partial logging.Logger logging.getLogger "
    "re._compile".split()
)
_RUNNING = (
    "torch.load", "torch.hub", "torch.package", "torch.ops", "torch.classes", "torch.compile",
    "torch.jit.load", "torch.serialization.load", "torch.utils.cpp_extension", "torch._inductor",
    "torch._dynamo", "torch.distributed.rpc", "torch.utils.model_zoo", "torch.export.load",
    "numpy.load", "numpy.fromfile", "numpy.memmap", "numpy.f2py", "numpy.testing",
    "numpy.distutils",
    "numpy.loadtxt", "numpy.genfromtxt", "numpy.save", "numpy.ctypeslib", "pandas.read",
    "pandas.eval", "joblib", "dill", "cloudpickle", "jsonpickle", "IPython", "pip", "setuptools",
    "pkg_resources", "requests", "urllib3", "paramiko", "fabric", "sh", "plumbum", "numexpr",
    "sympy", "tensorflow", "keras", "commands", "__builtin__", "exceptions",
    "distutils", "imp", "aiohttp", "httpx", "yaml", "jinja2", "cffi", "numba",
)  # fmt: skip

_TORCH = ("torch.nn.", "torch.optim.", "torch.amp.", "torch.jit._pickle", "__torch__")
_MAX_LISTED, _MAX_SHOWN_LENGTH = 6, 80  # names in a sentence, and characters of each


def is_weights_name(name: Name) -> bool:
    """Whether it is needed for weights, or for what training scripts store next to them."""
    return (
        str(name) in _WEIGHTS
        or is_storage_name(name)
        or (name.module == "torch" and name.name in _DTYPES)
        or (name.module in ("builtins", "__builtin__") and name.name in _BUILTINS)
        or (name.module == "numpy.dtypes" and name.name.endswith("DType"))
    )


def is_torch_class(name: Name) -> bool:
    """Whether it is one of torch's own classes, for layers or their training."""
    return name.module.startswith(_TORCH)


def runs_something(name: Name) -> bool:
    """Whether it is only useful for running, reading, writing or sending something."""
    if is_weights_name(name) or name.module == "__main__" or name.module.startswith("__torch__"):
        return False
    whole = str(name)
    if any(whole == known or whole.startswith(f"{known}.") for known in _LIBRARY):
        return False
    root = name.module.partition(".")[0]
    if root in sys.stdlib_module_names or not root:
        return True
    if any(whole == known or whole.startswith(f"{known}.") for known in _RUNNING):
        return True
    inner = name.name.split(".")[:-1]  # "torch", "serialization.os.system" reaches os
    return any(part in sys.stdlib_module_names or part.startswith("__") for part in inner)


def refuse_code(names: Iterable[Name]) -> None:
    """Raise `InputError`, saying which, if `runs_something` is true for any of ``names``."""
    bad = [str(name)[:_MAX_SHOWN_LENGTH] for name in names if runs_something(name)]
    if bad:
        raise InputError(
            "refused: torch.load would run code from it. It names {names}, which no model needs. "
            "None of it was run here. If you trust the source, ask for the model's state_dict()",
            names=first_few(bad, _MAX_LISTED),
        )


def foreign(names: Iterable[Name]) -> tuple[str, ...]:
    """The names of classes and functions that are neither torch's nor data: the author's own code,
    which ``torch.load`` would import and run.
    """
    return tuple(str(n) for n in names if not is_weights_name(n) and not is_torch_class(n))
