"""A line for each thing that a run is at, as wide as the terminal is. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from s3napback.formatting import human_bytes, human_time, printable
from s3napback.progress.widths import fitted
from s3napback.records import dataclass

_LEAST_TITLE = 14
_LEAST_PART = 0.01
_LEAST_SECONDS = 3.0
"""After which it may be told how long it is going to take."""


@dataclass(frozen=True)
class Glimpse:
    """One work at a moment.

    Attributes:
        title: of what.
        stage: in one word.
        counts: bytes so far, by what was done with them.
        rate: bytes per second of that of them which grows fastest; None if it is not known.
        part: how far along, from 0 to 1; None if that is not known.
        seconds: since it began.
    """

    title: str
    stage: str = ""
    counts: tuple[tuple[str, int], ...] = ()
    rate: float | None = None
    part: float | None = None
    seconds: float = 0.0


def work_line(seen: Glimpse, width: int, *, knows_part: bool = True) -> str:
    """A work in a line of exactly ``width`` columns: what has no room is left out, the least important first.

    Args:
        knows_part: there is a column for how far along it is; of some work it is known.
    """
    part = "" if seen.part is None else f"{seen.part:.0%}"
    rate = "" if seen.rate is None else f"{human_bytes(round(seen.rate))}/s"
    # In the order in which they are shown, each with its width, and with when it is left out: the highest first.
    fields = [
        _Field(seen.stage, 6, 1),
        *(_Field(f"{human_bytes(count)} {name}", 9 + len(name), 5 - number)
          for number, (name, count) in enumerate(seen.counts)),
        _Field(rate, 10, 3),
        *([_Field(part, 4, 2)] if knows_part else []),
        _Field(_time_left(seen) or f"for {_whole_time(seen.seconds)}", 12, 6),
    ]  # fmt: skip
    shown = sorted(fields, key=lambda field: field.rank)
    while shown and _LEAST_TITLE + sum(field.width + 2 for field in shown) > width:
        shown.pop()
    texts = [f"{field.text:>{field.width}}" for field in fields if field in shown]
    rest = width - sum(len(text) + 2 for text in texts)
    return "  ".join([fitted(printable(seen.title), rest), *texts])


@dataclass(frozen=True)
class _Field:
    text: str
    width: int
    rank: int


def _time_left(seen: Glimpse) -> str:
    if seen.part is None or seen.part < _LEAST_PART or seen.seconds < _LEAST_SECONDS:
        return ""
    return f"{_whole_time(seen.seconds * (1 - seen.part) / seen.part)} left"


def _whole_time(seconds: float) -> str:
    return f"{round(seconds)} s" if round(seconds) < 60 else human_time(round(seconds))


def foot_lines(seen: Sequence[Glimpse], whole: str, width: int, height: int) -> list[str]:
    """All that is drawn: a line for each work, and one for the whole.

    Args:
        whole: how far along all of it is; empty if nobody tells.
        width: columns of the terminal.
        height: its lines, of which at least one is left free.
    """
    room = max(1, height - 2 - bool(whole))
    shown = list(seen) if len(seen) <= room else list(seen[: room - 1])
    knows_part = any(each.part is not None for each in seen)
    lines = [work_line(each, width, knows_part=knows_part) for each in shown]
    if len(shown) < len(seen):
        lines.append(fitted(f"and {len(seen) - len(shown)} more", width))
    return [*lines, fitted(printable(whole), width)] if whole else lines
