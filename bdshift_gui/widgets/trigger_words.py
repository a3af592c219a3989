"""The text of a trigger in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING
from typing import Any

from bdshift.errors import BdshiftError
from bdshift.files import KeptPath
from bdshift.setting import Option, options_of
from bdshift.spec import shortened
from bdshift.triggers import TRIGGERS, Trigger
from bdshift_gui.i18n import tr


def trigger_words(text: str) -> str:
    """What kind of trigger it is, and the settings that are not the usual ones. One that cannot be
    read is shown as it is written.
    """
    try:
        trigger = TRIGGERS.parse(text, strict=False)
    except BdshiftError:
        return shortened(text)
    told, label = tuple(_settings(trigger)), tr(type(trigger).label)
    return tr("{kind}: {settings}", kind=label, settings=told) if told else label


def _settings(trigger: Trigger) -> Iterator[str]:
    for one in options_of(type(trigger)):
        value = getattr(trigger, one.name)
        if value in ("", one.default) or one.about.widget == "drawing":
            continue
        told = _told(one, value)
        yield told if one.default is MISSING else f"{tr(one.about.label)} {told}"


def _told(one: Option, value: Any) -> str:
    if one.about.widget == "file":
        return KeptPath(value).name
    return f"{value} {one.about.unit}".strip()
