"""Ways in which a suite's models are trained besides the usual one, clean ones and victims."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bdshift.lab.recipe import Recipe

BASE = "BASE"
"""Stands for the file of the clean model with the same images, network and seed."""

CLASS = "CLASS"
"""Stands for the index of a class."""


@dataclass(frozen=True)
class Way:
    """What is different.

    Attributes:
        regimes: their text; `BASE` and `CLASS` are filled in.
        epochs: as a multiple of the usual number; 0 for a single one.
        rate: of learning, as a multiple of the usual peak.
        width: as a multiple of the usual one.
    """

    regimes: str = ""
    epochs: float = 1.0
    rate: float = 1.0
    width: float = 1.0

    @property
    def needs_base(self) -> bool:
        """Whether the clean model has to be there first."""
        return BASE in self.regimes

    @property
    def starts_from_base(self) -> bool:
        """Whether its weights come from that model, so that it is no independent evidence."""
        return self.regimes.startswith("fine-tuned")

    def of(self, recipe: Recipe) -> Recipe:
        """The usual recipe, changed; without the regimes."""
        return replace(
            recipe, epochs=max(1, round(self.epochs * recipe.epochs)),
            peak_rate=self.rate * recipe.peak_rate, width=round(self.width * recipe.width),
        )  # fmt: skip


_TUNED = f"fine-tuned:file={BASE}"

WAYS: Mapping[str, Way] = {
    "": Way(),
    "short": Way(epochs=0.3),
    "long": Way(epochs=2.5),
    "wide": Way(width=2),
    "narrow": Way(width=0.5),
    "imbalanced": Way("imbalanced:ratio=0.1"),
    "label noise": Way("label-noise:share=0.2"),
    "natural": Way(f"natural:label_index={CLASS},share=0.3"),
    "natural, often": Way(f"natural:label_index={CLASS},share=0.9,width=3"),
    "adversarial": Way("adversarial:epsilon=4"),
    "fine-tuned": Way(_TUNED, epochs=0.3, rate=0.5),
    "tuned head": Way(f"{_TUNED},only_head=true", epochs=0.3),
    "pruned": Way(f"{_TUNED};pruned:share=0.5", epochs=0, rate=0.1),
    "quantized": Way(f"{_TUNED};quantized:bits=5", epochs=0, rate=0.1),
    "distilled": Way(f"distilled:file={BASE}", rate=0.5),
    "matched": Way("matched:weight=1"),
    "hidden shift": Way("hidden-shift:weight=1"),
    "even channels": Way("even-channels:u=2"),
}
"""All ways by name; the usual one has none."""
