"""The audit file: what goes in comes out, and nothing breaks it halfway."""

from __future__ import annotations

import dataclasses
import json
import math
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from bdshift.audit import Audit, LabelProposal, ScanSettings, scan
from bdshift.errors import InputError
from bdshift.neurons.tac import Tac
from bdshift.report.json_report import audit_json
from bdshift.report.text_report import audit_text
from bdshift.store import load_audit, save_audit


@pytest.fixture(scope="module")
def audit(victim: Path, signs: Path) -> Audit:
    found = scan(victim, signs, ScanSettings(sample=120))
    rng = np.random.default_rng(0)
    d = found.model.embedding_dim
    tac = Tac("badnets", 9, np.abs(rng.normal(size=d)), rng.normal(size=d), 0.9, 0.1, 120)
    return dataclasses.replace(
        found, tac=(tac,), proposal=LabelProposal({"stop": 3}, 0.8), warnings=("a “warning” 犬",)
    )


def same(a: object, b: object) -> None:
    """Deep equality of dataclasses with arrays and NaNs."""
    if dataclasses.is_dataclass(a):
        assert type(a) is type(b)
        for field in dataclasses.fields(a):
            same(getattr(a, field.name), getattr(b, field.name))
    elif isinstance(a, np.ndarray):
        assert isinstance(b, np.ndarray)
        assert a.dtype == b.dtype
        assert np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    elif isinstance(a, (tuple, list)):
        assert isinstance(b, (tuple, list))
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    elif isinstance(a, float) and math.isnan(a):
        assert isinstance(b, float)
        assert math.isnan(b)
    else:
        assert a == b


def test_round_trip(audit: Audit, tmp_path: Path) -> None:
    save_audit(audit, tmp_path / "a.h5")
    found = load_audit(tmp_path / "a.h5")
    assert audit.embedding is not None
    assert found.embedding is not None
    same(audit, dataclasses.replace(found, embedding=audit.embedding))
    for name in ("phi", "logits", "labels", "files", "images_hash", "precision", "batch"):
        same(getattr(audit.embedding, name), getattr(found.embedding, name))
    assert audit_text(found) == audit_text(audit)
    assert json.dumps(audit_json(found)) == json.dumps(audit_json(audit))


def test_without_embeddings(audit: Audit, tmp_path: Path) -> None:
    save_audit(audit, tmp_path / "a.h5", embeddings=False)
    assert load_audit(tmp_path / "a.h5").embedding is None
    save_audit(audit, tmp_path / "b.h5")
    assert (tmp_path / "a.h5").stat().st_size < (tmp_path / "b.h5").stat().st_size


def test_every_number_may_be_unsayable(audit: Audit, tmp_path: Path) -> None:
    l2 = audit.shifts.l2.copy()
    l2[3] = np.inf
    score = dataclasses.replace(audit.verdict.scores[3], z=math.nan, mad=math.nan)
    odd = dataclasses.replace(
        audit,
        shifts=dataclasses.replace(
            audit.shifts,
            l2=l2,
            status=tuple("unreachable" if i == 3 else s for i, s in enumerate(audit.shifts.status)),
        ),
        verdict=dataclasses.replace(
            audit.verdict, p_value=math.nan, scores=(score,) * len(audit.verdict.scores)
        ),
    )
    save_audit(odd, tmp_path / "a.h5")
    same(odd.verdict, load_audit(tmp_path / "a.h5").verdict)
    text = json.dumps(audit_json(odd), allow_nan=False)
    assert json.loads(text)["classes"][3]["l2"] is None
    assert "∞" in audit_text(odd)


WRITER = """
import sys
from bdshift.store import load_audit, save_audit
audit = load_audit(sys.argv[1])
print("ready", flush=True)
while True:
    save_audit(audit, sys.argv[2])
"""


def test_a_killed_writer_leaves_a_whole_file(audit: Audit, tmp_path: Path) -> None:
    save_audit(audit, tmp_path / "source.h5")
    rng = np.random.default_rng(0)
    writer = None
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, tmp_path / "source.h5", tmp_path / "out.h5"],
            stdout=subprocess.PIPE,
        )
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(float(rng.uniform(0.02, 0.2)))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        if (tmp_path / "out.h5").exists():
            same(audit.verdict, load_audit(tmp_path / "out.h5").verdict)
    assert (tmp_path / "out.h5").exists()


def test_a_failed_write_leaves_the_old_file(
    audit: Audit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_audit(audit, tmp_path / "a.h5")
    before = (tmp_path / "a.h5").read_bytes()

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("bdshift.store.write._write", full)
    with pytest.raises(InputError, match="No space left"):
        save_audit(audit, tmp_path / "a.h5")
    assert (tmp_path / "a.h5").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def test_what_is_no_audit_file(audit: Audit, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_audit(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(InputError, match="no audit file, or is cut short"):
        load_audit(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(InputError, match="not an audit file"):
        load_audit(tmp_path / "other.h5")
    save_audit(audit, tmp_path / "new.h5")
    with h5py.File(tmp_path / "new.h5", "r+") as file:
        file.attrs["schema"] = 99
    with pytest.raises(InputError, match="newer bdshift"):
        load_audit(tmp_path / "new.h5")


def describe(file: h5py.File, found: object) -> None:
    """Replace the file's description."""
    del file["audit.json"]
    file["audit.json"] = np.frombuffer(json.dumps(found).encode(), np.uint8)


def test_audits_from_before_a_file_could_hold_several_models(audit: Audit, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    save_audit(audit, path)
    with h5py.File(path, "r+") as file:
        found = json.loads(file["audit.json"][()].tobytes())
        del found["settings"]["weights"]
        describe(file, found)
    assert load_audit(path).settings == audit.settings
    with h5py.File(path, "r+") as file:
        del found["settings"]["alpha"]
        describe(file, found)
    with pytest.raises(InputError, match="has other fields"):
        load_audit(path)


@pytest.mark.parametrize("damage", ["cut", "missing", "shape", "json", "external", "soft"])
def test_damaged_and_hostile_files(audit: Audit, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a.h5"
    save_audit(audit, path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:5000])
    else:
        with h5py.File(path, "r+") as file:
            if damage == "missing":
                del file["shift/l2"]
            elif damage == "shape":
                del file["model/weight"]
                file["model/weight"] = np.zeros((3, 3), np.float32)
            elif damage == "json":
                describe(file, {})
            elif damage == "external":
                del file["shift/l2"]
                file["shift/l2"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "x")
                with h5py.File(tmp_path / "secret.h5", "w") as secret:
                    secret["x"] = np.zeros(12)
            else:
                del file["shift/l2"]
                file["shift/l2"] = h5py.SoftLink("/shift/loss")
    with pytest.raises(InputError, match="damaged"):
        load_audit(path)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        (("verdict", "poisoned"), [99]),
        (("verdict", "poisoned"), 3),
        (("verdict", "scores"), []),
        (("images", "class_names"), ["one"]),
        (("images", "path"), 7),
        (("shifts", "alpha"), "much"),
        (("shifts", "status"), ["solved", "stolen"]),
        (("settings", "solver"), "magic"),
        (("settings", "seed"), -1),
        (("trials", 0, "preprocessing", "size"), 20_000),
        (("trials", 0, "preprocessing", "size"), 0),
        (("trials", 0, "preprocessing", "normalization", "divisor"), 0),
        (("trials",), []),
        (("embedding", "files"), [["a.png", 0]]),
        (("tac",), [{"trigger": "badnets"}]),
        (("surprise",), 1),
        (("warnings",), json.loads("[" * 900 + "]" * 900)),
    ],
)
def test_values_that_do_not_fit(
    audit: Audit, tmp_path: Path, part: tuple[str | int, ...], value: object
) -> None:
    path = tmp_path / "a.h5"
    save_audit(audit, path)
    with h5py.File(path, "r+") as file:
        found = json.loads(file["audit.json"][()].tobytes())
        where = found
        for key in part[:-1]:
            where = where[key]
        where[part[-1]] = value
        describe(file, found)
    with pytest.raises(InputError, match="damaged"):
        load_audit(path)


@pytest.mark.parametrize("how", ["never written", "gzip"])
def test_a_dataset_that_claims_far_more_than_it_holds(
    audit: Audit, tmp_path: Path, how: str
) -> None:
    path = tmp_path / "a.h5"
    save_audit(audit, path)
    with h5py.File(path, "r+") as file:
        del file["shift/shift"]
        if how == "never written":  # 16 TiB of zeros in a few hundred bytes
            file.create_dataset("shift/shift", (2**20, 2**21), np.float64)
        else:
            zeros = np.zeros((12, 2**16))
            file.create_dataset("shift/shift", data=zeros, compression="gzip")
    with pytest.raises(InputError, match=r"damaged .*(claims|another way)"):
        load_audit(path)


def test_one_dataset_under_many_names(audit: Audit, tmp_path: Path) -> None:
    """A thousand names of the same megabyte would be a gigabyte."""
    path = tmp_path / "a.h5"
    save_audit(audit, path)
    with h5py.File(path, "r+") as file:
        found = json.loads(file["audit.json"][()].tobytes())
        found["tac"] *= 2
        describe(file, found)
        file["tac/1"] = file["tac/0"]
    with pytest.raises(InputError, match=r"damaged .*another name"):
        load_audit(path)


def test_nothing_of_variable_length_is_read(audit: Audit, tmp_path: Path) -> None:
    """HDF5 keeps such values in heaps, where one changed byte sends its library round for ever."""
    path = tmp_path / "a.h5"
    save_audit(audit, path)
    assert b"GCOL" not in path.read_bytes()
    with h5py.File(path, "r+") as file:
        del file.attrs["format"]
        file.attrs["format"] = "bdshift-audit"  # h5py writes text of variable length
    data = bytearray(path.read_bytes())
    data[data.find(b"GCOL") + 25] = 8
    path.write_bytes(data)
    with pytest.raises(InputError, match="not an audit file"):
        load_audit(path)


def test_deep_json_is_no_crash(audit: Audit, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    save_audit(audit, path)
    with h5py.File(path, "r+") as file:
        del file["audit.json"]
        file["audit.json"] = np.frombuffer(b"[" * 100_000, np.uint8)
    with pytest.raises(InputError, match="damaged"):
        load_audit(path)


def test_tac_of_a_set_of_only_the_target(audit: Audit, tmp_path: Path) -> None:
    """ASR cannot be said where every image is of the target class."""
    odd = dataclasses.replace(audit.tac[0], asr=math.nan, ra=math.nan)
    save_audit(dataclasses.replace(audit, tac=(odd,)), tmp_path / "a.h5")
    assert math.isnan(load_audit(tmp_path / "a.h5").tac[0].asr)
