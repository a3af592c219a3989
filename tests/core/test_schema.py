"""The schema of the audit file: older files are read, what newer ones have more is kept, and what
is written is frozen.
"""

from __future__ import annotations

import json
import math
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from audit_files import OLD_AUDITS, change, description, old_audit, remove, same
from remarks import other_cautions

from bdshift.arrays import array_fields
from bdshift.audit import Audit, ImagesRecord, ModelRecord, Purification, ScanSettings
from bdshift.audit.changed_settings import CHANGED_ALPHA, CHANGED_RULE
from bdshift.checkpoints.entrant import Trial
from bdshift.detect.detector import DETECTORS, Evidence
from bdshift.detect.detectors.embedding_shift import EmbeddingShift
from bdshift.detect.rule import z_scores
from bdshift.detect.rules.paper import Paper
from bdshift.images.preprocessing import Normalization, Preprocessing
from bdshift.measure import Measured
from bdshift.neurons.tac import Tac
from bdshift.purification import Purified
from bdshift.recovery.recovery import Recovery
from bdshift.registry import Configured
from bdshift.remark import Remark
from bdshift.shift.embed import Embedding
from bdshift.shift.result import Shifts
from bdshift.store import load_audit, save_audit
from bdshift.store.schema import SCHEMA
from bdshift.words import Sentence

FROZEN = Path(__file__).parent / "data" / "audit_schema.json"
COMMAND = "PYTHONPATH=tests/shared python tests/core/test_schema.py"
EXPECTED = json.loads((OLD_AUDITS / "expected.json").read_text(encoding="utf-8"))
"""What the versions that wrote the old audits had computed."""

# --- what is written

NOT_WRITTEN: dict[Any, set[str]] = {
    Audit: {"unknown", "left_out"},
    Embedding: {"images_hash", "skipped", "precision", "seconds"},  # the audit has them
}
INSTEAD = {
    (Evidence, "record"): "the detector's record",
    (Tac, "triggered"): "phi, logits and thumbnails of an Embedding | None",
    (Purified, "weights"): "tuple[str, ...] | None, and a dataset each",
    (Recovery, "params"): "tuple[str, ...], and a dataset each",
}
"""What is written otherwise than its type says."""


def type_text(kind: Any) -> str:
    """A type as the file has it."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return " | ".join(map(type_text, args))
    if origin is typing.Literal:
        return " | ".join(map(repr, args))
    if args:
        inner = ", ".join("..." if one is Ellipsis else type_text(one) for one in args)
        return f"{'dict' if issubclass(origin, Mapping) else origin.__name__}[{inner}]"
    if isinstance(kind, type) and issubclass(kind, Configured):
        return f"text of a {kind.__name__}"
    return "None" if kind is types.NoneType else str(getattr(kind, "__name__", kind))


def parts(kind: Any) -> Iterator[Any]:
    """A type and all that it is made of."""
    yield kind
    for one in typing.get_args(kind):
        yield from parts(one)


def written(kind: Any) -> dict[str, str]:
    """Fields of a dataclass as the file has them."""
    hints, arrays = typing.get_type_hints(kind), array_fields(kind)
    found = {}
    for one in fields(kind):
        if one.name in NOT_WRITTEN.get(kind, ()):
            continue
        if one.name in arrays:
            shape = arrays[one.name]
            text = f"{shape.dtype} ({', '.join(map(str, shape.sizes))})"
        else:
            text = INSTEAD.get((kind, one.name)) or type_text(hints[one.name])
        optional = one.default is not MISSING or one.default_factory is not MISSING
        found[one.name] = text + ("; may be missing" if optional else "")
    if kind is Sentence:
        found["text"] = "str"
    return found


def schema() -> dict[str, dict[str, str]]:
    """Every dataclass that is reached from `Audit`, and the records of all detectors."""
    found: dict[str, dict[str, str]] = {}
    kinds: list[Any] = [Audit, *(one.record for one in DETECTORS.kinds())]
    while kinds:
        kind = kinds.pop()
        if not isinstance(kind, type) or not is_dataclass(kind) or issubclass(kind, Configured):
            continue
        if kind.__name__ not in found:
            found[kind.__name__] = written(kind)
            hints = typing.get_type_hints(kind)
            kept = hints.keys() & found[kind.__name__].keys()
            kinds += [part for name in kept for part in parts(hints[name])]
    return dict(sorted(found.items()))


def test_what_is_written_is_frozen() -> None:
    frozen = json.loads(FROZEN.read_text(encoding="utf-8"))
    assert {"schema": SCHEMA, **schema()} == frozen, (
        "what the audit file holds has changed: give a new field a default, or raise SCHEMA and "
        f"add a migration, so that older files are still read; then run {COMMAND}"
    )


PLACES: dict[tuple[str | int, ...], Any] = {
    (): Audit,
    ("model",): ModelRecord,
    ("images",): ImagesRecord,
    ("settings",): ScanSettings,
    ("trials", 0): Trial,
    ("trials", 0, "preprocessing"): Preprocessing,
    ("trials", 0, "preprocessing", "normalization"): Normalization,
    ("embedding",): Embedding,
    ("evidence", "shift"): Evidence,
    ("evidence", "shift", "record"): Shifts,
    ("notes", 0): Remark,
    ("tac", 0): Tac,
    ("purifications", 0): Purification,
    ("purifications", 0, "result"): Purified,
    ("purifications", 0, "before"): Measured,
    ("purifications", 0, "rescan"): Audit,
    ("purifications", 0, "rescan", "evidence", "shift", "record"): Shifts,
}
"""Where in the JSON of an audit what lies."""


def default_of(one: Field[Any]) -> Any:
    """MISSING if the field must be there."""
    return one.default if one.default_factory is MISSING else one.default_factory()


def at(place: Any, way: tuple[str | int, ...]) -> Any:
    """What lies there, in JSON or in an audit."""
    for part in way:
        if isinstance(place, (dict, list)):
            place = place[part]  # type: ignore[index]
        elif isinstance(part, int):
            place = place[part]
        elif isinstance(place, tuple):
            [place] = [one for one in place if one.name == part]
        else:
            place = getattr(place, part)
    return place


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An audit of today's schema."""
    save_audit(old_audit("schema-2-embeddings"), tmp_path / "a.h5")
    return tmp_path / "a.h5"


def test_what_is_written_is_what_was_frozen(path: Path) -> None:
    described, frozen = description(path), json.loads(FROZEN.read_text(encoding="utf-8"))
    for way, kind in PLACES.items():
        told = at(described, way).keys()
        arrays = array_fields(kind).keys()
        assert told | arrays | ({"triggered"} if kind is Tac else set()) == set(
            frozen[kind.__name__]
        ), way
        with h5py.File(path, "r") as file:
            for name, shape in array_fields(kind).items():
                dataset = file.get("/".join(map(str, (*way, name))))
                if dataset is not None:
                    assert (dataset.dtype, dataset.ndim) == (shape.dtype, len(shape.sizes))
                else:
                    assert name == "pairs", name


def test_a_field_that_a_file_lacks_has_its_default(path: Path) -> None:
    described, whole = description(path), path.read_bytes()
    tried = set()
    for way, kind in PLACES.items():
        for one in fields(kind):
            default = default_of(one)
            known = one.name in at(described, way) and one.name not in array_fields(kind)
            if default is MISSING or not known or (kind, one.name) == (Evidence, "record"):
                continue
            path.write_bytes(whole)
            if kind is Remark:  # a code of this version needs its values
                change(path, *way, "code", value="of-tomorrow")
                default = "of-tomorrow" if one.name == "text" else default
            remove(path, *way, one.name)
            assert getattr(at(load_audit(path), way), one.name) == default, (*way, one.name)
            tried.add(f"{kind.__name__}.{one.name}")
    assert {
        "Audit.tac",
        "Audit.purifications",
        "ScanSettings.rule",
        "ModelRecord.users_own",
    } < tried
    path.write_bytes(whole)
    with h5py.File(path, "r+") as file:
        del file["purifications/0/result/ranking"]
    assert load_audit(path).purifications[0].result.ranking is None


# --- older files


def close(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("name", EXPECTED)
def test_an_older_audit_has_the_values_it_had(name: str) -> None:
    audit, was = old_audit(name), dict(EXPECTED[name])
    assert audit.shifts.l2.tolist() == was.pop("l2")
    assert audit.evidence[0].scores.tolist() == audit.shifts.l2.tolist()
    alpha, rule, beta = (was.pop(key) for key in ("alpha", "rule", "beta"))
    assert audit.shifts.alpha == alpha
    assert audit.settings.detectors == (EmbeddingShift(alpha=alpha),)
    assert audit.settings.rule.name == rule
    if isinstance(audit.settings.rule, Paper):
        assert audit.settings.rule.beta == beta
    flagged = tuple(was.pop("flagged"))
    assert audit.judgment.flagged == flagged
    suspected = tuple(i for i in flagged if audit.shifts.l2[i] < np.median(audit.shifts.l2))
    assert audit.finding.classes == suspected
    assert audit.finding.level == ("backdoored" if suspected else "inconclusive")
    z = was.pop("z")
    close(z_scores(audit.shifts.l2), z)
    close(audit.judgment.statistics["paper"], z)
    close(audit.judgment.statistics["mad"], was.pop("mad"))
    close(audit.judgment.statistics["grubbs"], was.pop("p"))
    close(audit.judgment.p, description(OLD_AUDITS / f"{name}.h5")["verdict"]["p_value"])
    assert audit.accuracy == was.pop("accuracy")
    tac = [[one.trigger, one.target, one.asr, float(one.change.sum())] for one in audit.tac]
    told = was.pop("tac")
    assert [row[:3] for row in tac] == [[row[0].replace("colour", "color"), *row[1:3]]
                                        for row in told]  # fmt: skip
    close([row[3] for row in tac], [row[3] for row in told])
    assert [
        [one.result.method, one.result.target, one.result.kept, len(one.result.rows),
         one.result.weights is not None, one.after.acc, one.after.asr,
         one.rescan.shifts.l2.tolist()]
        for one in audit.purifications
    ] == was.pop("runs")  # fmt: skip
    assert sum(audit.images.counts) == was.pop("images")
    assert (audit.embedding is not None) == was.pop("embedded")
    assert len(audit.trials) == was.pop("trials")
    cautions, warnings = other_cautions(audit.finding), was.pop("warnings")
    said = {CHANGED_ALPHA: alpha != 0.1, CHANGED_RULE: rule != "grubbs"}  # which is said since
    assert [one.code for one in cautions if one.code in said] == [
        code for code, is_said in said.items() if is_said
    ]
    cautions = [one for one in cautions if one.code not in said]
    assert len(cautions) == len(warnings)
    for caution, warning in zip(cautions, warnings, strict=True):
        if " are few" in warning:  # which follows from the counts, and is said anew
            assert caution.code == "few-of-the-images"
            assert caution.values.items() >= {"images": 36, "classes": 12}.items()
        else:
            assert (caution.code, str(caution.sentence)) == ("as-written", warning)
    assert audit.preprocessing.normalization.name == was.pop("normalisation")
    assert not was, "all that is known was compared"
    assert audit.unknown == {}


@pytest.mark.parametrize("name", EXPECTED)
def test_an_older_audit_is_saved_in_todays_schema(name: str, tmp_path: Path) -> None:
    audit = old_audit(name)
    save_audit(audit, tmp_path / "new.h5")
    with h5py.File(tmp_path / "new.h5", "r") as file:
        assert file.attrs["schema"] == SCHEMA == 3
    again = load_audit(tmp_path / "new.h5")
    same(audit, again)
    same(audit.finding, again.finding)


def test_an_older_purification_is_whole(tmp_path: Path) -> None:
    first, second = old_audit("schema-2").purifications
    assert first.trigger == "badnets:size=4,color=ffd800,row=20,column=14"
    assert (first.held_out, first.count, first.test) == (0.2, 12, None)
    assert first.rescan.tac[0].trigger == first.trigger
    assert first.rescan.tac[0].asr == 0.8333333333333334
    assert first.result.rows[0].step.figures["target_z"] == 2.8753533604191723
    assert first.result.ranking is not None
    assert second.result.ranking is None
    assert second.rescan.finding.classes == (9,)
    [made] = old_audit("schema-2-embeddings").purifications
    assert made.before.asr is None
    assert made.rescan.finding.level == "inconclusive"
    assert made.rescan.finding.reasons[0].code == "poor-accuracy"
    assert made.rescan.judgment.flagged == (3, 10)
    assert made.result.weights is not None
    assert list(made.result.weights)[:2] == ["0.weight", "0.bias"]
    assert math.isnan(made.rescan.trials[0].loss) is False


if __name__ == "__main__":
    text = json.dumps({"schema": SCHEMA, **schema()}, indent=1, ensure_ascii=False)
    FROZEN.write_text(text + "\n", encoding="utf-8")
