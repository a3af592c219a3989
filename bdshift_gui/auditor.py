"""What the user asks for, carried out: jobs on the worker, quick answers from the cache at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from bdshift.jobs import JobContext
from bdshift_gui.i18n import tr
from bdshift_gui.jobs.controller import JobController
from bdshift_gui.opening import describe_model, kind_of, list_again, list_images
from bdshift_gui.selection import Selection, SelectionModel
from bdshift_gui.session import CutView, ImagesCard, Maps, Session, State

if TYPE_CHECKING:
    from bdshift.audit import Audit, CleanSet
    from bdshift.checkpoints.classifier import Classifier
    from bdshift.shift.result import Shifts
    from bdshift.shift.verdict import Verdict
    from bdshift_gui.dialogs.lab import AskedVictim

_NO_AUDIT: dict[str, Any] = {
    **dict.fromkeys(("original", "audit", "shifts", "verdict", "tac", "cut", "maps", "comparing")),
    "shown": 0, "steps": (),
}  # fmt: skip
"""What is known of an audit, before there is one."""

_QUICK = 0.2  # seconds of a solve up to which it is repeated at once, without a job


class Auditor(QObject):
    """Intents in, session out. ``opened`` carries the path of an audit file read or written."""

    opened = Signal(object)

    def __init__(self, session: Session, selection: SelectionModel, jobs: JobController) -> None:
        super().__init__(session)
        self._session, self._selection, self._jobs = session, selection, jobs
        self.tried: Path | None = None  # the model that was opened last, known or not
        self.kept: Audit | None = None  # the audit that is in a file
        selection.changed.connect(self._selection_changed)

    # Opening

    def open_path(self, path: Path) -> None:
        """Open whatever ``path`` is: a folder or zip of images, an audit file, or a checkpoint."""
        kind = kind_of(path)
        {"images": self.open_images, "audit": self.open_audit, "model": self.open_model}[kind](path)

    def open_model(self, path: Path, arch: str | None = None, weights: str | None = None) -> None:
        """Read a checkpoint and say what it is; ``arch`` is a network of the user's own,
        ``weights`` which of a file's models is meant. What is shown stays until it is read.
        """
        state = self._session.state
        self.tried = path
        listed = state.images_path if state.images is None else None

        def run(job: JobContext) -> tuple[dict[str, Any], ImagesCard | None]:
            return describe_model(path, arch, weights, job), list_again(listed, job)

        def done(found: tuple[dict[str, Any], ImagesCard | None]) -> None:
            told, card = found
            # What was right for another model is not for this one.
            self.correct(normalize=None, arch=arch, weights=weights)
            images = card or self._session.state.images
            self._session.update(model_path=path, model=told, images=images, **_NO_AUDIT)

        self._jobs.start(tr("Opening the model"), run, done)

    def open_images(self, path: Path) -> None:
        """List a clean set. What is shown stays until it is listed."""
        state = self._session.state
        model, arch = state.model, state.corrections.get("arch")
        model_path, weights = state.model_path, state.corrections.get("weights")

        def run(job: JobContext) -> tuple[ImagesCard, dict[str, Any] | None]:
            card = list_images(path, job)
            if model is None and model_path is not None and model_path.is_file():
                return card, describe_model(model_path, arch, weights, job)
            return card, model

        def done(found: tuple[ImagesCard, dict[str, Any] | None]) -> None:
            card, told = found
            self.correct(labels=None)
            self._session.update(images_path=path, images=card, model=told, **_NO_AUDIT)

        self._jobs.start(tr("Listing the images"), run, done)

    def open_audit(self, path: Path) -> None:
        """Show an audit file."""

        def run(job: JobContext) -> Audit:
            from bdshift.store import load_audit

            return load_audit(path)

        def done(audit: Audit) -> None:
            model, images = Path(audit.model.path), Path(audit.images.path)
            self.correct(normalize=None, arch=None, labels=None, weights=None)
            self._session.update(model_path=model, model=None, images_path=images, images=None)
            self.kept = audit
            self.show_audit(audit)
            self.opened.emit(path)

        self._jobs.start(tr("Opening the audit"), run, done)

    def correct(self, **settings: Any) -> None:
        """Set right what the next scan uses, by the names of `ScanSettings`; None takes a
        correction back.
        """
        now = {**self._session.state.corrections, **settings}
        kept = {name: value for name, value in now.items() if value is not None}
        self._session.update(corrections=MappingProxyType(kept))

    # Scanning

    def scan(self) -> None:
        """Audit the open model with the open images."""
        state = self._session.state
        assert state.model_path is not None
        assert state.images_path is not None
        model, images = state.model_path, state.images_path
        alpha, given = state.alpha, dict(state.corrections)

        def run(job: JobContext) -> Audit:
            from bdshift.audit import ScanSettings, scan
            from bdshift.shift.cache import EmbeddingCache

            settings = ScanSettings(alpha=alpha, **given)
            return scan(model, images, settings, cache=EmbeddingCache(), job=job)

        self._jobs.start(tr("Scanning"), run, self.show_audit)

    def demo(self, folder: Path) -> None:
        """Audit the bundled victim, with the trigger that its card names."""

        def run(job: JobContext) -> Audit:
            from bdshift.demo import audit_victim

            return audit_victim(folder, job)

        def done(audit: Audit) -> None:
            self.kept = audit  # in the demo's folder
            self._session.update(
                model_path=Path(audit.model.path), images_path=Path(audit.images.path)
            )
            self.show_audit(audit)

        self._jobs.start(tr("Scanning the demo"), run, done)

    def try_attack(self, asked: AskedVictim) -> None:
        """Train a victim whose backdoor is known, and audit it."""

        def run(job: JobContext) -> Audit:
            from bdshift.lab.recipe import FAST
            from bdshift.lab.trial import try_attack

            recipe = replace(
                FAST, attack=asked.attack, target=asked.target, labels=asked.labels,
                source=asked.source, rate=asked.rate, epochs=asked.epochs, width=asked.width,
            )  # fmt: skip
            audit, outcome = try_attack(recipe, asked.images, asked.folder, job=job)
            asr = "" if outcome.asr is None else f", ASR {outcome.asr:.1%}"
            job.note(f"{asked.folder}: ACC {outcome.acc:.1%}{asr}")
            return audit

        def done(audit: Audit) -> None:
            self.correct(normalize=None, arch=None, labels=None, weights=None)
            self._session.update(
                model_path=Path(audit.model.path), model=None,
                images_path=Path(audit.images.path), images=None,
            )  # fmt: skip
            self.show_audit(audit)

        self._jobs.start(tr("Training a victim"), run, done)

    def measure_tac(self, trigger: str) -> None:
        """Run the images again with a trigger, for the selected class."""
        state, target = self._session.state, self._selection.now.class_index
        assert state.audit is not None
        assert target is not None
        audit = state.audit

        def run(job: JobContext) -> Audit:
            from bdshift.audit import add_tac
            from bdshift.triggers import parse_trigger

            applied = parse_trigger(trigger)
            classifier, clean = _reopen(state, job)
            return add_tac(audit, classifier, clean, applied, target, job=job)

        def done(found: Audit) -> None:
            now = found.tac_of(self._selection.now.class_index)
            known: dict[str, Any] = {
                "original": _with_side(state, found), "audit": found, "tac": now,
            }  # fmt: skip
            cut = self._cut(replace(self._session.state, **known))
            self._session.update(**known, maps=None, cut=cut)

        self._jobs.start(tr("Measuring TAC"), run, done)

    def look(self, neurons: tuple[int, ...], count: int) -> None:
        """Where neurons look in the ``count`` images that excite them most; runs the network."""
        state = self._session.state
        audit, tac = state.audit, state.tac
        assert audit is not None
        assert audit.embedding is not None
        embedding = audit.embedding

        def run(job: JobContext) -> Maps:
            from bdshift.audit.looking import maps_of
            from bdshift.triggers import parse_trigger

            classifier, clean = _reopen(state, job)
            found = maps_of(classifier, clean, embedding, neurons, count, job=job)
            triggered = None
            if tac is not None and tac.triggered is not None:
                triggered = maps_of(
                    classifier, clean, tac.triggered, neurons, count,
                    trigger=parse_trigger(tac.trigger), without=tac.target, job=job,
                )  # fmt: skip
            return Maps(neurons, found, triggered)

        def done(maps: Maps) -> None:
            self._session.update(maps=maps)

        self._jobs.start(tr("Looking where the neuron looks"), run, done)

    def save(self, path: Path) -> None:
        """Write the audit file, with the α, β and rule that are shown."""
        source, audit = self._session.state.original, as_shown(self._session.state)

        def run(job: JobContext) -> None:
            from bdshift.audit.cleaning import aligned
            from bdshift.store import save_audit

            save_audit(aligned(audit, job=job), path)

        def done(_: None) -> None:
            self.kept = source
            self.opened.emit(path)

        self._jobs.start(tr("Saving the audit"), run, done)

    def show_audit(self, audit: Audit) -> None:
        """Show an audit, its most suspicious class, and the neurons that hold half of its shift."""
        self._show(audit, 0, audit.most_suspicious)

    def show_side(self, number: int) -> None:
        """Show the rescan of a purification in all views, or the original (0) again."""
        state = self._session.state
        assert state.original is not None
        if number == state.shown:
            return
        original, target = as_shown(state), self._selection.now.class_index
        chosen = original.most_suspicious if target is None else target
        if original is state.original:
            self._show(original, number, chosen)
            return

        def run(job: JobContext) -> Audit:
            from bdshift.audit.cleaning import aligned

            return aligned(original, job=job)

        def done(found: Audit) -> None:
            self._show(found, number, chosen)

        self._jobs.start(tr("Solving the shifts"), run, done)

    def _show(self, original: Audit, number: int, target: int) -> None:
        from bdshift.audit.comparison import side
        from bdshift.neurons.rankings import half_of

        audit = side(original, number).audit
        known = {
            "original": original, "shown": number, "audit": audit, "shifts": audit.shifts,
            "verdict": audit.verdict, "tac": audit.tac_of(target),
            "alpha": audit.shifts.alpha, "beta": audit.verdict.beta,
        }  # fmt: skip
        self._selection.reset(None)  # the old one may not fit the new audit
        self._session.update(**{**_NO_AUDIT, **known})
        self._selection.reset(target, half_of(audit.shifts.shift[target]))

    # Quick answers from the cache

    def set_alpha(self, alpha: float) -> None:
        """Solve Eq. 4 again for another α."""
        state = self._session.state
        audit = state.audit
        if audit is None or audit.embedding is None:
            self._session.update(alpha=alpha)
            return
        logits, weight = audit.embedding.logits, audit.model.weight

        def solve(job: JobContext) -> Shifts:
            from bdshift.shift.exact import solve_exact

            return solve_exact(logits, weight, alpha=alpha, job=job)

        def done(shifts: Shifts) -> None:
            known: dict[str, Any] = {
                "alpha": alpha,
                "shifts": shifts,
                "verdict": self._judge(shifts),
            }
            self._session.update(**known, cut=self._cut(replace(self._session.state, **known)))

        if state.shifts is not None and state.shifts.seconds <= _QUICK:
            done(solve(JobContext()))
        elif not self._jobs.busy:
            self._jobs.start(tr("Solving the shifts"), solve, done)

    def set_beta(self, beta: float) -> None:
        """Move the threshold of the paper's rule."""
        self._session.update(beta=beta)
        if self._session.state.verdict is not None:
            self.set_rule(self._session.state.verdict.rule)

    def set_rule(self, rule: str) -> None:
        """Let another rule decide."""
        shifts = self._session.state.shifts
        if shifts is not None:
            self._session.update(verdict=self._judge(shifts, rule))

    def _judge(self, shifts: Shifts, rule: str | None = None) -> Verdict:
        from bdshift.shift.verdict import judge

        state = self._session.state
        assert state.audit is not None
        assert state.verdict is not None
        names = state.audit.images.class_names
        return judge(shifts.l2, names, rule=rule or state.verdict.rule, beta=state.beta)

    def _selection_changed(self, now: Selection) -> None:
        state = self._session.state
        audit, tac, cut = state.audit, state.tac, state.cut
        if audit is not None and (tac is None or tac.target != now.class_index):
            tac = audit.tac_of(now.class_index)
        maps = state.maps if tac is state.tac else None
        if tac is not state.tac or cut is None or cut.cut.neurons != tuple(sorted(now.neurons)):
            cut = self._cut(replace(state, tac=tac))
        self._session.update(tac=tac, maps=maps, cut=cut)

    def _cut(self, state: State) -> CutView | None:
        """What the selected neurons' cut would do; quick, or not at all."""
        neurons, audit, shifts = self._selection.now.neurons, state.audit, state.shifts
        slow = shifts is None or shifts.seconds > _QUICK
        if audit is None or audit.embedding is None or slow or not neurons:
            return None
        from bdshift.neurons.what_if import cut
        from bdshift.shift.exact import solve_exact

        found = cut(audit.embedding, audit.model.weight, neurons, state.tac)
        after = solve_exact(found.logits, found.weight, alpha=state.alpha)
        return CutView(found, after, self._judge(after))


def as_shown(state: State) -> Audit:
    """The audit, with the α, β and rule that are shown if the original is."""
    assert state.original is not None
    assert state.shifts is not None
    assert state.verdict is not None
    audit, shifts, verdict = state.original, state.shifts, state.verdict
    if state.shown or (shifts is audit.shifts and verdict is audit.verdict):
        return audit
    settings = replace(audit.settings, alpha=shifts.alpha, beta=state.beta, rule=verdict.rule)
    return replace(audit, shifts=shifts, verdict=verdict, settings=settings)


def _with_side(state: State, found: Audit) -> Audit:
    """The original with ``found`` for what is shown of it."""
    assert state.original is not None
    if not state.shown:
        return found
    runs = list(state.original.runs)
    runs[state.shown - 1] = replace(runs[state.shown - 1], rescan=found)
    return replace(state.original, runs=tuple(runs))


def _reopen(state: State, job: JobContext) -> tuple[Classifier, CleanSet]:
    """The model that is shown, and the images."""
    from bdshift.audit import reopen

    assert state.original is not None
    classifier, clean = reopen(
        state.original, model=state.model_path, images=state.images_path,
        arch=state.corrections.get("arch"), job=job,
    )  # fmt: skip
    if state.shown:
        classifier = state.runs[state.shown - 1].run.applied_to(classifier)
    return classifier, clean
