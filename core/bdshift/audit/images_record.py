"""The clean images of an audit: which they were, and what their folders stand for."""

from __future__ import annotations

from dataclasses import dataclass, field

from bdshift.images.collection import Skipped
from bdshift.images.labels import LEFT_OUT
from bdshift.words import Sentence


@dataclass(frozen=True)
class ImagesRecord:
    """The clean set as the audit remembers it.

    Attributes:
        path: folder or zip.
        sha256: over names, labels and contents of the images used.
        available: images in it.
        counts: images used of each class.
        class_names: of all classes; ``label_source`` says where their order comes from.
        skipped: files left out, with reasons.
        order_guessed: whether folders are missing, and neither names nor accuracy say which classes
            the others are.
        folders: the class of each folder, `LEFT_OUT` for one that takes no part; {} in old audits,
            whose folders are called as their classes are, or are their numbers.
        labeled: whether they have labels; if not, predictions stand in, and accuracies are NaN.
    """

    path: str
    sha256: str
    available: int
    counts: tuple[int, ...]
    class_names: tuple[str, ...]
    label_source: Sentence
    skipped: tuple[Skipped, ...]
    order_guessed: bool = False
    folders: dict[str, int] = field(default_factory=dict)
    labeled: bool = True

    @property
    def folder_index(self) -> dict[str, int]:
        """What `map_classes` is given to label the folders as in the audit."""
        left_out = {name: i for name, i in self.folders.items() if i == LEFT_OUT}
        return {**self.folders, **self.class_index, **left_out}

    @property
    def class_index(self) -> dict[str, int]:
        """Class index by name. If a class with images and one without share a name ("class 7"), the
        one with images counts.
        """
        indices = sorted(range(len(self.counts)), key=lambda i: self.counts[i] > 0)
        return {self.class_names[i]: i for i in indices}


@dataclass(frozen=True)
class LabelProposal:
    """Another order of the class folders that explains the predictions far better.

    Attributes:
        of_folder: a class index for each folder name; −1 where none is left.
        accuracy: on the trial images, in that order.
    """

    of_folder: dict[str, int]
    accuracy: float
