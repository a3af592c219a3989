"""Triggers that are named by the card of their victim."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from commands import bdshift
from known import STICKER
from PIL import Image

from bdshift.assets import asset
from bdshift.audit import Audit
from bdshift.errors import InputError, UsageError
from bdshift.store import save_audit
from bdshift.triggers import TRIGGERS, card_target, is_card, parse_trigger, read_card
from bdshift.triggers.attacks.badnets import BadNets
from bdshift.triggers.attacks.blend import Blend


def card(folder: Path, attack: object) -> str:
    path = folder / "card.json"
    path.write_text(json.dumps({"recipe": {"attack": attack, "target": "stop"}}))
    return str(path)


def test_the_demos_card_holds_its_trigger() -> None:
    path = str(asset("demo/victim.json"))
    assert is_card(path)
    assert not is_card(STICKER)
    assert parse_trigger(path) == BadNets(size=4, color="ffd800", row=20, column=14)
    assert parse_trigger(path) == parse_trigger(STICKER)
    assert card_target(path) == "speed_80"
    with pytest.raises(UsageError, match="clean model"):
        parse_trigger(str(asset("demo/clean-twin.json")))


def test_files_are_looked_for_beside_the_card(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), "red").save(tmp_path / "red.png")
    found = parse_trigger(card(tmp_path, "blend:ratio=0.5,pattern=red.png"))
    assert found == Blend(ratio=0.5, pattern=str(tmp_path / "red.png"))
    assert read_card(card(tmp_path, "blend:pattern=/gone.png")) == "blend:pattern=/gone.png"


@pytest.mark.parametrize("name", [kind.name for kind in TRIGGERS.kinds() if kind.made_file])
def test_what_was_learned_is_looked_for_beside_the_card(name: str, tmp_path: Path) -> None:
    made = TRIGGERS[name].made_file
    for text in (name, f"{name}:file=", f"{name}:file={made}"):
        path = card(tmp_path, text)
        assert read_card(path) == f"{name}:file={made}", "named, for whoever reads the error"
        (tmp_path / made).write_bytes(b"")
        assert read_card(path) == f"{name}:file={tmp_path / made}"
        (tmp_path / made).unlink()


def test_a_learned_triggers_settings_stay(tmp_path: Path) -> None:
    for text in ("lira:epsilon=0.1", "lira:file=,epsilon=0.1", "lira:file=trigger.pth,epsilon=0.1"):
        found = parse_trigger(card(tmp_path, text))
        assert found == parse_trigger("lira:file=trigger.pth,epsilon=0.1")


def test_a_patch_finds_its_mask_beside_the_card(tmp_path: Path) -> None:
    for name in ("p.png", "m.png"):
        Image.new("RGB", (4, 4), "white").save(tmp_path / name)
    found = read_card(card(tmp_path, "patch:file=/elsewhere/p.png,mask=m.png,row=1"))
    assert found == f"patch:file={tmp_path / 'p.png'},mask={tmp_path / 'm.png'},row=1"
    strip = tmp_path / "strip.png"
    Image.new("RGB", (32, 4), "white").save(strip)
    changed = parse_trigger(f"patch:file={strip}")(torch.zeros(1, 3, 32, 32))
    assert int(changed[0, 0].count_nonzero()) == 32 * 4, "it is as wide as the image, not as high"


def test_what_is_no_card(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match="several triggers; name one instead of the card: sig;wanet"
    ):
        read_card(card(tmp_path, "sig;wanet"))
    with pytest.raises(UsageError, match="trigger 'magic'"):
        parse_trigger(card(tmp_path, "magic"))
    path = tmp_path / "card.json"
    for text in ("", "[]", "{}", '{"recipe": 3}', '{"recipe": {"attack": [1]}}', "[" * 99999):
        path.write_text(text)
        with pytest.raises(InputError, match="not a victim's card"):
            parse_trigger(str(path))
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not a victim's card"):
        parse_trigger(str(path))
    path.unlink()
    with pytest.raises(InputError, match="no file"):
        parse_trigger(str(path))
    with pytest.raises(InputError, match="another machine"):
        parse_trigger("//other/share/card.json")


def test_a_command_takes_a_card(victim_audit: Audit, tmp_path: Path) -> None:
    file, card_file = tmp_path / "a.h5", asset("demo/victim.json")
    save_audit(victim_audit, file)
    done = bdshift("neurons", file, "--trigger", card_file, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["target"]["name"] == "speed_80"
    assert told["trigger"]["spec"] == STICKER
    other = json.loads(card_file.read_text())
    other["recipe"]["target"] = "stop"
    (tmp_path / "other.json").write_text(json.dumps(other))
    done = bdshift("neurons", file, "--trigger", tmp_path / "other.json", "--json")
    assert json.loads(done.stdout)["target"]["name"] == "stop", "where its victim sends images"
