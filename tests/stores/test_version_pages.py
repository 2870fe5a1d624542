"""No version is missing from a listing, in whatever order a store goes through its keys; or else that is said."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any

import pytest

from s3napback.errors import StoreError
from s3napback.stores import s3_listing, s3_versions
from s3napback.stores.s3_past import S3StoreWithVersions
from s3napback.stores.version_pages import Page, walk
from s3napback.stores.versions import StoredVersion
from tests.servers import S3Server

BESIDE = ("", ".index", ".sha256")
BASES = ("home", "home/user", "home.old/x", "home (1)/y", "var", "MySQL/home", "a/var", "a")
KEYS = [f"{base}-{slot}-FULL{end}" for base in BASES for slot in range(2) for end in BESIDE]
VERSIONS = 5
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


class Model:
    """A store that tells of versions as SeaweedFS does, or as it should be.

    Attributes:
        asked: how many pages were given.
    """

    def __init__(self, keys: Sequence[str], count: int, size: int, server: str, *, is_sound: bool = False) -> None:
        made = [StoredVersion(key, f"{key} {number}", NOW) for key in keys for number in range(count)]
        order = (lambda each: each.key) if is_sound else (lambda each: f"{each.key}.versions".split("/"))
        self._versions = sorted(made, key=order)
        self._size, self._server = size, server
        self.asked = 0

    def fetch(self, prefix: str, more: Mapping[str, str]) -> Page:
        self.asked += 1
        marker, last = more.get("KeyMarker", ""), more.get("VersionIdMarker", "")
        left = [each for each in self._versions if each.key.startswith(prefix) and (each.key, each.id) > (marker, last)]
        # One more is taken, to see whether there are more, and what is too much is cut off after sorting.
        page = sorted(left[: self._size + 1], key=lambda each: (each.key, each.id))[: self._size]
        if len(left) <= self._size:
            return Page(page, server=self._server)
        return Page(page, {"KeyMarker": page[-1].key, "VersionIdMarker": page[-1].id}, self._server)


def ids(found: Sequence[StoredVersion]) -> list[str]:
    return sorted(each.id for each in found)


@pytest.mark.parametrize("size", [16, 17, 23, 31, 64, 1000])
@pytest.mark.parametrize("prefix", ["", "home", "a/"])
def test_what_pages_leave_out_is_looked_for_where_it_lies(size: int, prefix: str) -> None:
    model = Model(KEYS, VERSIONS, size, "SeaweedFS 8000GB 4.48")
    everything = ids([each for each in model._versions if each.key.startswith(prefix)])
    assert ids(list(walk(model.fetch, prefix, "listing"))) == everything
    if size < 64 and not prefix:
        assert ids(list(walk(model.fetch, prefix, "listing", is_sure=True))) != everything


@pytest.mark.parametrize("size", [16, 31])
def test_a_store_behind_a_proxy_that_hides_its_name_is_seen_through_in_usual_places(size: int) -> None:
    keys = [key for key in KEYS if "(" not in key and "old" not in key]
    model = Model(keys, VERSIONS, size, "nginx")
    assert ids(list(walk(model.fetch, "", "listing"))) == ids(model._versions)


@pytest.mark.parametrize(("server", "size"), [("SeaweedFS 8000GB 4.48", 9), ("SeaweedFS 4.99", 10), ("nginx", 9)])
def test_what_cannot_be_had_is_an_error_and_nothing_is_passed_over(server: str, size: int) -> None:
    model = Model(KEYS, VERSIONS, size, server)
    with pytest.raises(StoreError, match=r"pages leave out versions, of .*-FULL among others"):
        list(walk(model.fetch, "", "listing"))


@pytest.mark.parametrize("size", [1, 7, 16, 64])
def test_a_sound_store_is_asked_for_little_more_than_its_pages(size: int) -> None:
    model = Model(KEYS, VERSIONS, size, "Ceph", is_sound=True)
    assert ids(list(walk(model.fetch, "", "listing"))) == ids(model._versions)
    pages = -(-len(model._versions) // size)
    folders = {key[:place] for key in KEYS for place, each in enumerate(key) if each == "/"}
    assert model.asked <= 3 * pages + 2 * len(folders)
    model.asked = 0
    list(walk(model.fetch, "", "listing", is_sure=True))
    assert model.asked == pages


def test_a_listing_that_goes_in_a_circle_ends() -> None:
    page = Page([StoredVersion("k", "1", NOW)], {"KeyMarker": "k", "VersionIdMarker": "1"})
    with pytest.raises(StoreError, match="it does not end, after 2 versions"):
        list(walk(lambda _prefix, _more: page, "", "listing"))


@pytest.mark.parametrize("size", [16, 23])
def test_a_real_store_of_this_kind_shows_all_it_has(
    seaweedfs: S3Server, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    client, bucket = seaweedfs.client(), seaweedfs.make_bucket()
    configuration: Any = {"Status": "Enabled"}
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=configuration)

    def put(key: str) -> str:
        return str(client.put_object(Bucket=bucket, Key=key, Body=b"x")["VersionId"])

    keys = [f"{base}-0-FULL{end}" for base in ("home", "home/user") for end in BESIDE]
    with ThreadPoolExecutor(8) as pool:
        made = sorted(pool.map(put, itertools.chain.from_iterable([keys] * VERSIONS)))
    original: Callable[..., Any] = s3_listing.list_versions
    monkeypatch.setattr(
        s3_versions, "list_versions", lambda *given: original(*given[:2], {"MaxKeys": size, **given[2]}, given[3])
    )
    store = S3StoreWithVersions(seaweedfs.settings(bucket), seaweedfs.credentials)
    assert sorted(each.id for each in store.versions("")) == made
    # It is the store that leaves something out, if it is not looked for.
    known: list[str] = []
    more: dict[str, Any] = {}
    while True:
        page = client.list_object_versions(Bucket=bucket, MaxKeys=size, **more)
        known += [each["VersionId"] for each in page.get("Versions", [])]
        if not page["IsTruncated"]:
            break
        more = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}
    assert len(known) < len(made)
