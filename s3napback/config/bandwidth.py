"""How many bytes a second may pass between us and the store, by the time of day. Pure.

Written ``2M``, or ``08:00-18:00 2M, else 20M``: spans of the local time of day, each with what holds in it, the first
one that fits counts; then what holds at other times, which is no limit if it is left out.
"""

from __future__ import annotations

import re

from s3napback.records import dataclass
from s3napback.regexes import regex

LEAST_RATE = 16_000
"""Bytes per second. With less, single requests would take so long that servers give them up."""

_DAY = 24 * 60
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_RATE = regex(r"(?P<number>\d{1,12}(\.\d{1,3})?)(?P<unit>[kmg]?)(b(/s)?)?", re.IGNORECASE)
_SPAN = regex(r"(\d{1,2}):(\d\d)-(\d{1,2}):(\d\d)")
_UNLIMITED = "unlimited"


class InvalidBandwidthError(ValueError):
    """What is written means no limit; the message says what would."""


@dataclass(frozen=True)
class TimeSpan:
    """A part of the day.

    Attributes:
        begin: minutes since midnight.
        end: the same, not in it any more; not more than ``begin`` if it goes on past midnight.
        rate: bytes per second that may pass in it; None is no limit.
    """

    begin: int
    end: int
    rate: int | None

    def holds(self, minute: int) -> bool:
        """Whether a minute of the day is in it."""
        if self.begin < self.end:
            return self.begin <= minute < self.end
        return minute >= self.begin or minute < self.end


@dataclass(frozen=True)
class Bandwidth:
    """What may pass.

    Attributes:
        spans: the first that holds counts.
        otherwise: bytes per second at other times; None is no limit.
    """

    spans: tuple[TimeSpan, ...] = ()
    otherwise: int | None = None

    def rate_at(self, minute: int) -> int | None:
        """Bytes per second in a minute of the day; None is no limit."""
        return next((span.rate for span in self.spans if span.holds(minute)), self.otherwise)

    @property
    def is_limited(self) -> bool:
        """Whether there is any limit at any time."""
        return self.otherwise is not None or any(span.rate is not None for span in self.spans)


UNLIMITED = Bandwidth()


def parse_bandwidth(text: str) -> Bandwidth:
    """What a text means.

    Raises:
        InvalidBandwidthError: it means nothing.
    """
    spans: list[TimeSpan] = []
    entries = [entry.split() for entry in text.split(",")]
    for number, words in enumerate(entries):
        is_last = number == len(entries) - 1
        match words:
            case [rate] if len(entries) == 1 and ":" not in rate:
                return Bandwidth(otherwise=_rate(rate))
            case [word, rate] if word.lower() == "else" and is_last and spans:
                return Bandwidth(tuple(spans), _rate(rate))
            case [span, rate] if _SPAN.fullmatch(span):
                spans.append(_span(span, _rate(rate)))
            case _:
                raise InvalidBandwidthError("write a rate such as 2M, or times of day: 08:00-18:00 2M, else 20M")
    return Bandwidth(tuple(spans))


def _span(text: str, rate: int | None) -> TimeSpan:
    found = _SPAN.fullmatch(text)
    hours, minutes, last_hours, last_minutes = map(int, found.groups()) if found else (99, 0, 0, 0)
    begin, end = hours * 60 + minutes, last_hours * 60 + last_minutes
    if max(minutes, last_minutes) > 59 or begin >= _DAY or end > _DAY:
        raise InvalidBandwidthError(f"{text} is no span of a day, such as 08:00-18:00")
    if begin == end:
        raise InvalidBandwidthError(f"{text} begins when it ends")
    return TimeSpan(begin, end, rate)


def _rate(text: str) -> int | None:
    if text.lower() == _UNLIMITED:
        return None
    found = _RATE.fullmatch(text)
    if found is None:
        raise InvalidBandwidthError(f"{text} is no number of bytes per second, such as 500k, 2M or unlimited")
    rate = round(float(found["number"]) * _UNITS[found["unit"].lower()])
    if rate < LEAST_RATE:
        raise InvalidBandwidthError(f"{text} is {rate} bytes per second, and {LEAST_RATE} are the least; 2M is a rate")
    return rate
