"""What a run says of itself: its fields, how they are written, and how they are read without being believed. Pure.

The object is JSON, in ASCII. It has these fields; new ones may be added, and none changes its meaning while ``schema``
stays the same:

- ``schema``: 1. ``program``: the version that wrote it. ``host``, ``configuration``: whose word it is.
- ``instance``: random, kept in DiffDir; another one under the same name is a clone, or a DiffDir that was lost.
  ``other_instance``: whether the word before this one was another one's.
- ``started``, ``ended``: of the run. ``utc_offset``: of local time, in seconds.
- ``ran``: whether any source had its turn. ``missed``: how many runs in a row had not, with this one.
  ``error``: why it had not, else null. ``exit``: the exit code.
- ``expected_by``: when the next source has to be backed up. ``locks_until``: until when
  the newest backups of all sources are locked, each with all that it builds on; null if they are not.
- ``forgotten``: whether somebody has said that the machine is gone on purpose; there are no further fields then.
- ``dropped``: names that were backed up and are not configured any more, for seven days: ``name``, ``last`` (the day of
  the last backup, or null), ``since`` (the day on which that was seen), ``locked`` (the last day on which it is
  locked, with all that it builds on, or null).
- ``sources``: ``name``, ``source``, ``cycle``; ``outcome`` (``done``, ``skipped``, ``failed``); ``error`` (``source``,
  ``tool``, ``store``, ``owner``, ``clock``, ``key``, ``bug``, or null; ``time`` where it was skipped because
  LongestRun was over); ``warnings`` (their number); ``key`` of the newest archive, without the prefix, its ``size`` in
  bytes, ``size_before`` of the one of its type before, ``read`` bytes and ``seconds`` of its making, each null if not
  known; ``chain`` (keys of the archives that it builds on) and ``chain_size`` (bytes of them all); ``last_good`` (the
  day to which the newest archive brings back); ``expected_by``, ``critical_by`` (when the next backup has to be there,
  and when its lack is a disaster).

Times are RFC 3339 in UTC, days ``YYYY-MM-DD``. Texts of errors are not in it: they hold paths.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields
from datetime import date, datetime
from functools import lru_cache
from typing import Any, TypeVar

from s3napback.archives import format_time, parse_time
from s3napback.records import dataclass
from s3napback.regexes import regex

SCHEMA = 1
LARGEST = 1_048_576
"""Bytes of a word. What is larger is not read."""

OUTCOMES = ("done", "skipped", "failed")
ERRORS = ("source", "tool", "store", "owner", "clock", "key", "bug", "time")

_Kind = TypeVar("_Kind")

_MOST_DIGITS = 18
_DAY = regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Unreadable(Exception):
    """What lies under a word's key is no word that can be read; the message says why, as a clause."""


@dataclass(frozen=True)
class SourceWord:
    """What is said of one source; the module describes the fields. What is not known is None, or empty."""

    name: str
    source: str
    cycle: str
    outcome: str
    error: str | None = None
    warnings: int = 0
    key: str | None = None
    size: int | None = None
    size_before: int | None = None
    read: int | None = None
    seconds: float | None = None
    chain: tuple[str, ...] = ()
    chain_size: int = 0
    last_good: date | None = None
    expected_by: datetime | None = None
    critical_by: datetime | None = None


@dataclass(frozen=True)
class Dropped:
    """A name that was backed up and is not configured any more; the module describes the fields."""

    name: str
    last: date | None
    since: date
    locked: date | None = None


@dataclass(frozen=True)
class Word:
    """What is said of a run; the module describes the fields."""

    program: str
    host: str
    configuration: str
    instance: str
    started: datetime
    ended: datetime
    utc_offset: int
    ran: bool
    exit: int
    missed: int = 0
    error: str | None = None
    other_instance: bool = False
    expected_by: datetime | None = None
    locks_until: datetime | None = None
    forgotten: bool = False
    dropped: tuple[Dropped, ...] = ()
    sources: tuple[SourceWord, ...] = ()


def written(word: Word) -> bytes:
    """The object. What nobody can do without is kept if it would be too large with the rest.

    Raises:
        ValueError: it is too large even so.
    """
    for without in ((), ("chain", "chain_size"), ("chain", "chain_size", "read", "seconds", "size_before")):
        data = json.dumps(_document(word, without), separators=(",", ":")).encode()
        if len(data) <= LARGEST:
            return data
    raise ValueError(f"it would have {len(data)} bytes, and {LARGEST} are the most")


def read(data: bytes) -> Word:
    """Read what ``written`` wrote, or somebody else; nothing in it is to be believed.

    Raises:
        Unreadable: it is no word.
    """
    if len(data) > LARGEST:
        raise Unreadable("it is larger than words are")
    try:
        document = json.loads(data, parse_int=_whole, parse_float=_number, parse_constant=_no_number)
        if not isinstance(document, dict):
            raise Unreadable("it is no word of a run")
        said = _Said(document)
        if said.whole("schema") > SCHEMA:
            raise Unreadable("a newer version of s3napback wrote it")
        return _word(said)
    except RecursionError:
        raise Unreadable("it is nested too deeply") from None
    except (ValueError, KeyError, TypeError, OverflowError):
        raise Unreadable("it makes no sense") from None


def _document(part: Word | SourceWord | Dropped, without: tuple[str, ...] = ()) -> dict[str, Any]:
    start: dict[str, Any] = {"schema": SCHEMA} if isinstance(part, Word) else {}
    values = {each.name: getattr(part, each.name) for each in fields(part) if each.name not in without}
    return start | {name: _value(value, without) for name, value in values.items()}


def _value(value: Any, without: tuple[str, ...]) -> Any:
    match value:
        case datetime():
            return format_time(value)
        case date():
            return value.isoformat()
        case tuple():
            return [_value(each, without) for each in value]
        case SourceWord() | Dropped():
            return _document(value, without)
        case _:
            return value


def _word(said: _Said) -> Word:
    return Word(
        program=said.text("program"),
        host=said.text("host"),
        configuration=said.text("configuration"),
        instance=said.text("instance"),
        started=parse_time(said.text("started")),
        ended=parse_time(said.text("ended")),
        utc_offset=said.whole("utc_offset", 0),
        ran=said.switch("ran"),
        exit=said.whole("exit"),
        missed=said.whole("missed", 0),
        error=said.choice("error", ERRORS),
        other_instance=said.switch("other_instance", default=False),
        expected_by=said.time("expected_by"),
        locks_until=said.time("locks_until"),
        forgotten=said.switch("forgotten", default=False),
        dropped=tuple(map(_dropped, said.parts("dropped"))),
        sources=tuple(map(_source, said.parts("sources"))),
    )


def _dropped(said: _Said) -> Dropped:
    since = said.day("since") or said.day("last")
    if since is None:
        raise ValueError("since")
    return Dropped(said.text("name"), said.day("last"), since, said.day("locked"))


def _source(said: _Said) -> SourceWord:
    outcome = said.choice("outcome", OUTCOMES)
    if outcome is None:
        raise ValueError("outcome")
    return SourceWord(
        name=said.text("name"),
        source=said.text("source"),
        cycle=said.text("cycle"),
        outcome=outcome,
        error=said.choice("error", ERRORS),
        warnings=said.whole("warnings", 0),
        key=said.optional_text("key"),
        size=said.optional_whole("size"),
        size_before=said.optional_whole("size_before"),
        read=said.optional_whole("read"),
        seconds=said.number("seconds"),
        chain=said.texts("chain"),
        chain_size=said.whole("chain_size", 0),
        last_good=said.day("last_good"),
        expected_by=said.time("expected_by"),
        critical_by=said.time("critical_by"),
    )


class _Said:
    """Somebody's fields, each of which must be of its type. Raises ``ValueError`` where one is not."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    def text(self, name: str) -> str:
        return _of(str, self._document[name])

    def optional_text(self, name: str) -> str | None:
        return None if self._document.get(name) is None else self.text(name)

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple(_of(str, each) for each in _of(list, self._document.get(name, [])))

    def choice(self, name: str, choices: tuple[str, ...]) -> str | None:
        found = self.optional_text(name)
        if found is not None and found not in choices:
            raise ValueError(name)
        return found

    def whole(self, name: str, default: int | None = None) -> int:
        whole = _of(int, self._document.get(name, default))
        if whole < (0 if name != "utc_offset" else -86_400):
            raise ValueError(name)
        return whole

    def optional_whole(self, name: str) -> int | None:
        return None if self._document.get(name) is None else self.whole(name)

    def number(self, name: str) -> float | None:
        value = self._document.get(name)
        if value is None:
            return None
        number = float(value) if type(value) is int else _of(float, value)
        if number < 0:
            raise ValueError(name)
        return number

    def switch(self, name: str, *, default: bool | None = None) -> bool:
        return _of(bool, self._document.get(name, default))

    def time(self, name: str) -> datetime | None:
        found = self.optional_text(name)
        return None if found is None else _parse_time(found)

    def day(self, name: str) -> date | None:
        found = self.optional_text(name)
        if found is None:
            return None
        if not _DAY.fullmatch(found):
            raise ValueError(name)
        return date.fromisoformat(found)

    def parts(self, name: str) -> list[_Said]:
        return [_Said(_of(dict, each)) for each in _of(list, self._document.get(name, []))]


def _of(kind: type[_Kind], value: object) -> _Kind:
    # True is a whole number to Python.
    if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool):
        raise ValueError(kind.__name__)
    return value


_parse_time = lru_cache(1_000)(parse_time)
"""Most sources of a word have the same deadlines."""


def _whole(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError("a number of too many digits")
    return int(text)


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number too large")
    return value


def _no_number(text: str) -> float:
    raise ValueError(text)
