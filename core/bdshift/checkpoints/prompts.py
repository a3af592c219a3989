"""Names of classes, put into sentences: what the head of a CLIP model is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bdshift.errors import InputError, UsageError
from bdshift.extras import pip_install
from bdshift.files import open_regular

SLOT = "{}"
"""Where the name of the class goes."""

_MAX_TEMPLATES, _MAX_LENGTH = 200, 200  # characters of a template
MAX_NAME_LENGTH = 200
"""Characters of a class name."""

_MAX_FILE_BYTES = 4 * _MAX_TEMPLATES * _MAX_LENGTH
_ADJECTIVES = (
    "", "blurry", "black and white", "low contrast", "high contrast", "bad", "good",
)  # fmt: skip


def _of_cifar() -> tuple[str, ...]:
    return tuple(
        template
        for article in ("a", "the")
        for template in (
            *(" ".join(("a photo of" if not word else f"a {word} photo of", article, "{}."))
              for word in _ADJECTIVES),
            f"a photo of {article} small {{}}.",
            f"a photo of {article} big {{}}.",
        )
    )  # fmt: skip


def _of_imagenet() -> tuple[str, ...]:
    try:
        from open_clip import OPENAI_IMAGENET_TEMPLATES
    except ImportError as error:
        raise UsageError(
            "for these prompts: {command}", command=pip_install("open_clip_torch")
        ) from error
    return tuple(fill(SLOT) for fill in OPENAI_IMAGENET_TEMPLATES)


_SETS: Mapping[str, Callable[[], tuple[str, ...]]] = {
    "cifar": _of_cifar,
    "imagenet": _of_imagenet,
    "sun397": lambda: ("a photo of a {}.", "a photo of the {}."),
    "plain": lambda: ("a photo of a {}.",),
}
PROMPT_SETS = tuple(_SETS)
"""Sets of templates by name: CLIP's own for three data sets, and a single one."""

USUAL_PROMPTS = "cifar"
"""The set that is used unless another is asked for: of photographs, small ones as well."""


@dataclass(frozen=True)
class ClassPrompts:
    """The texts that a class is recognized by: each template with its name, their features
    averaged.

    Attributes:
        names: of all C classes, as they stand in the sentences.
        templates: each with one `SLOT`.
    """

    names: tuple[str, ...]
    templates: tuple[str, ...]

    def is_sound(self, classes: int) -> bool:
        """Whether there are as many names as ``classes``, and all texts are what they should be:
        prompts may be from anyone's audit file.
        """
        with suppress(UsageError, ValueError):
            check_templates(self.templates)
            lengths = [len(name) for name in self.names]
            return len(lengths) == classes and 0 < min(lengths) <= max(lengths) <= MAX_NAME_LENGTH
        return False

    def text(self, index: int, template: int) -> str:
        """One of the sentences for a class."""
        return self.templates[template].replace(SLOT, self.names[index])


def templates_of(text: str) -> tuple[str, ...]:
    """The templates of a set, by its name, or of a text file with one in each line.

    Raises `UsageError` if there is no such set or file, or if a line has no `SLOT`.
    """
    if text in _SETS:
        return _SETS[text]()
    path = Path(text)
    try:
        there = path.exists()
    except OSError:  # longer than a name may be
        there = False
    if not there:
        raise UsageError(
            "there are no prompts {name}: give one of {names}, or a text file with a template in "
            "each line, such as: a photo of a {slot}.",
            name=repr(text), names=PROMPT_SETS, slot=SLOT,
        )  # fmt: skip
    try:
        with open_regular(path) as stream:
            data = stream.read(_MAX_FILE_BYTES + 1)
        lines = data.decode("utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(
            "{path}: cannot be read as text ({reason})", path=path, reason=str(error)
        ) from error
    found = tuple(line.strip() for line in lines if line.strip())
    if len(data) > _MAX_FILE_BYTES:
        raise UsageError("{path}: is too large for a list of prompt templates", path=path)
    check_templates(found)
    return found


def check_templates(templates: Sequence[str]) -> None:
    """Raise `UsageError` unless there are some, each a short text with one `SLOT`."""
    if not 0 < len(templates) <= _MAX_TEMPLATES:
        raise UsageError(
            "there must be 1 to {most} prompt templates, not {count}",
            most=_MAX_TEMPLATES, count=len(templates),
        )  # fmt: skip
    for template in templates:
        if template.count(SLOT) != 1 or len(template) > _MAX_LENGTH:
            raise UsageError(
                "a prompt template has {slot} once, where the class name goes, and at most {most} "
                "characters; {template} does not",
                slot=SLOT, most=_MAX_LENGTH, template=repr(template[:_MAX_LENGTH]),
            )  # fmt: skip


def as_in_sentence(name: str) -> str:
    """A folder's or a list's name of a class as it would stand in a sentence: the first of several
    names, with spaces. ``traffic_light`` becomes ``traffic light``.
    """
    return " ".join(name.partition(",")[0].replace("_", " ").split())
