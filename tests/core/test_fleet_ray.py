"""The same fleet through Ray, on a cluster of two processors of this machine."""

from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path

import pytest
from commands import bdshift, one_line
from known import TARGET

from bdshift.fleet.ray_engine import pack
from bdshift.fleet.results import Results
from bdshift.images.collection import open_images
from bdshift.store import load_audit

HAS_RAY = importlib.util.find_spec("ray") is not None


@pytest.mark.slow
@pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed")
def test_ray_audits_each_model_once(
    victim: Path, clean_twin: Path, signs: Path, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    models.mkdir()
    for name, content in {
        "victim.pth": victim.read_bytes(), "again.pth": victim.read_bytes(),
        "twin.pth": clean_twin.read_bytes(), "cut.pth": victim.read_bytes()[:50_000],
    }.items():  # fmt: skip
        (models / name).write_bytes(content)
    out = tmp_path / "out"
    result = bdshift(
        "fleet", models, "--images", signs, "--out", out, "--quick", "--sample", "240",
        "--ray", "local", "--memory", "1",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    rows = {Path(row.model).name: row for _, row in Results(out).rows()}
    found = {name: (row.result.status, row.result.level) for name, row in rows.items()}
    assert found == {
        "victim.pth": ("done", "backdoored"), "again.pth": ("done", "backdoored"),
        "twin.pth": ("done", "nothing-unusual"), "cut.pth": ("refused", None),
    }  # fmt: skip
    assert rows["again.pth"].file == rows["victim.pth"].file
    audit = load_audit(out / "audits" / rows["victim.pth"].file)
    assert audit.finding.classes == (TARGET,)
    assert audit.images.path == str(signs)


@pytest.mark.skipif(HAS_RAY, reason="Ray is installed")
def test_without_ray_it_says_so(victim: Path, signs: Path, tmp_path: Path) -> None:
    result = bdshift("fleet", victim, "--images", signs, "--out", tmp_path / "o", "--ray", "auto")
    one_line(result, 2, "Ray is not installed")


def test_a_packed_set_is_the_set(signs: Path, tmp_path: Path) -> None:
    packed = tmp_path / "signs.zip"
    packed.write_bytes(pack(signs))
    before, after = open_images(signs), open_images(packed)
    assert [(one.name, one.label) for one in after.files] == [
        (one.name, one.label) for one in before.files
    ]
    assert after.folders == before.folders
    assert pack(packed) == packed.read_bytes()
    assert zipfile.is_zipfile(packed)
