"""x → x + δ, one attack a file.

A trigger is written as text, ``name:option=value,option=value``: ``badnets``, ``badnets:size=4``,
``blend:ratio=0.1``, ``wanet``, ``sig``, ``patch:file=sticker.png``, ``warp:file=wanet.pth``,
``lira:file=trigger.pth``.
`parse_trigger` reads it, or the card of a victim of the lab; ``trigger.spec`` writes it.
"""

from __future__ import annotations

from bdshift.spec import parse_spec
from bdshift.triggers.badnets import BadNets
from bdshift.triggers.base import Trigger
from bdshift.triggers.card import card_target, read_card
from bdshift.triggers.input_aware import InputAware
from bdshift.triggers.lira import Lira
from bdshift.triggers.picture import Blend, Patch
from bdshift.triggers.sig import Sig
from bdshift.triggers.wanet import WaNet
from bdshift.triggers.warp import Warp

TRIGGERS: dict[str, type[Trigger]] = {
    kind.attack: kind for kind in (BadNets, Blend, InputAware, Lira, Patch, Sig, WaNet, Warp)
}
"""Every attack by the name it has in a trigger's text."""

__all__ = [
    "TRIGGERS",
    "BadNets",
    "Blend",
    "InputAware",
    "Lira",
    "Patch",
    "Sig",
    "Trigger",
    "WaNet",
    "Warp",
    "card_target",
    "parse_trigger",
    "read_card",
]


def parse_trigger(text: str) -> Trigger:
    """Read a trigger's text, or that of a victim whose card ``text`` is the path of (``.json``).

    Raises `UsageError` if the attack or an option is unknown, missing or out of range, and as
    `read_card`.
    """
    return parse_spec(read_card(text) if text.endswith(".json") else text, TRIGGERS, "trigger")
