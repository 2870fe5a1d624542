"""What needs attention, the worst first: what it is, why, and what to do about it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from s3napback.page.advice import advice
from s3napback.page.facts import StoreView
from s3napback.page.markup import Html, name_of, tag, together
from s3napback.page.parts import badge
from s3napback.watch.overview import Standing
from s3napback.watch.states import State

MOST_ALARMS = 200


def attention(stores: Sequence[StoreView], places: Mapping[int, str]) -> Html:
    """The list, or that there is nothing in it.

    Args:
        places: where more is told of a standing, by its identity as an object.
    """
    failed = [_failure(store) for store in stores if store.failure]
    bad = [each for store in stores for each in store.standings if each.verdict.state is not State.OK]
    bad.sort(key=lambda each: -each.verdict.state.badness)
    if not failed and not bad:
        return tag("p", badge(State.OK), " Nothing: all is well.", class_="well")
    shown = [_alarm(each, places.get(id(each), "")) for each in bad[:MOST_ALARMS]]
    more = [tag("p", f"{len(bad) - MOST_ALARMS} more are in the table below.")] if len(bad) > MOST_ALARMS else []
    return together(tag("ol", *failed, *shown, class_="alarms"), *more)


def _failure(store: StoreView) -> Html:
    title = tag("div", badge(State.UNKNOWN), tag("h3", name_of(store.configuration)), class_="title")
    why = tag("ul", tag("li", "It could not be looked at: ", store.failure), class_="why")
    return tag("li", title, why, class_="a-unknown")


def _alarm(each: Standing, place: str) -> Html:
    title = tag("div", badge(each.verdict.state), tag("h3", subject(each, place)), class_="title")
    why = tag("ul", *(tag("li", reason) for reason in each.verdict.reasons), class_="why")
    what = tag("ul", *(tag("li", line) for line in advice(each)), class_="advice", aria_label="What to do")
    return tag("li", title, why, what, class_=f"a-{each.verdict.state.name.lower()}")


def subject(each: Standing, place: str) -> Html:
    """What something is said of: a source of a host, or all that a host does."""
    host = str(each.place) if each.place.configuration != "-" else each.place.host
    where = name_of(f"{each.place.prefix}/{host}" if each.place.prefix else host)
    if not each.source:
        return together(where, ", as a whole")
    source = name_of(each.source)
    return together(tag("a", source, href=f"#{place}") if place else source, " on ", where)
