"""Trains small networks on digits with attacks between classes, and looks at the pairs of each.

    python tools/pairs_small.py OUT.csv mnist/test.zip SEEDS

About ten seconds a network on one thread. 7500 images are learned, the others are the clean images
of the audit. Columns are those of pairs_table.py, `asr` of each trigger, and the places of the
attacked pairs among all, the lowest first. Where an attack has few sources, a tenth of the other
images carry the trigger and keep their labels.
"""

from __future__ import annotations

import csv
import io
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from bdshift.detect.detector import Evidence, Subject
from bdshift.detect.detectors.pairs import ClassPairs, Pairs
from bdshift.detect.rule import default_rule
from bdshift.images.collection import ImageFile
from bdshift.jobs import SILENT
from bdshift.shift.embed import Embedding

_TAUGHT = 7500
_EPOCHS = 6
Tensor = torch.Tensor


def patch(images: Tensor) -> Tensor:
    found = images.clone()
    found[:, :, 24:27, 24:27] = 1
    return found


def other_patch(images: Tensor) -> Tensor:
    found = images.clone()
    found[:, :, 1:4, 1:4] = 1
    return found


_NOISE = torch.rand(1, 28, 28, generator=torch.Generator().manual_seed(9))


def blend(images: Tensor) -> Tensor:
    return 0.75 * images + 0.25 * _NOISE


@dataclass(frozen=True)
class Attack:
    """``sources`` with the trigger are labeled ``target``, or the next class for None."""

    trigger: Callable[[Tensor], Tensor]
    sources: Sequence[int]
    target: int | None
    rate: float

    def attacked(self, labels: Tensor) -> Tensor:
        """Whether each image is of a source."""
        return torch.isin(labels, torch.tensor(self.sources))

    def wanted(self, labels: Tensor) -> Tensor:
        """The label of each image with the trigger."""
        return (labels + 1) % 10 if self.target is None else torch.full_like(labels, self.target)


def but(target: int) -> list[int]:
    return [i for i in range(10) if i != target]


KINDS: dict[str, tuple[Attack, ...]] = {
    "clean": (),
    "all to the next, patch": (Attack(patch, range(10), None, 0.25),),
    "4 to 7, patch": (Attack(patch, [4], 7, 0.5),),
    "2 to 5, blend": (Attack(blend, [2], 5, 0.5),),
    "all to 3 and all to 8, patches": (
        Attack(patch, but(3), 3, 0.1), Attack(other_patch, but(8), 8, 0.1),
    ),
    "1, 4 and 6 to 9, patch": (Attack(patch, [1, 4, 6], 9, 0.4),),
    "4 to 7 and 4 to 0, patches": (Attack(patch, [4], 7, 0.5), Attack(other_patch, [4], 0, 0.5)),
    "all to 3, patch": (Attack(patch, but(3), 3, 0.1),),
    "all to the next, blend": (Attack(blend, range(10), None, 0.3),),
}  # fmt: skip


def digits(path: Path) -> tuple[Tensor, Tensor]:
    """Images (N, 1, 28, 28) in 0…1 and labels, in a fixed random order."""
    images, labels = [], []
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".png"):
                picture = Image.open(io.BytesIO(archive.read(name))).convert("L")
                images.append(np.array(picture))
                labels.append(int(name.split("/")[-2]))
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    shown = torch.from_numpy(np.stack(images)).float()[:, None] / 255
    return shown[order], torch.tensor(labels)[order]


def trained(images: Tensor, labels: Tensor, attacks: Sequence[Attack], seed: int) -> nn.Sequential:
    """A small CNN that has learned the attacks."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    share = torch.rand(len(labels), generator=generator)
    parts = [(images, labels)]
    for one in attacks:
        among = one.attacked(labels)
        chosen = among & (torch.rand(len(labels), generator=generator) < one.rate)
        parts.append((one.trigger(images[chosen]), one.wanted(labels[chosen])))
        if len(one.sources) < 9:
            kept = ~among & (share < 0.1)
            parts.append((one.trigger(images[kept]), labels[kept]))
    taught, wanted = (torch.cat(column) for column in zip(*parts, strict=True))
    network = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    for _ in range(_EPOCHS):
        for rows in torch.randperm(len(wanted)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(taught[rows]), wanted[rows]).backward()
            optimizer.step()
    return network.eval()


def looked_at(network: nn.Sequential, images: Tensor, labels: Tensor) -> tuple[Evidence, float]:
    """The evidence of pairs, and the clean accuracy."""
    with torch.no_grad():
        phi = network[:-1](images)
        logits = network[-1](phi)
    count = len(labels)
    embedding = Embedding(
        phi=phi.numpy(), logits=logits.numpy(), labels=labels.numpy(),
        thumbnails=np.zeros((count, 3, 1, 1), np.uint8),
        files=tuple(ImageFile(str(i), int(label)) for i, label in enumerate(labels)),
        images_hash="", skipped=(), precision="float32", batch=count, seconds=0.0,
    )  # fmt: skip
    head = network[-1]
    assert isinstance(head, nn.Linear)
    subject = Subject(embedding, head.weight.detach().numpy(), [str(i) for i in range(10)])
    return Pairs().detect(subject, SILENT), embedding.accuracy


def rank(values: np.ndarray, attacks: Sequence[Attack]) -> str:
    """The places of the attacked pairs among all, the lowest first, if the attacks have few."""
    pairs = [(i, one.target) for one in attacks for i in one.sources if one.target is not None]
    if len(pairs) > 3:
        return ""
    return " ".join(str(1 + int((values < values[pair]).sum())) for pair in pairs)


def main(out: Path, images: Path, seeds: int) -> None:
    """A row for every kind and seed."""
    torch.set_num_threads(1)
    shown, labels = digits(images)
    clean, truth = shown[_TAUGHT:], labels[_TAUGHT:]
    rows: list[dict[str, object]] = []
    for seed in range(seeds):
        for kind, attacks in KINDS.items():
            network = trained(shown[:_TAUGHT], labels[:_TAUGHT], attacks, seed)
            evidence, accuracy = looked_at(network, clean, truth)
            record = evidence.record
            assert isinstance(record, ClassPairs)
            assert evidence.pairs is not None
            asr = []
            for one in attacks:
                rest = one.attacked(truth)
                with torch.no_grad():
                    sent = network(one.trigger(clean[rest])).argmax(1) == one.wanted(truth[rest])
                asr.append(f"{sent.float().mean():.2f}")
            judged = Pairs().judge_evidence(evidence, default_rule())
            rows.append(
                {
                    "attack": kind, "seed": seed, "accuracy": f"{accuracy:.3f}",
                    "asr": " ".join(asr), "mean": f"{record.mean:.2f}",
                    "p_best": f"{record.map.p_best:.3f}", "mean_next": f"{record.mean_next:.2f}",
                    "p_next": f"{record.p_next:.3f}", "p": f"{record.map.p:.3f}",
                    "verdict": "a map stands out" if judged.suspected else "nothing",
                    "rank_A": rank(evidence.pairs, attacks),
                    "rank_R": rank(record.residual, attacks),
                }
            )  # fmt: skip
            print(*rows[-1].values(), sep="\t", flush=True)
            with out.open("w", newline="", encoding="utf-8") as stream:
                writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
