"""``bdshift disentanglement``: the plane of a backdoor's and the clean task's weights."""

from __future__ import annotations

import json
import xml.etree.ElementTree
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from commands import bdshift, one_line
from known import STICKER, TARGET

from bdshift.audit import Audit, reopen
from bdshift.audit.disentangling import Plane, measure_plane, with_plane
from bdshift.audit.zero_shot import open_base
from bdshift.errors import InputError, UsageError
from bdshift.purification.disentanglement import Mixture, WeightPlane, grids, places
from bdshift.purification.multiples import multiples
from bdshift.reports.heat_map import draw_plane
from bdshift.reports.html_report import html_report
from bdshift.reports.multiples_svg import draw_multiples
from bdshift.reports.svg import as_file
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


@pytest.mark.slow
def test_as_a_command(unlearned: Path, clean_twin: Path, tmp_path: Path) -> None:
    given = "disentanglement", unlearned, "--pre", clean_twin, "--points", "5", "--out"
    found = bdshift(*given, tmp_path / "p.json")
    assert found.exit_code == 0, found.output
    told = json.loads((tmp_path / "p.json").read_text())
    assert len(told["points"]) == 25
    assert (told["trigger"], told["target"]) == (STICKER, TARGET)
    assert (tmp_path / "p.json.svg").read_text().startswith("<svg")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["p.json", "p.json.svg"]
    assert sorted(one.name for one in unlearned.parent.iterdir()) == ["a.h5", "p.pth", "p.pth.json"]
    [made] = load_audit(unlearned).purifications
    assert made.plane is not None
    assert (made.plane.base, made.plane.trigger) == (str(clean_twin), STICKER)
    assert {one.place: one.error for one in made.plane.mixtures} == {
        (one["alpha_clean"], one["alpha_trigger"]): one["error"] for one in told["points"]
    }
    again = bdshift(*given[:-1], "--points", "7")
    assert again.exit_code == 0, again.output
    assert "ξ(1, 1)" in again.output
    [made] = load_audit(unlearned).purifications
    assert made.plane is not None
    assert len(made.plane.mixtures) == 49
    assert bdshift(*given[:-1], "--points", "5").exit_code == 0
    [made] = load_audit(unlearned).purifications
    assert made.plane is not None
    assert len(made.plane.mixtures) == 49, "more is not replaced by less"
    one_line(bdshift(*given, tmp_path / "p.json"), 2, "--overwrite")
    one_line(bdshift(*given[:-3], "--points", "6", "--out", tmp_path / "q.json"), 2, "odd number")


def test_the_finest_whole_grid_is_shown() -> None:
    few, more = ([Mixture(*place, 0.0, 0.0) for place in places(count)] for count in (7, 13))
    between = [one for one in more if one not in few]

    def shown(*mixtures: Mixture) -> int:
        return len(WeightPlane("a.pth", "0", "badnets", mixtures).finest)

    assert shown(*few, *between) == 169
    assert shown(*few, *between[1:]) == 49
    assert shown(*few[1:]) == 48


@pytest.mark.parametrize("figures", [(4, 0, 0, 0), (0, 0, 2, 0), (0, 0, 0, -1)])
def test_a_plane_that_cannot_be_is_refused(
    figures: tuple[float, float, float, float], unlearned: Path, tmp_path: Path
) -> None:
    audit = load_audit(unlearned)
    plane = WeightPlane("a.pth", "0" * 64, STICKER, (Mixture(*figures),))
    save_audit(with_plane(audit, 1, plane), tmp_path / "b.h5")
    with pytest.raises(InputError, match="damaged"):
        load_audit(tmp_path / "b.h5")


def test_a_plane_with_a_point_twice_is_refused(unlearned: Path, tmp_path: Path) -> None:
    point = Mixture(0, 0, 0, 0)
    plane = WeightPlane("a.pth", "0" * 64, STICKER, (point, point))
    save_audit(with_plane(load_audit(unlearned), 1, plane), tmp_path / "b.h5")
    with pytest.raises(InputError, match="its parts do not fit"):
        load_audit(tmp_path / "b.h5")


def test_a_plane_is_a_grid_whose_points_come_once(unlearned: Path) -> None:
    empty = WeightPlane("a.pth", "0", "badnets", ())
    few = [Mixture(*place, 0.0, 0.0) for place in places(7)]
    assert empty.with_points([*few, *few]).mixtures == tuple(few)
    assert empty.with_points(few).is_sound
    assert not replace(empty, mixtures=(few[0], few[0])).is_sound
    scattered = [Mixture(one / 100, -one / 100, 0.0, 0.0) for one in range(62)]
    assert not empty.with_points(scattered).is_sound, "too many values along an axis"
    assert draw_plane(scattered[:3]).count("<title>") == 3
    assert grids(13) == (7, 13)
    assert grids(9) == (9,)
    more = [Mixture(*place, 0.0, 0.0) for place in places(13)]
    audit = load_audit(unlearned)
    rich, poor = (empty.with_points(points) for points in (more, few))
    for first, second, kept in ((rich, poor, rich), (poor, rich, rich)):
        found = with_plane(with_plane(audit, 1, first), 1, second)
        assert found.purifications[0].plane == kept
    other = replace(poor, trigger="blend")
    assert with_plane(with_plane(audit, 1, rich), 1, other).purifications[0].plane == other


def test_the_report_shows_the_curve_and_the_plane(unlearned: Path) -> None:
    audit = load_audit(unlearned)
    audit = replace(audit, purifications=(replace(audit.purifications[0], plane=None),))
    curve = multiples(row.step for row in audit.purifications[0].result.rows)
    page = html_report(audit)
    assert "What each multiple leaves" in page
    drawn = page[page.index("What each multiple leaves") : page.index("The control is learned")]
    assert drawn.count("<polyline") == 5
    assert drawn.count('r="2.5"') >= 4 * len(curve)
    assert "Weight-disentanglement" not in page
    mixtures = tuple(Mixture(*place, 0.25, 0.5) for place in places(7))
    whole = with_plane(audit, 1, WeightPlane("a/<b>.pth", "0" * 64, STICKER, mixtures))
    page = html_report(whole)
    assert "ξ(1, 1) = 0.75: without the part that was removed, 25.0% of the clean images" in page
    assert page.count("ξ 0.75</title>") == 49
    assert "<b>.pth" not in page
    assert "重みの分離誤差" in html_report(whole, "ja")
    drawn_alone = as_file(draw_multiples(curve, (), ("accuracy", "ASR", "recall", "control")))
    assert drawn_alone.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert "var(" not in drawn_alone
    xml.etree.ElementTree.fromstring(drawn_alone)
