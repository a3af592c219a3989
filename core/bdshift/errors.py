"""The errors a user can meet, each one sentence that says what is wrong and what to do.

`InputError` is about what was handed in (exit code 3 on the command line), `UsageError` about how
it was asked for (exit code 2). Anything else that escapes is a fault of bdshift.
"""

from __future__ import annotations


class BdshiftError(Exception):
    """Base of all errors meant for the user; ``str(error)`` is the sentence to show."""


class InputError(BdshiftError):
    """A file or folder cannot be read or used."""


class UnknownArchitecture(InputError):
    """The weights belong to no known network; naming the user's own may help."""


class UsageError(BdshiftError):
    """An option's value does not make sense."""


class SeveralModels(UsageError):
    """A file holds several models; ``names`` are what ``weights`` may be."""

    def __init__(self, text: str, names: tuple[str, ...]) -> None:
        super().__init__(text)
        self.names = names
