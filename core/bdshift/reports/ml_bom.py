"""An audit as an ML-BOM: CycloneDX 1.6, the bill of materials in which governance tools keep what a
product is made of.

The finding is a claim about the model, with the audit as its evidence (``declarations``); that a
model is probably backdoored is a vulnerability of it, too, because that is what such tools alert
on. The same audit makes the same text.
"""

from __future__ import annotations

import json
import math
import re
import uuid
from typing import Any

from bdshift._version import __version__
from bdshift.audit.deciding import deciding_p
from bdshift.audit.made import parsed
from bdshift.audit.records import Audit
from bdshift.files import KeptPath
from bdshift.neurons.tac import Tac
from bdshift.reports.atlas import BACKDOOR_TECHNIQUES, page_of
from bdshift.reports.json_report import finding_json
from bdshift.reports.verdict_json import verdict_json
from bdshift.spec import shortened
from bdshift.text import one_line

_MALICIOUS_CODE = 506  # CWE: Embedded Malicious Code
_MODEL, _CLAIM, _EVIDENCE = "model", "finding", "audit"
_SHA256 = re.compile(r"[0-9a-f]{64}")


def ml_bom(audit: Audit) -> str:
    """The audited model, what it was audited with, and the finding, as JSON text."""
    made = {"timestamp": parsed(audit.date).isoformat()} if audit.date else {}
    author = {"authors": [{"name": audit.cover.author}]} if audit.cover.author else {}
    tool = {"type": "application", "name": "bdshift", "version": audit.versions.get("bdshift", "")}
    told: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {**made, "tools": {"components": [tool]}, **author},
        "components": [_model(audit)],
        "declarations": _declarations(audit),
    }
    if audit.finding.level == "backdoored":
        told["vulnerabilities"] = [_vulnerability(audit)]
    number = uuid.uuid5(uuid.NAMESPACE_OID, json.dumps([__version__, told]))
    told["serialNumber"] = f"urn:uuid:{number}"
    return json.dumps(told, indent=2) + "\n"


def _model(audit: Audit) -> dict[str, Any]:
    model = audit.model
    known = _SHA256.fullmatch(model.sha256)  # an audit file may come from anyone
    return {
        "type": "machine-learning-model",
        "bom-ref": _MODEL,
        "name": one_line(KeptPath(model.path).name),
        "hashes": [{"alg": "SHA-256", "content": model.sha256}] if known else [],
        "properties": _properties({
            "format": model.container, "weights": model.weights, "classes": model.classes,
            "embedding_dim": model.embedding_dim, "head": model.head,
        }),
        "modelCard": {
            "modelParameters": {
                "task": "image classification",
                "modelArchitecture": one_line(model.architecture),
                "datasets": [_images(audit)],
                "inputs": [{"format": "image"}],
                "outputs": [{"format": f"logits of {model.classes} classes"}],
            },
            "quantitativeAnalysis": {"performanceMetrics": _metrics(audit)},
            "considerations": {
                "technicalLimitations": [str(one.sentence) for one in audit.finding.cautions]
            },
        },
    }  # fmt: skip


def _images(audit: Audit) -> dict[str, Any]:
    images = audit.images
    return {
        "type": "dataset",
        "name": one_line(KeptPath(images.path).name),
        "description": "Clean images that the model was audited with. It need not have been "
        "trained on them.",
        "contents": {"properties": _properties({
            "sha256": images.sha256, "images": sum(images.counts),
            "classes": json.dumps(images.class_names),
        })},
    }  # fmt: skip


def _properties(values: dict[str, object]) -> list[dict[str, str]]:
    return [
        {"name": f"bdshift:{name}", "value": one_line(str(value))}
        for name, value in values.items()
        if value != ""
    ]


def _metrics(audit: Audit) -> list[dict[str, str]]:
    found = [
        ("accuracy", audit.accuracy, "clean images"),
        ("p of the evidence for a backdoor", deciding_p(audit), ""),
        *(("attack success rate", one.asr, _slice(one, audit)) for one in audit.tac),
    ]
    return [
        {"type": kind, "value": f"{value:.6g}", **({"slice": one_line(part)} if part else {})}
        for kind, value, part in found
        if not math.isnan(value)
    ]


def _slice(tac: Tac, audit: Audit) -> str:
    return f"trigger {shortened(tac.trigger)}, to class {audit.images.class_names[tac.target]}"


def _declarations(audit: Audit) -> dict[str, Any]:
    finding = audit.finding
    data = {"finding": finding_json(finding), "verdict": verdict_json(audit.verdict)}
    created = {"created": parsed(audit.date).isoformat()} if audit.date else {}
    return {
        "claims": [
            {
                "bom-ref": _CLAIM,
                "target": _MODEL,
                "predicate": f"Search for a backdoor: {finding.headline}",
                "reasoning": " ".join(str(one.sentence) for one in finding.reasons),
                "evidence": [_EVIDENCE],
            }
        ],
        "evidence": [
            {
                "bom-ref": _EVIDENCE,
                "description": "An audit with clean images. It is evidence, not proof. Detectors: "
                + ", ".join(one.evidence.detector for one in audit.judged),
                "data": [
                    {
                        "name": name,
                        "contents": {
                            "attachment": {
                                "contentType": "application/json",
                                "content": json.dumps(told),
                            }
                        },
                    }
                    for name, told in data.items()
                    if told is not None
                ],
                **created,
            }
        ],
    }


def _vulnerability(audit: Audit) -> dict[str, Any]:
    finding = audit.finding
    return {
        "id": "bdshift/backdoored",
        "source": {"name": "bdshift"},
        "ratings": [{"source": {"name": "bdshift"}, "severity": "high", "method": "other"}],
        "cwes": [_MALICIOUS_CODE],
        "description": str(finding),
        "detail": "\n".join(str(one.sentence) for one in (*finding.reasons, *finding.cautions)),
        "recommendation": "Do not ship the model as it is. Recover the trigger, and purify a copy.",
        "advisories": [
            {"title": f"MITRE ATLAS {one}", "url": page_of(one)} for one in BACKDOOR_TECHNIQUES
        ],
        "analysis": {
            "state": "in_triage",
            "detail": "Found by statistics on the model and clean images. A finding is evidence, "
            "not proof.",
        },
        "affects": [{"ref": _MODEL}],
    }
