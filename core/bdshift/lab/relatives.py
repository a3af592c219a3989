"""What a scan would have said without the model's relatives among the clean models that ship."""

from __future__ import annotations

from dataclasses import replace

from bdshift.audit import Audit
from bdshift.audit.finding import Finding, conclude
from bdshift.audit.readings import other_reading
from bdshift.detect.image_search import is_of_scan
from bdshift.lab.truths import KnownModel
from bdshift.verdict.clean_models import CleanModels, fit_table, shipped_table
from bdshift.verdict.decide import Verdict, decide


def beside_others(audit: Audit, known: KnownModel) -> tuple[Finding, Verdict | None]:
    """The finding of a scan, compared with the shipped clean models but for the model's relatives,
    and the verdict in it; None if there was no search in the images.
    """
    found = [(one.detector, one.evidence) for one in audit.judged if is_of_scan(one.detector)]
    table = _without(known)
    verdict = decide(found, table)
    others = [other_reading(one, audit, table) for one in audit.alternatives]
    return conclude(replace(audit.facts, verdict=verdict, alternatives=others)), verdict


def _without(known: KnownModel) -> CleanModels:
    """The shipped table, fitted without the model's relatives. Names of a suite's models begin with
    that of their group.
    """
    table = shipped_table()
    rest = [
        one for one in table.models
        if not {one.cluster, one.name} & {known.group, known.name}
        and not one.name.startswith(f"{known.group}-")
    ]  # fmt: skip
    return fit_table(rest, {kind: scale.detector for kind, scale in table.scales.items()})
