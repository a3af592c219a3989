"""Everything that is registered, with its settings: as text, as JSON, and as a page of the docs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING
from typing import Any

from bdshift.changes import CHANGES
from bdshift.checkpoints.export import EXPORT_FORMS
from bdshift.detect.detector import DETECTORS
from bdshift.detect.rule import RULES
from bdshift.purification import METHODS
from bdshift.registry import Registry
from bdshift.setting import Option, options_of
from bdshift.triggers import TRIGGERS
from bdshift.triggers.labeling import LABELINGS

REGISTRIES: Mapping[str, Registry[Any]] = {
    "detectors": DETECTORS,
    "rules": RULES,
    "methods": METHODS,
    "triggers": TRIGGERS,
    "labelings": LABELINGS,
    "changes": CHANGES,
    "formats": EXPORT_FORMS,
}
"""What a user can choose from, by its name on the command line."""


def settings_json(chosen: Mapping[str, Registry[Any]]) -> dict[str, Any]:
    """By registry, then by name."""
    return {
        title: {
            **{
                kind.name: {
                    "label": kind.label,
                    "summary": kind.summary,
                    "settings": [_described(one) for one in options_of(kind)],
                }
                for kind in registry.kinds()
            },
            **{
                one.name: {
                    "label": one.label,
                    "summary": one.summary,
                    "stands_for": one.member.spec,
                }
                for one in registry.presets()
            },
        }
        for title, registry in chosen.items()
    }


def _described(option: Option) -> dict[str, Any]:
    about = option.about
    return {
        "name": option.name,
        "type": option.kind.__name__,
        "choices": list(option.choices),
        "default": None if option.required else option.default,
        "required": option.required,
        "low": about.low,
        "high": about.high,
        "low_is_allowed": not about.above,
        "unit": about.unit,
        "label": about.label,
        "help": about.help,
        "source": about.source,
    }


def settings_text(chosen: Mapping[str, Registry[Any]]) -> str:
    """For a terminal."""
    lines: list[str] = []
    for title, registry in chosen.items():
        lines += [title.upper(), ""]
        for kind in registry.kinds():
            lines.append(f"{kind.name}: {kind.label}. {kind.summary}")
            for one in options_of(kind):
                lines.append(
                    f"    {one.name}={_default(one)}  {_range(one)}. {_help(one)}".rstrip()
                )
            lines.append("")
        for preset in registry.presets():
            lines += [f"{preset.name}: {preset.label}. {preset.summary}",
                      f"    stands for {preset.member.spec}", ""]  # fmt: skip
    return "\n".join(lines).rstrip()


def settings_markdown(chosen: Mapping[str, Registry[Any]]) -> str:
    """``docs/settings.md``."""
    lines = [
        "# Settings",
        "",
        "Everything that can be chosen by name, with all its settings. This page is written by "
        "`bdshift settings --markdown`; a test fails if it is out of date.",
        "",
        "An item is written as `name:option=value,option=value`. A value with a comma, semicolon, "
        'equals sign, quote or space goes in double quotes: `patch:file="a, b.png"`.',
        "",
    ]
    for title, registry in chosen.items():
        lines += [f"## {title.capitalize()}", ""]
        for kind in registry.kinds():
            lines += [f"### `{kind.name}`: {kind.label}", "", kind.summary, ""]
            lines += list(_table(kind))
        for preset in registry.presets():
            lines += [f"### `{preset.name}`: {preset.label}", "", preset.summary, "",
                      f"Stands for `{preset.member.spec}`.", ""]  # fmt: skip
    return "\n".join(lines).rstrip() + "\n"


def _table(kind: type) -> Iterator[str]:
    options = options_of(kind)
    if not options:
        return
    yield "| setting | default | range | |"
    yield "|---|---|---|---|"
    for one in options:
        default = f"`{_default(one)}`" if _default(one) else ""
        cells = [f"`{one.name}`", default, str(_range(one)), f"{one.about.label}. {_help(one)}"]
        yield f"| {' | '.join(cell.strip().replace('|', '&#124;') for cell in cells)} |"
    yield ""


def _default(option: Option) -> str:
    if option.default is MISSING:
        return "…"
    default = str(option.default)
    return default.lower() if option.kind is bool else default


def _range(option: Option) -> str:
    if option.choices:
        *others, last = map(str, option.choices)
        return f"{', '.join(others)} or {last}"
    unit = f" {option.about.unit}" if option.about.unit else ""
    return f"{option.range_in_words()}{unit}"


def _help(option: Option) -> str:
    return " ".join(filter(None, (option.about.help, option.about.source)))
