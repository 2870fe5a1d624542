"""Which version of a key lay there at a moment."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone

import pytest

from s3napback.archives import Owner
from s3napback.catalogue.sums import SumNote, format_sum
from s3napback.errors import StoreUnreachable
from s3napback.kinds import SourceName
from s3napback.stores.versions import (
    StoredVersion,
    VersionAsOf,
    Voucher,
    Vouchers,
    newest,
    newest_first,
    vouched,
    voucher_in,
)

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def version(name: str, seconds: int, size: int = 10, *, parts: bool = True) -> StoredVersion:
    etag = "0" * 32 + ("-2" if parts else "")
    return StoredVersion("k", name, START + timedelta(seconds=seconds), size, etag)


def marker(seconds: int) -> StoredVersion:
    return StoredVersion("k", f"marker {seconds}", START + timedelta(seconds=seconds), is_marker=True)


def names(versions: list[StoredVersion]) -> list[str]:
    return [each.id for each in versions]


def chosen(
    *versions: StoredVersion, sums: Mapping[str, int | None] | None = None, ids: Mapping[str, str] | None = None
) -> VersionAsOf:
    """Each version's identity is its id unless told otherwise."""
    vouchers = {name: Voucher(name, size) for name, size in (sums or {}).items()}
    return vouched(newest_first(versions), vouchers.get, lambda each: (ids or {}).get(each.id, each.id))


def test_of_one_second_a_version_is_newer_than_a_deletion_and_the_first_listed_than_the_others() -> None:
    listed = [marker(1), version("b", 1), version("a", 1), version("old", 0), marker(2)]
    assert names(newest_first(listed)) == ["marker 2", "b", "a", "marker 1", "old"]


def test_what_is_deleted_is_not_there() -> None:
    assert newest([]) == VersionAsOf()
    assert newest([marker(2), version("a", 1)]) == VersionAsOf()
    assert newest([version("a", 1, parts=False), marker(0)]) == VersionAsOf(version("a", 1, parts=False))
    assert newest([version("a", 1)]) == VersionAsOf(version("a", 1), is_vouched=False)


@pytest.mark.parametrize(
    ("etag", "parts"),
    [("d41d8cd98f00b204e9800998ecf8427e-12", True), ("d41d8cd98f00b204e9800998ecf8427e", False), ("a-b", False)],
)
def test_an_etag_tells_of_parts(etag: str, *, parts: bool) -> None:
    assert StoredVersion("k", "1", START, etag=etag).came_in_parts is parts


def test_an_archive_in_one_piece_needs_no_voucher() -> None:
    single = version("single", 2, parts=False)
    assert chosen(single, version("older", 1)) == VersionAsOf(single)
    assert chosen(version("newer", 3), single, sums={"older": 10}) == VersionAsOf(single, passed_over=1)


def test_an_archive_in_parts_counts_if_a_checksum_names_it() -> None:
    a, b = version("a", 1), version("b", 2)
    assert chosen(a, b, sums={"a": 10, "b": 10}) == VersionAsOf(b)
    assert chosen(a, b, sums={"a": 10}) == VersionAsOf(a, passed_over=1)
    assert chosen(a, b, sums={"a": None}) == VersionAsOf(a, passed_over=1)


def test_of_one_id_the_earliest_counts() -> None:
    a, copy, between = version("a", 1), version("copy", 5), version("between", 3)
    ids = {"copy": "a"}
    assert chosen(a, between, copy, sums={"a": 10}, ids=ids) == VersionAsOf(a, passed_over=1)
    assert chosen(a, version("copy", 5, size=11), sums={"a": 10}, ids=ids) == VersionAsOf(a, passed_over=1)
    assert chosen(a, marker(2), copy, sums={"a": 10}, ids=ids) == VersionAsOf(a, passed_over=1)


def test_where_nothing_vouches_the_newest_is_shown_as_such() -> None:
    a, b = version("a", 1), version("b", 2)
    assert chosen(a, b) == VersionAsOf(b, is_vouched=False)
    assert chosen(a, b, ids={"a": "", "b": ""}, sums={"": 10}).version == b
    assert chosen(version("old", 1, parts=False), marker(2), version("new", 3)) == VersionAsOf(
        version("new", 3), is_vouched=False
    )
    assert chosen(version("old", 1, parts=False), marker(2)) == VersionAsOf()


def test_what_bears_the_id_and_not_the_size_is_not_vouched_for() -> None:
    copy = version("copy", 5, size=11)
    assert chosen(copy, sums={"a": 10}, ids={"copy": "a"}) == VersionAsOf(copy, is_vouched=False)


def test_a_voucher_is_what_a_checksum_object_says() -> None:
    owner = Owner("host", SourceName.parse("Directory /etc"))
    note = SumNote("0" * 64, "etc-0-FULL", "one", owner, START, 1234, 5, 0.5, ("# id other", "id other"))
    assert voucher_in(format_sum(note)) == Voucher("one", 1234)
    assert voucher_in(b"# id one\n") == Voucher("one", None)
    assert voucher_in(b"\x00garbage # id x\n") is None


def test_each_checksum_is_read_once_however_many_archives_are_asked_for() -> None:
    """Of a key that somebody has filled with versions, the work must not grow with their square."""
    read: list[str] = []

    def told(sum_: StoredVersion) -> Voucher | None:
        read.append(sum_.id)
        return Voucher(f"of {sum_.id}", int(sum_.id)) if int(sum_.id) % 2 else None

    vouchers = Vouchers([marker(9), *(version(str(number), 8) for number in range(6))], told)
    assert vouchers.of("of 3") == Voucher("of 3", 3)
    assert read == ["0", "1", "2", "3"]
    assert [vouchers.of(f"of {number}") for number in (1, 3, 4, 7)] == [
        Voucher("of 1", 1),
        Voucher("of 3", 3),
        None,
        None,
    ]
    assert read == [str(number) for number in range(6)]


def test_a_checksum_that_could_not_be_read_is_read_again() -> None:
    answers: list[StoreUnreachable | Voucher] = [StoreUnreachable("no answer"), Voucher("a", None)]

    def told(_sum: StoredVersion) -> Voucher | None:
        answer = answers.pop(0)
        if isinstance(answer, StoreUnreachable):
            raise answer
        return answer

    vouchers = Vouchers([version("sum", 1)], told)
    with pytest.raises(StoreUnreachable):
        vouchers.of("a")
    assert vouchers.of("a") == Voucher("a", None)
