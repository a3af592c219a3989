"""Which class a step is about."""

from __future__ import annotations

from bdshift.audit import Audit
from bdshift.errors import UsageError

AUTO = "auto"


def pick_class(audit: Audit, chosen: int | str, option: str = "--target") -> int:
    """A class by index or name, as ``option`` gives it. Raises `UsageError`."""
    names = audit.images.class_names
    text = str(chosen)
    if text in names and not isinstance(chosen, int):
        return names.index(text)
    if text.isdecimal() and int(text) < len(names):
        return int(text)
    raise UsageError(
        "{option} {text} is neither a class name nor an index below {count}",
        option=option, text=repr(text), count=len(names),
    )  # fmt: skip


def is_auto(audit: Audit, chosen: int | str | None) -> bool:
    """Whether the class is left to the audit: none, or "auto", unless a class is called that."""
    return chosen is None or (chosen == AUTO and chosen not in audit.images.class_names)
