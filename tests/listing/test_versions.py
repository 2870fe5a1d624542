"""What ``list --versions`` makes of a store's past."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from s3napback.catalogue.contents import CataloguedArchive
from s3napback.listing.versions import Ending, KeptArchive, Span, endings, spans, versions_text
from s3napback.stores import StoredObject
from s3napback.stores.versions import StoredVersion

START = datetime(2026, 1, 1, 3, tzinfo=timezone.utc)


def version(key: str, name: str, minutes: float, *, is_marker: bool = False) -> StoredVersion:
    return StoredVersion(key, name, START + timedelta(minutes=minutes), is_marker=is_marker)


def test_each_version_that_is_there_no_more_has_an_end() -> None:
    a, b = version("k", "a", 0), version("k", "b", 10)
    mark, again, other = version("k", "m", 20, is_marker=True), version("k", "c", 30), version("l", "a", 0)
    assert endings([again, mark, b, a, other]) == {
        ("k", "a"): Ending(b.modified, "replaced"),
        ("k", "b"): Ending(mark.modified, "deleted"),
    }


def test_changes_without_a_long_pause_are_one_span() -> None:
    found = spans(
        [
            version("k", "a", 0),
            version("l", "a", 59),
            version("k", "b", 120),
            version("k", "m", 121, is_marker=True),
            version("k", "n", 122, is_marker=True),
            version("x", "m", 500, is_marker=True),
        ]
    )
    assert found == [
        Span(START, START + timedelta(minutes=59), new=2),
        Span(START + timedelta(minutes=120), START + timedelta(minutes=121), replaced=1, deleted=1),
    ]
    assert found[1].before == START + timedelta(minutes=119, seconds=59)


def test_whoever_changes_something_again_and_again_does_not_make_one_span_of_weeks() -> None:
    found = spans([version("k", f"{hour}", hour * 59) for hour in range(48)])
    assert len(found) == 4
    assert max(span.last - span.first for span in found) <= timedelta(hours=12)


def test_what_is_much_is_three_times_as_much_as_usual() -> None:
    nights = [Span(START + timedelta(days=day), START + timedelta(days=day), replaced=2) for day in range(5)]
    theft = Span(START + timedelta(days=5), START + timedelta(days=5), replaced=3, deleted=4)
    lines = versions_text([], [*nights, theft])
    assert [line for line in lines if " much " in line] == [lines[-1]]
    assert lines[-1].endswith("--as-of 2026-01-06T02:59:59Z")
    theft.deleted = 3
    assert not [line for line in versions_text([], [*nights, theft]) if " much " in line]


def test_what_nobody_may_look_at_stands_last_with_its_reason() -> None:
    listed = version("etc-0-FULL", "id\x1b[2J", 0)
    nameless = CataloguedArchive(StoredObject(listed.key, 1, START), "etc", None, "it cannot be looked at: HTTP 403")
    lines = versions_text([KeptArchive(listed, nameless, Ending(START, "deleted"))], [])
    assert "2026-01-01 03:00:00 deleted" in lines[1]
    assert lines[1].endswith("it cannot be looked at: HTTP 403")
    assert "\x1b" not in lines[1]
    assert versions_text([], []) == ["There are no versions of archives."]
