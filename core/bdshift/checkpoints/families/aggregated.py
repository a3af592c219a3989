"""Networks from pytorch-cifar whose blocks feed more than the next block: DLA, SimpleDLA, dual-path
networks, PNASNet.

=============  ==============================================================================
network        keys
=============  ==============================================================================
DLA            ``base.0, layer1.0, layer4.root.conv, .level_1 …, .prev_root, .left_node``
SimpleDLA      ``base.0, layer1.0, layer4.root.conv, .left_tree …, .right_tree``
DPN            ``conv1, layer1.0.conv1 … .conv3, .shortcut.0`` in a stage's first block only
PNASNet        ``conv1, layer1.0.sep_conv1.conv1 …, layer2.sep_conv1.conv1``
=============  ==============================================================================

All end in ``linear``.
"""

from __future__ import annotations

from collections.abc import Iterator

from bdshift.checkpoints.families.base import Candidate, Shapes
from bdshift.checkpoints.families.sketch import Misfit, Sketch, Value, sketched

_MAX_STAGES, _MAX_LEVEL = 8, 5


def _basic(sketch: Sketch, name: str, x: Value, stride: int) -> Value:
    past = x
    if sketch.has(f"{name}shortcut.0"):
        past = sketch.run(f"{name}shortcut.", x, "0/ 1", stride=stride)
    elif stride != 1:
        raise Misfit(name)
    out = sketch.run(name, x, "conv1/ bn1 act conv2 bn2", stride=stride)
    return sketch.act(sketch.add(out, past))


def _root(sketch: Sketch, name: str, values: list[Value]) -> Value:
    return sketch.run(f"{name}root.", sketch.concatenate(*values), "conv bn act")


def _tree(sketch: Sketch, name: str, x: Value, stride: int, depth: int = 0) -> Value:
    """DLA: a root over the outputs of its subtrees and of its own two blocks."""
    if depth > _MAX_LEVEL:
        raise Misfit(name)
    outputs = []
    if sketch.has(f"{name}prev_root.conv1"):
        outputs.append(_basic(sketch, f"{name}prev_root.", x, stride))
        levels = [i for i in range(_MAX_LEVEL, 0, -1) if sketch.has(f"{name}level_{i}.root.conv")]
        for level in levels:
            x = _tree(sketch, f"{name}level_{level}.", x, stride, depth + 1)
            outputs.append(x)
        stride = 1
    for node in ("left_node.", "right_node."):
        x = _basic(sketch, name + node, x, stride)
        outputs.append(x)
        stride = 1
    return _root(sketch, name, outputs)


def _simple_tree(sketch: Sketch, name: str, x: Value, stride: int, depth: int = 0) -> Value:
    """SimpleDLA: a root over two subtrees, or two blocks."""
    if depth > _MAX_LEVEL:
        raise Misfit(name)
    outputs = []
    for side in ("left_tree.", "right_tree."):
        if sketch.has(f"{name}{side}root.conv"):
            x = _simple_tree(sketch, name + side, x, stride, depth + 1)
        else:
            x = _basic(sketch, name + side, x, stride)
        outputs.append(x)
        stride = 1
    return _root(sketch, name, outputs)


def _dla(sketch: Sketch) -> str:
    simple = sketch.has("layer3.left_tree.conv1")
    x = sketch.run("", sketch.image("base.0"), "base.0 base.1 act")
    for plain in ("layer1.", "layer2."):
        x = sketch.run(plain, x, "0 1 act")
    for layer in (3, 4, 5, 6):
        tree = _simple_tree if simple else _tree
        x = tree(sketch, f"layer{layer}.", x, 1 if layer == 3 else 2)
    sketch.classify("linear", x)
    return f"{'SimpleDLA' if simple else 'DLA'}, width {x.channels} (pytorch-cifar)"


def _dual_path(sketch: Sketch) -> str:
    """A block adds to the first channels (residual path) and appends the others (dense path)."""
    x = sketch.run("", sketch.image("conv1"), "conv1 bn1 act")
    depth = 2
    for stage in range(1, _MAX_STAGES + 1):
        if stage > 1 and not sketch.has(f"layer{stage}.0.conv1"):
            break
        blocks = sketch.count(f"layer{stage}.{{}}.conv1.")
        following = f"layer{stage}.1.conv1" if blocks > 1 else f"layer{stage + 1}.0.conv1"
        width = sketch.shape(f"layer{stage}.0.conv3")[0]
        after = sketch.shape(following if sketch.has(following) else "linear")[1]
        residual = 2 * width - after  # the first block outputs width + dense channels
        for block in range(blocks):
            name, stride = f"layer{stage}.{block}.", 2 if stage > 1 and block == 0 else 1
            body = "conv1 bn1 act conv2/ bn2 act conv3 bn3"
            out = sketch.run(name, x, body, stride=stride)
            past = x if block else sketch.run(f"{name}shortcut.", x, "0/ 1", stride=stride)
            summed, appended = sketch.split(out, residual)
            kept, dense = sketch.split(past, residual)
            x = sketch.act(sketch.concatenate(sketch.add(kept, summed), dense, appended))
            depth += 3
    sketch.classify("linear", x)
    return f"DPN-{depth} (pytorch-cifar)"


def _cell(sketch: Sketch, name: str, x: Value, stride: int) -> Value:
    """PNASNet: cell B if it has a second branch, else cell A."""
    wide = sketch.run(f"{name}sep_conv1.", x, "conv1/ bn1", stride=stride)
    pooled = sketch.max_pool(x, 3, stride, 1)
    if sketch.has(f"{name}conv1"):
        pooled = sketch.run(name, pooled, "conv1 bn1")
    if not sketch.has(f"{name}sep_conv2.conv1"):
        return sketch.act(sketch.add(wide, pooled))
    narrow = sketch.run(f"{name}sep_conv2.", x, "conv1/ bn1", stride=stride)
    middle = sketch.run(f"{name}sep_conv3.", x, "conv1/ bn1", stride=stride)
    left = sketch.act(sketch.add(wide, narrow))
    right = sketch.act(sketch.add(pooled, middle))
    return sketch.run(name, sketch.concatenate(left, right), "conv2 bn2 act")


def _pnasnet(sketch: Sketch) -> str:
    x = sketch.run("", sketch.image("conv1"), "conv1 bn1 act")
    width, cell = x.channels, "B" if sketch.has("layer2.sep_conv2.conv1") else "A"
    for stage in (1, 3, 5):
        if stage > 1:
            x = _cell(sketch, f"layer{stage - 1}.", x, 2)
        for block in range(sketch.count(f"layer{stage}.{{}}.")):
            x = _cell(sketch, f"layer{stage}.{block}.", x, 1)
    sketch.classify("linear", x)
    return f"PNASNet-{cell}, width {width} (pytorch-cifar)"


def propose(shapes: Shapes) -> Iterator[Candidate]:
    """The one network that fits."""
    return sketched(shapes, _dla, _dual_path, _pnasnet)
