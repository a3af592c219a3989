"""bdshift: does an image classifier carry a backdoor, which neurons carry it, how to remove it.

    >>> from bdshift import scan
    >>> audit = scan("model.pth", "clean/")
    >>> print(audit.finding)

Importing this package costs milliseconds; torch is loaded when something that needs it is used.
Import it before torch, and torch's threads leave the cores to others while they wait
(``OMP_WAIT_POLICY``, unless it is set). After torch has been imported nothing can change that, and
nothing is changed: docs/api.md says what to do.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

from bdshift._version import __version__

# Torch reads this when it is loaded, once. Its threads would spin while they wait for each other,
# and two programs on the same cores would slow each other down four- to fivefold.
if "torch" not in sys.modules:
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    from bdshift.audit import Audit, ScanSettings, add_tac, reopen, scan
    from bdshift.audit.finding import Finding
    from bdshift.checkpoints.classifier import Classifier, open_checkpoint
    from bdshift.checkpoints.reader import read_checkpoint
    from bdshift.checkpoints.users_own import OwnNetwork
    from bdshift.detect.detector import DETECTORS
    from bdshift.detect.rule import RULES
    from bdshift.errors import BdshiftError, InputError, UsageError
    from bdshift.jobs import Canceled, JobContext
    from bdshift.neurons.rankings import agreement, data_free_direction
    from bdshift.purification import METHODS
    from bdshift.shift.adam import solve_adam
    from bdshift.shift.exact import solve_exact
    from bdshift.steps.export import export
    from bdshift.steps.purify import purify
    from bdshift.steps.recover import recover
    from bdshift.steps.report import report
    from bdshift.store import load_audit, save_audit
    from bdshift.triggers import TRIGGERS, parse_trigger

_HOMES = {
    "Audit": "audit", "ScanSettings": "audit", "add_tac": "audit", "reopen": "audit",
    "scan": "audit", "Classifier": "checkpoints.classifier",
    "open_checkpoint": "checkpoints.classifier", "read_checkpoint": "checkpoints.reader",
    "BdshiftError": "errors", "InputError": "errors", "UsageError": "errors",
    "OwnNetwork": "checkpoints.users_own",
    "Canceled": "jobs", "JobContext": "jobs", "agreement": "neurons.rankings",
    "data_free_direction": "neurons.rankings", "solve_adam": "shift.adam",
    "solve_exact": "shift.exact", "load_audit": "store", "save_audit": "store",
    "TRIGGERS": "triggers", "METHODS": "purification", "RULES": "detect.rule",
    "DETECTORS": "detect.detector", "Finding": "audit.finding",
    "parse_trigger": "triggers", "export": "steps.export", "purify": "steps.purify",
    "recover": "steps.recover", "report": "steps.report",
}  # fmt: skip

__all__ = [
    "DETECTORS", "METHODS", "RULES", "TRIGGERS", "Audit", "BdshiftError", "Canceled", "Classifier",
    "Finding", "InputError", "JobContext", "OwnNetwork", "ScanSettings", "UsageError",
    "__version__", "add_tac", "agreement", "data_free_direction", "export", "load_audit",
    "open_checkpoint", "parse_trigger", "purify", "read_checkpoint", "recover", "reopen", "report",
    "save_audit", "scan", "solve_adam", "solve_exact",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'bdshift' has no attribute {name!r}")
    return getattr(importlib.import_module(f"bdshift.{_HOMES[name]}"), name)
