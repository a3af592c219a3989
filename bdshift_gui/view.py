"""The base of all views of an audit. Each view is one file in `bdshift_gui.views`."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, ClassVar, Literal

from PySide6.QtWidgets import QWidget

from bdshift.registry import import_members

if TYPE_CHECKING:
    from bdshift_gui.context import Context
    from bdshift_gui.session import State
    from bdshift_gui.theme import Theme

Area = Literal["strip", "cards", "plots", "page", "inspector", "below"]
"""Where a view goes: a line above everything, the column of cards on the left, the plots in the
middle, a page that replaces them while it has something to show, the inspector on the right, or its
own panel below.
"""


class View:
    """A mixin for widgets that are constructed with a `Context`.

    Attributes:
        key: its name, and its panel's.
        area: where it goes; ``place`` orders the views of an area.
        title_of_panel: from `words`; "" if it has no panel.
        reads: the parts of the state that it shows, such as ``selection.neurons``. It is rendered
            again when one of them is a different object.
        of_audit: whether it shows an audit, and would be empty without one.
        stretch: its share of the height, among the plots.
        waits: whether it is rendered only while its panel can be seen; what takes long and is
            behind a tab, or closed, waits until it is looked at.
    """

    key: ClassVar[str]
    area: ClassVar[Area]
    place: ClassVar[int]
    title_of_panel: ClassVar[str] = ""
    reads: ClassVar[tuple[str, ...]]
    of_audit: ClassVar[bool] = True
    stretch: ClassVar[int] = 250
    waits: ClassVar[bool] = False

    def show_state(self, state: State) -> None:
        """Show a snapshot."""
        raise NotImplementedError

    def paint(self, theme: Theme) -> None:
        """Apply the theme's colors."""

    @classmethod
    def wants_page(cls, state: State) -> bool:
        """For views in the area "page": whether to replace the plots now. Such a view is created
        when it first is to.
        """
        return False

    def comes_up(self, state: State) -> bool:
        """For views in the area "below": whether it has something new to show. Its panel is opened
        when this becomes true; the user may close it.
        """
        return False


_known: dict[str, type[View]] = {}


def view(kind: type[View]) -> type[View]:
    """Class decorator that registers a view, so that the workspace shows it."""
    if _known.setdefault(kind.key, kind) is not kind:
        raise ValueError(f"two views are called {kind.key!r}")
    return kind


def forget(key: str) -> None:
    """Unregister a view, for tests that register one."""
    _known.pop(key, None)


def all_views() -> list[type[View]]:
    """Every view, by place."""
    import_members("bdshift_gui.views")
    return sorted(_known.values(), key=lambda kind: kind.place)


class ChangeWatch:
    """Tells whether anything that a view reads has changed since it was last asked."""

    def __init__(self) -> None:
        self._seen: dict[View, list[object]] = {}

    def is_new(self, one: View, state: State) -> bool:
        """Whether ``one`` must be rendered."""
        parts = [attrgetter(name)(state) for name in one.reads]
        before = self._seen.get(one)
        self._seen[one] = parts
        return before is None or any(a is not b for a, b in zip(parts, before, strict=True))

    def forget(self) -> None:
        """Treat everything as new."""
        self._seen.clear()


def as_widget(one: View) -> QWidget:
    """A view as the widget that it is."""
    assert isinstance(one, QWidget)
    return one


def make(kind: type[View], context: Context) -> View:
    """Create a view for a window."""
    return kind(context)  # type: ignore[call-arg]
