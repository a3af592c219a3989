"""Write docs/layouts.md: what is read and recognized, and whether it classifies like its source.

    python tools/layouts.py docs/layouts.md

The files are those of `bdshift.lab.samples`, the images 480 drawn signs. Takes about five minutes
on two cores.
"""

from __future__ import annotations

import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from bdshift.assets import asset
from bdshift.audit import ScanSettings, scan, scan_opened
from bdshift.checkpoints.classifier import Opened, open_checkpoint, recognized
from bdshift.checkpoints.describe import Description, describe
from bdshift.checkpoints.layout import find_state_dict
from bdshift.checkpoints.reader import read_checkpoint
from bdshift.images.collection import open_images
from bdshift.images.loader import decode_all
from bdshift.images.signs import write_signs
from bdshift.lab.samples.layouts import LAYOUTS
from bdshift.lab.samples.small_networks import NETWORKS, to_gray, trained

EVERY = ScanSettings(sample=None)


def _share(value: float) -> str:
    return f"{value:.1%}"


def _described(path: Path) -> Description:
    file = read_checkpoint(path)
    return describe(file, None, recognized(file, find_state_dict(file), None))


def _layouts(folder: Path, signs: Path) -> Iterator[str]:
    opened = open_checkpoint(asset("demo/victim.pth"))
    source, material = scan_opened(opened, open_images(signs), EVERY)
    network = material.classifier.network
    yield "| layout | read as | recognized as | source | bdshift |"
    yield "|---|---|---|---:|---:|"
    for name, write in LAYOUTS.items():
        path = folder / "model"
        write(network, path)
        audit = scan(path, signs, EVERY)
        yield (
            f"| {name} | {audit.model.container} | {audit.model.architecture} | "
            f"{_share(source.accuracy)} | {_share(audit.accuracy)} |"
        )


def _plain(folder: Path, signs: Path, gray: Path) -> Iterator[str]:
    yield "| network | saved as | reconstructed as | source | bdshift | seconds |"
    yield "|---|---|---|---:|---:|---:|"
    for name, small in NETWORKS.items():
        images = gray if small.gray else signs
        collection = open_images(images)
        batch = decode_all(collection, collection.files, 28 if small.gray else 32)
        pixels = batch.pixels[:, :1] if small.gray else batch.pixels
        network = trained(name)
        expected = small.accuracy(network, pixels, batch.labels)
        for saved, value in (("weights", network.state_dict()), ("module", network)):
            torch.save(value, folder / "model")
            began = time.perf_counter()
            audit = scan(folder / "model", images, EVERY)
            seconds = time.perf_counter() - began
            p = audit.preprocessing
            details = audit.model.architecture.rpartition(": ")[2]
            yield (
                f"| {name} | {saved} | {details}; {p.normalization.name}, {p.order} | "
                f"{_share(expected)} | {_share(audit.accuracy)} | {seconds:.1f} |"
            )


def _times(folder: Path, signs: Path) -> Iterator[str]:
    import torchvision

    yield "| | seconds |"
    yield "|---|---:|"
    network = torchvision.models.convnext_tiny(num_classes=12)
    path = folder / "large"
    for name, value in (("state dict", network.state_dict()), ("whole module", network)):
        torch.save(value, path)
        size = path.stat().st_size / 1e6
        began = time.perf_counter()
        _described(path)
        seconds = time.perf_counter() - began
        yield f"| ConvNeXt-T, {name} of {size:.0f} MB, to its card | {seconds:.2f} |"
    began = time.perf_counter()
    audit = scan(asset("demo/victim.pth"), signs, EVERY)
    seconds = time.perf_counter() - began
    yield (
        f"| ResNet-18 of width 16: whole scan of 480 images at 32 pixels; {len(audit.trials)} "
        f"combinations tried | {seconds:.2f} |"
    )
    opened = open_checkpoint(asset("demo/victim.pth"))
    yield from _search(opened, signs)


def _search(opened: Opened, signs: Path) -> Iterator[str]:
    import numpy as np

    from bdshift.checkpoints.settle import settle
    from bdshift.images.preprocessing import NORMALIZATIONS, Normalization

    collection = open_images(signs)
    order = np.random.default_rng(0).permutation(len(collection.files))
    files = [collection.files[i] for i in order]
    batches: dict[int, Any] = {}

    def pixels(size: int) -> Any:
        if size not in batches:
            batches[size] = decode_all(collection, files, size)
        return batches[size].pixels

    pixels(32)
    more = tuple(
        Normalization(f"mine {i}", (0.4 + i / 100,) * 3, (0.2 + i / 200,) * 3) for i in range(16)
    )
    opened = replace(opened, declared=more)
    began = time.perf_counter()
    settled = settle(opened, pixels, batches[32].labels, sizes=[32])
    seconds = time.perf_counter() - began
    count = 2 * (len(more) + len(NORMALIZATIONS) + 2)  # + 2 from these images; RGB and BGR
    chosen = settled.ranking[0].preprocessing
    yield (
        f"| the search alone, {count} preprocessings and three stems, decoded images; chosen: "
        f"{chosen.normalization.name}, {chosen.order} | {seconds:.2f} |"
    )


def main(out: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        signs, gray = folder / "signs", folder / "gray"
        write_signs(signs, 40, seed=3)
        collection = open_images(signs)
        batch = decode_all(collection, collection.files, 32)
        for file, image in zip(batch.files, to_gray(batch.pixels), strict=True):
            (gray / file.name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[0]).save(gray / file.name)
        lines = [
            "# What is read, and how exactly",
            "",
            "Made by `python tools/layouts.py docs/layouts.md` with "
            f"Python {platform.python_version()}, torch {version('torch')}, torchvision "
            f"{version('torchvision')}, on two CPU cores. The images are 480 drawn signs (seed 3); "
            "*source* is the accuracy of the network that wrote the file, under its own "
            "preprocessing, *bdshift* what it found by itself.",
            "",
            "## Layouts",
            "",
            "The demo's backdoored ResNet-18 in each of them.",
            "",
            *_layouts(folder, signs),
            "",
            "## Plain networks, reconstructed from their weights",
            "",
            "Trained on 1800 drawn signs (`bdshift.lab.samples.small_networks`, seed 0). Where 480 "
            "images do not tell normalizations or activations apart, one of them is used.",
            "",
            *_plain(folder, signs, gray),
            "",
            "## Time",
            "",
            *_times(folder, signs),
            "",
        ]
    Path(out).write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
