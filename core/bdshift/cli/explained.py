"""Options whose help lists what is registered. The list is built only when the help is shown,
because that imports torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from bdshift.cli.names import NameChoice, NamedText
from bdshift.purification import USUAL_METHOD
from bdshift.registry import Registry, start_of

if TYPE_CHECKING:
    from bdshift.setting import Option


class ExplainedOption(click.Option):
    """An option whose help comes from ``explain``, a function."""

    def __init__(self, *args: Any, explain: Callable[[], str], **more: Any) -> None:
        super().__init__(*args, **more)
        self._explain = explain

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Called by click when it lists the options."""
        self.help = self._explain()
        return super().get_help_record(ctx)


def names_of(registry: Registry[Any]) -> list[str]:
    """Names of all members and presets."""
    return [*registry, *(one.name for one in registry.presets())]


def listed(registry: Registry[Any]) -> str:
    """Names of all members, with an example of how settings are given."""
    names = names_of(registry)
    with_settings = [text for kind in registry.kinds() if ":" in (text := start_of(kind))]
    example = f" With settings: {with_settings[0].partition(',')[0]}." if with_settings else ""
    return f"{', '.join(names)}.{example} `bdshift settings` explains them."


def _triggers() -> str:
    from bdshift.triggers import TRIGGERS

    return (
        f"{listed(TRIGGERS)} Or a card: the JSON that `bdshift lab train` and `bdshift "
        "recover --out` leave."
    )


def _methods() -> str:
    from bdshift.purification import METHODS

    return listed(METHODS)


def _rules() -> str:
    from bdshift.detect.rule import RULES

    return f"Decides which classes stand out: {listed(RULES)}"


def _detectors() -> str:
    from bdshift.detect.detector import DETECTORS

    return f"Looks for a backdoor; can be given several times: {listed(DETECTORS)}"


def _forms() -> str:
    return f"`bdshift settings formats` explains them. [default: {_default_form()}]"


def _changes() -> str:
    from bdshift.changes import CHANGES

    return f"Kind of change to search for: auto, which lets all compete, or {listed(CHANGES)}"


def _registered(place: str, name: str) -> Callable[[], list[str]]:
    """What looks up the names of the registry ``name`` in the module ``place``."""

    def found() -> list[str]:
        return names_of(getattr(importlib.import_module(place), name))

    return found


def _normalizations() -> list[str]:
    from bdshift.images.preprocessing import NORMALIZATIONS

    return list(NORMALIZATIONS)


def _default_form() -> str:
    from bdshift.checkpoints.export import default_form

    return default_form().name


def trigger_option(before: str = "") -> Callable[[Any], Any]:
    """``--trigger``; ``before`` goes before the list in its help."""
    return click.option(
        "--trigger", type=trigger_text, metavar="TRIGGER", cls=ExplainedOption,
        explain=lambda: f"{before}{_triggers()}",
    )  # fmt: skip


trigger_text = NamedText(_registered("bdshift.triggers", "TRIGGERS"))
detector_text = NamedText(_registered("bdshift.detect.detector", "DETECTORS"))
normalization_text = NamedText(_normalizations)


method_option = click.option(
    "--method", "method_text", default=USUAL_METHOD, show_default=True, metavar="METHOD",
    type=NamedText(_registered("bdshift.purification", "METHODS")), cls=ExplainedOption,
    explain=_methods,
)  # fmt: skip
rule_option = click.option(
    "--rule", "rule_text", metavar="RULE", help="", cls=ExplainedOption, explain=_rules,
    type=NamedText(_registered("bdshift.detect.rule", "RULES")),
)  # fmt: skip
detector_option = click.option(
    "--detector", "detector_texts", multiple=True, metavar="DETECTOR",
    type=detector_text, cls=ExplainedOption, explain=_detectors,
)  # fmt: skip
change_option = click.option(
    "--kind", "kind_text", metavar="KIND", default="auto", show_default=True,
    type=NamedText(lambda: ["auto", *_registered("bdshift.changes", "CHANGES")()]),
    cls=ExplainedOption, explain=_changes,
)  # fmt: skip
form_option = click.option(
    "--format", "form_name", default=_default_form, cls=ExplainedOption, explain=_forms,
    type=NameChoice(_registered("bdshift.checkpoints.export", "EXPORT_FORMS")),
)  # fmt: skip


def _shift_setting(name: str) -> Option:
    from bdshift.detect.detectors.embedding_shift import EmbeddingShift
    from bdshift.setting import options_of

    return next(one for one in options_of(EmbeddingShift) if one.name == name)


def shift_option(name: str, *, is_choice: bool = False) -> Callable[[Any], Any]:
    """A setting of the embedding shift as a separate option."""

    def explain() -> str:
        found = _shift_setting(name)
        return f"{found.about.help} {found.about.source} [default: {found.default}]"

    if is_choice:
        kind = NameChoice(lambda: map(str, _shift_setting(name).choices))
        return click.option(f"--{name}", type=kind, cls=ExplainedOption, explain=explain)
    return click.option(f"--{name}", metavar=name.upper(), cls=ExplainedOption, explain=explain)
