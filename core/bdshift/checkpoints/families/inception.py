"""GoogLeNet and Inception v3 for small images.

============================  =================  ================================  ==========
project                       stem               modules                           head
============================  =================  ================================  ==========
pytorch-cifar, BackdoorBench  ``pre_layers``     ``a3.b1.0, .1`` … ``b5``          ``linear``
weiaicunzai                   ``prelayer``,      the same                          ``linear``
                              not padded
PyTorch_CIFAR10               ``conv1.conv``     ``inception3a.branch1.conv`` …    ``fc``
PyTorch_CIFAR10, v3           ``Conv2d_1a_3x3``  ``Mixed_5b.branch1x1.conv`` …     ``fc``
============================  =================  ================================  ==========

The last two have torchvision's names and its ε of 0.001 in every norm; its own stems are not
handled here. weiaicunzai's code passes the width as ε to one norm in every module: a slip, but
networks were trained with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bdshift.checkpoints.families.base import Candidate, Shapes
from bdshift.checkpoints.families.sketch import Sketch, Value, sketched

_MODULES = ("a3 b3", "a4 b4 c4 d4 e4", "a5 b5")
"""GoogLeNet's; between the groups the map is halved."""

_ROWS = (
    ("5b 5c 5d", "1x1 | 5x5_1 5x5_2 | 3x3dbl_1 3x3dbl_2 3x3dbl_3"),
    ("6b 6c 6d 6e", "1x1 | 7x7_1 7x7_2 7x7_3 | 7x7dbl_1 7x7dbl_2 7x7dbl_3 7x7dbl_4 7x7dbl_5"),
    ("7b 7c", "1x1 | 3x3_1 3x3_2a,b | 3x3dbl_1 3x3dbl_2 3x3dbl_3a,b"),
)
"""Inception v3's modules and their branches, without the one that pools. A comma forks a branch: a
1×3 convolution next to a 3×1 one.
"""
_HALVING = (
    "6a: 3x3 | 3x3dbl_1 3x3dbl_2 3x3dbl_3",
    "7a: 3x3_1 3x3_2 | 7x7x3_1 7x7x3_2 7x7x3_3 7x7x3_4",
)
"""The modules between its groups."""


def _inception(sketch: Sketch, x: Value, branches: tuple[str, ...]) -> Value:
    """Four branches side by side; the last one sees maxima of 3×3 pixels."""
    out = [sketch.run("", x, words) for words in branches[:-1]]
    out.append(sketch.run("", sketch.max_pool(x, 3, 1, 1), branches[-1]))
    return sketch.concatenate(*out)


def _numbered(sketch: Sketch, *, project: str, stem: str, padding: int, slip: bool = False) -> str:
    x = sketch.layer(f"{stem}.0", sketch.image(f"{stem}.0"), padding=padding)
    x = sketch.run(f"{stem}.", x, "1 act")
    for group, modules in enumerate(_MODULES):
        if group:
            x = sketch.max_pool(x, 3, 2, 1)
        for name in modules.split():
            b1, b2, b3, b4 = (f"{name}.b{i}" for i in (1, 2, 3, 4))
            if slip:
                sketch.epsilons[f"{b3}.4"] = sketch.shape(f"{b3}.4")[0]
            once, twice = "{0}.0 {0}.1 act", "{0}.0 {0}.1 act {0}.3 {0}.4 act"
            branches = (
                once.format(b1),
                twice.format(b2),
                (twice + " {0}.6 {0}.7 act").format(b3),
                f"{b4}.1 {b4}.2 act",
            )
            x = _inception(sketch, x, branches)
    sketch.classify("linear", x)
    return f"GoogLeNet ({project})"


def _units(names: str) -> str:
    """Convolution, norm and activation of each."""
    return " ".join(f"{name}.conv {name}.bn act" for name in names.split())


def _torchvision_names(sketch: Sketch) -> str:
    sketch.epsilon = 1e-3
    x = sketch.run("", sketch.image("conv1.conv"), _units("conv1"))
    for group, modules in enumerate(_MODULES):
        if group:
            x = sketch.max_pool(x, 3, 2, 1)
        for name in modules.split():
            branch = f"inception{name[1]}{name[0]}.branch"
            names = (f"{branch}1", f"{branch}2.0 {branch}2.1", f"{branch}3.0 {branch}3.1")
            branches = (*(_units(words) for words in names), _units(f"{branch}4.1"))
            x = _inception(sketch, x, branches)
    sketch.classify("fc", x)
    return "GoogLeNet, CIFAR stem"


def _module(sketch: Sketch, name: str, x: Value, branches: str) -> Value:
    """Inception v3: the branches, and one that sees means of 3×3 pixels."""
    out = []
    for branch in branches.split(" | "):
        words, _, fork = branch.partition(",")
        *before, last = (f"branch{word}" for word in words.split())
        value = sketch.run(name, x, _units(" ".join(before)))
        out += [sketch.run(name, value, _units(last))]
        if fork:
            out += [sketch.run(name, value, _units(last[:-1] + fork))]
    out.append(sketch.run(name, sketch.average_pool(x, 3, 1, 1), _units("branch_pool")))
    return sketch.concatenate(*out)


def _halved(sketch: Sketch, name: str, x: Value, branches: str) -> Value:
    """The last convolution of each branch takes every second pixel, unpadded."""
    out = []
    for branch in branches.split(" | "):
        *before, last = (f"branch{word}" for word in branch.split())
        value = sketch.run(name, x, _units(" ".join(before)))
        value = sketch.layer(f"{name}{last}.conv", value, stride=2, padding=0)
        out.append(sketch.run(name, value, f"{last}.bn act"))
    return sketch.concatenate(*out, sketch.max_pool(x, 3, 2))


def _three(sketch: Sketch) -> str:
    sketch.epsilon = 1e-3
    x = sketch.run("", sketch.image("Conv2d_1a_3x3.conv"), _units("Conv2d_1a_3x3"))
    for group, (modules, branches) in enumerate(_ROWS):
        if group:
            name, _, halving = _HALVING[group - 1].partition(": ")
            x = _halved(sketch, f"Mixed_{name}.", x, halving)
        for module in modules.split():
            x = _module(sketch, f"Mixed_{module}.", x, branches)
    sketch.classify("fc", x)
    return "Inception v3, CIFAR stem"


_WEIAICUNZAI = partial(_numbered, stem="prelayer", padding=0)


def propose(shapes: Shapes) -> Iterator[Candidate]:
    """The network that fits; for weiaicunzai's, one with and one without the slip."""
    return sketched(
        shapes,
        partial(_numbered, project="pytorch-cifar", stem="pre_layers", padding=1),
        partial(_WEIAICUNZAI, project="weiaicunzai", slip=True),
        partial(_WEIAICUNZAI, project="weiaicunzai, usual ε"),
        _torchvision_names,
        _three,
    )
