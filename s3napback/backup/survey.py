"""What one listing of a distant store, and one of its unfinished uploads, tell all sources of a run.

What they tell is a few minutes old, and some stores' listings lag behind. So nothing is overwritten, deleted or taken
for gone on their word alone: they spare the looks whose answer would not change what is done.
"""

from __future__ import annotations

import logging
import string
import threading
import time
from collections.abc import Collection
from dataclasses import field
from itertools import islice

from s3napback.archives import join_prefix, split_key
from s3napback.catalogue.left_out import those_left_out
from s3napback.catalogue.telling import warn_of_left_out
from s3napback.crews import begin, result_of
from s3napback.errors import StoreError
from s3napback.records import dataclass
from s3napback.stores import Store, StoredObject

logger = logging.getLogger("s3napback")

RENEWAL = 900.0
"""Seconds after which both listings are made anew. Most runs take less."""

_LEAST_KEYS = 10_000  # of others that are listed before single looks come cheaper
_KEYS_A_SOURCE = 1_000

_PLAIN = frozenset(string.ascii_letters + string.digits + "/._-")
"""Characters that every store keeps as they are."""


@dataclass(frozen=True)
class _Seen:
    """Both listings.

    Attributes:
        marks: of what lies under archives' keys.
        is_whole: nothing else is there.
        unfinished: keys of uploads; None if nobody has looked.
        odd: characters of archives' keys that not every store keeps.
        made: when, by ``time.monotonic``.
    """

    marks: dict[str, str] = field(default_factory=dict)
    is_whole: bool = False
    unfinished: frozenset[str] | None = None
    odd: frozenset[str] = frozenset()
    made: float = field(default_factory=time.monotonic)


class Survey:
    """Made when it is asked for the first time. Methods may be called from several threads."""

    def __init__(self, store: Store, prefix: str, sources: int) -> None:
        """Look at nothing yet.

        Args:
            store: one that is not distant is not listed: looking there costs little.
            prefix: of the configuration.
            sources: of the configuration, roughly.
        """
        self._store = store
        self._prefix = join_prefix(prefix, "")
        self._most = _LEAST_KEYS + _KEYS_A_SOURCE * sources
        self._lock = threading.Lock()
        self._seen: _Seen | None = None
        self._kept: frozenset[str] = frozenset()
        self._left_out: set[str] = set()

    def mark(self, key: str) -> str | None:
        """The mark of what lies under an archive's key; None if the listing shows nothing there; empty if unknown."""
        seen = self._look()
        return seen.marks.get(key, None if seen.is_whole else "")

    def warn_of_left_out(self, stored: StoredObject) -> None:
        """Warn, once, of what is there and the listing does not show, if it should have shown it for long.

        A night can build on it all the same.
        """
        with self._lock:
            is_told = stored.key in self._left_out
            self._left_out.add(stored.key)
        if not is_told:
            warn_of_left_out(self._store.location, those_left_out([stored]))

    def archive_keys(self) -> Collection[str]:
        """Keys of the archives that the listing shows."""
        return self._look().marks

    def may_be_unfinished(self, key: str) -> bool:
        """Whether an upload to a key may have been begun and not finished."""
        unfinished = self._look().unfinished
        return unfinished is None or key in unfinished

    def require_same_name(self, stored: StoredObject) -> None:
        """Look whether the store shows what it has just taken under the key that it was given.

        SeaweedFS takes a backslash for a slash, and answers whoever asks for either; other stores might do so with the
        two spellings of an accent. Whoever looks for backups has the listing alone. Of a character that the listing
        has shown, nobody asks again.

        Raises:
            StoreError: it shows it under another key.
        """
        if not (self._store.is_distant and stored.mark):
            return
        odd = frozenset(stored.key) - _PLAIN - self._look().odd - self._kept
        if not odd:
            return
        start = min(map(stored.key.index, odd))
        found: list[StoredObject] = []
        try:
            listed = islice(self._store.list(stored.key[:start]), self._most)
            found = [each for each in listed if each.mark == stored.mark]
        except StoreError as error:
            logger.debug("whether %s bears its name is not known: %s", stored.key, error)
        others = [each.key for each in found if each.key != stored.key]
        if others and len(others) == len(found):
            raise StoreError(
                f"{self._store.location} lists {stored.key} as {others[0]}: it does not keep every character as it is, "
                "and what lies under another name is not found by list and restore. Have the source in another store, "
                "or under another name"
            )
        if found:
            self._kept |= odd

    def _look(self) -> _Seen:
        with self._lock:
            if self._seen is None or time.monotonic() - self._seen.made > RENEWAL:
                self._seen = self._list() if self._store.is_distant else _Seen(made=float("inf"))
            return self._seen

    def _list(self) -> _Seen:
        uploads = begin(lambda: frozenset(self._store.unfinished(self._prefix)), "uploads")
        marks: dict[str, str] = {}
        is_whole = False
        try:
            marks, is_whole = self._marks()
        except StoreError as error:
            # Each source asks for itself then, and is told.
            logger.debug("going on without a listing: %s", error)
        return _Seen(marks, is_whole, result_of(uploads), frozenset().union(*marks) - _PLAIN)

    def _marks(self) -> tuple[dict[str, str], bool]:
        marks: dict[str, str] = {}
        for number, found in enumerate(self._store.list(self._prefix)):
            if number == self._most:
                return marks, False
            if split_key(found.key) is not None:
                marks[found.key] = found.mark
        return marks, True
