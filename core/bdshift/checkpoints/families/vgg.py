"""VGG for small images: convolutions of a Sequential ``features``, then one linear layer or three.

===========================  ===============================  ==================================
project                      features                         head
===========================  ===============================  ==================================
pytorch-cifar, BackdoorBench ``features.0, .1`` (norm) …      ``classifier``
BackdoorBox, I-BAU, LIRA     the same, norm or none           ``classifier``
weiaicunzai, CLP             the same                         ``classifier.0, .3, .5``
pytorch-cifar-models         the same                         ``classifier.0, .3, .6``
PyTorch_CIFAR10              the same                         ``classifier.0, .3, .6``
backdoor-toolbox             the same                         ``classifier.1, .4, .6``
TrojanZoo (``_comp``)        the same                         ``classifier.fc1`` … or ``.fc``
===========================  ===============================  ==================================

A number missing between two convolutions is a max-pool, two are a max-pool and dropout (I-BAU's
small VGG, whose activation is ELU). torchvision's own VGG, whose first linear layer takes 7×7
pixels, is not handled here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from bdshift.checkpoints.families.base import Candidate, Shapes
from bdshift.checkpoints.families.sketch import Misfit, Sketch, Value, sketched

_LAYER = re.compile(r"features\.(\d{1,3})\.weight")
_LINEAR = re.compile(r"(classifier(?:\.(?:fc)?(\d{0,2}))?)\.weight")
_MAX_POOLS = 5


def _features(sketch: Sketch) -> tuple[Value, int, int]:
    """The map after the last pool, and the numbers of convolutions and pools."""
    numbers = sorted(int(match[1]) for key in sketch.shapes if (match := _LAYER.fullmatch(key)))
    if not numbers or numbers[0] != 0:
        raise Misfit("features")
    x = sketch.image("features.0")
    convolutions = pools = at = 0
    while at <= numbers[-1]:
        if at not in numbers:  # the pool's own number
            x, pools = sketch.max_pool(x, 2, 2), pools + 1
            at += 1 if at + 1 in numbers else 2
        x = sketch.layer(f"features.{at}", x)
        if len(sketch.shape(f"features.{at}")) != 4:
            raise Misfit("features")
        convolutions += 1
        if at + 1 in numbers and len(sketch.shape(f"features.{at + 1}")) == 1:
            at += 1
            x = sketch.layer(f"features.{at}", x)
        x, at = sketch.act(x), at + 2
    if pools >= _MAX_POOLS:  # then some are something else, such as dropout
        raise Misfit("features")
    return sketch.max_pool(x, 2, 2), convolutions, pools + 1


def _linear_layers(sketch: Sketch) -> list[str]:
    """Names of the linear layers, first to last."""
    found = [match for key in sketch.shapes if (match := _LINEAR.fullmatch(key))]
    if not 1 <= len(found) <= 3:
        raise Misfit("classifier")
    return [match[1] for match in sorted(found, key=lambda match: int(match[2] or 0))]


def _vgg(sketch: Sketch) -> str:
    x, depth, pools = _features(sketch)
    names = _linear_layers(sketch)
    features = sketch.shape(names[0])[-1]
    side = next((side for side in (1, 2, 3, 4) if x.channels * side**2 == features), 0)
    if not side:  # 7 would be torchvision's
        raise Misfit(names[0])
    sketch.sizes = (side << pools,)
    x = sketch.flatten(x, features)
    for name in names[:-1]:
        x = sketch.act(sketch.layer(name, x))
    sketch.classify(names[-1], x)
    normed = len(sketch.shapes.get("features.1.weight", ())) == 1
    linear = f"{len(names)} linear layer{'s' if len(names) > 1 else ''}"
    return f"VGG-{depth + 3}{'' if normed else ' without norms'}, {linear}"


def propose(shapes: Shapes) -> Iterator[Candidate]:
    """The one network that fits."""
    return sketched(shapes, _vgg)
