"""Sizes and durations over time, as small bars, the newest at the right. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from s3napback.formatting import human_bytes, human_time
from s3napback.page.facts import MOST_NIGHTS, ArchiveView
from s3napback.page.markup import Html, tag
from s3napback.records import dataclass
from s3napback.rotation import ArchiveType, day_date

_WIDTH, _HEIGHT, _LEAST_BARS = 10, 40, 14


@dataclass(frozen=True)
class _Chart:
    """What one shows.

    Attributes:
        title: what is measured.
        values: the oldest first, each with its day.
        shown: a value as people read it.
        style: of its bars.
    """

    title: str
    values: Sequence[tuple[int, float]]
    shown: Callable[[float], str]
    style: str


def charts(nights: Sequence[ArchiveView]) -> list[Html]:
    """Of each type its sizes, and how long archives took, as far as there are two to compare."""
    newest = sorted(nights[:MOST_NIGHTS], key=lambda night: night.day)
    found = [
        _Chart(f"{kind.value} size", [(each.day, each.size) for each in newest if each.type is kind], _bytes, style)
        for kind, style in ((ArchiveType.FULL, "full"), (ArchiveType.DIFF, "diff"))
    ]
    took = [(each.day, each.seconds) for each in newest if each.seconds is not None]
    found.append(_Chart("Duration", took, human_time, "took"))
    return [_drawn(chart) for chart in found if len(chart.values) > 1]


def _bytes(value: float) -> str:
    return human_bytes(round(value))


def _drawn(chart: _Chart) -> Html:
    values = [value for _, value in chart.values]
    most, least, newest = max(values), min(values), values[-1]
    first, last = (f"{day_date(chart.values[place][0])}" for place in (0, -1))
    label = (
        f"{chart.title} of {len(values)} archives, {first} to {last}: "
        f"from {chart.shown(least)} to {chart.shown(most)}, the newest {chart.shown(newest)}"
    )
    width = max(len(values), _LEAST_BARS) * _WIDTH
    begin = width - len(values) * _WIDTH
    heights = [max(1.0, value / (most or 1) * _HEIGHT) for value in values]
    bars = "".join(
        f"M{begin + place * _WIDTH + 1} {_HEIGHT}v-{height:.1f}h{_WIDTH - 2}V{_HEIGHT}z"
        for place, height in enumerate(heights)
    )
    svg = tag("svg", tag("path", d=bars, class_=chart.style), tag("path", d=f"M0 {_HEIGHT}h{width}", class_="base"),
              viewBox=f"0 0 {width} {_HEIGHT}", preserveAspectRatio="none", role="img", aria_label=label)  # fmt: skip
    head = tag("div", tag("span", chart.title), tag("strong", chart.shown(newest)), class_="above")
    foot = tag("div", tag("span", first), tag("span", f"most {chart.shown(most)}"), class_="below")
    return tag("div", head, svg, foot, class_="chart")
