"""Export: every form reads back as the same network, and nothing is overwritten unasked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from bdshift.audit import Audit, reopen
from bdshift.checkpoints.classifier import Classifier, open_checkpoint
from bdshift.checkpoints.export import FORMS, Form, write_checkpoint
from bdshift.checkpoints.reader import read_checkpoint
from bdshift.cli import main
from bdshift.cli.export import FORM_NAMES
from bdshift.errors import InputError, UsageError


def weights(classifier: Classifier) -> dict[str, torch.Tensor]:
    return classifier.network.state_dict()


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(a[key], b[key]) for key in a)


def test_the_command_knows_every_form() -> None:
    assert tuple(FORMS) == FORM_NAMES


@pytest.mark.parametrize("form", ["torchscript", "onnx"])
def test_a_graph_needs_no_class_and_takes_any_number_of_images(
    victim_audit: Audit, form: str, tmp_path: Path
) -> None:
    classifier, _ = reopen(victim_audit)
    path = tmp_path / "out"
    told = write_checkpoint(classifier, path, form, metadata={"bdshift": "{}"})
    assert told["logit_difference"] < 1e-4
    images = torch.randn(5, 3, 32, 32)
    with torch.inference_mode():
        theirs = FORMS[form].read(classifier, path)(images)
        assert torch.allclose(theirs, classifier.network(images), atol=1e-3)
    if form == "onnx":
        import onnxruntime

        about = onnxruntime.InferenceSession(str(path)).get_modelmeta().custom_metadata_map
        assert json.loads(about["preprocessing"])["mean"] == [0.5, 0.5, 0.5]
        assert about["bdshift"] == "{}"


def test_an_export_that_gives_other_logits_is_not_kept(
    victim_audit: Audit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier, _ = reopen(victim_audit)
    right = FORMS["safetensors"]
    wrong = Form(right.write, lambda given, path: lambda x: right.read(given, path)(x) + 1e-2)
    monkeypatch.setitem(FORMS, "safetensors", wrong)
    with pytest.raises(InputError, match="gives other logits"):
        write_checkpoint(classifier, tmp_path / "out.safetensors", "safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", ["as-it-came", "state-dict", "safetensors"])
def test_an_export_reads_back_as_the_same_network(
    victim_audit: Audit, form: str, tmp_path: Path
) -> None:
    classifier, _ = reopen(victim_audit)
    path = tmp_path / "out.pth"
    told = write_checkpoint(classifier, path, form)
    assert told["logit_difference"] < 1e-5
    again = open_checkpoint(path)
    assert same(again.state.load(), weights(classifier))
    before, after = read_checkpoint(victim_audit.model.path), again.file
    layout = classifier.layout
    if form == "as-it-came":
        assert again.state.layout.wrapper == layout.wrapper == ("state_dict",)
        assert after.container == before.container
    else:
        assert again.state.layout.wrapper == ()
    with pytest.raises(UsageError, match="exists"):
        write_checkpoint(classifier, path, form)
    write_checkpoint(classifier, path, form, overwrite=True)
    assert [one.name for one in tmp_path.iterdir()] == ["out.pth"], "nothing is left beside it"


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize("legacy", [False, True])
def test_keys_prefix_dtype_and_container_stay(
    victim_audit: Audit, tmp_path: Path, dtype: str, legacy: bool
) -> None:
    classifier, _ = reopen(victim_audit)
    kind = getattr(torch, dtype)
    state = {
        f"module.{key}": value.to(kind) if value.is_floating_point() else value
        for key, value in weights(classifier).items()
    }
    source = tmp_path / "in.pth"
    torch.save({"net": state, "acc": 1}, source, _use_new_zipfile_serialization=not legacy)
    found = open_checkpoint(source, arch=victim_audit.model.architecture)
    given = found.classifier(found.candidates[0]).with_preprocessing(
        victim_audit.preprocessing.preprocessing
    )
    write_checkpoint(given, tmp_path / "out.pth")
    out = torch.load(tmp_path / "out.pth", weights_only=True)["net"]
    assert list(out) == list(state)
    assert {key: value.dtype for key, value in out.items()} == {
        key: value.dtype for key, value in state.items()
    }
    assert same(out, state)
    assert read_checkpoint(tmp_path / "out.pth").container == read_checkpoint(source).container


def test_the_source_is_never_written(victim_audit: Audit, victim: Path, tmp_path: Path) -> None:
    source = tmp_path / "model.pth"
    source.write_bytes(victim.read_bytes())
    found = open_checkpoint(source)
    classifier = found.classifier(found.candidates[0]).with_preprocessing(
        victim_audit.preprocessing.preprocessing
    )
    with pytest.raises(UsageError, match="never written"):
        write_checkpoint(classifier, source, overwrite=True)
    assert source.read_bytes() == victim.read_bytes()


@pytest.mark.parametrize("source", ["audit", "model"])
def test_export_as_a_command(
    victim_audit: Audit, victim: Path, tmp_path: Path, source: str
) -> None:
    from bdshift.store import save_audit

    save_audit(victim_audit, tmp_path / "a.h5")
    given = tmp_path / "a.h5" if source == "audit" else victim
    out = tmp_path / "out.onnx"
    call = ["export", str(given), "--out", str(out), "--format", "onnx"]
    found = CliRunner().invoke(main, [*call, "--json"])
    assert found.exit_code == 0, found.output
    assert out.exists()
    assert CliRunner().invoke(main, call).exit_code == 2, "an existing file is kept"
    assert CliRunner().invoke(main, [*call, "--overwrite"]).exit_code == 0
    call[1] = str(tmp_path / "missing.pth")
    assert CliRunner().invoke(main, [*call, "--overwrite"]).exit_code == 3
