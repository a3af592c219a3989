"""Shows an audit, or a purification of it; changes α and the rule; updates what depends on them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bdshift.jobs import SILENT, JobContext
from bdshift.words import Sentence
from bdshift_gui.context import Context
from bdshift_gui.jobs.events import Event, Finished
from bdshift_gui.session import WITHOUT_AUDIT, CutView, Selection, State

if TYPE_CHECKING:
    from bdshift.audit import Audit, Material
    from bdshift.detect.rule import Rule


def show_audit(context: Context, audit: Audit, material: Material | None = None) -> None:
    """Show an audit, its most suspicious class, and the neurons that hold half of its shift."""
    _show(context, audit, 0, audit.most_suspicious, material, len(audit.purifications))


def show_side(context: Context, number: int) -> None:
    """Show the rescan of a purification in all views, or the original (0) again."""
    state = context.state
    assert state.original is not None
    if number == state.shown:
        return
    original, target = as_shown(state), state.selection.class_index
    wanted = original.most_suspicious if target is None else target
    if original is state.original:
        _show(context, original, number, wanted, state.material, state.chosen)
        context.session.update(to_search=state.to_search, document=state.document)
        return

    def run(job: JobContext) -> Audit:
        from bdshift.audit.purifying import aligned

        return aligned(original, job=job)

    def done(found: Audit) -> None:
        now = context.state
        saved = {"kept": found} if now.kept is now.original else {}
        _show(context, found, number, wanted, state.material, state.chosen)
        context.session.update(to_search=now.to_search, document=now.document, **saved)
        take_over(context, state, now)

    context.start(Sentence("Solving the shifts"), run, done)


def take_over(context: Context, before: State, now: State) -> None:
    """Keep the α and the rule that the user chose between two states, while a job was running whose
    audit is shown since.
    """
    if now.rule is not None and (now.rule, now.by_rule) != (before.rule, before.by_rule):
        set_rule(context, now.rule, now.by_rule)
    if now.alpha != before.alpha:
        context.session.update(alpha=now.alpha)  # `solve_next` does the rest


def _show(
    context: Context,
    original: Audit,
    number: int,
    target: int,
    material: Material | None,
    chosen: int,
) -> None:
    from bdshift.audit.comparison import side
    from bdshift.neurons.rankings import half_of

    audit = side(original, number).audit
    neurons = half_of(audit.shifts.shift[target])
    known = {
        "material": material, "original": original, "shown": number, "audit": audit,
        "alpha": audit.shifts.alpha, "rule": audit.settings.rule,
        "by_rule": audit.settings.by_rule,
        "selection": Selection(target, frozenset(neurons), neurons[0] if neurons else None),
        "chosen": chosen,
    }  # fmt: skip
    context.selection.forget()
    context.session.update(**{**WITHOUT_AUDIT, **known})


def as_shown(state: State) -> Audit:
    """The audit; if the original is shown, with the α and rule that are shown."""
    assert state.original is not None
    assert state.audit is not None
    return state.original if state.shown else like(state.original, state.audit)


def like(original: Audit, shown: Audit) -> Audit:
    """The original with the α and rule of ``shown``; itself if they are its own."""
    if shown.settings is original.settings and shown.evidence is original.evidence:
        return original
    return replace(
        original, settings=shown.settings, evidence=shown.evidence, readings=shown.readings
    )


def as_judged(state: State) -> Audit:
    """The original and its purifications under the rule that is shown, each at the α for which it
    was solved.
    """
    assert state.original is not None
    original, rule, by_rule = state.original, state.rule, state.by_rule
    if rule is None:
        return original
    all_made = [
        replace(one, rescan=one.rescan.under(rule, by_rule)) for one in original.purifications
    ]
    return replace(original.under(rule, by_rule), purifications=tuple(all_made))


def set_alpha(context: Context, alpha: float) -> None:
    """Solve Eq. 4 again for another α; if that takes a job, the last α counts that was set while it
    ran.
    """
    if context.state.alpha_is_live:
        context.session.update(alpha=alpha)
        _solve(context)


def _solve(context: Context) -> None:
    """Bring the audit to the α that is set, as soon as no job is running."""
    state = context.state
    audit, alpha = state.audit, state.alpha
    if audit is None or audit.embedding is None or audit.shifts.alpha == alpha:
        return

    def run(job: JobContext) -> Audit:
        from bdshift.audit.purifying import at_alpha

        return at_alpha(audit, alpha, job=job)

    def done(found: Audit) -> None:
        now = context.state.audit
        assert now is not None
        settings = replace(now.settings, detectors=found.settings.detectors)
        context.session.update(audit=replace(now, settings=settings, evidence=found.evidence))

    if state.shift_is_quick:
        done(run(SILENT))
    elif not state.busy:
        context.session.update(solving=True)
        context.start(Sentence("Solving the shifts"), run, done)


def solve_next(context: Context, ended: Event) -> None:
    """After a job has ended: solve for the α that was set meanwhile; or, if it was to solve and has
    not, set the α of the audit again.
    """
    state = context.state
    context.session.update(solving=False)
    if isinstance(ended, Finished):
        _solve(context)
    elif state.solving and state.audit is not None:
        context.session.update(alpha=state.audit.shifts.alpha)


def set_rule(context: Context, rule: Rule, by_rule: bool = True) -> None:
    """Let another rule decide; without ``by_rule``, only where the evidence cannot be compared with
    clean models.
    """
    audit = context.state.audit
    changed: dict[str, Any] = {"rule": rule, "by_rule": by_rule}
    if audit is not None:
        changed["audit"] = audit.under(rule, by_rule)
    context.session.update(**changed)


def follow(context: Context, new: State, old: State) -> None:
    """Update what depends on the audit and the selection: TAC, maps, and the cut. Called whenever
    the state has changed.
    """
    audit, selection = new.audit, new.selection
    if audit is old.audit and selection == old.selection:
        return
    tac = None if audit is None else audit.tac_of(selection.class_index)
    maps = new.maps if tac is new.tac else ()
    cut = new.cut
    if audit is not old.audit or tac is not new.tac or selection.neurons != old.selection.neurons:
        cut = _cut(replace(new, tac=tac))
    context.session.update(tac=tac, maps=maps, cut=cut)


def _cut(state: State) -> CutView | None:
    """What cutting the selected neurons would do, if that is quick to compute."""
    audit, neurons = state.audit, state.selection.neurons
    if audit is None or audit.embedding is None or not neurons or not state.shift_is_quick:
        return None
    from bdshift.detect.rule import judge
    from bdshift.neurons.what_if import cut
    from bdshift.shift.exact import solve_exact

    outcome = cut(audit.embedding, audit.model.weight, neurons, state.tac)
    shifts = solve_exact(outcome.logits, outcome.weight, alpha=audit.shifts.alpha)
    return CutView(outcome, shifts, judge(shifts.l2, audit.settings.rule))
