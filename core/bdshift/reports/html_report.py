"""An audit as one page of HTML: inline drawings, no script, no network, English or Japanese.

Everything that comes from files is escaped by Jinja; the page forbids itself anything but its own
style and inline pictures.
"""

from __future__ import annotations

import base64
import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
from markupsafe import Markup

from bdshift.assets import asset
from bdshift.audit.comparison import Comparison, compare
from bdshift.audit.elsewhere import suspected_elsewhere
from bdshift.audit.facts import BESIDE_CLEAN_MODELS
from bdshift.audit.finding import LIMITS, Finding
from bdshift.audit.made import in_words
from bdshift.audit.readings import reading_of
from bdshift.audit.records import Audit, Purification
from bdshift.detect.rule import z_scores
from bdshift.errors import UsageError
from bdshift.measure import der
from bdshift.neurons.excite import most_excited
from bdshift.neurons.rankings import half_of
from bdshift.neurons.tac import Tac
from bdshift.reports.class_table import class_columns, class_rows
from bdshift.reports.comparison_report import reported_on, share
from bdshift.reports.drawings import Say, neurons_drawing, norms_drawing, pair_drawings
from bdshift.reports.image_pairs import exhibit_part
from bdshift.reports.pictures import picture_uri
from bdshift.reports.recovered_section import recovered_parts
from bdshift.reports.unlearned_section import unlearned_part
from bdshift.reports.verdict_section import verdict_part
from bdshift.spec import shortened
from bdshift.text import figure, one_line
from bdshift.words import LANGUAGES, Language, Sentence, translate

_MAX_NEURONS, _MAX_IMAGES = 6, 8  # shown


def html_report(
    audit: Audit,
    language: Language = "en",
    run: int | None = None,
    day: datetime.date | None = None,
) -> str:
    """The page, with purification ``run`` of the audit, counted from 1; by default its last, if
    there is one, and 0 for none; dated ``day``, by default today.

    Raises `UsageError` for an unknown language, or if there is no such purification.
    """
    if language not in LANGUAGES:
        raise UsageError(
            "unknown language {name}; choose one of {names}", name=repr(language), names=LANGUAGES
        )

    def t(text: str, **values: object) -> str:
        return Sentence(text, values).render(language) if values else translate(text, language)

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, finalize=_on_one_line
    )
    template = environment.from_string(asset("report/report.html").read_text("utf-8"))
    found, finding = compare(audit, 0, run), audit.finding
    made = found.b.purification
    target = audit.most_suspicious if made is None else made.result.target
    tac = audit.tac_of(target)
    if made is not None:  # the same axis before and after
        tac = found.tacs[0] if found.tacs is not None else None
    scatter, legend = neurons_drawing(audit, target, t, tac)
    elsewhere = suspected_elsewhere(audit, audit.judged[0])
    neurons, shown = _neurons(audit, target, t, tac), class_rows(audit)
    return template.render(
        t=t, language=language, model_name=_name(audit.model.path),
        architecture=audit.model.architecture, version=audit.versions.get("bdshift", ""),
        written=_written(audit, day or datetime.datetime.now(datetime.UTC).date(), t),
        notes=audit.cover.notes.strip().expandtabs(4).splitlines(),
        level=finding.level, headline=finding.headline.render(language),
        reasons=[one.sentence.render(language) for one in finding.reasons],
        cautions=[one.sentence.render(language) for one in finding.cautions],
        shown=exhibit_part(audit, language), verdict=verdict_part(audit, language),
        summary=audit.judged[0].detector.summary, bars=norms_drawing(audit, t),
        elsewhere="" if elsewhere is None else elsewhere.render(language),
        columns=class_columns(audit), classes=shown, more_classes=audit.model.classes - len(shown),
        pair_maps=list(pair_drawings(audit, t)),
        scatter=scatter, scatter_legend=legend, neurons=neurons,
        recovered=recovered_parts(audit, language),
        purified=_purified(found, made, t, language) if made is not None else None,
        unlearned=None if made is None else unlearned_part(made, t, language),
        limits=LIMITS, facts=_facts(audit, t, language), font=_font() if language == "ja" else "",
    )  # fmt: skip


def _written(audit: Audit, day: datetime.date, t: Say) -> str:
    """When the audit and the page were made, and by whom."""
    made = in_words(audit.date)
    told = [audit.cover.author.strip(), t("audited {when}", when=made) if made else ""]
    return " · ".join([*filter(None, told), t("report of {day}", day=day.isoformat())])


def _on_one_line(value: Any) -> Any:
    """What the page shows of a text: nothing that reorders what is around it."""
    return one_line(value) if type(value) is str else value


def _font() -> str:
    """The bundled Japanese font: the reader's machine may have none."""
    data = asset("fonts/NotoSansJP-Regular.otf").read_bytes()
    return "data:font/otf;base64," + base64.b64encode(data).decode()


def _name(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]


@dataclass(frozen=True)
class _Thumbnail:
    source: str
    name: str


@dataclass(frozen=True)
class _Neuron:
    number: int
    caption: str
    images: tuple[_Thumbnail, ...]


def _neurons(audit: Audit, target: int, t: Say, tac: Tac | None) -> list[_Neuron]:
    """Those with the largest shift, with the images that excite them most."""
    shift = audit.shifts.shift[target]
    seen = audit.embedding
    if tac is not None and tac.triggered is not None:
        seen = tac.triggered
    found = []
    for k in half_of(shift)[:_MAX_NEURONS]:
        caption = t("shift {value}", value=figure(float(shift[k]), "+.3g"))
        if tac is not None:
            word = "TAC" if audit.recovery_of(tac) is None else t("proxy TAC")
            caption = f"{word} {figure(float(tac.change[k]), '.3g')} · {caption}"
        rows: Sequence[int] = ()
        if seen is not None:
            without = target if seen is not audit.embedding else None
            rows = most_excited(seen, [k], _MAX_IMAGES, without=without).tolist()
        images = tuple(
            _Thumbnail(
                picture_uri(seen.thumbnails[row]), audit.images.class_names[seen.labels[row]]
            )
            for row in rows
            if seen is not None
        )
        found.append(_Neuron(k, caption, images))
    return found


@dataclass(frozen=True)
class _PurifiedPart:
    """The page's section on a purification: the figures, and the same drawings of the result."""

    rows: tuple[tuple[str, str, str], ...]
    method: str
    complete: bool
    conclusion: str
    finding: str
    reported_on: str
    trigger: str
    bars: Markup
    scatter: Markup


def _purified(found: Comparison, made: Purification, t: Say, language: Language) -> _PurifiedPart:
    audit = found.audit
    before, after, again = made.before, made.after, made.rescan
    target = made.result.target
    old, new = audit.shifts.l2, again.shifts.l2
    old_z, new_z = float(z_scores(old)[target]), float(z_scores(new)[target])
    rows = (
        (t("ACC, clean accuracy"), share(before.acc), share(after.acc)),
        (t("ASR, attack success"), share(before.asr), share(after.asr)),
        (t("RA, recovery accuracy"), share(before.ra), share(after.ra)),
        ("DER", "", figure(der(before, after), ".4f")),
        (t("norm of the target"), figure(float(old[target])), figure(float(new[target]))),
        (t("z of its norm"), figure(old_z, ".2f"), figure(new_z, ".2f")),
    )  # fmt: skip
    return _PurifiedPart(
        rows, made.result.method, made.result.complete,
        _concluded(made, t), _in_words(again.finding, language),
        t("measured on {images}", images=reported_on(made)),
        shortened(made.trigger or "") or t("no trigger is known"), norms_drawing(again, t),
        neurons_drawing(again, target, t, found.tacs[1] if found.tacs else None)[0],
    )  # fmt: skip


def _other_evidence(audit: Audit, t: Say, language: Language) -> Iterator[tuple[str, str]]:
    for one in audit.judged[1:]:
        yield t(one.detector.label), one.evidence.cost.render(language)
        if (pairs := one.pairs(audit.images.class_names)) is not None:
            yield t(one.detector.label), pairs.render(language)


def _concluded(made: Purification, t: Say) -> str:
    """What the method says of its result, and the trigger that it has unlearned."""
    said = made.result.conclusion
    parts = [] if said is None else [t(said.template, **said.values)]
    if made.unlearned is not None:
        parts.append(t("Unlearned: {trigger}", trigger=shortened(made.unlearned)))
    return " ".join(parts)


def _in_words(finding: Finding, language: Language) -> str:
    space = " " if language == "en" else ""
    reasons = space.join(one.sentence.render(language) for one in finding.reasons)
    return f"{finding.headline.render(language)}: {reasons}"


def _facts(audit: Audit, t: Say, language: Language) -> list[tuple[str, str]]:
    chosen, rule, images = audit.preprocessing, audit.settings.rule, audit.images
    n = chosen.normalization
    facts = [
        (t("model"), f"{audit.model.path} (SHA-256 {audit.model.sha256})"),
        *_prompts(audit, t),
        (t("images"), t("{path}: {count} of {available} used (SHA-256 {sha256})",
                        path=images.path, count=sum(images.counts), available=images.available,
                        sha256=images.sha256)),
        (t("preprocessing"), t("{size} px, {framing}, {order}, {name}, mean {mean}, std {std}",
                               size=chosen.size, framing=chosen.framing.words,
                               order=chosen.order.upper(), name=n.name, mean=str(n.mean),
                               std=str(n.std))),
        (t("clean accuracy"), share(audit.accuracy) if images.labeled
         else t("unknown: the images have no labels")),
        (t("solver"), t("{solver}, α = {alpha:g}, KKT residual {kkt:.1g}",
                        solver=audit.shifts.solver, alpha=audit.shifts.alpha,
                        kkt=audit.shifts.kkt_max)),
        *_other_evidence(audit, t, language),
        (t("rule"), f"{t(rule.label)}, {rule.line_label}" if audit.verdict is None
                    else f"{t(BESIDE_CLEAN_MODELS)}, p = {audit.verdict.limit:.2g}"),
        (t("versions"), ", ".join(f"{name} {value}" for name, value in audit.versions.items())),
    ]  # fmt: skip
    for one in audit.readings:
        told = f"{reading_of(one.preprocessing)}: {share(one.accuracy)}"
        facts.append((t("other preprocessing"), f"{told}, {one.finding.headline.render(language)}"))
    if (beside := audit.reference) is not None:
        facts.append((t("reference"), t("{model}, {accuracy} clean accuracy (SHA-256 {sha256})",
                                        model=beside.model.path, sha256=beside.model.sha256,
                                        accuracy=share(beside.accuracy))))  # fmt: skip
    if audit.purifications:
        made = "; ".join(one.result.method for one in audit.purifications)
        facts.append((t("purifications"), made))
    facts += [
        (
            t("trigger"),
            f"{shortened(tac.trigger)} → {audit.images.class_names[tac.target]}: "
            f"ASR {figure(tac.asr, '.2%')}",
        )
        for tac in audit.tac
    ]
    return facts


def _prompts(audit: Audit, t: Say) -> list[tuple[str, str]]:
    """What the head was made of, if the file holds none."""
    prompts = audit.model.prompts
    if prompts is None:
        return []
    return [(t("prompt templates"), " · ".join(prompts.templates)),
            (t("class names in them"), ", ".join(prompts.names))]  # fmt: skip
