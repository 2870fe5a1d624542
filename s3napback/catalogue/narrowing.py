"""Looking only at what can be of the source that somebody asks for, where that tells all that he would be told."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from pathlib import PurePosixPath

from s3napback.archives import join_prefix, split_key
from s3napback.catalogue.contents import Catalogue
from s3napback.catalogue.reading import read_catalogue
from s3napback.catalogue.remembering import HeadMemory
from s3napback.catalogue.selection import holders_of, meanings, meant
from s3napback.catalogue.telling import warn_of_left_out, warn_of_nothing, warn_of_told
from s3napback.kinds import kind_of
from s3napback.stores import Store


def read_catalogue_of(
    store: Store,
    prefix: str,
    word: str,
    host: str,
    memory: HeadMemory | None = None,
    *,
    origin: str = "",
    named: Collection[str] = (),
) -> Catalogue:
    """What a store holds of the source that a word means; all of it, where less would not tell enough.

    Less is enough where its source is found, with archives of this host, and each chain of it is whole, or the rotation
    has gone on since. (Of such a one nobody looks for a copy of its FULL under a name that has nothing to do with it.)

    Args:
        store: the store.
        prefix: of the configuration.
        word: see ``selection.matches``; empty is everything.
        host: HostName, or the machine's own name.
        memory: looks at objects; by default each is asked for.
        origin: ``--from``: a Cycle's name or a key base.
        named: keys that are asked for in any case, with the prefix or without, and with what is under the same names.

    Raises:
        StoreError: it cannot be listed, or has stopped to answer.
    """
    found = _read(store, prefix, word, host, memory or HeadMemory(store), origin, named)
    warn_of_nothing(store, found)
    warn_of_told(found)
    warn_of_left_out(store.location, found.left_out)
    return found


def _read(
    store: Store, prefix: str, word: str, host: str, memory: HeadMemory, origin: str, named: Collection[str]
) -> Catalogue:
    if word:
        names = {origin, *_bases(prefix, named)}
        found = read_catalogue(store, prefix, memory, partial(can_be_of, word, names), asks_sums=True, named=named)
        if _is_enough(found, word, host):
            return found
    return read_catalogue(store, prefix, memory, asks_sums=True, named=named)


def _bases(prefix: str, keys: Collection[str]) -> set[str]:
    """The key bases, without the prefix, of keys that may be written with it."""
    found = {parts[0] for key in keys if (parts := split_key(key))}
    return found | {base.removeprefix(join_prefix(prefix, "")) for base in found}


def can_be_of(word: str, named: Collection[str], base: str) -> bool:
    """Whether archives with a key base can be of the source that a word means, of one above it, or of one below it.

    Args:
        word: see ``selection.matches``.
        named: Cycles, and key bases, whose archives are asked for besides; the empty one is none.
        base: of the archives.
    """
    names, sources = meanings(word)
    names = names.union(named) | {kind_of(each.kind).key_base(each.target) for each in sources if each.kind}
    above = {str(each).lstrip("/") for each in PurePosixPath(word).parents} if word.startswith("/") else set()
    # In front of the name there may be that of a Cycle.
    if any(f"/{name}/" in f"/{base}/" for name in names - {""}) or any(
        f"/{base}".endswith(f"/{name}") for name in above - {""}
    ):
        return True
    return "" in names | above and (not base or base.endswith("/"))


def _is_enough(found: Catalogue, word: str, host: str) -> bool:
    hosts = {archive.record.owner.host if archive.record else None for archive in found.archives}
    if None in hosts or (hosts and host not in hosts):
        return False
    matching = meant(word, found)
    if not matching:
        return bool(holders_of(word, found.archives))
    chains = map(found.chain, matching)
    return all(chain.archives or chain.is_outlived for chain in chains)
