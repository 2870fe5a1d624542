from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from s3napback.archives import ArchiveRecord, Owner
from s3napback.catalogue.contents import Catalogue, newest_first
from s3napback.catalogue.reading import dated, read_catalogue
from s3napback.catalogue.sums import sum_key
from s3napback.errors import StoreError
from s3napback.kinds import SourceName
from s3napback.stores import Store, StoredObject
from s3napback.stores.directory import DirectoryStore
from s3napback.stores.opening import open_store
from tests.catalogues import EPOCH, HOST, archive, catalogue, group, keys, nameless, stored
from tests.servers import S3Server
from tests.stores.sources import BytesSource


def problem(found: Catalogue, key: str) -> str:
    chosen = next(each for each in found.archives if each.key == key)
    chain = found.chain(chosen)
    assert not chain.archives or not chain.problem
    return chain.problem


def test_a_chain_is_the_full_and_the_diffs_on_it_in_order() -> None:
    archives = group("etc", 0, 10, 4)
    found = catalogue(archives)
    assert found.chain(archives[3]).archives == tuple(archives)
    assert found.chain(archives[1]).archives == tuple(archives[:2])
    assert found.chain(archives[0]).archives == (archives[0],)


def test_links_are_found_by_identity_and_not_by_slot() -> None:
    full = archive("etc", 5, 10)
    diff = archive("etc", 2, 11, parent="etc-5@10")
    assert catalogue([full, diff, archive("etc", 1, 9)]).chain(diff).archives == (full, diff)


def test_an_overwritten_full_is_named() -> None:
    old = group("etc", 0, 10, 3)
    found = catalogue([*old[1:], archive("etc", 0, 16)])
    assert problem(found, "etc-1-DIFF") == "its FULL was overwritten: etc-0-FULL is of 1970-01-17"
    assert (
        problem(found, "etc-2-DIFF")
        == f"it builds on etc-1-DIFF, which cannot be restored: {problem(found, 'etc-1-DIFF')}"
    )


def test_a_missing_diff_in_between_is_told_from_an_overwritten_full() -> None:
    archives = group("etc", 0, 10, 4)
    found = catalogue([archives[0], archives[1], archives[3]])
    assert problem(found, "etc-3-DIFF") == "an archive between etc-0-FULL and it is missing"


def test_an_older_archive_that_was_put_back_is_told_from_one_that_is_missing() -> None:
    chain = group("etc", 0, 10, 4)
    former = archive("etc", 1, 3, parent="etc-0@2")
    found = catalogue([chain[0], former, *chain[2:]])
    assert problem(found, "etc-2-DIFF") == (
        "an archive from etc-0-FULL on is another one than it was, such as an older version put back"
    )


def test_a_younger_archive_that_was_copied_into_a_slot_by_hand_is_not_the_rotations_doing() -> None:
    chain = group("etc", 0, 10, 3)
    record = chain[2].record
    assert record is not None
    for parent_slot in (1, None):
        last = replace(chain[2], record=replace(record, parent_slot=parent_slot))
        for key, is_outlived in (("etc-1-FULL", True), ("etc-1-DIFF", False)):
            slot = 1 if is_outlived else 3
            found = catalogue([chain[0], archive("etc", slot, 20, key=key), last])
            assert found.chain(last).is_outlived == is_outlived
            assert found.builds_on_what_is_lost(last) != is_outlived
            assert ("was overwritten" in problem(found, "etc-2-DIFF")) == is_outlived


def test_a_missing_full_without_a_successor_is_just_missing() -> None:
    found = catalogue(group("etc", 0, 10, 2)[1:])
    assert problem(found, "etc-1-DIFF") == "the archive it builds on is no longer in the store"


def test_an_archive_that_has_lost_its_metadata_is_named_where_it_may_be_the_parent() -> None:
    diff = group("etc", 0, 10, 2)[1]
    found = catalogue([nameless("etc-0-FULL", "etc"), diff])
    assert "unless it is etc-0-FULL, which has lost its metadata" in problem(found, "etc-1-DIFF")
    assert problem(found, "etc-0-FULL") == "it has no metadata"


def test_why_nothing_is_known_of_what_may_be_the_parent_is_told() -> None:
    diff = group("etc", 0, 10, 2)[1]
    found = catalogue([replace(nameless("etc-0-FULL", "etc"), flaw="it is damaged"), diff])
    told = "the archive it builds on is missing, unless it is etc-0-FULL: it is damaged"
    assert problem(found, "etc-1-DIFF") == told


def test_parents_in_a_circle_end() -> None:
    one = archive("etc", 1, 1, parent="etc-2@2")
    two = archive("etc", 2, 2, parent="etc-1@1")
    itself = archive("etc", 3, 3, parent="etc-3@3")
    found = catalogue([one, two, itself])
    for key in ("etc-1-DIFF", "etc-2-DIFF", "etc-3-DIFF"):
        assert "circle" in problem(found, key)


def test_a_long_chain_is_followed_quickly() -> None:
    archives = group("etc", 0, 0, 1500)
    found = catalogue(archives)
    assert sum(len(found.chain(each).archives) for each in archives) == 1500 * 1501 // 2


def test_the_newest_chain_of_each_source_and_host_is_whole() -> None:
    broken = archive("etc", 3, 30, parent="gone")
    here = group("etc", 0, 10, 3)
    there = archive("x/etc", 0, 25, host="other-host")
    found = catalogue([broken, *here, there]).newest_chains()
    assert {owner: keys(chain.archives) for owner, chain in found.items()} == {
        Owner(HOST, SourceName("Directory", "/etc")): ["etc-0-FULL", "etc-1-DIFF", "etc-2-DIFF"],
        Owner("other-host", SourceName("Directory", "/etc")): ["x/etc-0-FULL"],
    }


def test_archives_of_a_source_come_newest_first() -> None:
    archives = [*group("etc", 0, 10, 2), archive("daily/etc", 7, 12), nameless("etc-9-FULL", "etc", day=11)]
    ordered = sorted(archives, key=newest_first)
    assert keys(ordered) == ["daily/etc-7-FULL", "etc-1-DIFF", "etc-9-FULL", "etc-0-FULL"]


def test_of_two_begun_in_one_second_the_later_day_is_the_newer() -> None:
    early, late = archive("etc", 5, 10), archive("etc", 3, 11)
    assert early.record is not None
    assert late.record is not None
    late = replace(late, record=replace(late.record, started=early.record.started))
    assert keys(sorted([early, late], key=newest_first)) == ["etc-3-FULL", "etc-5-FULL"]


def put(store: Store, key: str, metadata: Mapping[str, str]) -> None:
    store.put(key, BytesSource(b"data"), metadata)


def fill(store: Store, record: ArchiveRecord) -> None:
    put(store, "a b/etc-0-FULL", record.to_metadata())
    put(store, sum_key("a b/etc-0-FULL"), {})
    put(store, "a b/etc-1-FULL", {"s3napback-format": "from the future"})
    put(store, "a b/etc-5-FULL:0000000000000", {})
    put(store, "a b/-0-FULL", {})
    put(store, "a b/MySQL/all-3", {})
    put(store, "a bc/etc-0-FULL", record.to_metadata())
    put(store, "notes.txt", {})


@pytest.mark.parametrize("kind", ["directory", "moto", "rclone"])
def test_a_store_is_read_below_its_prefix(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    store: Store = DirectoryStore(tmp_path)
    if kind != "directory":
        server: S3Server = request.getfixturevalue(kind)
        settings = server.settings(server.make_bucket())
        store = open_store(settings, server.credentials)
    record = archive("etc", 0, 10).record
    assert record is not None
    fill(store, record)

    found = read_catalogue(store, "a b")
    assert [(each.key, each.base, each.slot) for each in found.archives] == [
        ("a b/-0-FULL", "", 0),
        ("a b/MySQL/all-3", "MySQL/all", 3),
        ("a b/etc-0-FULL", "etc", 0),
        ("a b/etc-1-FULL", "etc", 1),
    ]
    assert [each.record for each in found.archives] == [None, None, record, None]
    assert list(found.sums) == ["a b/etc-0-FULL.sha256"]
    assert found.others == ("a b/etc-5-FULL:0000000000000",)
    assert {each.base for each in read_catalogue(store, "").archives} >= {"a b/etc", "a bc/etc"}
    assert "notes.txt" in read_catalogue(store, "").others


class OneHeadIsRefused(DirectoryStore):
    """A store that does not answer for one object."""

    def head(self, key: str) -> StoredObject | None:
        if key.endswith("-1-FULL"):
            raise StoreError("503")
        return super().head(key)


class OneObjectVanishes(DirectoryStore):
    """A store from which an object is deleted after it was listed."""

    def head(self, key: str) -> StoredObject | None:
        return None if key.endswith("-1-FULL") else super().head(key)


class EveryHeadTakesLong(DirectoryStore):
    """A store far away, that answers once it is asked for eight objects at a time."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.meeting = threading.Barrier(8, timeout=30)

    def head(self, key: str) -> StoredObject | None:
        self.meeting.wait()
        return super().head(key)


def test_metadata_is_asked_for_in_parallel(tmp_path: Path) -> None:
    for number in range(64):
        (tmp_path / f"etc-{number}-FULL").write_bytes(b"x")
    assert len(read_catalogue(EveryHeadTakesLong(tmp_path), "").archives) == 64


def test_metadata_that_cannot_be_asked_for_are_a_flaw_and_not_an_absence(tmp_path: Path) -> None:
    record = archive("etc", 0, 10).record
    assert record is not None
    fill(DirectoryStore(tmp_path), record)
    (found,) = (each for each in read_catalogue(OneHeadIsRefused(tmp_path), "a b").archives if "503" in each.flaw)
    assert found.record is None
    assert found.flaw == "it cannot be looked at: 503"


def test_what_vanishes_between_listing_and_looking_is_left_out(tmp_path: Path) -> None:
    record = archive("etc", 0, 10).record
    assert record is not None
    fill(DirectoryStore(tmp_path), record)
    found = read_catalogue(OneObjectVanishes(tmp_path), "a b")
    assert "a b/etc-1-FULL" not in keys(found.archives)
    assert len(found.archives) == 3


@pytest.mark.parametrize("is_known", [True, False], ids=["stored before", "stored by the same clock"])
def test_what_says_that_it_was_made_in_times_to_come_is_told(is_known: bool, caplog: pytest.LogCaptureFixture) -> None:
    """A machine whose clock was ahead for a night; where nothing tells so, this one's may as well be behind."""
    found = [archive("etc", slot, slot) for slot in (1, 2, 3)]
    wrong = archive("etc", 6, 400)
    wrong = replace(wrong, stored=stored(wrong.key, 1 if is_known else 400))
    result = dated([wrong, *found], EPOCH + timedelta(days=3, minutes=59))
    assert [each.is_ahead for each in result] == [is_known, False, False, False]
    expected = ["etc-3-FULL", "etc-2-FULL", "etc-1-FULL"]
    expected.insert(3 if is_known else 0, wrong.key)
    assert [each.key for each in sorted(result, key=newest_first)] == expected
    [warning] = caplog.messages
    assert warning.startswith("etc-6-FULL says that it was begun at 1971-02-05 ")
    assert ("counts as older than all others" in warning) == is_known
    assert ("either this machine's clock is behind now" in warning) == (not is_known)
    assert ("To be rid of it" in warning) == (not is_known)


def test_a_clock_that_differs_by_less_than_an_hour_is_not_spoken_of(caplog: pytest.LogCaptureFixture) -> None:
    found = [archive("etc", 1, 1)]
    assert dated(found, EPOCH + timedelta(hours=23, minutes=1)) == found
    assert not caplog.messages
