"""The line to paste next, as a command ends with it."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bdshift.text import one_line

if TYPE_CHECKING:
    from bdshift.audit import Audit
    from bdshift.audit.asked import AskedScan
    from bdshift.audit.next_step import Step
    from bdshift.recovery.recovery import Recovery

_NAME = "bdshift"


def after_scan(audit: Audit, asked: AskedScan, audit_file: Path) -> str:
    """The step that tells most, why, and the command for it."""
    from bdshift.audit.next_step import WHY, next_step

    step = next_step(audit)
    if step == "classes":
        other = "with --labels FILE"
    elif step == "search":
        other = f"without {'--quick' if asked.quick else '--detector'}"
    else:
        return _taken(step, audit_file, *_to_reopen(audit))
    return f"{WHY[step]} That is this command {other}, and with --overwrite."


def after_purification(audit_file: Path) -> str:
    """What was compared is on the screen: what is left is to write it down."""
    return _taken("report", audit_file)


def _to_reopen(audit: Audit) -> tuple[str, ...]:
    """What else it takes to open the model of an audit again."""
    from bdshift.checkpoints.users_own import OwnNetwork
    from bdshift.fleet.addresses import is_address

    moved = ("--model", "model.pth") if is_address(str(audit.model.path)) else ()
    arch = audit.settings.arch
    return (*moved, *(("--arch", arch.spec) if isinstance(arch, OwnNetwork) else ()))


def _taken(step: Step, audit_file: Path, *more: str) -> str:
    """Why a step of an audit file is taken, and how; ``more`` are options for what runs the
    network.
    """
    from bdshift.audit.next_step import WHY

    options = {
        "purify": ("--out", "purified.pth"),
        "report": ("--out", "report.html"),
    }
    given = (*options.get(step, ()), *(more if step in ("recover", "purify") else ()))
    return f"{WHY[step]} {command_line(step, str(audit_file), *given)}"


def after_recovery(audit: Audit, recovery: Recovery, audit_file: Path, out: Path | None) -> str:
    """Purify with the trigger, if it was written to ``out`` and is evidence, or write a report; or
    look at the neurons.
    """
    from bdshift.audit.recovered import fact_of

    target = str(recovery.target)
    if out is None:
        given = ["neurons", str(audit_file), "--target", target]
    elif not (fact_of(recovery).confirms and audit.images.labeled):
        given = ["report", str(audit_file), "--out", "report.html"]
    else:
        given = ["purify", str(audit_file), "--out", "purified.pth", "--trigger", f"{out}.json"]
        if audit.finding.classes[:1] != (recovery.target,):
            given += ["--target", target]
        given += _to_reopen(audit)
    return f"Next: {command_line(*given)}"


def command_line(*words: str) -> str:
    """A line that starts this program with ``words``, as it was started now: by its name where the
    shell finds it, else by its path.
    """
    parts = [*_program(), *words]
    return one_line(subprocess.list2cmdline(parts) if os.name == "nt" else shlex.join(parts))


def _program() -> list[str]:
    started = Path(sys.argv[0])
    if started.name == _NAME and not shutil.which(_NAME):
        return [str(started)]
    return [_NAME]
