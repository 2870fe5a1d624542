"""The page as text: what it says, in which order, and that nothing in a store can be markup in it."""

from __future__ import annotations

import re
import time
import unicodedata
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3napback.page.advice import advice
from s3napback.page.charts import charts
from s3napback.page.document import MOST_DETAILS, pieces
from s3napback.page.facts import PageFacts, StoreView
from s3napback.page.markup import Html, tag, together
from s3napback.page.timeline import Cell, cells, day_ranges
from s3napback.rotation import day_number
from s3napback.watch.keys import Place
from s3napback.watch.overview import Standing, StoreContents, Wordless, standings
from s3napback.watch.states import Cause, State, Verdict
from s3napback.watch.word import Dropped
from tests.page.documents import page
from tests.page.samples import DAY, NOW, STYLE, TODAY, every_state, past, said, view
from tests.peaks import peak_of

HOSTILE = [
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "</style></title><!--",
    "line\nbreak\x1b[31m\x00",
    "evil\u202etxt.exe\u2066\u200b",
    "\udcff\udc80 not UTF-8",
    "&lt;b&gt; &amp; ' ` = / javascript:alert(1)",
    "ἀρχή עברית عربى",
    "n" * 1000,
]


class Read(HTMLParser):
    """Elements, attributes and text of a document."""

    def __init__(self, document: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: Counter[str] = Counter()
        self.attributes: dict[str, set[str]] = {}
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(document)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        if tag not in ("meta",):
            self.open.append(tag)
        for name, value in attrs:
            self.attributes.setdefault(name, set()).add(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text.append(data)


def hostile(name: str) -> PageFacts:
    """Facts in which every text is the same one."""
    found = past(name, f"Directory /{name}", name, count=9, broken=[3], cycle=name)
    found = replace(found, nights=tuple(replace(night, problem=night.problem and name) for night in found.nights))
    late = said(found, outcome="failed", last_good=TODAY - DAY, expected_by=NOW - DAY, key=name, source=found.source)
    made = view(name, [(found, late)], dropped=(Dropped(name, TODAY, TODAY),))
    silent = standings(StoreContents(), [Wordless(name, name, (name,))], NOW)
    stores = [replace(made, place=name, configuration=name, standings=[*made.standings, *silent]),
              StoreView(name, name, failure=name)]  # fmt: skip
    return PageFacts(NOW, TODAY, stores, STYLE)


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_whatever_a_store_holds_is_text(name: str) -> None:
    document = page(hostile(name))
    document.encode()
    found, plain = Read(document), Read(page(hostile("plain")))
    # A line of a table, or a word of a command, may be more or less: nothing else can differ.
    assert set(found.tags) == set(plain.tags)
    assert set(found.attributes) == set(plain.attributes)
    assert found.tags["script"] == found.tags["img"] == 0
    assert not [name for name in found.attributes if name.startswith("on")]
    assert all(href.startswith("#") for href in found.attributes["href"])
    odd = [each for each in document if unicodedata.category(each)[0] in "CZ" and each not in " \n"]
    assert odd == []
    assert found.open == []


@given(st.text(), st.text())
def test_an_element_gives_back_what_was_put_in(content: str, value: str) -> None:
    read = Read(tag("p", content, title=value))
    assert (read.tags, set(read.attributes)) == (Counter(p=1), {"title"})
    assert all(each.isprintable() for each in (*read.text, *read.attributes["title"]))
    if content.isprintable():
        assert "".join(read.text) == content
    assert together(Html("<b>"), "<i>") == "<b>&lt;i&gt;"


def test_nothing_comes_from_elsewhere_and_nothing_runs() -> None:
    document = page(every_state())
    assert not re.search(r"https?:|//|url\(|@import|<script|<link|<iframe| src=| on\w+=", document.replace("s3://", ""))
    assert "default-src 'none'" in document.replace("&#x27;", "'")


def test_what_needs_attention_stands_on_top_with_why_and_what_to_do() -> None:
    document = page(every_state())
    above = document.partition("All sources</h2>")[0]
    order = re.findall(r'class="a-(\w+)"', above)
    assert order == ["critical"] * 2 + ["unknown"] + ["warning"] * 4
    text = "".join(Read(above).text)
    for words in (
        "no backup since 2026-11-17, and it was due by",
        "See whether borea is on, and whether cron or its timer ran. By hand: s3napback -c nightly there.",
        "its newest archive srv-9-DIFF is not in the store",
        "s3napback -c nightly -f --full",
        "castor, as a whole",
        "verify found srv/svn-",
        "a program that makes the backup failed",
    ):
        assert words in text, words
    # What is well is not mentioned there.
    assert "Directory /etc on atlas" not in text
    assert "CRITICAL: backups, 2026-11-26" in text


def test_where_all_is_well_the_page_says_so_and_an_empty_store_is_no_bug() -> None:
    found = past("etc", "Directory /etc")
    text = "".join(Read(page(PageFacts(NOW, TODAY, [view("atlas", [(found, said(found))])]))).text)
    assert "All backups are well" in text
    assert "Nothing: all is well." in text
    assert "Restorable: 48 days: 2026-10-10 to 2026-11-26." in text
    assert "Nothing: all is well." in page(PageFacts(NOW, TODAY, [StoreView("s3://b", "c")]))


def test_a_store_that_could_not_be_looked_at_is_the_first_thing_that_is_told() -> None:
    document = page(PageFacts(NOW, TODAY, [*every_state().stores, StoreView("", "/etc/b.conf", failure="no answer")]))
    first = re.search(r'<ol class="alarms">(.*?)</li></ul></li>', document)
    assert first is not None
    assert "/etc/b.conf" in first[1]
    assert "It could not be looked at: no answer" in first[1]


@pytest.mark.parametrize("cause", list(Cause))
def test_for_everything_that_can_be_wrong_there_is_something_to_do(cause: Cause) -> None:
    standing = Standing(
        Place("", "atlas", "night'ly"), "Directory /a b", Verdict(State.WARNING, ("x",), (cause, cause))
    )
    (line,) = advice(standing)
    assert len("".join(Read(line).text)) > 30


def test_each_day_is_shown_by_the_best_that_it_has_and_lacks() -> None:
    today = day_number(TODAY)
    found = past("etc", "Directory /etc", count=10, gaps=[0, 4], broken=[2, 5])
    broken = next(night for night in found.nights if night.day == today - 5)
    found = replace(found, nights=(*found.nights, replace(broken, problem="", key="again")))
    shown = cells(found, today)
    lacking = [day for day, cell in shown.items() if cell is Cell.NONE]
    assert sorted(lacking) == [today - 4, today]
    assert [today - day for day, cell in shown.items() if cell is Cell.BROKEN] == [2]
    assert shown[today - 5] in (Cell.FULL, Cell.DIFF)
    assert today - 10 not in shown
    document = page(PageFacts(NOW, TODAY, [StoreView("s3://b", "c", (), [found])]))
    label = re.search(r'aria-label="(Nov 2026: [^"]+)"', document)
    assert label is not None
    assert label[1].endswith("cannot be restored 24; no backup 22, 26")
    assert "2 archives cannot be restored." in document


def test_ranges_of_days_are_few() -> None:
    assert day_ranges([]) == ""
    assert day_ranges([20_000]) == "2024-10-04"
    assert day_ranges([*range(0, 40, 2), 20_000, 20_001], 2) == "19 older, 1970-02-08, 2024-10-04 to 2024-10-05"


def test_charts_need_two_values_and_tell_the_most_and_the_newest() -> None:
    found = past("etc", "Directory /etc", count=2, group=1, size=1_000_000)
    titles = [re.findall(r'aria-label="(\w+ ?\w*) of 2 archives', chart) for chart in charts(found.nights)]
    assert titles == [["FULL size"], ["Duration"]]
    assert charts(found.nights[:1]) == []
    nothing = [replace(night, seconds=None, size=0) for night in found.nights]
    assert len(charts(nothing)) == 1


def test_ten_thousand_archives_and_as_many_sources_are_bounded() -> None:
    many = [past(f"s{number}", f"Directory /s{number}", count=100) for number in range(100)]
    single = [past(f"s{number}", f"Directory /s{number}", count=1) for number in range(10_000)]
    for pasts, most in ((many, 4_000_000), (single, 9_000_000)):
        host = view("atlas", [(found, said(found)) for found in pasts])
        clock = time.process_time()
        document = page(PageFacts(NOW, TODAY, [host]))
        assert time.process_time() - clock < 10
        assert len(document) < most, len(document)
        assert document.count("<figure>") <= MOST_DETAILS
        assert document.count('role="rowheader"') >= len(pasts)


def test_a_source_that_no_run_has_spoken_of_is_shown_with_its_archives() -> None:
    found = past("etc", "Directory /etc", count=5)
    new = Verdict(State.WARNING, ("new",), (Cause.FIRST,))
    lacking = Standing(Place("", "atlas", "nightly"), "Directory /etc", new)
    (shown,) = StoreView("s3://b", "c", [lacking], [found]).sources()
    assert shown.past is found


def test_a_page_of_many_sources_is_made_in_a_part_of_the_memory_that_it_is_long() -> None:
    found = [past(f"number-{number}", f"Directory /srv/number-{number}", count=20) for number in range(60)]
    facts = PageFacts(NOW, TODAY, [StoreView("s3://b", "c", (), found)], STYLE)
    lengths = []

    peak = peak_of(lambda: lengths.append(sum(len(piece) for piece in pieces(facts))))

    # Made as a whole it would be four times as much as it is long.
    assert lengths[0] > 500_000
    assert peak < lengths[0] / 2
