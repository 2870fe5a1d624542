"""The checksum object: its text is a format on stores, which plain tools read, and nothing may depend on it."""

from __future__ import annotations

import hashlib
import logging
import subprocess
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3napback.archives import UNKNOWN_OWNER, ArchiveRecord, Counted, Owner, Transfer, Unread, split_key
from s3napback.catalogue.sums import (
    LONGEST_SUM,
    SumNote,
    format_sum,
    is_sum_key,
    parse_sum,
    read_sum,
    sum_key,
    sum_metadata,
    summed_key,
    unread_count,
)
from s3napback.errors import StoreError
from s3napback.kinds import KINDS, SourceName
from s3napback.rotation import ArchiveType
from s3napback.stores.directory import DirectoryStore
from tests.stores.sources import BytesSource

STARTED = datetime(2026, 11, 23, 3, 0, 7, tzinfo=timezone.utc)
RECORD = ArchiveRecord(
    id="0123456789abcdef",
    slot=5,
    type=ArchiveType.DIFF,
    owner=Owner("host.example", SourceName("Directory", "/etc")),
    cycle="daily",
    started=STARTED,
    day=20_780,
    parent="fedcba9876543210",
)
TRANSFER = Transfer("ab" * 32, stored=1000, read=123_456, seconds=61.26, warnings=["file changed as we read it", "two"])
NOTE = SumNote.of(RECORD, "etc-5-DIFF", TRANSFER)
GOLDEN = b"""\
abababababababababababababababababababababababababababababababab  etc-5-DIFF
# id 0123456789abcdef
# source Directory /etc
# host host.example
# started 2026-11-23T03:00:07Z
# bytes stored 1000
# bytes read 123456
# seconds 61.3
# metadata 0ac1d5c9690e3b19192bff0a75c75701170436e0b03d4c593fb81fba756e4c17
# s3napback-format 1
# s3napback-id 0123456789abcdef
# s3napback-slot 5
# s3napback-type DIFF
# s3napback-parent fedcba9876543210
# s3napback-source Directory%20/etc
# s3napback-cycle daily
# s3napback-host host.example
# s3napback-started 2026-11-23T03:00:07Z
# s3napback-day 20780
# s3napback-compression gzip
# warning file changed as we read it
# warning two
"""


UNREAD = Unread(3, (b"etc/a b%", "etc/\N{LATIN SMALL LETTER A WITH DIAERESIS}\n# id x\xff".encode("latin-1")))


def test_what_could_not_be_read_stands_behind_all_that_older_versions_know() -> None:
    note = replace(NOTE, unread=UNREAD)
    text = format_sum(note)
    lines = b"# unread 3\n# unread path /etc/a b%25\n# unread path /etc/%E4%0A# id x%FF\n"
    assert text == GOLDEN + lines
    assert parse_sum(text) == replace(note, seconds=61.3)
    found = parse_sum(GOLDEN)
    assert found is not None
    assert found.unread == Unread()


def test_of_more_paths_than_there_is_room_for_the_number_is_told() -> None:
    warnings = ("w" * 600,) * 200
    paths = tuple(f"etc/{number:05}/{'p' * 150}".encode() for number in range(5000))
    text = format_sum(replace(NOTE, warnings=warnings, unread=Unread(6000, paths)))
    assert len(text) < LONGEST_SUM - 4000
    found = parse_sum(text)
    assert found is not None
    assert found.unread.count == 6000
    assert 50 < len(found.unread.paths) < 100
    without = parse_sum(format_sum(replace(NOTE, warnings=(), unread=Unread(6000, paths))))
    assert without is not None
    assert len(without.unread.paths) > 300


def test_metadata_tell_the_number_for_that_archive_alone() -> None:
    metadata = sum_metadata(replace(NOTE, unread=UNREAD))
    assert unread_count({name.title(): value for name, value in metadata.items()}, NOTE.id) == 3
    assert unread_count(metadata, "another") == 0
    assert unread_count({}, NOTE.id) == 0
    assert sum_metadata(NOTE) == {}


def test_a_path_is_covered_by_a_folder_that_could_not_be_read() -> None:
    assert all(map(Unread(1, (b"etc/a",)).covers, (b"etc/a", b"etc/a/b/c")))
    assert not any(map(Unread(1, (b"etc/a",)).covers, (b"etc", b"etc/ab")))


def test_the_text_is_this_one_since_stores_are_full_of_it() -> None:
    assert format_sum(NOTE) == GOLDEN
    assert parse_sum(GOLDEN) == replace(NOTE, seconds=61.3)


def test_metadata_are_told_whole_or_not_at_all() -> None:
    """Earlier versions wrote none of them."""
    lines = GOLDEN.splitlines(keepends=True)
    without = b"".join(line for line in lines if not line.startswith(b"# s3napback-"))
    assert parse_sum(without) == replace(NOTE, seconds=61.3, told={})
    for spoilt in (GOLDEN.replace(b"-slot 5", b"-slot 6"), GOLDEN.replace(b"# s3napback-cycle daily\n", b"")):
        found = parse_sum(spoilt)
        assert found is not None
        assert (found.id, found.told) == (NOTE.id, {})


# Nothing that is written in one line can hold its end; half a character comes from a name that is no UTF-8.
lines = st.text(st.characters(exclude_categories=()), min_size=1).map(lambda text: text.replace("\n", " "))
lines = lines.map(lambda text: text.encode("utf-8", "replace").decode() + "\udcff")
sources = st.builds(SourceName, st.sampled_from(list(KINDS)), lines) | lines.map(SourceName.parse)


@given(
    st.builds(
        SumNote,
        digest=st.binary(min_size=32, max_size=32).map(bytes.hex),
        name=lines,
        id=lines,
        owner=st.builds(Owner, lines, sources),
        started=st.datetimes(datetime(1000, 1, 1)).map(lambda each: each.replace(microsecond=0, tzinfo=timezone.utc)),
        stored=st.integers(0, 10**18 - 1),
        read=st.integers(0, 10**18 - 1),
        seconds=st.integers(0, 10**8).map(lambda tenths: tenths / 10),
        warnings=st.lists(lines, max_size=5).map(tuple),
    )
)
def test_what_is_written_is_read_back(note: SumNote) -> None:
    assert parse_sum(format_sum(note)) == note


@pytest.mark.parametrize(
    "base",
    [
        "etc-0-FULL",
        "-0-FULL",
        "var/lib/two words-1-DIFF",
        "srv/ä–漢字-1-DIFF",
        "srv/back\\slash\\name-1-FULL",
        "\\begins-1-FULL",
        "srv/*star #hash-1-FULL",
        "MySQL/all-3",
    ],
)
def test_plain_sha256sum_checks_an_archive(base: str, tmp_path: Path) -> None:
    """Run in the folder that the names are relative to, as with a copy of the whole bucket below its prefix."""
    archive = tmp_path / base
    archive.parent.mkdir(parents=True, exist_ok=True)
    archive.write_bytes(b"the archive")
    sums = tmp_path / sum_key(base)
    sums.write_bytes(format_sum(replace(NOTE, digest=hashlib.sha256(b"the archive").hexdigest(), name=base)))
    plain = subprocess.run(["sha256sum", "--", base], cwd=tmp_path, capture_output=True, check=True).stdout
    assert sums.read_bytes().splitlines()[0] == plain.rstrip(b"\n")
    command = ["sha256sum", "--check", "--strict", "--", str(sums)]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    archive.write_bytes(b"another one")
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 1


def test_however_many_warnings_there_are_a_checksum_object_stays_small() -> None:
    warnings = [f"{number} " + "ü" * 700 for number in range(100)]
    told = {"s3napback-source": "x" * 1000, "s3napback-host": "y" * 1000}
    content = format_sum(replace(NOTE, name="é" * 500, warnings=warnings, told=told))
    assert len(content) <= LONGEST_SUM
    found = parse_sum(content)
    assert found is not None
    assert 10 < len(found.warnings) < 100
    assert list(found.warnings) == warnings[: len(found.warnings)]
    assert content.endswith(f"# {100 - len(found.warnings)} more warnings\n".encode())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"ab  photo.jpg\n",
        b"ab" * 32 + b"  photo.jpg\n",
        GOLDEN.replace(b"# id ", b"# identity "),
        GOLDEN.replace(b"# id 0123456789abcdef", b"# id "),
        GOLDEN.replace(b"abab", b"ABAB"),
        GOLDEN.replace(b"ababab", b"ab", 1),
        GOLDEN.replace(b"  etc-5-DIFF", b" etc-5-DIFF"),
        b"\n" + GOLDEN,
        GOLDEN.decode().encode("utf-16"),
        b"\xff" * 1000,
        bytes(1000),
    ],
)
def test_what_another_program_wrote_or_broke_says_nothing(content: bytes) -> None:
    assert parse_sum(content) is None


@pytest.mark.parametrize(
    ("old", "new", "lost"),
    [
        (b"# started 2026", b"# started then", "started"),
        (b"# bytes stored 1000", b"# bytes stored " + b"9" * 5000, "stored"),
        (b"# bytes read 123456", b"# bytes read \xd9\xa3", "read"),
        (b"# seconds 61.3", b"# seconds nan", "seconds"),
        (b"# seconds 61.3\n", b"", "seconds"),
    ],
)
def test_what_only_people_read_may_be_missing(old: bytes, new: bytes, lost: str) -> None:
    assert parse_sum(GOLDEN.replace(old, new)) == replace(NOTE, **{"seconds": 61.3, lost: None})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["metadata", "index", "structure"])
def test_half_a_digest_is_none(name: str) -> None:
    """What is cut off would otherwise be said to contradict its archive."""
    counted = Counted({}, "cd" * 32)
    whole = format_sum(replace(NOTE, index="ef" * 32, counted=counted))
    found = parse_sum(whole.partition(f"# {name} ".encode())[0] + f"# {name} {'ab' * 20}".encode())
    assert found is not None
    assert (found.counted.structure if name == "structure" else getattr(found, name)) == ""


@pytest.mark.parametrize("missing", [b"# host host.example\n", b"# source Directory /etc\n"])
def test_half_an_owner_is_none(missing: bytes) -> None:
    found = parse_sum(GOLDEN.replace(missing, b""))
    assert found is not None
    assert found.owner is UNKNOWN_OWNER


@pytest.mark.parametrize("end", ["\u2028", "\x0b", "\x0c", "\x1c", "\x85", "\r"])
def test_only_a_newline_ends_a_line(end: str) -> None:
    """Nobody can give an archive another identity, or hide whose it is, by what a file is called."""
    lie = f"{end}# id lie{end}# host lie"
    note = replace(NOTE, owner=Owner("host.example", SourceName("Subversion", f"/srv{lie}")), warnings=(f"{lie}",))
    assert parse_sum(format_sum(note)) == replace(note, seconds=61.3)


def test_the_first_of_two_comments_counts() -> None:
    assert parse_sum(GOLDEN + b"# id lie\n# host lie\n") == replace(NOTE, seconds=61.3)


def test_the_checksum_lies_beside_the_archive_and_is_no_archive() -> None:
    assert sum_key("a/etc-0-FULL") == "a/etc-0-FULL.sha256"
    assert split_key(sum_key("a/etc-0-FULL")) is None
    assert is_sum_key(sum_key("a/etc-0-FULL"))
    assert not is_sum_key("a/etc-0-FULL")
    assert summed_key(sum_key("a/etc-0-FULL")) == "a/etc-0-FULL"


def test_no_more_of_it_is_read_than_makes_sense(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = DirectoryStore(tmp_path)
    with pytest.raises(StoreError):
        read_sum(store, "etc-5-DIFF")
    longest = GOLDEN + b"#" * (LONGEST_SUM - len(GOLDEN))
    store.put(sum_key("etc-5-DIFF"), BytesSource(longest), {})
    assert read_sum(store, "etc-5-DIFF") == replace(NOTE, seconds=61.3)
    assert not caplog.records
    store.put(sum_key("etc-5-DIFF"), BytesSource(longest + b"#"), {})
    with caplog.at_level(logging.WARNING):
        assert read_sum(store, "etc-5-DIFF") is None
    assert "etc-5-DIFF.sha256 is not used: it is longer than checksums are" in caplog.text
