"""The words that runs have left in a store: how they are fetched, and what lies there without one."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from functools import partial

from s3napback.archives import ArchiveRecord, join_prefix, split_key
from s3napback.catalogue.claims import acting_host, possible_names
from s3napback.catalogue.contents import Catalogue
from s3napback.catalogue.left_out import those_left_out
from s3napback.catalogue.telling import require_answers, warn_of_left_out, warn_of_lost_mark
from s3napback.config.settings import Configuration
from s3napback.crews import Crew, TookTooLong, within
from s3napback.errors import StoreError
from s3napback.stores import Store, StoredObject, read_at_most
from s3napback.watch.keys import Place, place_of
from s3napback.watch.overview import StoreContents, Wordless
from s3napback.watch.states import Heard
from s3napback.watch.word import LARGEST, Unreadable, Word, read

logger = logging.getLogger("s3napback")

_PARALLEL_REQUESTS = 32
_PATIENCE = 10.0
"""Seconds for what a command can do without: a folder on a dead network file system never answers."""

_MOST_LOOKS = 500
"""Names of archives without a word that are looked at: whose they are, only their metadata tell."""


def fetched(store: Store, key: str) -> Word:
    """The word under a key.

    Raises:
        StoreError: it is not there, or cannot be read.
        Unreadable: what lies there is no word.
    """
    return read(read_at_most(store, key, LARGEST))


def fetched_if_any(store: Store, key: str) -> Word | None:
    """The same, where it is a help and no hindrance: None if there is none that can be read."""
    try:
        return fetched(store, key)
    except (StoreError, Unreadable) as error:
        logger.debug("%s: the word of the run before cannot be read: %s", key, error)
        return None


def last_word(store: Store, catalogue: Catalogue, configuration: Configuration, host: str) -> Word | None:
    """What the last run of a configuration has left for ``status``; None if that cannot be had, or not soon.

    Args:
        catalogue: what the store holds.
        host: HostName, or the machine's own name.
    """
    acting = acting_host(catalogue, host, is_configured=bool(configuration.host_name))
    place = Place(configuration.store.prefix, acting, configuration.path.stem)
    try:
        return within(_PATIENCE, lambda: fetched_if_any(store, place.key), "look")
    except TookTooLong as error:
        logger.debug("%s: %s", place.key, error)
        return None


def read_stored(store: Store, prefix: str, only: Place | None = None) -> StoreContents:
    """What lies in a store below a prefix, by one listing, and each word in it.

    Args:
        only: the one word that matters; None if all do.

    Raises:
        StoreError: it cannot be listed, or has stopped to answer.
        UnusableStore: it does not exist, or may not be read.
    """
    try:
        listed = list(store.list(join_prefix(prefix, "")))
    except StoreError:
        store.check(for_writing=False)
        raise
    if not listed:
        # What cannot be used at all may seem to hold nothing.
        store.check(for_writing=False)
    if not any(split_key(found.key) for found in listed):
        warn_of_lost_mark(store)
    places = ((place_of(found.key), found) for found in listed)
    wanted = [(place, found) for place, found in places if place is not None and only in (None, place)]
    with Crew(_PARALLEL_REQUESTS, "words") as pool:
        heard = list(pool.map(lambda each: _heard(store, *each), wanted))
    listed += _left_out(store, heard, {found.key for found in listed})
    moments = {found.key: found.modified for found in listed}
    unlisted = {found.key: found.flaw for found in listed if found.flaw and found.key.endswith("/")}
    return StoreContents({found.key: found.size for found in listed}, heard, moments, unlisted)


def _left_out(store: Store, heard: Iterable[Heard], listed: Collection[str]) -> list[StoredObject]:
    """What words speak of, and the store has and does not list; as far as it tells.

    Raises:
        StoreUnreachable: the store has stopped to answer.
    """
    if not store.is_distant:
        return []
    said = ((each.place.prefix, source) for each in heard if each.word for source in each.word.sources)
    told = (
        join_prefix(prefix, key) for prefix, source in said for key in (source.key, *source.chain) if key is not None
    )
    lacking = list(dict.fromkeys(key for key in told if key not in listed))[:_MOST_LOOKS]
    with Crew(_PARALLEL_REQUESTS, "metadata") as pool:
        found = [each for each in pool.map(partial(_described, store), lacking) if each is not None]
    warn_of_left_out(store.location, those_left_out(found))
    return found


def _heard(store: Store, place: Place, found: StoredObject) -> Heard:
    if found.size > LARGEST:
        return Heard(place, found.modified, flaw="it is larger than words are")
    try:
        return Heard(place, found.modified, fetched(store, found.key))
    except (StoreError, Unreadable) as error:
        require_answers(store, error)
        return Heard(place, found.modified, flaw=str(error))


def read_wordless(store: Store, stored: StoreContents) -> list[Wordless]:
    """The hosts whose archives lie in a store, and that have left no word beside them.

    What other programs have stored, and what is left under a name that a host has given up, is passed over.

    Raises:
        StoreUnreachable: the store has stopped to answer.
    """
    # What ends in a type is nearly always ours.
    names = sorted(stored.unspoken.items(), key=lambda each: not each[1].endswith(("-FULL", "-DIFF")))
    if len(names) > _MOST_LOOKS:
        logger.warning("names of archives that no run speaks of: %d; looked at are %d", len(names), _MOST_LOOKS)
    with Crew(_PARALLEL_REQUESTS, "metadata") as pool:
        owners = list(pool.map(partial(_owner, store), names[:_MOST_LOOKS]))
    known = {(heard.place.prefix, heard.place.host) for heard in stored.heard}
    found: dict[tuple[str, str], list[str]] = {}
    for prefix, host, name in filter(None, owners):
        if (prefix, host) not in known:
            found.setdefault((prefix, host), []).append(name)
    return [Wordless(host, prefix, tuple(sorted(each))) for (prefix, host), each in sorted(found.items())]


def _owner(store: Store, each: tuple[str, str]) -> tuple[str, str, str] | None:
    """Prefix, host and name of an archive; None if it is none of ours, or does not tell."""
    base, key = each
    described = _described(store, key)
    record = None if described is None else ArchiveRecord.from_metadata(described.metadata)
    if record is None:
        return None
    return _split(base, possible_names(record.owner.source, record.cycle), record.owner.host)


def _described(store: Store, key: str) -> StoredObject | None:
    """An object; None if it is not there, or the store does not tell."""
    try:
        return store.head(key)
    except StoreError as error:
        require_answers(store, error)
        logger.debug("%s: what lies there cannot be told: %s", key, error)
        return None


def _split(base: str, names: Iterable[str], host: str) -> tuple[str, str, str]:
    for name in sorted(names, key=len, reverse=True):
        if base == name:
            return "", host, name
        if base.endswith(f"/{name}"):
            return base.removesuffix(f"/{name}"), host, name
    return "", host, base
