"""What a recovery found, for a terminal, and the files of its trigger."""

from __future__ import annotations

import io
import json

from PIL import Image

from bdshift.audit.records import Audit
from bdshift.outputs import Output
from bdshift.recovery.recovery import LEVELS, Attempt, Recovery
from bdshift.reports.recovery_json import recovery_json
from bdshift.reports.recovery_words import (
    CONTROL,
    recovery_sentences,
    title,
)
from bdshift.reports.text_report import table, wrapped
from bdshift.text import figure, joined
from bdshift.triggers.attacks.recovered import Recovered
from bdshift.words import Sentence


def recovery_text(audit: Audit, recovery: Recovery) -> str:
    """What ``bdshift recover`` prints."""
    first, *rest = recovery_sentences(audit, recovery)
    lines = [*wrapped(str(title(audit, recovery))), *wrapped(str(first)), ""]
    lines += [*_sizes_table(audit, recovery), ""]
    for sentence in rest:
        lines += wrapped(str(sentence))
    return joined([*lines, "", *wrapped(f"The audit: {audit.finding}")])


def _sizes_table(audit: Audit, recovery: Recovery) -> list[str]:
    names, rows = audit.images.class_names, []
    for one in recovery.attempts:
        mark = "◆ " if one.kind == recovery.kind else "  "
        rows.append([
            f"{mark}{_labeled(one)}", *(figure(size, ".3g") for size in one.target.sizes),
            figure(one.target.asr, ".1%"), figure(one.drop, ".2f"), f"{one.seconds:.1f}",
        ])  # fmt: skip
        rows += [
            [f"    {Sentence(CONTROL, {'name': names[control.target]})}",
             *(figure(size, ".3g") for size in control.sizes), figure(control.asr, ".1%"), "", ""]
            for control in one.controls
        ]  # fmt: skip
    levels = [f"for {level:.0%}" for level in LEVELS]
    return [
        *table(["  size", *levels, "as found", "drop", "seconds"], rows),
        *wrapped("◆ the kind that was chosen; for 80%: size that sends 80% of the images there, "
                 "∞ if none does; as found: what the smallest that the search found sends; drop: "
                 "log of the controls' median over the size, for 80%"),
    ]  # fmt: skip


def _labeled(one: Attempt) -> str:
    return f"{one.label}, {one.unit}" if one.unit else one.label


def check_trigger_outputs(output: Output) -> None:
    """Raise as `Output.check` if the trigger, its card or its picture may not be written."""
    for one in _outputs(output):
        one.check()


def _outputs(output: Output) -> tuple[Output, Output, Output]:
    return output, output.beside(".json"), output.beside(".png")


def write_trigger(audit: Audit, recovery: Recovery, output: Output) -> None:
    """Write the recovered trigger; beside it a card that names it and its class, and its picture.

    Raises as `Output.written`, and `UsageError` if this version does not know the kind of change.
    """
    check_trigger_outputs(output)
    trigger, card, picture = _outputs(output)
    name = audit.images.class_names[recovery.target]
    told = {
        "recipe": {"attack": Recovered(output.path.name).spec, "target": name},
        "recovery": recovery_json(audit, recovery),
        "source": {"path": audit.model.path, "sha256": audit.model.sha256},
        "images": {"path": audit.images.path, "sha256": audit.images.sha256},
    }
    trigger.write(recovery.saved(name).content())
    card.write_text(json.dumps(told, indent=2) + "\n")
    picture.write(overlay_png(recovery))


def overlay_png(recovery: Recovery) -> bytes:
    """Picture and opacity as a PNG. Of a kind that covers pixels, such as a mask and a pattern, it
    is the trigger itself, as ``patch:file=…`` takes it, but for rounding.
    """
    stream = io.BytesIO()
    Image.fromarray(recovery.overlay(), "RGBA").save(stream, "PNG", optimize=True)
    return stream.getvalue()
