"""A classifier goes back into a file: in the layout that it came in, or in a plain one.

Every file is read again, as data, and its logits compared with the model in memory, before it is
called written; until then it lies beside its place under another name.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from bdshift.checkpoints.classifier import Classifier, open_checkpoint
from bdshift.checkpoints.recognise import is_users_own
from bdshift.errors import InputError, UsageError

Form = Literal["as-it-came", "state-dict", "safetensors"]
_PROBE, _CLOSE = 4, 1e-2  # images to compare on; relative difference allowed for half precision
_EXACT = 1e-5


def write_checkpoint(
    classifier: Classifier,
    path: str | Path,
    form: str = "as-it-came",
    *,
    metadata: dict[str, str] | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write the classifier's weights, verified.

    Args:
        classifier: with its preprocessing, and the layout it was read from.
        path: where to; never a file that exists, unless ``overwrite``.
        form: "as-it-came" (container, wrapper, prefix, dtypes of each tensor), "state-dict" (bare,
            float32, ``torch.save``) or "safetensors".
        metadata: for safetensors' header.

    Returns what was written: form, sha256, bytes, the largest difference of the logits.

    Raises `UsageError` for an unknown form or an existing file, `InputError` if it cannot be
    written, or does not read back as the same network.
    """
    target = Path(path)
    if form not in get_args(Form):
        raise UsageError(f"form {form!r} is none of {', '.join(get_args(Form))}")
    if target.exists() and not overwrite:
        raise UsageError(f"{target}: exists")
    if target.exists() and target.samefile(classifier.path):
        raise UsageError(f"{target}: is the source, which is never written")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        _write(classifier, part, form, metadata or {})
        difference = _verify(classifier, part, form)
        digest = hashlib.sha256(part.read_bytes()).hexdigest()
        size = part.stat().st_size
        os.replace(part, target)
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error})") from error
    finally:
        part.unlink(missing_ok=True)
    return {"form": form, "sha256": digest, "bytes": size, "logit_difference": difference}


def _tensors(classifier: Classifier, form: str) -> dict[str, torch.Tensor]:
    """The state dict in the file's keys and dtypes, or in the network's own."""
    layout = classifier.layout
    found = {}
    for key, value in classifier.network.state_dict().items():
        if key not in layout.dtypes:
            continue  # num_batches_tracked that the file did not have
        kind = getattr(torch, layout.dtypes[key]) if form == "as-it-came" else value.dtype
        name = layout.prefix + key if form == "as-it-came" else key
        found[name] = value.detach().cpu().to(kind).contiguous().clone()
    return found


def _write(classifier: Classifier, path: Path, form: str, metadata: dict[str, str]) -> None:
    tensors = _tensors(classifier, form)
    layout = classifier.layout
    as_safetensors = form == "safetensors" or (
        form == "as-it-came" and layout.container == "safetensors"
    )
    if as_safetensors:
        from safetensors.torch import save_file

        save_file(tensors, path, {"format": "pt", **metadata})
        return
    value: Any = tensors
    if form == "as-it-came":
        for key in reversed(layout.wrapper):
            value = {key: value}
    legacy = form == "as-it-came" and layout.container == "torch legacy"
    with path.open("wb") as stream:
        torch.save(value, stream, _use_new_zipfile_serialization=not legacy)
        stream.flush()
        os.fsync(stream.fileno())


def _verify(classifier: Classifier, path: Path, form: str) -> float:
    """Read the file as anybody's, and compare. Returns the largest difference of the logits."""
    name = classifier.architecture
    if is_users_own(name):  # its class is in memory; the file is held to it
        import copy

        network = copy.deepcopy(classifier.network)
        from bdshift.checkpoints.layout import find_state_dict
        from bdshift.checkpoints.reader import read_checkpoint

        found = find_state_dict(read_checkpoint(path)).load()
        network.load_state_dict(
            {key: value.float() if value.is_floating_point() else value
             for key, value in found.items()}, strict=False,
        )  # fmt: skip
    else:
        opened = open_checkpoint(path, arch=name)
        network = opened.classifier(opened.candidates[0]).network
    preprocess = classifier.preprocessing
    assert preprocess is not None
    rng = torch.Generator().manual_seed(0)
    size = preprocess.size
    pixels = torch.randint(0, 256, (_PROBE, 3, size, size), generator=rng, dtype=torch.uint8)
    with torch.inference_mode():
        ours = classifier.network.cpu().eval()(preprocess(pixels))
        theirs = network.eval()(preprocess(pixels))
    difference = float((ours - theirs).abs().max())
    halves = form == "as-it-came" and any(
        kind in ("float16", "bfloat16") for kind in classifier.layout.dtypes.values()
    )
    if not difference <= (_CLOSE if halves else _EXACT) * max(1.0, float(ours.abs().max())):
        raise InputError(
            f"{path}: what was written gives other logits (by {difference:.3g}); it is not kept"
        )
    return difference
