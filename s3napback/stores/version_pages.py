"""A listing of versions, page by page, and what pages leave out where a store keeps another order than that of keys.

A page begins behind the last key of the one before, in the order of keys. SeaweedFS (4.48, measured) keeps the versions
of KEY in a folder ``KEY.versions``, goes through folders in their order, and cuts a page before it sorts it: what comes
later there, and has a lesser key, is in no page. Behind ``a-0-FULL.index`` that is ``a-0-FULL``, behind
``home/user-0-FULL`` it is ``home-0-FULL``. A listing of one page is whole, so such places are listed by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from itertools import chain, islice

from s3napback.archives import split_key
from s3napback.errors import StoreError
from s3napback.records import dataclass
from s3napback.stores.versions import StoredVersion

MOST_VERSIONS = 10_000_000
"""Whoever fills a bucket with versions must not fill the memory of whoever looks at them."""

_BEFORE_SLASH = " !\"#$%&'()*+,-."
"""What follows a folder's name in keys that are less than those in the folder; ``-`` does in an archive's key."""

_PAGE = 1_000  # versions, at most


@dataclass(frozen=True)
class Page:
    """One page.

    Attributes:
        next: where the one after it begins: arguments for the request; empty for the last one.
        server: what the store says of itself.
    """

    versions: Sequence[StoredVersion]
    next: Mapping[str, str] = field(default_factory=dict)
    server: str = ""

    @property
    def is_seaweedfs(self) -> bool:
        """Whether it comes from a store that is known to leave something out."""
        return self.server.startswith("SeaweedFS")


Fetch = Callable[[str, Mapping[str, str]], Page]
"""Asks for a page below a prefix, from where the one before ended."""


def walk(fetch: Fetch, prefix: str, doing: str, *, is_sure: bool = False) -> Iterator[StoredVersion]:
    """Yield every version and deletion below a prefix, each kind of a page in the store's order.

    Args:
        doing: what is done, for messages.
        is_sure: pages are known to leave nothing out.

    Raises:
        StoreError: there is no end, or some are left out and cannot be had.
    """
    count = 0
    begun: set[tuple[str, ...]] = set()
    more: Mapping[str, str] = {}
    gaps = None if is_sure else _Gaps(fetch, prefix, doing)
    while True:
        page = fetch(prefix, more)
        count += len(page.versions)
        yield from page.versions
        if not page.next:
            return
        if gaps is not None:
            yield from gaps.behind(page)
        more = page.next
        if tuple(more.values()) in begun or count > MOST_VERSIONS:
            raise StoreError(f"{doing} failed: it does not end, after {count} versions; set Prefix to a part of it")
        begun.add(tuple(more.values()))


class _Gaps:
    """Looks, behind each page of one listing, for what it has left out."""

    def __init__(self, fetch: Fetch, prefix: str, doing: str) -> None:
        self._fetch = fetch
        self._prefix = prefix
        self._doing = doing
        self._whole: set[str] = set()
        self._keys: set[str] = set()
        self._ids: set[tuple[str, str]] = set()
        self._looked: set[str] = set()
        self._marker = ""

    def behind(self, page: Page) -> Iterator[StoredVersion]:
        """What is less than the last key of a page, and in no page until now."""
        self._marker = page.next["KeyMarker"]
        # Of a key that the page before ended with, this one may have the rest alone.
        self._whole |= self._keys
        self._keys = {each.key for each in page.versions}
        self._ids = {(each.key, each.id) for each in page.versions}
        for place in self._places(is_seaweedfs=page.is_seaweedfs):
            if place == self._prefix and (page.is_seaweedfs or place not in self._keys):
                raise StoreError(
                    f"{self._doing} failed: the store's pages leave out versions, of {place} among others, of which "
                    "there are too many to be listed in one. This is a fault of the store, which whoever runs it "
                    "should know; in a bucket of another one the past can be shown"
                )
            if place != self._prefix and place.startswith(self._prefix) and place not in self._looked:
                self._looked.add(place)
                yield from self._missing(place, is_seaweedfs=page.is_seaweedfs)

    def _places(self, *, is_seaweedfs: bool) -> Iterator[str]:
        """Beginnings of keys that come later in the order of folders, and are less than the last key."""
        for end in range(1, len(self._marker)):
            beginning, follower = self._marker[:end], self._marker[end]
            if follower == "/":
                yield from (beginning + each for each in (_BEFORE_SLASH if is_seaweedfs else "-"))
            elif follower == "." and beginning not in self._whole and split_key(beginning) is not None:
                yield beginning

    def _missing(self, place: str, *, is_seaweedfs: bool) -> list[StoredVersion]:
        found = walk(self._fetch, place, self._doing)
        if not is_seaweedfs:
            # Where nothing is missing at the beginning, nothing is: another store should not be asked for all twice.
            head = list(islice(found, _PAGE))
            if not any(map(self._is_missing, head)):
                return []
            found = chain(head, found)
        missing = [each for each in found if self._is_missing(each)]
        self._whole |= {each.key for each in missing}
        return missing

    def _is_missing(self, version: StoredVersion) -> bool:
        key = version.key
        if key >= self._marker or key in self._whole:
            return False
        return key not in self._keys or (key, version.id) not in self._ids
