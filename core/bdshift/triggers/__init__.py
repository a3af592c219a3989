"""x → x + δ, one attack a file.

A trigger is written as text, ``name:option=value,option=value``: ``badnets``, ``badnets:size=4``,
``blend:ratio=0.1``, ``patch:file=sticker.png``. `parse_trigger` reads it, ``trigger.spec`` writes
it.
"""

from __future__ import annotations

from dataclasses import MISSING, fields

from bdshift.errors import UsageError
from bdshift.triggers.badnets import BadNets
from bdshift.triggers.base import Trigger
from bdshift.triggers.picture import Blend, Patch

TRIGGERS: dict[str, type[Trigger]] = {kind.attack: kind for kind in (BadNets, Blend, Patch)}
"""Every attack by the name it has in a trigger's text."""

__all__ = ["TRIGGERS", "BadNets", "Blend", "Patch", "Trigger", "parse_trigger"]

_CONVERT = {"int": int, "float": float, "str": str}


def parse_trigger(text: str) -> Trigger:
    """Read a trigger's text.

    Raises `UsageError` if the attack or an option is unknown, missing or out of range.
    """
    name, _, rest = text.partition(":")
    if name not in TRIGGERS:
        raise UsageError(f"trigger {name!r} is not known; there are {', '.join(TRIGGERS)}")
    kind = TRIGGERS[name]
    options = {field.name: field for field in fields(kind)}
    values: dict[str, object] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if not equals or key not in options:
            known = ", ".join(options)
            raise UsageError(f"trigger {text!r}: {part!r} is not an option=value of {known}")
        try:
            values[key] = _CONVERT[str(options[key].type)](value)
        except ValueError as error:
            raise UsageError(f"trigger {text!r}: {key} cannot be {value!r}") from error
    for key, field in options.items():
        if key not in values and field.default is MISSING:
            raise UsageError(f"trigger {text!r}: needs {key}=…")
    return kind(**values)
