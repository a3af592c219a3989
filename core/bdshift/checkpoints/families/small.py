"""Single networks: ResNet-9, RepVGG, SqueezeNet, Xception, and two small ones.

==========================  ===================================================  ==============
network                     keys                                                 head
==========================  ===================================================  ==============
ResNet-9 (Jovian, Kaggle)   ``conv1.0, .1, conv2.0 …, res1.0.0, res1.1.0 …``     ``classifier.2``
                                                                                 or ``.3``, ``.1``
ResNet-9 (FFCV)             ``0.0, .1, 1.0 …, 2.module.0.0 …``                   ``9``
RepVGG                      ``stage0.rbr_dense.conv, .rbr_1x1.conv,              ``linear``
(pytorch-cifar-models)      .rbr_identity``, or ``stage0.rbr_reparam``
SqueezeNet (weiaicunzai)    ``stem.0, fire2.squeeze.0, .expand_1x1.0 …``         ``conv10``
Xception (weiaicunzai)      ``entry_flow.conv1.0, middel_flow.middel_block.0``   ``fc``
GTSRB-CNN                   ``conv0.0, conv1.0 … conv6.0, fc1.0, fc2.0``         ``fc3``
(backdoor-toolbox)
WaNet, LIRA: NetC_MNIST     ``conv1, layer2.bn1, .conv1, layer3 …, linear6``     ``linear9``
==========================  ===================================================  ==============

FFCV's multiplies its logits by 0.2, which does not change any prediction and is left out here.
"""

from __future__ import annotations

from collections.abc import Iterator

from bdshift.checkpoints.families.base import Candidate, Shapes
from bdshift.checkpoints.families.sketch import Misfit, Sketch, Value, sketched


def _resnet9(sketch: Sketch) -> str:
    x = sketch.run("", sketch.image("conv1.0"), "conv1.0 conv1.1 act")
    width = x.channels
    for number in (2, 3, 4):
        x = sketch.run(f"conv{number}.", x, "0 1 act")
        x = sketch.max_pool(x, 2, 2)
        if number != 3:
            name = f"res{number // 2}."
            x = sketch.add(sketch.run(name, x, "0.0 0.1 act 1.0 1.1 act"), x)
    heads = [f"classifier.{i}" for i in (1, 2, 3, 4) if sketch.has(f"classifier.{i}")]
    if len(heads) != 1:
        raise Misfit("classifier")
    features = sketch.shape(heads[0])[-1]
    if features != x.channels:  # larger images: a last pool of 4×4, flattened
        x = sketch.max_pool(x, 4, 4)
        sketch.sizes = (64, 96, 128)
    sketch.classify(heads[0], sketch.flatten(x, features, most=True))
    return f"ResNet-9, width {width}"


def _resnet9_ffcv(sketch: Sketch) -> str:
    x = sketch.run("", sketch.image("0.0"), "0.0 0.1 act")
    width = x.channels
    x = sketch.run("1.", x, "0/ 1 act", stride=2)
    x = sketch.add(x, sketch.run("2.module.", x, "0.0 0.1 act 1.0 1.1 act"))
    x = sketch.max_pool(sketch.run("3.", x, "0 1 act"), 2, 2)
    x = sketch.add(x, sketch.run("5.module.", x, "0.0 0.1 act 1.0 1.1 act"))
    x = sketch.run("6.", sketch.layer("6.0", x, padding=0), "1 act")
    sketch.classify("9", sketch.flatten(x, sketch.shape("9")[-1], most=True))
    return f"ResNet-9, width {width} (FFCV)"


def _repvgg_block(sketch: Sketch, name: str, x: Value, stride: int) -> Value:
    if sketch.has(f"{name}rbr_reparam"):
        return sketch.run(name, x, "rbr_reparam/ act", stride=stride)
    branches = [
        sketch.run(f"{name}{branch}.", x, "conv/ bn", stride=stride)
        for branch in ("rbr_dense", "rbr_1x1")
    ]
    if sketch.has(f"{name}rbr_identity"):
        branches.append(sketch.layer(f"{name}rbr_identity", x))
    return sketch.act(sketch.add(*branches))


def _repvgg(sketch: Sketch) -> str:
    merged = sketch.has("stage0.rbr_reparam")
    first = "stage0.rbr_reparam" if merged else "stage0.rbr_dense.conv"
    x = _repvgg_block(sketch, "stage0.", sketch.image(first), 1)
    depth, width = 2, 0
    for stage in (1, 2, 3, 4):
        for block in range(sketch.count(f"stage{stage}.{{}}.")):
            stride = 2 if stage > 1 and block == 0 else 1
            x = _repvgg_block(sketch, f"stage{stage}.{block}.", x, stride)
            depth += 1
        width = width or x.channels
    sketch.classify("linear", x)
    return f"RepVGG-{depth}, width {width}{', merged' if merged else ''}, CIFAR strides"


def _squeezenet(sketch: Sketch) -> str:
    x = sketch.max_pool(sketch.run("stem.", sketch.image("stem.0"), "0 1 act"), 2, 2)
    for number in range(2, 10):
        name = f"fire{number}."
        squeezed = sketch.run(name, x, "squeeze.0 squeeze.1 act")
        sides = (f"expand_{side}.0 expand_{side}.1 act" for side in ("1x1", "3x3"))
        out = sketch.concatenate(*(sketch.run(name, squeezed, words) for words in sides))
        x = sketch.add(out, x) if number in (3, 5, 7) else out
        if number in (4, 8):
            x = sketch.max_pool(x, 2, 2)
    sketch.classify("conv10", x)
    return "SqueezeNet (weiaicunzai)"


def _separable(*numbers: int) -> str:
    """Depthwise and pointwise convolution and norm, at these positions of a Sequential."""
    return " act ".join(f"{i}.depthwise {i}.pointwise {i + 1}" for i in numbers)


def _xception(sketch: Sketch) -> str:
    x = sketch.run("entry_flow.", sketch.image("entry_flow.conv1.0"), "conv1.0 conv1.1 act")
    x = sketch.run("entry_flow.conv2.", x, "0 1 act")
    for number in (3, 4, 5):
        name, stride = f"entry_flow.conv{number}_", 1 if number == 5 else 2
        words = _separable(0, 3) if number == 3 else f"act {_separable(1, 4)}"
        out = sketch.max_pool(sketch.run(f"{name}residual.", x, words), 3, stride, 1)
        if number > 3:  # their code changes x in place, before the shortcut sees it
            x = sketch.act(x)
        x = sketch.add(out, sketch.run(f"{name}shortcut.", x, "0/ 1", stride=stride))
    for block in range(sketch.count("middel_flow.middel_block.{}.")):
        name, out = f"middel_flow.middel_block.{block}.", x
        for number in (1, 2, 3):
            out = sketch.run(f"{name}conv{number}.", out, f"act {_separable(1)}")
        x = sketch.add(out, sketch.act(x))
    out = sketch.run("exit_flow.residual.", x, f"act {_separable(1, 4)}")
    past = sketch.run("exit_flow.shortcut.", x, "0/ 1", stride=2)
    x = sketch.add(sketch.max_pool(out, 3, 2, 1), past)
    sketch.classify("fc", sketch.run("exit_flow.conv.", x, f"{_separable(0, 3)} act"))
    return "Xception (weiaicunzai)"


def _gtsrb_cnn(sketch: Sketch) -> str:
    """The maps of three scales, side by side."""
    x = sketch.run("", sketch.image("conv0.0"), "conv0.0 act")
    scales, area = [], 32 * 32
    for scale in (1, 2, 3):
        x = sketch.run("", x, f"conv{2 * scale - 1}.0 act conv{2 * scale}.0 act")
        x, area = sketch.max_pool(x, 2, 2), area // 4
        scales.append(sketch.flatten(x, x.channels * area))
    x = sketch.run("", sketch.concatenate(*scales), "fc1.0 act fc2.0 act")
    sketch.classify("fc3", x)
    return "GTSRB-CNN of three scales"


def _netc_mnist(sketch: Sketch) -> str:
    x = sketch.layer("conv1", sketch.image("conv1"), stride=2)
    x = sketch.act(x)
    for layer in ("layer2.", "layer3."):
        x = sketch.run(layer, x, "bn1 act conv1/", stride=2)
    sketch.sizes = (28,)
    x = sketch.flatten(x, sketch.shape("linear6")[-1])
    sketch.classify("linear9", sketch.run("", x, "linear6 act"))
    return "NetC-MNIST (WaNet)"


def propose(shapes: Shapes) -> Iterator[Candidate]:
    """The one network that fits."""
    return sketched(
        shapes, _resnet9, _resnet9_ffcv, _repvgg, _squeezenet, _xception, _gtsrb_cnn, _netc_mnist
    )
