"""All suites by name."""

from __future__ import annotations

from collections.abc import Mapping

from bdshift.lab.recovery_suite import recovery_models
from bdshift.lab.suite import Victim
from bdshift.lab.verdict_suite import verdict_models

SUITES: Mapping[str, tuple[Victim, ...]] = {
    "recovery": tuple(dict.fromkeys(recovery_models())),
    "verdict": tuple(dict.fromkeys(verdict_models())),
}
"""Their models, without repetitions."""
