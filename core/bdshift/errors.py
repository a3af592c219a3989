"""The errors a user can encounter, each one sentence that says what is wrong and what to do.

`InputError` is about what was handed in (exit code 3 on the command line), `UsageError` about how
it was asked for (exit code 2). Anything else that escapes is an internal error.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from bdshift.words import Sentence, as_sentence


class BdshiftError(Exception):
    """Base of all errors meant for the user: a sentence, as a template and its values
    (`bdshift.words`). ``str(error)`` is English.
    """

    def __init__(self, text: str | Sentence, /, **values: Any) -> None:
        self.sentence = as_sentence(text, values)
        super().__init__(str(self.sentence))

    def at(self, place: str | Path) -> Self:
        """The same error, its sentence beginning with the file that it is about."""
        found = type(self)("{path}: {reason}", path=str(place), reason=self.sentence)
        found.__dict__ |= {key: one for key, one in vars(self).items() if key != "sentence"}
        return found


class InputError(BdshiftError):
    """A file or folder cannot be read or used."""


class NoRoom(InputError):
    """What was asked for does not fit into the memory that is free now."""


class UnknownArchitecture(InputError):
    """The weights belong to no known network; naming the user's own may help."""


class ClassesDoNotFit(InputError):
    """The class folders cannot be those of the network; saying which is which may help."""


class UsageError(BdshiftError):
    """An option's value does not make sense."""


class SeveralModels(UsageError):
    """A file holds several models; ``names`` are what ``weights`` may be."""

    names: tuple[str, ...] = ()

    def with_names(self, names: tuple[str, ...]) -> Self:
        """The same error, with the names to choose from."""
        self.names = names
        return self
