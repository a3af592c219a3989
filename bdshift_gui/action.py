"""The window's actions. Each file in `bdshift_gui.actions` defines one, or a few related ones;
menus, toolbar, command palette, buttons and the list of shortcuts are built from them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bdshift.registry import import_members
from bdshift.words import words

if TYPE_CHECKING:
    from bdshift_gui.context import Context
    from bdshift_gui.jobs.events import Cause
    from bdshift_gui.session import State

Menu = Literal["file", "neurons", "purification", "view", "help"]

MENUS: dict[Menu, str] = {
    "file": words("File", ja="ファイル"),
    "neurons": words("Neurons", ja="ニューロン"),
    "purification": words("Purification", ja="浄化"),
    "view": words("View", ja="表示"),
    "help": words("Help", ja="ヘルプ"),
}
"""Menu titles, in order."""


def always(_: State) -> bool:
    """Always enabled."""
    return True


def when_idle(state: State) -> bool:
    """Enabled while no job is running."""
    return not state.busy


def with_audit(state: State) -> bool:
    """Enabled with an audit, while no job is running."""
    return state.audit is not None and not state.busy


def with_purification(state: State) -> bool:
    """Enabled with a purification, while no job is running."""
    return bool(state.purifications) and not state.busy


@dataclass(frozen=True)
class Action:
    """Something the user can do.

    Attributes:
        key: its unique name.
        text: its label in menus and on buttons; ``tip`` explains it. Both come from `words`.
        menu: the menu it is in; None if only a button triggers it. ``place`` orders a menu.
        run: carries it out.
        enabled: whether it can be done now.
        shortcut: its keys in Qt's notation; empty if it has none.
        checked: whether it is checked; None if it is not checkable.
        toolbar: its position in the toolbar; None if it is not in it.
        remedy: the kind of failure it helps with, if any; its button is in the error bar.
        starts: whether a line separates it from what is above it in its menu.
        icon: its drawing in ``resources/icons``, beside its label; empty for none.
        one_of: what it is one of, if exactly one of several is always checked.
    """

    key: str
    text: str
    tip: str
    menu: Menu | None
    place: int
    run: Callable[[Context], None]
    enabled: Callable[[State], bool] = when_idle
    shortcut: str = ""
    checked: Callable[[State], bool] | None = None
    toolbar: int | None = None
    remedy: Cause | None = None
    starts: bool = False
    one_of: str = ""
    icon: str = ""

    def trigger(self, context: Context) -> None:
        """Carry it out if it is enabled: a button may be clicked while a job is running."""
        if self.enabled(context.state):
            self.run(context)


_known: dict[str, Action] = {}


def action(one: Action) -> Action:
    """Register ``one`` for menus and palette, and return it.

    Raises ValueError if another action has the same key.
    """
    if _known.setdefault(one.key, one) is not one:
        raise ValueError(f"two actions are called {one.key!r}")
    return one


def all_actions() -> list[Action]:
    """All actions, sorted by menu and place; those without a menu come last."""
    import_members("bdshift_gui.actions")
    order: list[Menu | None] = [*MENUS, None]
    return sorted(_known.values(), key=lambda one: (order.index(one.menu), one.place))


def forget(key: str) -> None:
    """Unregister an action, for tests that register one."""
    _known.pop(key, None)
