"""An audit as one page of HTML: inline drawings, no script, no network, English or Japanese.

Everything that comes from files is escaped by Jinja; the page forbids itself anything but its own
style and inline pictures.
"""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import jinja2
import numpy as np
from PIL import Image

from bdshift.assets import asset
from bdshift.audit.comparison import Comparison, compare
from bdshift.audit.records import Audit, Cleaned
from bdshift.errors import UsageError
from bdshift.neurons.excite import most_excited
from bdshift.neurons.rankings import data_free_direction, half_of
from bdshift.neurons.tac import Tac
from bdshift.purify.measure import der
from bdshift.report.svg import draw_bars, draw_scatter
from bdshift.shift.verdict import threshold
from bdshift.text import figure

LANGUAGES = ("en", "ja")
_CLASSES, _NEURONS, _IMAGES = 40, 6, 8  # shown


def html_report(audit: Audit, language: str = "en", run: int | None = None) -> str:
    """The page, with purification ``run`` of the audit, counted from 1; by default its last, if
    there is one, and 0 for none.

    Raises `UsageError` for an unknown language, or if there is no such purification.
    """
    if language not in LANGUAGES:
        raise UsageError(f"language {language!r} is none of {', '.join(LANGUAGES)}")
    catalog: dict[str, str] = {}
    if language != "en":
        catalog = json.loads(asset(f"report/{language}.json").read_text("utf-8"))

    def t(text: str) -> str:
        return catalog.get(text, text)

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(asset("report/report.html").read_text("utf-8"))
    found = compare(audit, 0, run)
    cleaned = found.b.run
    target = audit.most_suspicious if cleaned is None else cleaned.run.target
    tac = audit.tac_of(target)
    if cleaned is not None:  # the same axis before and after
        tac = found.tacs[0] if found.tacs is not None else None
    scatter, words = _scatter(audit, target, t, tac)
    return template.render(
        t=t, language=language, model_name=_name(audit.model.path),
        architecture=audit.model.architecture, version=audit.versions.get("bdshift", ""),
        suspicious=audit.verdict.suspicious and not audit.says_little, **_verdict(audit, t),
        bars=_bars(audit, t), classes=_classes(audit),
        more_classes=max(0, len(audit.shifts.l2) - _CLASSES),
        scatter=scatter, scatter_words=words, neurons=_neurons(audit, target, t),
        cleaned=_cleaned(found, cleaned, t) if cleaned is not None else None,
        facts=_facts(audit, t), font=_font() if language == "ja" else "",
    )  # fmt: skip


def _font() -> str:
    """The bundled Japanese font: the reader's machine may have none."""
    data = asset("fonts/NotoSansJP-Regular.otf").read_bytes()
    return "data:font/otf;base64," + base64.b64encode(data).decode()


def _name(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]


def _verdict(audit: Audit, t: Any) -> dict[str, Any]:
    poisoned, norms, names = audit.verdict.poisoned, audit.shifts.l2, audit.images.class_names
    shown = audit.most_suspicious
    others = [norm for i, norm in enumerate(norms.tolist()) if i not in poisoned]
    if poisoned:
        sentence = t(
            "Every image can be sent to “{name}” by an unusually small shift: L2 {norm}, "
            "all others {other} or more."
        )
    else:
        sentence = t(
            "No class is reached by an unusually small shift. The smallest is “{name}” with L2 "
            "{norm}."
        )
    sentence = sentence.format(
        name=names[shown], norm=figure(float(norms[shown]), "#.3g"),
        other=figure(min(others) if others else None, "#.3g"),
    )  # fmt: skip
    if audit.says_little:
        headline = t("Says little")
        little = t("Clean accuracy is only {share}: the verdict means little.")
        sentence = little.format(share=f"{audit.accuracy:.1%}")
    else:
        headline = t("Probably backdoored") if poisoned else t("Nothing unusual found")
    return {"headline": headline, "sentence": sentence, "warnings": audit.warnings}


def _classes(audit: Audit) -> list[dict[str, Any]]:
    order = np.argsort(audit.shifts.l2, kind="stable")[:_CLASSES].tolist()
    scores = audit.verdict.scores
    return [
        {"name": audit.images.class_names[i], "l2": figure(float(audit.shifts.l2[i]), "#.3g"),
         "z": figure(scores[i].z, ".2f"), "mad": figure(scores[i].mad, ".1f"),
         "p": figure(scores[i].grubbs_p, ".2g"), "flagged": i in audit.verdict.poisoned}
        for i in order
    ]  # fmt: skip


def _bars(audit: Audit, t: Any) -> Any:
    line = threshold(audit.shifts.l2, audit.verdict.rule, audit.verdict.beta)
    return draw_bars(
        audit.shifts.l2, audit.images.class_names, audit.verdict.poisoned, line, t("decision")
    )


def _scatter(audit: Audit, target: int, t: Any, tac: Tac | None) -> tuple[Any, str]:
    shift = audit.shifts.shift[target]
    if tac is not None:
        x, label = tac.change, t("TAC, mean |φ(x+δ) − φ(x)|")
    elif audit.embedding is not None:
        x, label = audit.embedding.mean, t("mean clean activation φ (no trigger is known)")
    else:
        x, label = data_free_direction(audit.model.weight, target), t("head weight w − w̄")
    held = half_of(shift)
    upward = t("shift toward “{name}”").format(name=audit.images.class_names[target])
    drawn = draw_scatter(x, shift, held, label, upward, flagged=target in audit.verdict.poisoned)
    return drawn, t("One point a neuron; filled are those that hold half of the shift.")


def _neurons(audit: Audit, target: int, t: Any) -> list[dict[str, Any]]:
    """Those of the largest shift, with the images that excite them most."""
    tac, shift = audit.tac_of(target), audit.shifts.shift[target]
    seen = audit.embedding
    if tac is not None and tac.triggered is not None:
        seen = tac.triggered
    found = []
    for k in half_of(shift)[:_NEURONS]:
        words = t("shift {value}").format(value=figure(float(shift[k]), "+.3g"))
        if tac is not None:
            words = f"TAC {figure(float(tac.change[k]), '.3g')} · {words}"
        images = []
        if seen is not None:
            without = target if seen is not audit.embedding else None
            for row in most_excited(seen, [k], _IMAGES, without=without):
                name = audit.images.class_names[seen.labels[row]]
                images.append({"src": _picture(seen.thumbnails[row]), "name": name})
        found.append({"number": k, "words": words, "images": images})
    return found


def _picture(pixels: np.ndarray) -> str:
    stream = io.BytesIO()
    Image.fromarray(pixels.transpose(1, 2, 0)).save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def _cleaned(found: Comparison, cleaned: Cleaned, t: Any) -> dict[str, Any]:
    """What became of it: the figures, and the same drawings of the purified model."""
    audit = found.audit
    before, after, again = cleaned.before, cleaned.after, cleaned.rescan
    target = cleaned.run.target

    def share(value: float | None) -> str:
        return "–" if value is None else f"{value:.2%}"

    rows = [
        (t("ACC, clean accuracy"), share(before.acc), share(after.acc)),
        (t("ASR, attack success"), share(before.asr), share(after.asr)),
        (t("RA, recovery accuracy"), share(before.ra), share(after.ra)),
        ("DER", "", figure(der(before, after), ".4f")),
        (t("norm of the target"), figure(float(audit.shifts.l2[target])),
         figure(float(again.shifts.l2[target]))),
        (t("z of its norm"), figure(audit.verdict.scores[target].z, ".2f"),
         figure(again.verdict.scores[target].z, ".2f")),
    ]  # fmt: skip
    test = _name(cleaned.test) if cleaned.test else t("held-out clean images")
    return {
        "rows": rows, "method": cleaned.run.method, "complete": cleaned.run.complete,
        "flagged": target in again.verdict.poisoned,
        "reported_on": t("measured on {count} images: {test}").format(
            count=cleaned.count, test=test
        ),
        "trigger": cleaned.trigger or t("no trigger is known"),
        "bars": _bars(again, t),
        "scatter": _scatter(again, target, t, found.tacs and found.tacs[1])[0],
    }  # fmt: skip


def _facts(audit: Audit, t: Any) -> list[tuple[str, str]]:
    chosen = audit.preprocessing.preprocessing
    n = chosen.normalization
    facts = [
        (t("model"), f"{audit.model.path} (SHA-256 {audit.model.sha256})"),
        (t("images"), f"{audit.images.path}: {sum(audit.images.counts)} of "
                      f"{audit.images.available} (SHA-256 {audit.images.sha256})"),
        (t("preprocessing"), f"{chosen.size} px, {chosen.order.upper()}, {n.name}, mean {n.mean}, "
                             f"std {n.std}"),
        (t("clean accuracy"), f"{audit.accuracy:.2%}"),
        (t("solver"), f"{audit.shifts.solver}, α = {audit.shifts.alpha:g}, KKT residual "
                      f"{audit.shifts.kkt_max:.1g}"),
        (t("rule"), f"{audit.verdict.rule}, β = {audit.verdict.beta:g}"),
        (t("versions"), ", ".join(f"{name} {value}" for name, value in audit.versions.items())),
    ]  # fmt: skip
    if audit.runs:
        facts.append((t("purifications"), "; ".join(one.run.method for one in audit.runs)))
    facts += [(t("trigger"), f"{tac.trigger}: ASR {tac.asr:.2%}") for tac in audit.tac]
    return facts
