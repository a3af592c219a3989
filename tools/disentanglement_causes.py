"""What decides whether a backdoor is a part of its own in the space of weights, as TBAR needs it:
fine-tunes clean models of the lab on poisoned images, in the ordinary way and linearized (Ortiz-
Jimenez et al., 2023: the network is replaced by its tangent at the weights that it starts from),
unlearns the trigger by TBAR's steps in the same space, and writes rows with ξ(1, 1).

    python tools/disentanglement_causes.py OUT.csv TRAIN TEST HELD BASE.pth… [--way ordinary]…

Three vectors are taken for the backdoor: its own, which is what the same fine-tuning learns less
without the trigger, and nobody has but who trained it; the paper's estimate; and the contrast with
the true labels, bdshift's. Batch norms keep their statistics, and a CLIP model its head. HELD are
images that TBAR may see; accuracy and ASR are of TEST. Rows that are in OUT.csv are kept, so that
a run can be resumed.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.func import functional_call, jvp
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from bdshift.audit import ScanSettings, scan_opened
from bdshift.audit.purifying import clean_images
from bdshift.checkpoints.classifier import Classifier, open_checkpoint
from bdshift.checkpoints.clip.network import ZeroShot
from bdshift.images.collection import open_images
from bdshift.lab.data import LabData, load_lab_data
from bdshift.lab.poison import poison, read_backdoors
from bdshift.purification.alphas import Point, next_alpha
from bdshift.purification.clean_data import LabeledImages, put_trigger, split_clean
from bdshift.purification.unlearning import GRADIENT_LIMIT, sent_to
from bdshift.purification.vectors import difference, layers_of, length, weights_of
from bdshift.triggers import Trigger
from tools.kept_rows import read_rows, write_rows

_SEED, _TARGET = 0, 0
_SAMPLE, _TRIGGERED = 2000, 300  # images that TBAR may see, and that it learns from
_KEEP = 0.95  # of the held-out accuracy
_MEASURED = 2000  # test images that shares are of
_POISON, _BATCH = 0.1, 128
COLUMNS = (
    "base", "way", "epochs", "rate", "base acc", "acc", "asr", "recall", "vector", "cosine",
    "alpha", "acc after", "asr after", "recall after", "xi clean", "xi triggered",
)  # fmt: skip

Weights = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Space:
    """Networks around one: its weights plus a vector, or its tangent there along a vector."""

    classifier: Classifier
    start: Weights
    linear: bool

    def logits(self, vector: Weights, pixels: torch.Tensor) -> torch.Tensor:
        """Of images (n, 3, H, W), 0…255."""
        images = self.classifier.preprocessing(pixels.float())
        network, prefix = self.classifier.network, ""
        if isinstance(network, ZeroShot):  # a feature is linear in the weights, not its direction
            network, prefix = network.visual, "visual."

        def encode(weights: Weights) -> torch.Tensor:
            own = {name.removeprefix(prefix): value for name, value in weights.items()}
            found: torch.Tensor = functional_call(network, own, (images,))
            return found

        if self.linear:
            with sdpa_kernel(SDPBackend.MATH):  # the others have no forward derivative
                both = jvp(encode, (dict(self.start),), (dict(vector),))
            found = both[0] + both[1]
        else:
            found = encode({name: self.start[name] + vector[name] for name in vector})
        if prefix:
            head = self.classifier.head
            found = functional.linear(functional.normalize(found, dim=-1), head.weight)
        return found

    def learned(
        self,
        vector: Weights,
        images: LabeledImages,
        epochs: int,
        rate: float,
        batch: int,
        limit: float = math.inf,
    ) -> Weights:
        """The vector after SGD with momentum 0.9 from ``vector``, the rate falling to nothing and
        gradients clipped to the norm ``limit``.
        """
        made = {name: value.clone().requires_grad_() for name, value in vector.items()}
        optimizer = torch.optim.SGD(made.values(), rate, 0.9)
        steps = epochs * -(-len(images) // batch)
        falling = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, steps)
        rng = torch.Generator().manual_seed(_SEED)
        for _ in range(epochs):
            for rows in torch.randperm(len(images), generator=rng).split(batch):
                loss = functional.cross_entropy(
                    self.logits(made, images.pixels[rows]), images.labels[rows]
                )
                optimizer.zero_grad()
                loss.backward()
                if limit < math.inf:
                    torch.nn.utils.clip_grad_norm_(made.values(), limit)
                optimizer.step()
                falling.step()
        return {name: value.detach() for name, value in made.items()}

    def answers(self, vector: Weights, pixels: torch.Tensor) -> torch.Tensor:
        """Predicted classes."""
        with torch.no_grad():
            return torch.cat([self.logits(vector, one).argmax(1) for one in pixels.split(250)])

    def error(self, clean: Weights, own: Weights, test: Test) -> tuple[float, float]:
        """The two terms of ξ(1, 1)."""
        both = {name: clean[name] + own[name] for name in clean}
        shares = [
            _share(self.answers(one, pixels) != self.answers(both, pixels))
            for one, pixels in ((clean, test.clean.pixels), (own, test.triggered))
        ]
        return shares[0], shares[1]


@dataclass(frozen=True)
class Test:
    """Images to measure on, and those of other classes with the trigger."""

    clean: LabeledImages
    triggered: torch.Tensor

    @classmethod
    def of(cls, images: LabeledImages, trigger: Trigger) -> Test:
        """The images, with the trigger and without."""
        return cls(images, put_trigger(images, trigger, _TARGET).pixels)

    def figures(self, space: Space, vector: Weights) -> tuple[float, float, float]:
        """Accuracy, ASR and recall of the target."""
        right = space.answers(vector, self.clean.pixels) == self.clean.labels
        sent = space.answers(vector, self.triggered) == _TARGET
        own = right[self.clean.labels == _TARGET]
        return _share(right), _share(sent), _share(own)


def _share(found: torch.Tensor) -> float:
    return found.float().mean().item()


def estimates(
    space: Space, vector: Weights, tune: LabeledImages, trigger: Trigger
) -> Iterator[tuple[str, Weights]]:
    """τ as in the paper, and in contrast to the true labels."""
    truth = put_trigger(tune, trigger, _TARGET)[:_TRIGGERED]
    wanted = sent_to(_TARGET, truth)
    yield "paper", difference(space.learned(vector, wanted, 4, 0.01, 64), vector)
    beside = tune[: 4 * _TRIGGERED]
    first, second = (
        space.learned(vector, one + beside, 4, 0.01, 64, GRADIENT_LIMIT) for one in (wanted, truth)
    )
    yield "contrast", difference(first, second)


def chosen(
    space: Space, vector: Weights, tau: Weights, held: LabeledImages, trigger: Trigger
) -> float:
    """α, as TBAR chooses it."""
    test, curve = Test.of(held, trigger), dict[float, Point]()
    least, best = 0.0, (2.0, 0.0)
    while (alpha := next_alpha(curve)) is not None:
        less = {name: vector[name] - alpha * tau[name] for name in tau}
        acc, asr, _ = test.figures(space, less)
        least = least or _KEEP * acc
        curve[alpha] = Point(acc >= least, asr)
        best = min(best, (asr, alpha)) if acc >= least else best
    return best[1]


def cosine(first: Weights, second: Weights) -> float:
    """Of two vectors; NaN if one is nothing."""
    product = sum((first[name] * second[name]).sum().item() for name in first)
    lengths = length(first) * length(second)
    return product / lengths if lengths else math.nan


def measured(
    base: Path, lab: LabData, held_out: Path, linear: bool, epochs: int, rate: float
) -> Iterator[dict[str, str]]:
    """The rows of one model."""
    audit, material = scan_opened(
        open_checkpoint(base), open_images(held_out), ScanSettings(sample=_SAMPLE)
    )
    classifier = material.classifier
    classifier.network.eval().requires_grad_(False)
    space = Space(classifier, weights_of(classifier.network, layers_of(classifier.network)), linear)
    seen = split_clean(clean_images(audit, material), classifier.preprocessing, seed=_SEED)
    [backdoor] = read_backdoors("badnets", "all-to-one", str(_TARGET), "", lab.class_names)
    trigger = backdoor.trigger
    pixels, labels = torch.from_numpy(lab.train_pixels), torch.from_numpy(lab.train_labels)
    dirty = LabeledImages(pixels.clone(), labels.clone())
    poison(dirty.pixels, dirty.labels, [backdoor], _POISON, 0, _SEED)
    rows = torch.randperm(len(lab.test_labels), generator=torch.Generator().manual_seed(_SEED))
    tested = LabeledImages(torch.from_numpy(lab.test_pixels), torch.from_numpy(lab.test_labels))
    test = Test.of(tested[rows[:_MEASURED]], trigger)
    nothing = {name: torch.zeros_like(value) for name, value in space.start.items()}
    victim = space.learned(nothing, dirty, epochs, rate, _BATCH)
    twin = space.learned(nothing, LabeledImages(pixels, labels), epochs, rate, _BATCH)
    own = difference(victim, twin)
    told = (base.parent.name, "linearized" if linear else "ordinary", epochs, rate)
    before = (test.figures(space, nothing)[0], *test.figures(space, victim))
    for name, tau in (("own", own), *estimates(space, victim, seen.tune, trigger)):
        alpha = 1.0 if tau is own else chosen(space, victim, tau, seen.held, trigger)
        part = {name: alpha * value for name, value in tau.items()}
        purified = difference(victim, part)
        after = (*test.figures(space, purified), *space.error(purified, part, test))
        found = [f"{value:.4g}" for value in (cosine(tau, own), alpha, *after)]
        cells = (*map(str, told), *(f"{value:.4g}" for value in before), name, *found)
        yield dict(zip(COLUMNS, cells, strict=True))


def asked() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("out", "train", "test", "held"):
        parser.add_argument(name, type=Path)
    parser.add_argument("bases", type=Path, nargs="+")
    parser.add_argument("--way", action="append", choices=("ordinary", "linearized"))
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rate", type=float, default=0.01)
    return parser.parse_args()


def main(given: argparse.Namespace) -> None:
    """Add the rows of every model and way that has none yet."""
    lab = load_lab_data(str(given.train), str(given.test))
    rows = read_rows(given.out)
    done = {tuple(row[name] for name in ("base", "way", "epochs", "rate")) for row in rows}
    for base in given.bases:
        for way in given.way or ("ordinary", "linearized"):
            if (base.parent.name, way, str(given.epochs), str(given.rate)) in done:
                continue
            linear = way == "linearized"
            found = [*measured(base, lab, given.held, linear, given.epochs, given.rate)]
            for row in found:
                print(*row.values(), sep="\t", flush=True)
            rows += found
            write_rows(given.out, COLUMNS, rows)


if __name__ == "__main__":
    main(asked())
