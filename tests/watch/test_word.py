"""What a run says of itself comes back as it was written, and what is no word is not believed."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3napback.watch.word import LARGEST, Dropped, Unreadable, read, written
from tests.watch.words import NOW, TODAY, source_word, word

FULL = word(
    source_word(),
    source_word(name="", source="Directory /", outcome="failed", error="store", key=None, size=None, last_good=None),
    source_word(name="srv/\udcff ü\n", seconds=None, chain=(), chain_size=0, expected_by=None, critical_by=None),
    dropped=(Dropped("srv", TODAY, TODAY), Dropped("old", None, TODAY)),
    missed=2,
    ran=False,
    error="key",
    exit=2,
    expected_by=NOW,
    locks_until=NOW + timedelta(days=14),
    other_instance=True,
    utc_offset=-3600,
)


def test_a_word_comes_back_as_it_was() -> None:
    data = written(FULL)
    assert data.isascii()
    assert read(data) == FULL


def test_the_fields_of_the_schema_are_there_under_their_names() -> None:
    document = json.loads(written(word(source_word(), dropped=(Dropped("srv", TODAY, TODAY),))))
    assert document["schema"] == 1
    assert {"program", "host", "configuration", "instance", "started", "ended", "utc_offset"} <= document.keys()
    assert {"ran", "exit", "expected_by", "locks_until", "dropped", "sources"} <= document.keys()
    assert document["dropped"][0]["last"] == "2026-11-26"
    (source,) = document["sources"]
    assert {"name", "source", "cycle", "outcome", "error", "warnings", "key", "size", "read"} <= source.keys()
    assert {"seconds", "last_good", "expected_by", "critical_by"} <= source.keys()
    assert source["expected_by"] == "2026-11-27T12:00:00Z"


def test_fields_of_a_later_version_are_passed_over() -> None:
    document = json.loads(written(FULL))
    document["new"] = {"a": [1]}
    document["sources"][0]["new"] = None
    assert read(json.dumps(document).encode()) == FULL


def changed(**fields: Any) -> bytes:
    return json.dumps({**json.loads(written(FULL)), **fields}).encode()


def with_source(**fields: Any) -> bytes:
    document = json.loads(written(FULL))
    document["sources"][0].update(fields)
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (changed(schema=2), "a newer version of s3napback wrote it"),
        (b"[" * 500_000, "nested too deeply"),
        (b'{"schema":' * 100_000, "nested too deeply"),
        (b'{"schema":1' + b"0" * 5_000 + b"}", "makes no sense"),
        (changed(exit=10**18), "makes no sense"),
        (changed(schema=True), "makes no sense"),
        (with_source(seconds=1).replace(b'"seconds": 1', b'"seconds": 1e999'), "makes no sense"),
        (with_source(seconds=1).replace(b'"seconds": 1', b'"seconds": NaN'), "makes no sense"),
        (b" " * (LARGEST + 1), "larger than words are"),
        (b"", "makes no sense"),
        (b"\xff\xfe", "makes no sense"),
        (b"[]", "no word of a run"),
        (b"null", "no word of a run"),
        (b"{}", "makes no sense"),
        (changed(ran="yes"), "makes no sense"),
        (changed(host=3), "makes no sense"),
        (changed(ended="2026-13-01T00:00:00Z"), "makes no sense"),
        (changed(sources={}), "makes no sense"),
        (changed(sources=[3]), "makes no sense"),
        (with_source(size=-1), "makes no sense"),
        (with_source(size=1.5), "makes no sense"),
        (with_source(outcome="wonderful"), "makes no sense"),
        (with_source(outcome=None), "makes no sense"),
        (with_source(error="/etc/shadow"), "makes no sense"),
        (with_source(last_good="20261126"), "makes no sense"),
        (with_source(last_good="2026-02-30"), "makes no sense"),
        (with_source(chain="abc"), "makes no sense"),
        (with_source(key=["a"]), "makes no sense"),
    ],
    ids=range(28),
)
def test_what_is_no_word_is_told_and_does_no_harm(data: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        read(data)


@given(
    st.binary()
    | st.recursive(st.none() | st.integers() | st.floats() | st.text(), st.lists).map(
        lambda each: json.dumps(each).encode()
    )
)
def test_nothing_that_can_lie_there_is_a_bug(data: bytes) -> None:
    with pytest.raises(Unreadable):
        read(data)


def test_of_very_many_sources_what_can_be_done_without_is_left_out() -> None:
    chain = tuple(f"a/long/path/of/a/source-{number}-DIFF" for number in range(100))
    many = word(*(source_word(name=f"srv/{number}", chain=chain) for number in range(1_000)))
    data = written(many)
    assert len(data) <= LARGEST
    assert read(data).sources[999] == source_word(name="srv/999", chain=(), chain_size=0)
    with pytest.raises(ValueError, match="are the most"):
        written(word(*(source_word(name=f"srv/{number}") for number in range(10_000))))
