"""Defaults of options from a TOML file: the one in the user's configuration folder, or the one that
``--config`` names.

Nothing is read from the working folder by itself. It may have come with the model that is audited,
and a file there could make the audit too weak to find anything. For the same reason a file can only
set what is listed here: nothing that is read, written, or run as code.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import platformdirs

from bdshift.errors import InputError, UsageError
from bdshift.files import open_regular

SETTABLE = (
    "alpha", "solver", "rule", "quick", "budget", "each-preprocessing", "sample", "normalize",
    "fit", "device", "batch", "seed", "cache", "embeddings", "fail-on", "workers", "threads",
    "seconds", "memory", "held-out", "top", "language", "quiet", "verbose",
)  # fmt: skip
"""Options that a file may set, by their names."""

_MAX_BYTES = 64 * 1024


def users_file() -> Path:
    """Where the user's own defaults are, if there are any."""
    return platformdirs.user_config_path("bdshift") / "config.toml"


def defaults_from(path: Path, root: click.Group) -> dict[str, dict[str, Any]]:
    """What ``path`` sets, by command and parameter, as click's ``default_map`` has it. Top-level
    keys are for all commands that have such an option; tables for the command that they are called.

    Raises `InputError` if the file cannot be read, `UsageError` for what it may not set.
    """
    told = _read(path)
    common = {key: value for key, value in told.items() if not isinstance(value, dict)}
    found = {}
    for name, command in root.commands.items():
        known = {flag: param.name or "" for param in command.params for flag in _names(param)}
        own = told.get(name, {})
        for key in (*common, *own):
            if key not in SETTABLE or (key in own and key not in known):
                raise _refused(path, key)
        given = {**common, **own}
        found[name] = {known[key]: value for key, value in given.items() if key in known}
    for key, value in told.items():
        if isinstance(value, dict) and key not in root.commands:
            raise _refused(path, f"[{key}]")
    return found


def _names(param: click.Parameter) -> list[str]:
    return [one.removeprefix("--") for one in param.opts if one.startswith("--")]


def _refused(path: Path, key: str) -> UsageError:
    return UsageError(
        "{path}: {key} cannot be set in a file of defaults; what can be is {names}, for all "
        "commands or below [scan] and the like",
        path=path, key=key, names=SETTABLE,
    )  # fmt: skip


def _read(path: Path) -> Mapping[str, Any]:
    if str(path) == os.devnull:
        return {}
    try:
        with open_regular(path) as stream:
            data = stream.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise InputError("is larger than 64 KiB")
        told = tomllib.loads(data.decode("utf-8"))
    except InputError as error:
        raise error.at(path) from error
    except FileNotFoundError as error:
        raise InputError("{path}: no such file", path=path) from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            "{path}: is no TOML that can be read ({reason})", path=path, reason=str(error)
        ) from error
    tables = [one for one in told.values() if isinstance(one, dict)]
    for key, value in [pair for table in (told, *tables) for pair in table.items()]:
        if not isinstance(value, str | int | float) and value not in tables:
            raise _refused(path, key)
    return told
