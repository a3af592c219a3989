"""``bdshift disentanglement``: the plane of a backdoor's and the clean task's weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from commands import bdshift, one_line
from known import STICKER, TARGET

from bdshift.audit import Audit, reopen
from bdshift.audit.disentangling import Mixture, Plane, measure_plane, places
from bdshift.audit.zero_shot import open_base
from bdshift.errors import UsageError
from bdshift.report.heat_map import draw_plane
from bdshift.store import load_audit, save_audit
from bdshift.triggers import parse_trigger


@pytest.fixture(scope="module")
def unlearned(victim_audit: Audit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An audit that holds a TBAR of one epoch."""
    folder = tmp_path_factory.mktemp("plane")
    save_audit(victim_audit, folder / "a.h5")
    found = bdshift(
        "purify", folder / "a.h5", "--out", folder / "p.pth", "--method",
        "tbar:epochs=1,alpha=2", "--trigger", STICKER,
    )  # fmt: skip
    assert found.exit_code == 0, found.output
    return folder / "a.h5"


def test_the_plane_goes_through_the_three_models(unlearned: Path, clean_twin: Path) -> None:
    audit = load_audit(unlearned)
    [made] = audit.purifications
    material, base = reopen(audit), open_base(clean_twin, audit, None)
    plane = Plane(audit, material, made, base, parse_trigger(STICKER))
    images = material.classifier.preprocessing(plane._clean)
    for place, network in (
        ((1.0, 1.0), material.classifier.network),
        ((1.0, 0.0), made.result.applied_to(material.classifier).network),
    ):
        with torch.no_grad():
            assert torch.equal(plane._answer(place)[0], network(images).argmax(1))
    alone = plane.measure((0.0, 1.0))
    assert alone.triggered == 0
    assert plane.measure((1.0, 0.0)).clean == 0
    at_one = plane.measure((1.0, 1.0))
    clean, triggered = plane._answer((1.0, 1.0))
    assert at_one.clean == float((plane._answer((1.0, 0.0))[0] != clean).float().mean())
    assert at_one.triggered == float((plane._answer((0.0, 1.0))[1] != triggered).float().mean())
    assert (triggered == TARGET).float().mean() > 0.9
    assert 0 <= at_one.error <= 2


def test_known_points_are_not_measured_again() -> None:
    class Counting(Plane):
        def __init__(self) -> None:
            self.asked: list[tuple[float, float]] = []

        def measure(self, place: tuple[float, float]) -> Mixture:
            self.asked.append(place)
            return Mixture(*place, 0.1, 0.2)

    few = [Mixture(*place, 0.0, 0.0) for place in places(7)]
    plane = Counting()
    found = list(measure_plane(plane, few))
    assert len(found) == 169 - 49
    assert not set(plane.asked) & set(places(7))
    assert Counting().asked == []
    assert [one.alpha_clean for one in measure_plane(Counting())][:7] == [-3, -2, -1, 0, 1, 2, 3]
    for count in (3, 6, 63):
        with pytest.raises(UsageError):
            places(count)


def test_the_picture_shows_every_point() -> None:
    drawn = draw_plane([Mixture(*place, 0.5, 0.5) for place in places(7)])
    assert drawn.count("<title>") == 49
    assert "ξ 1.00" in drawn
    assert drawn.count("#d55e00") == 3


def test_as_a_command(unlearned: Path, clean_twin: Path, tmp_path: Path) -> None:
    given = "disentanglement", unlearned, "--pre", clean_twin, "--points", "5", "--out"
    found = bdshift(*given, tmp_path / "p.json")
    assert found.exit_code == 0, found.output
    told = json.loads((tmp_path / "p.json").read_text())
    assert len(told["points"]) == 25
    assert (told["trigger"], told["target"]) == (STICKER, TARGET)
    assert (tmp_path / "p.json.svg").read_text().startswith("<svg")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["p.json", "p.json.svg"]
    one_line(bdshift(*given, tmp_path / "p.json"), 2, "--overwrite")
    one_line(bdshift(*given[:-3], "--points", "6", "--out", tmp_path / "q.json"), 2, "odd number")
