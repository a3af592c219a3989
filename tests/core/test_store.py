"""The audit file: what goes in comes out, nothing breaks it halfway, and what does not fit is
refused.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import math
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from audit_files import change, describe, description, edit, old_audit, remove, same
from bounded import peak_at_most
from numpy.typing import NDArray

from bdshift.audit import Audit, LabelProposal
from bdshift.errors import InputError
from bdshift.images.collection import Skipped
from bdshift.neurons.tac import Tac
from bdshift.remark import Remark
from bdshift.reports.json_report import audit_json
from bdshift.reports.text_report import audit_text
from bdshift.store import load_audit, save_audit
from bdshift.store.schema import TRIGGERED_ARRAYS
from bdshift.words import Sentence


@pytest.fixture(scope="module")
def small() -> Audit:
    """Of everything that an audit may hold, a little."""
    note = {"text": "a “warning” 犬", "list": ("a", "b"), "number": 0.25, "nan": math.nan}
    return dataclasses.replace(
        old_audit("schema-2-embeddings"),
        proposal=LabelProposal({"stop": 3}, 0.8),
        notes=(Remark("as-written", note), Remark("softmax-inside"), Remark("of-tomorrow", note)),
    )


@pytest.fixture
def path(small: Audit, tmp_path: Path) -> Path:
    """That audit in a file."""
    save_audit(small, tmp_path / "a.h5")
    return tmp_path / "a.h5"


def with_norms(audit: Audit, l2: NDArray[np.float64], **more: Any) -> Audit:
    shifts = dataclasses.replace(audit.shifts, l2=l2, **more)
    evidence = dataclasses.replace(audit.evidence[0], scores=l2, record=shifts)
    return dataclasses.replace(audit, evidence=(evidence,))


def as_kept(audit: Audit) -> Audit:
    """What a file keeps of an audit: of images with a trigger, what differs from the clean ones."""

    def tac(one: Tac) -> Tac:
        if one.triggered is None or audit.embedding is None:
            return one
        arrays: dict[str, Any] = {name: getattr(one.triggered, name) for name in TRIGGERED_ARRAYS}
        return dataclasses.replace(one, triggered=dataclasses.replace(audit.embedding, **arrays))

    return dataclasses.replace(
        audit,
        tac=tuple(map(tac, audit.tac)),
        purifications=tuple(
            dataclasses.replace(one, rescan=as_kept(one.rescan)) for one in audit.purifications
        ),
    )


def test_round_trip(audit: Audit, small: Audit, tmp_path: Path) -> None:
    for one in (audit, small):
        assert one.embedding is not None
        assert one.tac[0].triggered is not None
        assert one.purifications[0].result.weights is not None
        save_audit(one, tmp_path / "a.h5")
        found = load_audit(tmp_path / "a.h5")
        same(as_kept(one), found)
        assert audit_text(found) == audit_text(one)
        assert json.dumps(audit_json(found)) == json.dumps(audit_json(one))


def test_sentences_keep_their_templates(small: Audit, path: Path) -> None:
    reason = Sentence(
        "{path}: {reason}",
        {"path": "a.csv", "reason": Sentence("line {number} has too few columns", {"number": 13})},
    )
    images = dataclasses.replace(small.images, skipped=(Skipped("a.png", reason),))
    save_audit(dataclasses.replace(small, images=images), path)
    [found] = load_audit(path).images.skipped
    assert found == Skipped("a.png", reason)
    assert found.reason.render("ja") == reason.render("ja") != str(reason)


def test_without_embeddings(small: Audit, path: Path, tmp_path: Path) -> None:
    save_audit(small, tmp_path / "b.h5", embeddings=False)
    found = load_audit(tmp_path / "b.h5")
    assert found.embedding is None
    assert [tac.triggered for tac in found.tac] == [None]
    [made] = found.purifications
    assert made.result.weights is None
    assert made.rescan.embedding is None
    same(found.shifts, small.shifts)
    same(found.finding, small.finding)
    assert (tmp_path / "b.h5").stat().st_size < path.stat().st_size


def test_every_number_may_be_unsayable(small: Audit, path: Path) -> None:
    l2 = small.shifts.l2.copy()
    l2[3] = np.inf
    status = tuple("unreachable" if i == 3 else s for i, s in enumerate(small.shifts.status))
    out_of_reach = with_norms(small, l2, status=status)
    equal = with_norms(small, np.full(12, 7.0))  # no rule has a number for these
    assert math.isnan(equal.judgment.p)
    assert all(np.isnan(values).all() for values in equal.judgment.statistics.values())
    for odd in (out_of_reach, equal):
        save_audit(odd, path)
        found = load_audit(path)
        same(odd.judgment, found.judgment)
        same(odd.finding, found.finding)
        json.dumps(audit_json(odd), allow_nan=False)
    told = audit_json(out_of_reach)
    assert told["classes"][3]["l2"] is None
    assert told["classes"][3]["status"] == "unreachable"
    assert "∞" in audit_text(out_of_reach)
    assert audit_json(equal)["evidence"][0]["p"] is None
    assert "–" in audit_text(equal)


def test_a_file_without_times_is_told_as_json(small: Audit, path: Path) -> None:
    first = dataclasses.replace(small.evidence[0], seconds=math.nan)
    trial = dataclasses.replace(small.trials[0], accuracy=math.nan)
    odd = dataclasses.replace(
        small, evidence=(first, *small.evidence[1:]), trials=(trial,), seconds_embed=math.inf
    )
    save_audit(odd, path)
    told = json.loads(json.dumps(audit_json(load_audit(path)), allow_nan=False))
    assert told["evidence"][0]["seconds"] is None


def test_tac_of_a_set_of_only_the_target(small: Audit, path: Path) -> None:
    """ASR cannot be said where every image is of the target class."""
    odd = dataclasses.replace(small.tac[0], asr=math.nan, ra=math.nan)
    save_audit(dataclasses.replace(small, tac=(odd,)), path)
    assert math.isnan(load_audit(path).tac[0].asr)


WRITER = """
import sys
from bdshift.store import load_audit, save_audit
from bdshift.store.schema import TRIGGERED_ARRAYS
audit = load_audit(sys.argv[1])
print("ready", flush=True)
while True:
    save_audit(audit, sys.argv[2])
"""


def test_a_killed_writer_leaves_a_whole_file(small: Audit, path: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    out = tmp_path / "out.h5"
    for _ in range(2):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, path, out], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(float(rng.uniform(0.02, 0.2)))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        if out.exists():
            same(small, load_audit(out))
    assert out.exists()


def test_a_failed_write_leaves_the_old_file(
    small: Audit, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("bdshift.writing.os.fsync", full)
    with pytest.raises(InputError, match="because the disk is full"):
        save_audit(small, path)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["a.h5"]


def test_what_is_no_audit_file(path: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_audit(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(InputError, match="is not an audit file, or is cut short"):
        load_audit(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(InputError, match="not an audit file of bdshift"):
        load_audit(tmp_path / "other.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["schema"] = 99
    with pytest.raises(InputError, match=r"newer bdshift \(schema 99, this one reads 3\)"):
        load_audit(path)


L2 = "evidence/shift/record/l2"


@pytest.mark.parametrize("damage", ["cut", "missing", "shape", "json", "external", "soft"])
def test_damaged_and_hostile_files(path: Path, tmp_path: Path, damage: str) -> None:
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:5000])
    elif damage == "json":
        describe(path, {})
    else:
        with h5py.File(path, "r+") as file:
            if damage == "shape":
                del file["model/weight"]
                file["model/weight"] = np.zeros((3, 3), np.float32)
            else:
                del file[L2]
            if damage == "external":
                file[L2] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "x")
                with h5py.File(tmp_path / "secret.h5", "w") as secret:
                    secret["x"] = np.zeros(12)
            elif damage == "soft":
                file[L2] = h5py.SoftLink("/evidence/shift/record/loss")
    with pytest.raises(InputError, match="damaged|cut short" if damage == "cut" else "damaged"):
        load_audit(path)


@pytest.mark.parametrize(
    ("way", "value"),
    [
        (("tac", 0, "target"), 99),
        (("tac", 0, "target"), -1),
        (("tac",), [{"trigger": "badnets"}]),
        (("tac",), 3),
        (("purifications", 0, "result", "target"), 99),
        (("purifications", 0, "result", "rows", 0, "step", "number"), 10**400),
        (("purifications", 0, "result", "rows", 0, "step", "number"), 10**6),
        (("purifications", 0, "result", "rows", 0, "step", "number"), -1),
        (("purifications", 0, "result", "kept"), 10**400),
        (("purifications", 0, "rescan", "purifications"), [{}]),
        (("purifications", 0, "before", "by_class"), [1.0]),
        (("images", "class_names"), ["one"]),
        (("images", "counts"), [1, 2]),
        (("images", "path"), 7),
        (("evidence",), {}),
        (("evidence", "shift", "detector"), 7),
        (("evidence", "shift", "detector"), "other"),
        (("evidence", "shift", "record", "alpha"), "much"),
        (("evidence", "shift", "record", "alpha"), 0),
        (("evidence", "shift", "record", "status"), ["solved", "stolen"]),
        (("evidence", "shift", "record", "status"), ["solved"]),
        (("settings", "detectors"), 7),
        (("settings", "seed"), "much"),
        (("trials",), []),
        (("embedding", "files"), [["a.png", 0]]),
        (("precision",), "float8"),
        (("accuracy",), True),
        (("notes",), json.loads("[" * 900 + "]" * 900)),
    ],
)
def test_values_that_do_not_fit(path: Path, way: tuple[str | int, ...], value: object) -> None:
    change(path, *way, value=value)
    with pytest.raises(InputError, match="damaged"):
        load_audit(path)


def test_numbers_of_steps_ascend(path: Path) -> None:
    """A curve has one point at each."""
    edit(
        path,
        "purifications",
        0,
        "result",
        "rows",
        by=lambda at, name: at[name].append(at[name][-1]),
    )
    with pytest.raises(InputError, match="damaged"):
        load_audit(path)


@pytest.mark.parametrize(
    ("way", "value", "words"),
    [
        (("settings", "seed"), -1, "the seed must not be negative, but is -1"),
        (("settings", "detectors"), ["shift:solver=magic"], "solver is one of exact, adam"),
        (("settings", "detectors"), [], "the first detector is the embedding shift"),
        (
            ("settings", "rule"),
            "paper:beta=-1",
            "beta is a number above 0, up to 1,000,000, not -1",
        ),
        (("trials", 0, "preprocessing", "size"), 20_000, "20,000"),
        (("trials", 0, "preprocessing", "size"), 0, "0"),
        (("trials", 0, "preprocessing", "normalization", "divisor"), 0, "scale that is not pos"),
    ],
)
def test_settings_that_make_no_sense(
    path: Path, way: tuple[str | int, ...], value: object, words: str
) -> None:
    change(path, *way, value=value)
    with pytest.raises(InputError, match=words) as caught:
        load_audit(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_scores_are_those_of_the_shifts(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["evidence/shift/scores"][0] += 1
    with pytest.raises(InputError, match="its parts do not fit each other"):
        load_audit(path)


def test_fields_that_must_be_there(path: Path) -> None:
    remove(path, "model", "sha256")
    with pytest.raises(InputError, match="ModelRecord lacks sha256"):
        load_audit(path)


@pytest.mark.parametrize("how", ["never written", "gzip"])
def test_a_dataset_that_claims_far_more_than_it_holds(path: Path, how: str) -> None:
    with h5py.File(path, "r+") as file:
        name = "evidence/shift/record/shift"
        del file[name]
        if how == "never written":  # 16 TiB of zeros in a few hundred bytes
            file.create_dataset(name, (2**20, 2**21), np.float64)
        else:
            zeros = np.zeros((12, 2**16))
            file.create_dataset(name, data=zeros, compression="gzip")
    with (
        peak_at_most(2**25),
        pytest.raises(InputError, match=r"damaged .*(claims|another way)"),
    ):
        load_audit(path)


def test_one_dataset_under_many_names(path: Path) -> None:
    """A thousand names of the same megabyte would be a gigabyte."""
    change(path, "tac", value=description(path)["tac"] * 2)
    with h5py.File(path, "r+") as file:
        file["tac/1"] = file["tac/0"]
    with pytest.raises(InputError, match=r"damaged .*another name"):
        load_audit(path)


def test_nothing_of_variable_length_is_read(path: Path) -> None:
    """HDF5 keeps such values in heaps, where one changed byte sends its library round for ever."""
    assert b"GCOL" not in path.read_bytes()
    with h5py.File(path, "r+") as file:
        del file.attrs["format"]
        file.attrs["format"] = "bdshift-audit"  # h5py writes text of variable length
    data = bytearray(path.read_bytes())
    data[data.find(b"GCOL") + 25] = 8
    path.write_bytes(data)
    with pytest.raises(InputError, match="not an audit file"):
        load_audit(path)


@pytest.mark.parametrize("text", [b"[" * 100_000, b"{", b'{"model": NaN}', b"\xff", b""])
def test_json_that_is_none_is_no_crash(path: Path, text: bytes) -> None:
    describe(path, text)
    with pytest.raises(InputError, match=r"damaged|its JSON is"):
        load_audit(path)
