"""Shows an audit, or a purification of it; changes α and the rule; updates what depends on them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bdshift.jobs import SILENT, JobContext
from bdshift_gui.context import Context
from bdshift_gui.i18n import tr
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
        return

    def run(job: JobContext) -> Audit:
        from bdshift.audit.purifying import aligned

        return aligned(original, job=job)

    def done(found: Audit) -> None:
        _show(context, found, number, wanted, state.material, state.chosen)

    context.start(tr("Solving the shifts"), run, done)


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
        "selection": Selection(target, frozenset(neurons), neurons[0] if neurons else None),
        "chosen": chosen,
    }  # fmt: skip
    context.selection.forget()
    context.session.update(**{**WITHOUT_AUDIT, **known})


def as_shown(state: State) -> Audit:
    """The audit; if the original is shown, with the α and rule that are shown."""
    assert state.original is not None
    assert state.audit is not None
    original, audit = state.original, state.audit
    same = audit.settings is original.settings and audit.evidence is original.evidence
    if state.shown or same:
        return original
    return replace(original, settings=audit.settings, evidence=audit.evidence)


def set_alpha(context: Context, alpha: float) -> None:
    """Solve Eq. 4 again for another α."""
    audit = context.state.audit
    if audit is None or audit.embedding is None:
        context.session.update(alpha=alpha)
        return

    def run(job: JobContext) -> Audit:
        from bdshift.audit.purifying import at_alpha

        return at_alpha(audit, alpha, job=job)

    def done(found: Audit) -> None:
        context.session.update(alpha=alpha, audit=found)

    if context.state.shift_is_quick:
        done(run(SILENT))
    elif not context.state.busy:
        context.start(tr("Solving the shifts"), run, done)


def set_rule(context: Context, rule: Rule) -> None:
    """Let another rule decide."""
    audit = context.state.audit
    changed: dict[str, Any] = {"rule": rule}
    if audit is not None:
        changed["audit"] = replace(audit, settings=replace(audit.settings, rule=rule))
    context.session.update(**changed)


def follow(context: Context, new: State, old: State) -> None:
    """Update what depends on the audit and the selection: TAC, maps, and the cut. Called whenever
    the state has changed.
    """
    audit, selection = new.audit, new.selection
    if audit is old.audit and selection == old.selection:
        return
    tac = None if audit is None else audit.tac_of(selection.class_index)
    maps = new.maps if tac is new.tac else None
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
    shifts = solve_exact(outcome.logits, outcome.weight, alpha=state.alpha)
    return CutView(outcome, shifts, judge(shifts.l2, audit.settings.rule))
