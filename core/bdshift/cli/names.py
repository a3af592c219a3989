"""Values that are names of what is registered, listed by help and by the shell's completion. They
are looked up only when needed, because that imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click
from click.shell_completion import CompletionItem


class NameChoice(click.Choice[str]):
    """One of the names that ``names`` returns, and nothing else."""

    def __init__(self, names: Callable[[], Iterable[str]]) -> None:
        self._names = names
        self.case_sensitive = True

    @property
    def choices(self) -> tuple[str, ...]:  # type: ignore[override]
        """Called by click."""
        return tuple(self._names())


class NamedText(click.ParamType[str]):
    """Text that may be one of the names that ``names`` returns, or begin with one, as settings
    follow it. Whoever reads the text checks it.
    """

    name = "text"

    def __init__(self, names: Callable[[], Iterable[str]]) -> None:
        self._names = names

    def convert(self, value: Any, param: object, ctx: object) -> str:
        """Called by click."""
        return str(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Called by click."""
        return [CompletionItem(one) for one in self._names() if one.startswith(incomplete)]
