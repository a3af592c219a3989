"""What commands print as JSON is what its schema says, key by key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commands import bdshift
from jsonschema import Draft202012Validator
from quick import shorten_searches
from recovered import made_recovery

from bdshift.audit import Audit, with_recovery
from bdshift.reports.json_report import audit_json
from bdshift.reports.json_schema import JSON_OUTPUTS, JsonOutput, json_schema
from bdshift.store import save_audit


def parts(schema: Any) -> Iterator[dict[str, Any]]:
    """A schema and all in it."""
    if isinstance(schema, dict):
        yield schema
        for one in schema.values():
            yield from parts(one)
    elif isinstance(schema, list):
        for one in schema:
            yield from parts(one)


def closed(output: JsonOutput) -> Draft202012Validator:
    """The schema of a command's output, which accepts no key that it does not name."""
    schema = json_schema(output)
    bases = {one["$ref"] for part in parts(schema) for one in part.get("allOf", ())}
    open_ones = [schema["$defs"][one.rpartition("/")[2]] for one in bases]
    for part in list(parts(schema)):
        inside = "additionalProperties" in part or any(part is one for one in open_ones)
        if part.get("type") == "object" and "properties" in part and not inside:
            part["unevaluatedProperties"] = False
    return Draft202012Validator(schema)


def wrong(output: JsonOutput, told: Any) -> list[str]:
    return [f"{one.json_path}: {one.message}" for one in closed(output).iter_errors(told)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outputs")


@pytest.fixture(scope="module")
def outputs(victim: Path, few_signs: Path, folder: Path) -> dict[JsonOutput, dict[str, Any]]:
    """What each command prints, about one model."""
    audit, broken = folder / "a.h5", folder / "broken.pth"
    broken.write_bytes(b"no model")
    given: dict[JsonOutput, tuple[object, ...]] = {
        "scan": (victim, few_signs, "--normalize", "half", "--out", audit),
        "recover": (audit, "--kind", "mask", "--target", "speed_80"),
        "purify": (audit, "--out", folder / "p.pth", "--method", "cut:neurons=3",
                   "--target", "speed_80"),
        "compare": (audit,),
        "info": (victim, "--images", few_signs, "--each"),
        "fleet": (victim, broken, "--images", few_signs, "--out", folder / "fleet", "--quick"),
    }  # fmt: skip
    found: dict[JsonOutput, dict[str, Any]] = {}
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        shorten_searches(patched)
        for name, arguments in given.items():
            done = bdshift(name, *arguments, "--json")
            assert done.exit_code == 0, done.output
            found[name] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", JSON_OUTPUTS)
def test_an_output_is_what_its_schema_says(
    name: JsonOutput, outputs: dict[JsonOutput, dict[str, Any]]
) -> None:
    told = outputs[name]
    assert next(iter(told)) == "schema"
    assert wrong(name, told) == []
    whole = Draft202012Validator(json_schema())
    assert list(whole.iter_errors(told)) == []
    assert list(whole.iter_errors({**told, "of-tomorrow": 1})) == [], "keys may be added"
    for key in told:
        assert wrong(name, {k: v for k, v in told.items() if k != key}) or key not in required(name)


def required(name: JsonOutput) -> set[str]:
    """Keys that the output must have."""
    found = json_schema()["$defs"]
    return set(found[name]["required"]) | (
        set(found["purification"]["required"]) if name == "purify" else set()
    )


def test_what_is_written_follows_it_too(
    outputs: dict[JsonOutput, dict[str, Any]], folder: Path
) -> None:
    assert json.loads((folder / "p.pth.json").read_text("utf-8")) == outputs["purify"]
    for name, given in {
        "scan": ("report", folder / "a.h5", "--out", folder / "r.json"),
        "fleet": ("fleet", "--out", folder / "fleet", "--report", folder / "f.json"),
    }.items():
        done = bdshift(*given)
        assert done.exit_code == 0, done.output
        told = json.loads(Path(given[-1]).read_text("utf-8"))
        assert wrong(name, told) == []  # type: ignore[arg-type]


def test_all_that_an_audit_can_hold_is_described(audit: Audit, tmp_path: Path) -> None:
    full = with_recovery(audit, made_recovery(audit, source=3))
    save_audit(full, tmp_path / "full.h5")
    out = tmp_path / "full.json"
    assert bdshift("report", tmp_path / "full.h5", "--out", out).exit_code == 0
    told = json.loads(out.read_text("utf-8"))
    assert told["recoveries"][0]["reverse"] is not None
    assert len(told["purifications"]) == 2
    assert wrong("scan", told) == []
    beside = replace(full, reference=audit, readings=(audit,))
    told = json.loads(json.dumps(audit_json(beside), allow_nan=False))
    assert told["reference"]["finding"]["level"] == "backdoored"
    assert len(told["other_preprocessings"]) == 1
    assert wrong("scan", told) == []


def test_an_unknown_checkpoint_is_described_too(tmp_path: Path) -> None:
    import torch

    torch.save({"w.weight": torch.ones(3, 3)}, tmp_path / "unknown.pth")
    assert (
        wrong("info", json.loads(bdshift("info", tmp_path / "unknown.pth", "--json").stdout)) == []
    )


def test_the_command_prints_it() -> None:
    assert json.loads(bdshift("schema").stdout) == json_schema()
    one = json.loads(bdshift("schema", "fleet").stdout)
    Draft202012Validator.check_schema(one)
    assert one["$ref"] == "#/$defs/fleet"
    assert bdshift("schema", "demo").exit_code == 2


def test_every_object_lists_only_keys_that_it_describes() -> None:
    for part in parts(json_schema()):
        if "properties" in part and isinstance(part.get("required"), list):
            assert set(part["required"]) <= set(part["properties"])
