"""DenseNets for small images, of any depth and growth.

=====================  ==========================================  ===============  ===========
project                blocks                                      between blocks   head
=====================  ==========================================  ===============  ===========
pytorch-cifar,         ``dense1.0.bn1, .conv1, .bn2, .conv2``      ``trans1.bn,     ``linear``
BackdoorBench                                                      .conv``
bearpaw                the same                                    ``trans1.bn1,    ``fc``
                                                                   .conv1``
weiaicunzai            ``features.dense_block_layer_0``,           ``down_sample``  ``linear``
                       ``.bottle_neck_layer_0.bottle_neck.0 …``    ``.0, .1``
PyTorch_CIFAR10,       ``features.denseblock1.denselayer1.norm1``  ``transition1``  classifier
TrojanZoo (``_comp``)                                              ``.norm, …``     (``.fc``)
=====================  ==========================================  ===============  ===========

pytorch-cifar puts the new channels first, the others last; weiaicunzai's transitions have no ReLU.
PyTorch_CIFAR10 keeps torchvision's max-pool after a 3×3 stem; TrojanZoo drops it along with the
norm. torchvision's own 7×7 stem is handled here only with TrojanZoo's head.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bdshift.checkpoints.families.base import Candidate, Shapes
from bdshift.checkpoints.families.sketch import Misfit, Sketch, Value, sketched

_MAX_BLOCKS = 8


def _dense(
    sketch: Sketch, x: Value, block: str, words: str, first: int, *, new_first: bool
) -> Value:
    """Layers ``block.format(i)`` from ``first`` on, as long as there are any."""
    layer = first
    while sketch.has(block.format(layer) + words.split()[0]):
        new = sketch.run(block.format(layer), x, words)
        x = sketch.concatenate(*((new, x) if new_first else (x, new)))
        layer += 1
    if layer == first:
        raise Misfit(block)
    return x


def _name(sketch: Sketch) -> str:
    """Depth counts every convolution, and the head; growth is what a layer adds."""
    convolutions = [shape for shape in sketch.shapes.values() if len(shape) == 4]
    growth = next((shape[0] for shape in convolutions[1:] if shape[2] == 3), 0)
    return f"DenseNet-{len(convolutions) + 1}, growth {growth}"


def _by_stage(sketch: Sketch, *, head: str, between: str, new_first: bool, project: str) -> str:
    x = sketch.run("", sketch.image("conv1"), "conv1")
    bottleneck = sketch.has("dense1.0.conv2")
    words = "bn1 act conv1 bn2 act conv2" if bottleneck else "bn1 act conv1"
    for stage in range(1, _MAX_BLOCKS + 1):
        x = _dense(sketch, x, f"dense{stage}.{{}}.", words, 0, new_first=new_first)
        if not sketch.has(f"trans{stage}.{between.split()[-1]}"):
            break
        x = sketch.average_pool(sketch.run(f"trans{stage}.", x, between), 2, 2)
    sketch.classify(head, sketch.run("", x, "bn act"))
    return f"{_name(sketch)} ({project})"


_PYTORCH_CIFAR = partial(
    _by_stage, head="linear", between="bn act conv", new_first=True, project="pytorch-cifar"
)
_BEARPAW = partial(
    _by_stage, head="fc", between="bn1 act conv1", new_first=False, project="bearpaw"
)


def _weiaicunzai(sketch: Sketch) -> str:
    x = sketch.run("", sketch.image("conv1"), "conv1")
    for stage in range(_MAX_BLOCKS):
        between = f"features.transition_layer_{stage}.down_sample."
        last = not sketch.has(f"{between}0")
        block = f"features.dense_block{'' if last else '_layer_'}{stage}"
        words = "0 act 2 3 act 5"
        x = _dense(
            sketch, x, block + ".bottle_neck_layer_{}.bottle_neck.", words, 0, new_first=False
        )
        if last:
            break
        x = sketch.average_pool(sketch.run(between, x, "0 1"), 2, 2)
    sketch.classify("linear", sketch.run("features.", x, "bn act"))
    return f"{_name(sketch)} (weiaicunzai)"


def _torchvision_names(sketch: Sketch, *, pool: bool) -> str:
    kernel = sketch.shape("features.conv0")[-1]
    normed = sketch.has("features.norm0")
    head = "classifier.fc" if sketch.has("classifier.fc") else "classifier"
    if (kernel > 3 and (head == "classifier" or not pool)) or (pool and not normed):
        raise Misfit("features.conv0")
    x = sketch.layer(
        "features.conv0", sketch.image("features.conv0"), stride=2 if kernel > 3 else 1
    )
    if normed:
        x = sketch.run("features.", x, "norm0 act")
    if pool:
        x = sketch.max_pool(x, 3, 2, 1)
    for stage in range(1, _MAX_BLOCKS + 1):
        block = f"features.denseblock{stage}.denselayer{{}}."
        x = _dense(sketch, x, block, "norm1 act conv1 norm2 act conv2", 1, new_first=False)
        between = f"features.transition{stage}."
        if not sketch.has(f"{between}conv"):
            break
        x = sketch.average_pool(sketch.run(between, x, "norm act conv"), 2, 2)
    sketch.classify(head, sketch.run("features.", x, "norm5 act"))
    sketch.sizes = (224, 32) if kernel > 3 else (32,)
    return f"{_name(sketch)}, {kernel}×{kernel} stem{' with max-pool' if pool else ''}"


def propose(shapes: Shapes) -> Iterator[Candidate]:
    """The network that fits; with torchvision's names, with and without a max-pool in the stem."""
    return sketched(
        shapes,
        _PYTORCH_CIFAR,
        _BEARPAW,
        _weiaicunzai,
        partial(_torchvision_names, pool=True),
        partial(_torchvision_names, pool=False),
    )
