"""The whole page. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import chain

from s3napback.formatting import counted, human_bytes, human_time
from s3napback.page.attention import attention
from s3napback.page.charts import charts
from s3napback.page.facts import PageFacts, Past, SourceView, StoreView
from s3napback.page.markup import Html, name_of, streamed, tag, text, together
from s3napback.page.parts import badge, days_ago, proven, sprite, verified
from s3napback.page.tables import table_of_archives, table_of_sources
from s3napback.page.timeline import day_ranges, legend, timeline
from s3napback.watch.overview import overall
from s3napback.watch.proofs import NOTHING_KNOWN
from s3napback.watch.states import State, worst

MOST_DETAILS = 400
"""Sources that are drawn; of more the table alone tells."""
MOST_ROWS = 6_000
"""Archives that are listed in all."""
_FEW = 12

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def pieces(facts: PageFacts) -> Iterator[str]:
    """A whole document, whose characters are all printable ASCII or Unicode, in UTF-8 when it is written.

    Each piece is made when the one before has been taken: of a thousand sources it is large.
    """
    views = _in_order(facts.stores)
    state = _overall(facts.stores)
    head = together(
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name_="robots", content="noindex"),
        tag("meta", name_="referrer", content="no-referrer"),
        tag("title", f"{state.name}: backups, {facts.today}"),
        tag("style", Html(facts.style)),
    )
    above = (
        sprite(),
        tag("a", "Skip to what needs attention", href="#attention", class_="skip"),
        _header(facts, views, state),
    )
    body = streamed("body", chain(above, streamed("main", _main(facts, views)), [_footer(facts)]))
    yield "<!DOCTYPE html>\n"
    yield from streamed("html", chain([tag("head", head)], body), lang="en")
    yield "\n"


def _main(facts: PageFacts, views: Sequence[SourceView]) -> Iterator[Html]:
    places = {number: f"s{number}" for number in range(min(len(views), MOST_DETAILS))}
    of_standings = {id(view.standing): places[n] for n, view in enumerate(views) if view.standing and n in places}
    yield from _section("attention", "What needs attention", [attention(facts.stores, of_standings)])
    if not views:
        return
    rows = [(view, places.get(number, "")) for number, view in enumerate(views)]
    table = streamed("div", table_of_sources(rows, facts.today), class_="sheet")
    yield from _section("all", "All sources", table)
    yield from _details(views, places, facts.today)


def _in_order(stores: Sequence[StoreView]) -> list[SourceView]:
    """The sources of all stores, the worst first; in each state as they were."""
    views = [view for store in stores for view in store.sources()]
    return sorted(views, key=lambda view: -view.standing.verdict.state.badness if view.standing else 1)


def _overall(stores: Sequence[StoreView]) -> State:
    found = [overall(each for store in stores for each in store.standings)]
    return worst([*found, *(State.UNKNOWN for store in stores if store.failure)])


def _header(facts: PageFacts, views: Sequence[SourceView], state: State) -> Html:
    counts = Counter(view.standing.verdict.state for view in views if view.standing)
    items = [
        tag("li", tag("strong", f"{counts[each]}"), badge(each))
        for each in sorted(State, key=lambda each: -each.badness)
        if counts[each]
    ]
    headline = {State.OK: "All backups are well"}.get(state, "Backups need attention")
    stores = [tag("p", name_of(store.place), class_="soft") for store in facts.stores]
    when = tag("p", f"As of {facts.moment:%Y-%m-%d %H:%M %z}", class_="soft")
    listed = tag("ul", *items, class_="counts", aria_label="Sources by state") if items else ""
    return tag("header", tag("h1", headline), when, *stores, listed, class_="page")


def _section(place: str, title: str, content: Iterable[Html]) -> Iterator[Html]:
    heading = tag("h2", title, id=f"{place}-title")
    named = {"id": place, "aria_labelledby": f"{place}-title", "tabindex": "-1"}
    return streamed("section", chain([heading], content), **named)


def _details(views: Sequence[SourceView], places: Mapping[int, str], today: date) -> Iterator[Html]:
    shown = views[: len(places)]
    rows = max(3, MOST_ROWS // max(1, len(shown)))
    sources = (
        _source(view, places[number], today, rows, is_open=_is_open(view, shown)) for number, view in enumerate(shown)
    )
    more = len(views) - len(shown)
    rest = [tag("p", f"{counted(more, 'more source')} in the table above.")] if more else []
    content = chain([legend()], streamed("div", sources, class_="sources"), rest)
    return _section("sources", "Days, sizes and durations", content)


def _is_open(view: SourceView, shown: Sequence[SourceView]) -> bool:
    return len(shown) <= _FEW or (view.standing is not None and view.standing.verdict.state is not State.OK)


def _source(view: SourceView, place: str, today: date, rows: int, *, is_open: bool) -> Html:
    standing, past = view.standing, view.past
    sign = badge(standing.verdict.state) if standing else tag("span", "not watched", class_="soft")
    title = tag("h3", name_of(view.source or "/", 400), " ", tag("span", "on ", name_of(view.host), class_="soft"))
    left = [_left(past, today)] if past else []
    archives = [_archives(past, rows)] if past else []
    body = tag("div", *left, _facts(view, today), *archives, class_="body", id=place)
    return tag("details", tag("summary", tag("div", title, sign, class_="title")), body, class_="source sheet",
               **({"open": ""} if is_open else {}))  # fmt: skip


def _left(past: Past, today: date) -> Html:
    figure = tag("figure", timeline(past, today), tag("figcaption", _caption(past)))
    return tag("div", figure, tag("div", *charts(past.nights), class_="charts"), class_="left")


def _caption(past: Past) -> str:
    broken = sum(bool(night.problem) for night in past.nights)
    lost = f" {counted(broken, 'archive')} cannot be restored." if broken else ""
    if not past.days:
        return f"Nothing of it can be restored.{lost}"
    return f"Restorable: {counted(len(past.days), 'day')}: {day_ranges(past.days)}.{lost}"


def _facts(view: SourceView, today: date) -> Html:
    standing, past = view.standing, view.past
    said = standing.said if standing else None
    known = standing.known if standing else past.known if past else NOTHING_KNOWN
    newest = standing.last_good if standing else None
    rows: list[tuple[str, str]] = [
        ("Newest", f"{newest}, {days_ago(newest, today)}" if newest else "" if past else "never"),
        ("Next due by", f"{said.expected_by:%Y-%m-%d %H:%M} UTC" if said and said.expected_by else ""),
        ("Last run", said.outcome if said else ""),
        ("Size", _size(view)),
        ("Took", human_time(said.seconds) if said and said.seconds is not None else ""),
        ("Verified", verified(known, today)),
        ("Proven", proven(known, today)),
        ("Cycle", name_of(past.cycle if past else said.cycle if said else "")),
        ("Name", name_of(past.name if past else said.name if said else "")),
    ]
    shown = (pair for pair in rows if pair[1] and pair[1] != "<bdi></bdi>")
    return tag("dl", *(together(tag("dt", name), tag("dd", value)) for name, value in shown))


def _size(view: SourceView) -> str:
    said = view.standing.said if view.standing else None
    if said is None or said.size is None:
        return ""
    trend = f", {said.size / said.size_before - 1:+.0%} to the one before" if said.size_before else ""
    return f"{human_bytes(said.size)}{trend}"


def _archives(past: Past, rows: int) -> Html:
    table = table_of_archives(past.nights, min(rows, 60))
    return tag("details", tag("summary", f"{counted(len(past.nights), 'archive')} as a table"), table,
               class_="archives wide")  # fmt: skip


def _footer(facts: PageFacts) -> Html:
    said = (
        "This page was made by s3napback report, and changes when that runs again. “Verified” is when verify last read "
        "a backup whole (sums: only its stored bytes), “proven” when a drill restored it."
    )
    where = text(f"{facts.moment:%Z}")
    return tag("footer", tag("p", said), tag("p", "Days are local days; the local time is ", where, "."))
