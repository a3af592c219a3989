"""Every link and picture of every page leads somewhere, on the code host and on the site."""

from __future__ import annotations

import re

import pytest
import yaml
from doc_pages import PAGES, ROOT, anchors, links


@pytest.mark.parametrize("name", PAGES)
def test_relative_links_and_anchors_exist(name: str) -> None:
    folder = (ROOT / name).parent
    dead = []
    for link in links(name):
        target, _, anchor = link.partition("#")
        path = (folder / target).resolve() if target else ROOT / name
        known = path.exists() and (not anchor or anchor in anchors(str(path.relative_to(ROOT))))
        if not known:
            dead.append(link)
    assert dead == []


def test_every_picture_of_docs_is_shown_somewhere() -> None:
    shown = {(ROOT / name).parent / link for name in PAGES for link in links(name)}
    shown = {path.resolve() for path in shown}
    pictures = set((ROOT / "docs" / "screenshots").glob("*.png"))
    assert pictures
    assert sorted(path.name for path in pictures - shown) == []


def test_the_site_has_every_page_once() -> None:
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    nav = yaml.safe_load("nav:" + text.partition("\nnav:")[2])["nav"]
    listed = [page for part in nav for one in next(iter(part.values())) for page in one.values()]
    assert len(listed) == len(set(listed))
    top = {"README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"}
    written = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert set(listed) - top == written
    assert top <= set(listed)


def test_the_site_takes_nothing_from_outside() -> None:
    style = (ROOT / "docs" / "site.css").read_text("utf-8")
    settings = (ROOT / "mkdocs.yml").read_text("utf-8")
    assert "font: false" in settings
    assert not re.search(r"https?:|//cdn|@import", style + settings)
