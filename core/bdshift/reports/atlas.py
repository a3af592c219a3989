"""MITRE ATLAS: the techniques that a backdoor comes from, for those who file findings by them."""

from __future__ import annotations

_PAGE = "https://atlas.mitre.org/techniques/"

BACKDOOR_TECHNIQUES = ("AML.T0018", "AML.T0020", "AML.T0010")
"""Manipulated model, poisoned training data, compromised supply chain."""


def page_of(technique: str) -> str:
    """Where a technique is described."""
    return f"{_PAGE}{technique}"
