"""Names, keys and metadata of archives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3napback.archives import (
    METADATA_LIMIT,
    UNKNOWN_OWNER,
    ArchiveRecord,
    Owner,
    archive_key,
    format_time,
    join_prefix,
    metadata_digest,
    parse_time,
    slot_keys,
    split_key,
)
from s3napback.deciding.facts import Held
from s3napback.kinds import SourceName
from s3napback.rotation import ArchiveType

FULL, DIFF = ArchiveType.FULL, ArchiveType.DIFF
RECORD = ArchiveRecord(
    id="0123456789abcdef",
    slot=5,
    type=DIFF,
    owner=Owner("host.example", SourceName("Directory", "/etc")),
    cycle="daily",
    started=datetime(2026, 11, 23, 3, 0, 7, tzinfo=timezone.utc),
    day=20_780,
    parent="fedcba9876543210",
    compression="zstd",
    recipients=("A" * 40, "B" * 40),
    extra={"uuid": "6ba7b810", "revisions": "1:17"},
)


@pytest.mark.parametrize(
    ("prefix", "kind", "name", "slot", "archive_type", "key"),
    [
        ("", "Directory", "etc", 0, FULL, "etc-0-FULL"),
        ("", "Directory", "var/lib/two words", 12, DIFF, "var/lib/two words-12-DIFF"),
        ("", "Directory", "", 0, FULL, "-0-FULL"),
        ("host/a", "Directory", "", 0, FULL, "host/a/-0-FULL"),
        ("host/a", "Directory", "daily/etc", 3, DIFF, "host/a/daily/etc-3-DIFF"),
        ("", "Subversion", "srv/svn/repo", 1, DIFF, "srv/svn/repo-1-DIFF"),
        ("", "SubversionDir", "srv/svn/repo", 1, FULL, "srv/svn/repo-1-FULL"),
        ("", "MySQL", "MySQL/all", 3, FULL, "MySQL/all-3"),
        ("p", "MySQL", "MySQL/SOCKET-PATH/db", 3, FULL, "p/MySQL/SOCKET-PATH/db-3"),
        ("", "PostgreSQL", "PostgreSQL/mydb", 0, FULL, "PostgreSQL/mydb-0"),
    ],
)
def test_keys_are_made_of_prefix_name_slot_and_type(
    prefix: str, kind: str, name: str, slot: int, archive_type: ArchiveType, key: str
) -> None:
    assert archive_key(prefix, kind, name, slot, archive_type) == key
    assert not key.startswith("/")


def test_a_slot_has_two_keys_or_one_where_there_are_no_types() -> None:
    assert slot_keys("p", "Directory", "etc", 4) == ("p/etc-4-FULL", "p/etc-4-DIFF")
    assert slot_keys("p", "MySQL", "MySQL/all", 4) == ("p/MySQL/all-4",)


def test_an_empty_prefix_adds_nothing() -> None:
    assert join_prefix("", "etc") == "etc"
    assert join_prefix("a/b", "etc") == "a/b/etc"


@given(
    prefix=st.sampled_from(["", "p", "host/two words", "ends-1-FULL"]),
    kind=st.sampled_from(["Directory", "Subversion", "SubversionDir", "MySQL", "PostgreSQL"]),
    name=st.text() | st.sampled_from(["", "etc-0-FULL", "a-3", "a-3-DIFF-", "x\n", "-"]),
    slot=st.integers(0, 10**6),
    archive_type=st.sampled_from(ArchiveType),
)
def test_splitting_undoes_the_making_of_a_key(
    prefix: str, kind: str, name: str, slot: int, archive_type: ArchiveType
) -> None:
    key = archive_key(prefix, kind, name, slot, archive_type)
    has_type = kind not in {"MySQL", "PostgreSQL"}
    assert split_key(key) == (join_prefix(prefix, name), slot, archive_type.value if has_type else "")


@pytest.mark.parametrize(
    "key",
    ["", "etc", "etc-FULL", "etc-0-full", "etc-0-FULL ", "etc-0-FULL\n", "etc-00-FULL", "etc-٣", "etc-0-FULL.partial"],
)
def test_what_is_no_archives_key_is_not_split(key: str) -> None:
    assert split_key(key) is None


RECORDS = st.builds(
    ArchiveRecord,
    id=st.uuids().map(lambda identity: identity.hex),
    slot=st.integers(0, 10**6),
    type=st.sampled_from(ArchiveType),
    owner=st.builds(Owner, st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=40).map(SourceName.parse)),
    cycle=st.text(max_size=30),
    started=st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1)).map(
        lambda moment: moment.replace(microsecond=0, tzinfo=timezone.utc)
    ),
    day=st.integers(0, 100_000),
    parent=st.uuids().map(lambda identity: identity.hex) | st.just(""),
    compression=st.sampled_from(["gzip", "zstd", "none"]),
    recipients=st.lists(st.text("0123456789ABCDEF", min_size=40, max_size=40), max_size=3).map(tuple),
    extra=st.dictionaries(st.sampled_from(["uuid", "revisions"]), st.text(min_size=1, max_size=10)),
)


@given(RECORDS)
def test_what_an_archive_says_of_itself_is_read_back_as_it_was(record: ArchiveRecord) -> None:
    metadata = record.to_metadata()
    assert ArchiveRecord.from_metadata(metadata) == record
    assert Held.of(metadata) == Held(
        record.owner, record.id, record.parent, record.day, is_encrypted=bool(record.recipients)
    )


@given(RECORDS)
def test_metadata_are_names_in_lower_case_and_printable_ascii(record: ArchiveRecord) -> None:
    for name, value in record.to_metadata().items():
        assert name.startswith("s3napback-")
        assert name == name.lower()
        assert value.isascii()
        assert value.isprintable()
        assert " " not in value


@pytest.mark.parametrize(
    "source",
    ["Directory /", "Directory /srv/ä–漢字", "Directory /two  words ", "Directory /100%41%", "Directory /new\nline"],
)
def test_odd_names_survive(source: str) -> None:
    record = replace(RECORD, owner=Owner("höst", SourceName.parse(source)))
    assert ArchiveRecord.from_metadata(record.to_metadata()) == record


@pytest.mark.parametrize("change_case", [str.upper, str.title, str.capitalize])
def test_metadata_names_are_read_in_any_case(change_case: Callable[[str], str]) -> None:
    changed = {change_case(name): value for name, value in RECORD.to_metadata().items()}
    assert ArchiveRecord.from_metadata(changed) == RECORD


def test_metadata_say_what_the_manual_promises() -> None:
    assert RECORD.to_metadata() == {
        "s3napback-format": "1",
        "s3napback-id": "0123456789abcdef",
        "s3napback-slot": "5",
        "s3napback-type": "DIFF",
        "s3napback-parent": "fedcba9876543210",
        "s3napback-source": "Directory%20/etc",
        "s3napback-cycle": "daily",
        "s3napback-host": "host.example",
        "s3napback-started": "2026-11-23T03:00:07Z",
        "s3napback-day": "20780",
        "s3napback-compression": "zstd",
        "s3napback-recipients": f"{'A' * 40},{'B' * 40}",
        "s3napback-uuid": "6ba7b810",
        "s3napback-revisions": "1:17",
    }


def test_what_is_empty_is_left_out_since_stores_differ_about_empty_values() -> None:
    record = replace(RECORD, cycle="", parent="", recipients=(), extra={})
    assert "" not in record.to_metadata().values()
    assert ArchiveRecord.from_metadata(record.to_metadata()) == record


def test_metadata_of_others_do_not_matter() -> None:
    metadata = {**RECORD.to_metadata(), "mtime": "1700000000.5", "S3cmd-Attrs": "uid:0"}
    assert ArchiveRecord.from_metadata(metadata) == RECORD


@pytest.mark.parametrize("name", ["format", "id", "slot", "type", "source", "host", "started", "day", "compression"])
def test_metadata_that_are_not_whole_are_nobodys(name: str) -> None:
    metadata = RECORD.to_metadata()
    del metadata[f"s3napback-{name}"]
    assert ArchiveRecord.from_metadata(metadata) is None
    assert Held.of(metadata).owner == UNKNOWN_OWNER


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("format", "3"),
        ("slot", "five"),
        ("slot", ""),
        ("type", "full"),
        ("day", "yesterday"),
        ("started", "2026-11-23"),
        ("started", "2026-11-23T03:00:07+01:00"),
    ],
)
def test_damaged_metadata_are_nobodys(name: str, value: str) -> None:
    metadata = {**RECORD.to_metadata(), f"s3napback-{name}": value}
    assert ArchiveRecord.from_metadata(metadata) is None


@pytest.mark.parametrize("metadata", [{}, {"format": "1", "id": "x"}, {"s3napback-": ""}])
def test_metadata_of_something_else_are_nobodys(metadata: dict[str, str]) -> None:
    assert ArchiveRecord.from_metadata(metadata) is None
    assert Held.of(metadata).owner == UNKNOWN_OWNER


def test_an_owner_is_named_so_that_people_know_it() -> None:
    assert str(Owner("web1", SourceName("Directory", "/etc"))) == "Directory /etc of host web1"
    assert "other than s3napback" in str(UNKNOWN_OWNER)


def test_metadata_fill_the_limit_and_no_more() -> None:
    def size(record: ArchiveRecord) -> int:
        return sum(len(name) + len(value) for name, value in record.to_metadata().items())

    room = METADATA_LIMIT - size(replace(RECORD, cycle="c")) + 1
    assert size(replace(RECORD, cycle="c" * room)) == METADATA_LIMIT
    with pytest.raises(ValueError, match="2049 bytes"):
        replace(RECORD, cycle="c" * (room + 1)).to_metadata()


def test_the_limit_counts_what_is_sent_not_what_is_meant() -> None:
    with pytest.raises(ValueError, match="stores take"):
        replace(RECORD, cycle="漢" * (METADATA_LIMIT // 9)).to_metadata()


def test_times_are_written_in_utc() -> None:
    moment = datetime(2026, 11, 23, 1, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert format_time(moment) == "2026-11-22T20:00:00Z"
    assert parse_time("2026-11-22T20:00:00Z") == moment


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_a_time_that_another_zone_cannot_tell_is_none(text: str) -> None:
    """Whoever may write to the store may write it; ``list`` shows local time."""
    with pytest.raises(ValueError, match="in every time zone"):
        parse_time(text)


def test_the_digest_of_metadata_is_of_all_that_we_wrote_and_of_nothing_else() -> None:
    written = {"s3napback-id": "a", "s3napback-day": "7"}
    digest = metadata_digest(written)
    assert metadata_digest({"S3napback-Day": "7", "mtime": "1", "S3napback-Id": "a"}) == digest
    others = ({"s3napback-id": "a"}, {**written, "s3napback-day": "8"}, {**written, "s3napback-cycle": "x"})
    assert digest not in {metadata_digest(other) for other in others}
