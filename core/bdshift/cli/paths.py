"""Paths that a user names. An address such as https://… or hf://… is none: said at once, and not as
a file that is not there.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

_OPEN_ADDRESSES = "`bdshift scan` and `bdshift fleet` open models at addresses"


class LocalPath(click.Path):
    """A path of this machine."""

    def __init__(self, **more: Any) -> None:
        super().__init__(path_type=Path, **more)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        """Called by click."""
        if "://" in str(value):
            self.fail(f"{value} is an address; download it first. {_OPEN_ADDRESSES}.", param, ctx)
        return super().convert(value, param, ctx)


class PathOrAddress(click.Path):
    """A path of this machine, or an address, which stays text."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        """Called by click."""
        return str(value) if "://" in str(value) else super().convert(value, param, ctx)


PATH = LocalPath()
