"""The page in a real browser: readable in light and dark, narrow and wide, by keyboard, aloud and on paper."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.page.browser import Browser, browser
from tests.page.documents import page
from tests.page.samples import every_state
from tests.page.test_page import HOSTILE, hostile

pytestmark = pytest.mark.long(25)

CONTRASTS = """
const channel = value => { value /= 255; return value <= .04045 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4 };
const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
const light = ([r, g, b]) => .2126 * channel(r) + .7152 * channel(g) + .0722 * channel(b);
const ratio = (one, other) => {
  const [most, least] = [light(one), light(other)].sort((a, b) => b - a);
  return (most + .05) / (least + .05);
};
const ground = element => {
  for (; element; element = element.parentElement) {
    const colour = parse(getComputedStyle(element).backgroundColor);
    if (colour.length === 3 || colour[3] === 1) return colour;
    if (colour[3] > 0) throw "a ground that shines through";
  }
  return parse(getComputedStyle(document.body).backgroundColor);
};
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
  const style = getComputedStyle(element);
  found.push([ratio(parse(style.color), ground(element)), element.tagName + "." + element.className]);
}
const marks = [];
const track = parse(getComputedStyle(document.querySelector(".calendar .track")).fill);
for (const [name, what] of [["full", "fill"], ["diff", "fill"], ["broken", "stroke"], ["none", "stroke"],
                            ["today", "stroke"]]) {
  const mark = document.querySelector(".calendar ." + name);
  marks.push([ratio(parse(getComputedStyle(mark)[what]), track), name]);
}
return [found, marks];
"""


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    with browser() as made:
        yield made


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(page(every_state()), encoding="utf-8")
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 790, 1600])
def test_it_is_readable_in_every_light_at_every_width(window: Browser, shown: Path, scheme: str, width: int) -> None:
    window.size(width)
    window.medium(scheme)
    window.open(shown)
    ground = window.run("return getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, ground[4:-1].split(","))) < 128) == (scheme == "dark")
    window.run("document.querySelectorAll('details').forEach(each => each.open = true)")
    texts, marks = window.run(CONTRASTS)
    assert len(texts) > 500
    assert [each for each in texts if each[0] < 4.5] == []
    assert [each for each in marks if each[0] < 3] == []
    assert window.run("return document.documentElement.scrollWidth") == width
    # The policy of the page forbids whatever is not in it, and the browser says so of each try.
    assert window.complaints() == []


@pytest.mark.parametrize("name", [HOSTILE[0], HOSTILE[1], HOSTILE[-1]], ids=["script", "img", "long"])
def test_a_hostile_name_is_text_and_makes_nothing_wider(window: Browser, tmp_path: Path, name: str) -> None:
    path = tmp_path / "hostile.html"
    path.write_text(page(hostile(name)), encoding="utf-8")
    for width in (360, 790, 1600):
        window.size(width)
        window.open(path)
        window.run("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert window.run("return document.documentElement.scrollWidth") == width
    assert window.run("return document.scripts.length + document.images.length + document.links.length") == (
        window.run("return document.querySelectorAll('a[href^=\"#\"]').length")
    )
    assert name[:70] in window.run("return document.querySelector('.alarms bdi').textContent")
    assert window.complaints() == []


def test_everything_is_reached_by_tab_and_is_seen_to_be(window: Browser, shown: Path) -> None:
    window.size(1600)
    window.medium("light")
    window.open(shown)
    wanted = window.run("return document.querySelectorAll('a[href], summary').length")
    reached = []
    for _ in range(wanted):
        window.press_tab()
        reached.append(
            window.run("""
            const here = document.activeElement, style = getComputedStyle(here), box = here.getBoundingClientRect();
            const outline = style.outlineStyle + style.outlineWidth;
            return [here.tagName, here.textContent, outline, box.width > 0 && box.left >= 0];
        """)
        )
    assert reached[0][:2] == ["A", "Skip to what needs attention"]
    assert {each[0] for each in reached} == {"A", "SUMMARY"}
    assert [each for each in reached if each[2] != "solid3px" or not each[3]] == []
    window.press_tab()
    assert window.run("return document.activeElement.tagName") == "BODY"


def test_a_link_leads_to_its_source_and_opens_it(window: Browser, shown: Path) -> None:
    window.open(shown)
    window.run("document.querySelectorAll('details').forEach(each => each.open = false)")
    window.run("document.querySelector('.alarms a').click()")
    assert window.run("return document.querySelector(location.hash).closest('details').open") is True
    assert "borea" in window.run("return document.querySelector(location.hash).parentElement.textContent")


def test_read_aloud_it_has_landmarks_headings_tables_and_pictures_with_words(window: Browser, shown: Path) -> None:
    for width in (360, 1600):
        window.size(width)
        window.open(shown)
        spoken = window.spoken()
        roles = [role for role, _ in spoken]
        assert {"banner", "main", "contentinfo"} <= set(roles)
        assert ("heading", "What needs attention") in spoken
        assert ("heading", "Directory /etc on borea/nightly") in spoken
        assert ("region", "All sources") in spoken
        # A narrow screen must not cost the table its rows and headings.
        assert ("columnheader", "Newest") in spoken
        assert ("rowheader", "Directory /home") in spoken
        assert roles.count("row") > 7
        assert roles.count("cell") >= 7 * 7
        pictures = [name for role, name in spoken if role in ("image", "img")]
        assert any(name.startswith("Nov 2026: FULL ") and "; DIFF " in name for name in pictures)
        assert any(name.startswith("Duration of ") for name in pictures)
        assert "" not in pictures


def test_on_paper_nothing_is_folded_away_and_the_ground_is_white(window: Browser, shown: Path) -> None:
    window.size(790)
    window.open(shown)
    window.run("document.querySelectorAll('details').forEach(each => each.open = false)")
    window.medium("dark", "print")
    seen = window.run("""
        const figures = [...document.querySelectorAll('details.source figure')];
        return figures.map(each => each.checkVisibility() && each.getBoundingClientRect().height > 30);
    """)
    assert len(seen) > 5
    assert all(seen)
    lines = window.run("""
        return [...document.querySelectorAll('#all thead th, #all td:not(:has(bdi))')].map(each => {
            const range = document.createRange();
            range.selectNodeContents(each);
            return range.getBoundingClientRect().height;
        });
    """)
    # No word is torn apart for want of room.
    assert max(lines) < 30
    assert window.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert window.run("return getComputedStyle(document.querySelector('.skip')).display") == "none"
    texts, marks = window.run(CONTRASTS)
    assert [each for each in texts if each[0] < 4.5] == []
    assert [each for each in marks if each[0] < 3] == []
    assert window.printed().startswith(b"%PDF")
    window.medium("light")
