"""An audit, or a comparison of neurons, as one JSON object. Keys are stable; more may be added."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from bdshift.audit import Audit
from bdshift.audit.facts import Judged
from bdshift.audit.finding import Finding
from bdshift.audit.rankings import method_rankings
from bdshift.checkpoints.entrant import Trial
from bdshift.detect.rule import z_scores
from bdshift.neurons.rankings import (
    Agreement,
    agreement,
    compare_with_tac,
    cosine,
)
from bdshift.neurons.tac import Tac
from bdshift.remark import Remark
from bdshift.reports.json_schema import with_schema
from bdshift.reports.pairs_json import pairs_json
from bdshift.reports.recovery_json import recovery_json
from bdshift.reports.verdict_json import verdict_json
from bdshift.text import json_number


def _trial(trial: Trial) -> dict[str, Any]:
    p = trial.preprocessing
    return {
        "architecture": trial.architecture,
        "normalization": p.normalization.name,
        "mean": list(p.normalization.mean),
        "std": list(p.normalization.std),
        "divisor": p.normalization.divisor,
        "order": p.order,
        "size": p.size,
        "fit": p.framing.fit,
        "upright": p.framing.upright,
        "images": trial.images,
        "accuracy": json_number(trial.accuracy),
        "loss": json_number(trial.loss),
        "batchnorm_mismatch": json_number(trial.mismatch),
        "batchnorms_mismatch": json_number(trial.norms),
        "confidence": json_number(trial.confidence),
        "most_frequent_prediction": json_number(trial.one_class),
    }


def _alternatives(audit: Audit) -> list[dict[str, Any]]:
    """Other networks with the same weights that the images do not rule out."""
    return [
        {
            "architecture": one.architecture,
            "normalization": one.preprocessing.normalization.name,
            "order": one.preprocessing.order,
            "size": one.preprocessing.size,
            "clean_accuracy": json_number(one.accuracy),
            "scores": _numbers(one.scores),
            "suspected": list(found.suspected),
        }
        for one, found in zip(audit.alternatives, audit.other_readings, strict=True)
    ]


def _remark(remark: Remark) -> dict[str, Any]:
    values = {key: _json_value(one) for key, one in remark.plain_values.items()}
    return {"code": remark.code, "values": values, "text": str(remark.sentence)}


def _json_value(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return json_number(value) if isinstance(value, float) else value


def finding_json(finding: Finding) -> dict[str, Any]:
    """What an audit means: codes and values for programs, and the same in words."""
    return {
        "level": finding.level,
        "headline": str(finding.headline),
        "classes": list(finding.classes),
        "reasons": [_remark(one) for one in finding.reasons],
        "cautions": [_remark(one) for one in finding.cautions],
    }


def _numbers(values: np.ndarray) -> list[Any]:
    return [json_number(value) for value in values.tolist()]


def _reference(audit: Audit | None) -> dict[str, Any] | None:
    """The model that is said to be clean; None without one."""
    if audit is None:
        return None
    return {
        "path": audit.model.path,
        "sha256": audit.model.sha256,
        "architecture": audit.model.architecture,
        **_examined(audit),
    }


def _examined(audit: Audit) -> dict[str, Any]:
    """What is told of an audit within another."""
    return {
        "normalization": audit.preprocessing.normalization.name,
        "order": audit.preprocessing.order,
        "clean_accuracy": json_number(audit.accuracy),
        "finding": finding_json(audit.finding),
        "evidence": [_evidence(one) for one in audit.judged],
    }


def _evidence(found: Judged) -> dict[str, Any]:
    evidence, judgment = found.evidence, found.judgment
    return {
        "detector": evidence.detector,
        "scores": _numbers(evidence.scores),
        **pairs_json(found),
        "flagged": list(judgment.flagged),
        "suspected": list(judgment.suspected),
        "p": json_number(judgment.p),
        "statistics": {name: _numbers(one) for name, one in judgment.statistics.items()},
        "seconds": json_number(evidence.seconds),
        "forward_images": evidence.forwards,
        "backward_images": evidence.backwards,
        "seed": evidence.seed,
    }


def audit_json(audit: Audit) -> dict[str, Any]:
    """What ``bdshift scan --json`` prints."""
    shifts, chosen = audit.shifts, audit.preprocessing
    model, images = audit.model, audit.images
    z = z_scores(shifts.l2)
    told = {
        "bdshift": audit.versions,
        "date": audit.date or None,
        "author": audit.cover.author,
        "notes": audit.cover.notes,
        "finding": finding_json(audit.finding),
        "model": {
            "path": model.path,
            "sha256": model.sha256,
            "format": model.container,
            "architecture": model.architecture,
            "classes": model.classes,
            "embedding_dim": model.embedding_dim,
            "head": model.head,
            "prompts": None if model.prompts is None else asdict(model.prompts),
            "weights": model.weights,
            "copies": [asdict(one) for one in audit.copies],
            "alternatives": _alternatives(audit),
        },
        "images": {
            "path": images.path,
            "sha256": images.sha256,
            "available": images.available,
            "count": sum(images.counts),
            "counts": list(images.counts),
            "skipped": [{"name": s.name, "reason": str(s.reason)} for s in images.skipped],
            "class_names": list(images.class_names),
            "labeled": images.labeled,
            "label_source": str(images.label_source),
            "label_proposal": None
            if audit.proposal is None
            else {
                "of_folder": audit.proposal.of_folder,
                "accuracy": json_number(audit.proposal.accuracy),
            },
            "normalization": {
                "name": chosen.normalization.name,
                "mean": list(chosen.normalization.mean),
                "std": list(chosen.normalization.std),
                "divisor": chosen.normalization.divisor,
                "order": chosen.order,
            },
            "size": chosen.size,
            "fit": chosen.framing.fit,
            "upright": chosen.framing.upright,
            "candidates": [_trial(trial) for trial in audit.trials],
        },
        "clean_accuracy": json_number(audit.accuracy),
        "rule": audit.settings.rule.spec,
        "verdict": verdict_json(audit.verdict),
        "verdict_without_reference": None
        if audit.reference is None
        else verdict_json(audit.verdict_alone),
        "reference": _reference(audit.reference),
        "other_preprocessings": [_examined(one) for one in audit.readings],
        "evidence": [_evidence(one) for one in audit.judged],
        "recoveries": [recovery_json(audit, one) for one in audit.recoveries],
        "shift": {
            "solver": shifts.solver,
            "alpha": shifts.alpha,
            "kkt_residual_max": json_number(shifts.kkt_max),
            "duality_gap_max": json_number(shifts.gap_max),
            "iterations": shifts.iterations,
            "seconds_embed": json_number(audit.seconds_embed),
            "seconds_solve": json_number(shifts.seconds),
            "device": audit.device,
            "precision": audit.precision,
            "batch": None if audit.embedding is None else audit.embedding.batch,
        },
        "classes": [
            {
                "index": i,
                "name": name,
                "l2": json_number(shifts.l2[i]),
                "status": shifts.status[i],
                "z": json_number(z[i]),
                "flagged": i in audit.finding.suspected,
                "cosine_data_free": json_number(cosine(shifts.shift[i], model.data_free(i))),
            }
            for i, name in enumerate(images.class_names)
        ],
    }
    return with_schema("scan", told)


def _agreement(found: Agreement) -> dict[str, Any]:
    return {
        "cosine": json_number(found.cosine),
        "cosine_abs": json_number(found.cosine_abs),
        "pearson": json_number(found.pearson),
        "spearman": json_number(found.spearman),
        "overlap_curve": found.overlap.tolist(),
    }


def neurons_json(audit: Audit, target: int, tac: Tac | None) -> dict[str, Any]:
    """What ``bdshift neurons --json`` prints: every neuron, strongest shift first."""
    shift = audit.shifts.shift[target]
    free = audit.model.data_free(target)
    others = method_rankings(audit, target)
    columns: dict[str, np.ndarray] = {"shift": shift, "data_free": free}
    if audit.embedding is not None:
        columns["clean_activation"] = audit.embedding.mean
    if tac is not None:
        columns |= {"tac": tac.change, "signed_change": tac.signed}
    return {
        "target": {"index": target, "name": audit.images.class_names[target]},
        "cosine_shift_data_free": json_number(cosine(shift, free)),
        "trigger": None
        if tac is None
        else {
            "spec": tac.trigger,
            "recovered": audit.recovery_of(tac) is not None,
            "asr": json_number(tac.asr),
            "ra": json_number(tac.ra),
            "images": tac.images,
            "agreement_with_tac": {
                name: _agreement(found)
                for name, found in compare_with_tac(shift, free, tac).items()
            },
            "methods_with_tac": {
                name: _agreement(agreement(values, tac.change)) for name, values in others.items()
            },
        },
        "neurons": [
            {
                "neuron": int(k),
                **{name: float(values[k]) for name, values in columns.items()},
                "methods": {name: float(values[k]) for name, values in others.items()},
            }
            for k in np.argsort(-shift, kind="stable")
        ],
    }
