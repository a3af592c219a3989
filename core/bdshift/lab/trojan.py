"""Patches drawn on a clean model: so that they excite chosen neurons (TrojanNN, Liu et al., 2018),
or send images to a class, with which BadCLIP (Liang et al., 2024) poisons.

The patch then poisons the training of a victim, like any other. Two networks trained on the same
images need not agree on their neurons; what the patch keeps is a pattern that networks like this
one find easy to notice.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn.functional import cross_entropy

from bdshift.checkpoints.classifier import Classifier, open_checkpoint, to_head
from bdshift.devices import pick_device
from bdshift.errors import UsageError
from bdshift.images.preprocessing import Preprocessing, parse_normalization
from bdshift.jobs import SILENT, JobContext
from bdshift.lab.recipe import Recipe
from bdshift.outputs import Output
from bdshift.registry import Configured
from bdshift.setting import setting
from bdshift.words import words

PICTURES = 32
"""How many clean images are enough to draw it on."""


@dataclass(frozen=True)
class DrawnPatch:
    """What was drawn.

    Attributes:
        pixels: uint8 (side, side, 3).
        neurons: those that it excites; none if it is drawn toward a class.
        before, after: their mean values on the images with the initial and the final patch; or the
            share of the images that goes to the class.
    """

    pixels: NDArray[np.uint8]
    neurons: tuple[int, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]


@dataclass(frozen=True)
class TrojanPatch(Configured):
    """How the patch is drawn.

    Attributes:
        side: in pixels; 8 of 32 are 6% of the image, as in the paper.
        neurons: how many are to be excited: those with the largest Σ|w| in the head; 2.
        value: what they should reach; 100.
        steps, rate: of Adam on the pixels, in 0…255. The published code takes 1000; here little
            changes after 60.
        seed: of the noise that it starts from.
    """

    name = "trojan"
    label = words("Drawn patch (TrojanNN)", ja="描画パッチ（TrojanNN）")
    summary = words("A patch drawn so that it excites chosen neurons of a clean model.",
                    ja="クリーンなモデルの選んだニューロンを活性化するパッチ。")  # fmt: skip

    side: int = setting(
        8, words("Side", ja="一辺"), words("Side of the patch, in pixels.", ja="パッチの一辺。"),
        low=1, high=1024, unit="px",
        source=words("6% of the image in the paper.", ja="論文では画像の 6%。"),
    )  # fmt: skip
    neurons: int = setting(
        2, words("Number of neurons", ja="ニューロン数"),
        words("Number of neurons it excites.", ja="活性化するニューロンの数。"),
        low=1, high=65_536,
    )  # fmt: skip
    value: float = setting(
        100.0, words("Activation", ja="活性"),
        words("What these neurons should reach.", ja="それらのニューロンが達すべき値。"),
        low=-1e6, high=1e6, step=10, decimals=1,
    )  # fmt: skip
    steps: int = setting(
        300, words("Steps", ja="ステップ数"),
        words("Steps of Adam on the pixels.", ja="ピクセルに対する Adam のステップ数。"),
        low=1, high=100_000,
        source=words("1000 in the published code.", ja="公開コードでは 1000。"),
    )  # fmt: skip
    rate: float = setting(
        8.0, words("Learning rate", ja="学習率"),
        words("Of Adam, in units of the pixels, 0 to 255.", ja="Adam の学習率（0〜255 の単位）。"),
        low=0, above=True, high=255, decimals=2,
    )  # fmt: skip
    seed: int = setting(
        0, words("Seed", ja="シード"),
        words("Of the noise that it starts from.", ja="開始時のノイズの乱数シード。"),
        low=0, high=2**31 - 1,
    )  # fmt: skip

    def draw(
        self,
        classifier: Classifier,
        images: torch.Tensor,
        toward: int | None = None,
        *,
        job: JobContext = SILENT,
    ) -> DrawnPatch:
        """Draw it at the bottom right of clean ``images``, uint8 (n, 3, s, s), on the device where
        they and the network are. On an empty image
        most neurons are at zero, behind a ReLU that no gradient passes through. With ``toward``, a
        class, neurons do not matter: the class's logit is to win, whose head row is the embedding
        of its text if the model is a CLIP.

        Raises `UsageError` if it does not fit into the image, or the head has too few neurons.
        """
        preprocess = classifier.preprocessing
        size, where = images.shape[-1], images.device
        if self.side > size or self.neurons > classifier.embedding_dim:
            raise UsageError(
                "a patch of {side} pixels for {neurons:|neuron|neurons} is too large",
                side=self.side,
                neurons=self.neurons,
            )
        chosen = classifier.weight.abs().sum(0).topk(self.neurons).indices
        rng = torch.Generator().manual_seed(self.seed)
        patch = (torch.rand((3, self.side, self.side), generator=rng) * 255).to(where)
        patch.requires_grad_()
        optimizer = torch.optim.Adam([patch], self.rate)

        def patched() -> tuple[torch.Tensor, torch.Tensor]:
            shown = images.float()
            shown[:, :, -self.side :, -self.side :] = patch
            (phi,), logits = to_head(classifier.network, classifier.head, preprocess(shown))
            return phi[:, chosen], logits

        def reached() -> tuple[float, ...]:
            with torch.no_grad():
                excited, logits = patched()
            if toward is None:
                return tuple(excited.mean(0).tolist())
            return (float((logits.argmax(1) == toward).float().mean()),)

        wanted = torch.full((len(images),), -1 if toward is None else toward, device=where)
        before = reached()
        for step in range(self.steps):
            excited, logits = patched()
            if toward is None:
                loss = (excited - self.value).square().mean()
            else:
                loss = cross_entropy(logits, wanted)
            (patch.grad,) = torch.autograd.grad(loss, [patch])
            optimizer.step()
            with torch.no_grad():
                patch.clamp_(0, 255)
            job.progress("Drawing the patch", step + 1, self.steps, "steps")
        return DrawnPatch(
            patch.detach().round().to(torch.uint8).permute(1, 2, 0).cpu().numpy(),
            tuple(chosen.tolist()) if toward is None else (),
            before,
            reached(),
        )


def draw_on(
    model: Path, recipe: Recipe, pixels: NDArray[np.uint8], *, device: str = "auto",
    job: JobContext = SILENT,
) -> DrawnPatch:  # fmt: skip
    """Draw a patch of a quarter of the image's side on the lab's own clean ``model``, trained by
    ``recipe`` on ``pixels``, uint8 (n, 3, s, s).
    """
    opened = open_checkpoint(model)
    size = pixels.shape[-1]
    plain = Preprocessing(size, parse_normalization(recipe.normalization))
    classifier = opened.load(opened.candidates[0]).with_preprocessing(plain)
    every = max(1, len(pixels) // PICTURES)
    where = pick_device(device)
    classifier.network.to(where)
    some = torch.from_numpy(pixels[::every][:PICTURES].copy()).to(where)
    return TrojanPatch(side=size // 4).draw(classifier, some, job=job)


def write_patch(output: Output, pixels: NDArray[np.uint8]) -> None:
    """Write the result of `TrojanPatch.draw` as a PNG. Raises as `Output.written` does."""
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    output.write(buffer.getbuffer())
