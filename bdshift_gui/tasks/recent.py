"""The list of audit files that were opened or saved last."""

from __future__ import annotations

from pathlib import Path

from bdshift.files import is_on_another_machine
from bdshift_gui.context import Context
from bdshift_gui.session import RecentAudit


def remember(context: Context, path: Path) -> None:
    """Put an audit file first in the list."""
    context.settings.remember(path.absolute())
    look_for_recent(context)


def look_for_recent(context: Context) -> None:
    """Check which of them still exist, in the background: a drive may take a while to answer.
    Another machine is not asked before the user opens the file.
    """
    paths = context.settings.recent

    def look() -> tuple[RecentAudit, ...]:
        return tuple(
            RecentAudit(path, is_on_another_machine(str(path)) or path.is_file()) for path in paths
        )

    context.quick.ask("recent", look, lambda found: context.session.update(recent=found))
