"""Shows the audit's images instead of the plots, and where neurons look in them; writes a sheet of
them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bdshift.jobs import JobContext
from bdshift.words import Sentence
from bdshift_gui.context import Context
from bdshift_gui.gallery_wish import GalleryWish, Which
from bdshift_gui.pages import GalleryPage
from bdshift_gui.session import State
from bdshift_gui.tasks.measuring import map_passes
from bdshift_gui.tasks.writing import output

if TYPE_CHECKING:
    from bdshift.audit.gallery import Gallery

_SHEET_SIDE = 96  # of a picture, in pixels
MAX_ON_SHEET = 400
"""Images."""


def show_gallery(context: Context, which: Which | None = None, **wish: Any) -> None:
    """Show the images of a pass, as far as ``wish`` says, by default those that the trigger sends
    to its class. Without ``which`` it is the pass of the trigger that is shown, else the newest.
    """
    from bdshift.audit.gallery import FILTERS, galleries

    audit, tac = context.state.audit, context.state.tac
    assert audit is not None
    known = {one.which: one for one in galleries(audit)}
    if which is None and tac is not None and (tac.trigger, tac.target) in known:
        which = tac.trigger, tac.target
    if which not in known:
        which = list(known)[:2][-1]  # the clean pass comes first
    only = "all" if known[which].triggered is None else "sent"
    asked = GalleryWish(which, **{"only": only, **wish})
    if not FILTERS[asked.only].fits(known[which]):
        asked = replace(asked, only="all")
    context.turn_to(GalleryPage(asked))


def looked_at(state: State, known: Iterable[Gallery]) -> tuple[Gallery, list[int]] | None:
    """Of the passes ``known`` of the audit, the one that is looked at, and the rows of its images,
    in order; None if there is none.
    """
    from bdshift.audit.gallery import USUAL_ORDER

    wish = state.gallery
    if wish is None:
        return None
    of = next((one for one in known if one.which == wish.which), None)
    if of is None:
        return None
    neurons = sorted(state.selection.neurons)
    order = wish.order if neurons or wish.order != "neurons" else USUAL_ORDER
    return of, of.rows(wish.only, order, label=wish.label, neurons=neurons).tolist()


def map_rows(context: Context, of: Gallery, neurons: tuple[int, ...], rows: Sequence[int]) -> None:
    """Find where neurons look in some images of a pass."""
    map_passes(context, neurons, [(of, rows)], lambda found: {"heat": found[0]})


def save_sheet(context: Context, path: Path) -> None:
    """Write the images that are looked at to one picture."""
    from bdshift.audit.gallery import galleries

    state = context.state
    wish, audit = state.gallery, state.original
    found = None if state.audit is None else looked_at(state, galleries(state.audit))
    if found is None or wish is None or audit is None:
        return
    of, rows = found
    if not rows:
        context.session.update(message=Sentence("No image is like that."))
        return

    def run(job: JobContext) -> None:
        from bdshift.reports.pictures import contact_sheet

        groups = [of.pictures(row, wish.parts) for row in rows[:MAX_ON_SHEET]]
        if len(rows) > MAX_ON_SHEET:
            job.note("Only the first {count} images are on the sheet", count=MAX_ON_SHEET)
        output(audit, path).write(contact_sheet(groups, _SHEET_SIDE))

    context.start(Sentence("Writing the images"), run, lambda _: context.say_written(path))
