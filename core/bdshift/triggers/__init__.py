"""x → x + δ, one attack per file.

A trigger is written as text, ``name:option=value,option=value`` (`bdshift.spec`): ``badnets``,
``badnets:size=4``, ``patch:file=sticker.png``. `parse_trigger` reads it, or the card of one of the
lab's victims; ``trigger.spec`` writes it.
"""

from __future__ import annotations

from pathlib import Path

from bdshift.errors import UsageError
from bdshift.triggers.base import TRIGGERS, Trigger
from bdshift.triggers.card import (
    card_target,
    is_card,
    open_card,
    read_card,
    trigger_files,
)

__all__ = [
    "TRIGGERS",
    "Trigger",
    "card_target",
    "is_card",
    "open_card",
    "parse_trigger",
    "read_card",
    "trigger_files",
]


def parse_trigger(text: str) -> Trigger:
    """Read a trigger's text, or, if ``text`` is the path of a victim's card (``.json``), the one in
    the card.

    Raises `UsageError` if the attack or an option is unknown, missing or out of range, and what
    `read_card` raises.
    """
    card = Path(f"{text}.json")
    if text.endswith(".safetensors") and card.is_file():
        raise UsageError(
            "{path} is a trigger's numbers; name its card, {card}", path=text, card=card
        )
    return TRIGGERS.parse(read_card(text) if is_card(text) else text)
