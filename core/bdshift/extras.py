"""What to type to get a package that bdshift works without: some of what it reads needs one."""

from __future__ import annotations

import re
import sys
from importlib import metadata

from bdshift.words import Sentence, words

_FROZEN = words(
    "install bdshift with Python, since this program cannot be extended, and {command}",
    ja="このプログラムには追加できないため、Python の環境に bdshift をインストールし、{command}",
)


def pip_install(*packages: str) -> str | Sentence:
    """The command that installs ``packages``, in the versions that bdshift's own metadata asks for.

    bdshift itself is on no index, so ``pip install`` cannot be told the name of an extra of it.
    """
    command = f"pip install {' '.join(map(_requirement, packages))}"
    return Sentence(_FROZEN, {"command": command}) if getattr(sys, "frozen", False) else command


def _requirement(package: str) -> str:
    """``package`` with its versions, in the quotes that every shell knows; alone if there is no
    metadata, as in a checkout that is not installed.
    """
    try:
        declared = metadata.requires("bdshift") or ()
    except metadata.PackageNotFoundError:
        return package
    for line in declared:
        requirement = line.partition(";")[0].strip()
        if _key(re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]) == _key(package):
            return f'"{requirement}"'
    return package


def _key(package: str) -> str:
    """As indexes compare names."""
    return re.sub(r"[-_.]+", "-", package).lower()
