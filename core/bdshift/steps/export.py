"""A model to a file: in its own format or another one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from bdshift.audit import Audit, reopen_model
from bdshift.audit.comparison import side
from bdshift.audit.opening import Model, open_model
from bdshift.checkpoints.export import EXPORT_FORMS, ExportedFile, default_form, write_checkpoint
from bdshift.checkpoints.layout import IN_MEMORY
from bdshift.checkpoints.users_own import Architecture
from bdshift.errors import UsageError
from bdshift.images.preprocessing import Preprocessing, parse_normalization
from bdshift.jobs import SILENT, JobContext
from bdshift.kinds import kind_of
from bdshift.outputs import Output
from bdshift.reports.purification_report import export_purified
from bdshift.store import load_audit

MODULE_FORM = "state-dict"
"""The format of a module that is in no file."""


def export(
    source: Audit | str | Path,
    out: str | Path,
    *,
    form: str | None = None,
    run: int = 0,
    model: Model | None = None,
    arch: Architecture | None = None,
    overwrite: bool = False,
    job: JobContext = SILENT,
) -> ExportedFile:
    """Write a model to a file, as ``bdshift export`` does, read it back and compare the logits.

    Args:
        source: an audit, or the path of one or of a checkpoint.
        out: the file; beside a purified model, ``out``.json says where it came from.
        form: one of `EXPORT_FORMS`, such as "safetensors" or "onnx"; by default the source's own,
            or "state-dict" for a module that was audited in memory.
        run: purification of the audit, from 1; 0 for the audited model.
        model: the audited model, if it was in memory or was moved.
        arch: the user's own network, if the audit is of one.
        overwrite: whether a file that is there is replaced.
        job: notes.

    Raises `UsageError` for a format that is unknown or not possible, or if the file is there;
    `InputError` if the model is not the audited one or the file cannot be written.
    """
    path = None if isinstance(source, Audit) else Path(source)
    named = () if path is None else (path,)
    inputs = (*named, *((Path(model),) if isinstance(model, (str, Path)) else ()))
    output = Output(Path(out), overwrite, inputs)
    output.check()
    chosen = None if form is None else EXPORT_FORMS.parse(form)
    audit = source if isinstance(source, Audit) else None
    if path is not None and kind_of(path) == "audit":
        audit = load_audit(path)
    if audit is None:
        if run:
            raise UsageError("--run needs an audit file")
        assert path is not None
        return _bare(path, output, form, arch, job)
    if chosen is None:
        of_module = audit.model.container == IN_MEMORY
        chosen = EXPORT_FORMS.parse(MODULE_FORM if of_module else default_form().name)
    purification = side(audit, run).purification
    output = replace(output, inputs=(*inputs, *audit.inputs))
    classifier = reopen_model(audit, model=model, arch=arch, job=job)
    if purification is not None:
        return export_purified(audit, purification, classifier, output, chosen)
    metadata = {"bdshift": json.dumps({"source": audit.model.sha256})}
    return write_checkpoint(classifier, output, chosen, metadata=metadata)


def _bare(
    path: Path, output: Output, form: str | None, arch: Architecture | None, job: JobContext
) -> ExportedFile:
    """A checkpoint as the first architecture that fits."""
    chosen = EXPORT_FORMS.parse(form or default_form().name)
    opened = open_model(path, arch=arch, job=job)
    loaded = opened.load(opened.candidates[0])
    plain = Preprocessing((*loaded.sizes, 32)[0], parse_normalization("none"))
    if chosen.is_graph:
        job.note("The normalization is not known without an audit: none is written.")
    return write_checkpoint(loaded.with_preprocessing(plain), output, chosen)
