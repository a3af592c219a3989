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
from bdshift.audit.records import Audit
from bdshift.errors import UsageError
from bdshift.neurons.excite import most_excited
from bdshift.neurons.rankings import data_free_direction
from bdshift.report.svg import draw_bars, draw_scatter
from bdshift.shift.verdict import threshold
from bdshift.text import figure

LANGUAGES = ("en", "ja")
_CLASSES, _NEURONS, _IMAGES = 40, 6, 8  # shown


def html_report(audit: Audit, language: str = "en", cleaned: dict[str, Any] | None = None) -> str:
    """The page. ``cleaned`` is the provenance that `bdshift purify` wrote beside a cleaned model.

    Raises `UsageError` for an unknown language, or a ``cleaned`` of another model.
    """
    if language not in LANGUAGES:
        raise UsageError(f"language {language!r} is none of {', '.join(LANGUAGES)}")
    catalogue: dict[str, str] = {}
    if language != "en":
        catalogue = json.loads(asset(f"report/{language}.json").read_text("utf-8"))

    def t(text: str) -> str:
        return catalogue.get(text, text)

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(asset("report/report.html").read_text("utf-8"))
    target = audit.most_suspicious
    scatter, words = _scatter(audit, target, t)
    return template.render(
        t=t, language=language, model_name=_name(audit.model.path),
        architecture=audit.model.architecture, versions=audit.versions,
        suspicious=audit.verdict.suspicious and not audit.says_little, **_verdict(audit, t),
        bars=_bars(audit, t), classes=_classes(audit),
        more_classes=max(0, len(audit.shifts.l2) - _CLASSES),
        scatter=scatter, scatter_words=words, neurons=_neurons(audit, target, t),
        cleaned=_cleaned(audit, cleaned, t) if cleaned is not None else None,
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


def _scatter(audit: Audit, target: int, t: Any) -> tuple[Any, str]:
    tac, shift = audit.tac_of(target), audit.shifts.shift[target]
    if tac is not None:
        x, label = tac.change, t("TAC, mean |φ(x+δ) − φ(x)|")
    elif audit.embedding is not None:
        x, label = audit.embedding.mean, t("mean clean activation φ (no trigger is known)")
    else:
        x, label = data_free_direction(audit.model.weight, target), t("head weight w − w̄")
    held = _half(shift)
    upward = t("shift toward “{name}”").format(name=audit.images.class_names[target])
    drawn = draw_scatter(x, shift, held, label, upward, flagged=target in audit.verdict.poisoned)
    return drawn, t("One point a neuron; filled are those that hold half of the shift.")


def _half(shift: np.ndarray) -> list[int]:
    """The fewest neurons whose squared shift is half of ‖s‖²."""
    order = np.argsort(-np.abs(shift), kind="stable")
    sums = np.cumsum(shift[order] ** 2)
    return [int(k) for k in order[: int(np.searchsorted(sums, sums[-1] / 2)) + 1]]


def _neurons(audit: Audit, target: int, t: Any) -> list[dict[str, Any]]:
    """Those of the largest shift, with the images that excite them most."""
    tac, shift = audit.tac_of(target), audit.shifts.shift[target]
    seen = audit.embedding
    if tac is not None and tac.triggered is not None:
        seen = tac.triggered
    found = []
    for k in _half(shift)[:_NEURONS]:
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


def _cleaned(audit: Audit, told: dict[str, Any], t: Any) -> dict[str, Any]:
    try:
        if told["source"]["sha256"] != audit.model.sha256:
            raise UsageError("the purification is of another model than the audit (SHA-256)")
        before, after, target = told["before"], told["after"], int(told["target"]["index"])

        def share(value: float | None) -> str:
            return "–" if value is None else f"{value:.2%}"

        rows = [
            (t("ACC, clean accuracy"), share(before["acc"]), share(after["acc"])),
            (t("ASR, attack success"), share(before["asr"]), share(after["asr"])),
            (t("RA, recovery accuracy"), share(before["ra"]), share(after["ra"])),
            ("DER", "", figure(told["der"], ".4f")),
            (t("norm of the target"), figure(told["norms_before"][target]),
             figure(told["norms_after"][target])),
        ]  # fmt: skip
        return {"rows": rows, "method": told["method"], "reported_on": told["reported_on"]}
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise UsageError("the purification is not one that bdshift purify wrote") from error


def _facts(audit: Audit, t: Any) -> list[tuple[str, str]]:
    chosen = audit.preprocessing.preprocessing
    n = chosen.normalisation
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
    facts += [(t("trigger"), f"{tac.trigger}: ASR {tac.asr:.2%}") for tac in audit.tac]
    return facts
