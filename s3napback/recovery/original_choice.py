"""Which archives of the original tool a person means, and whether they are meant at all: our own come first."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from s3napback.archives import join_prefix
from s3napback.catalogue.contents import Catalogue
from s3napback.catalogue.reading import with_originals_of_root
from s3napback.catalogue.selection import matches_original, meant, source_called
from s3napback.kinds import SourceName
from s3napback.original.chains import OriginalArchive, OriginalChain, chain_by_hand, chain_to
from s3napback.original.keys import parse_base, plain_path
from s3napback.records import dataclass
from s3napback.recovery.choosing import NothingToRestore, fitting
from s3napback.recovery.holdings import Holdings
from s3napback.recovery.moments import NEWEST, Moment, read_moment
from s3napback.recovery.registry import UnclearRequest
from s3napback.rotation import day_number

logger = logging.getLogger("s3napback")


@dataclass(frozen=True)
class OriginalRequest:
    """What the command line says of which archives are meant.

    Attributes:
        source: as in the configuration: ``/etc``, ``MySQL/all``.
        at: as of when; empty is the newest.
        keys: a chain by hand.
        origin: ``--from``.
    """

    source: str
    at: str = ""
    keys: Sequence[str] = ()
    origin: str = ""


@dataclass(frozen=True)
class OriginalChoice:
    """What of the original will be restored.

    Attributes:
        chain: whole.
        notes: newer archives that were passed over, and why, one line each.
    """

    chain: OriginalChain
    notes: tuple[str, ...] = ()


def matching_originals(catalogue: Catalogue, word: str) -> list[OriginalArchive]:
    """The archives of the source that a word means, newest first; all of them without a word."""
    return [archive for archive in catalogue.original if not word or matches_original(word, archive)]


def named_originals(catalogue: Catalogue, keys: Sequence[str], prefix: str) -> list[OriginalArchive]:
    """The archives that bear these keys without the chunks' numbers; none unless all are the original's.

    In a folder that the bucket was copied to, leading and doubled slashes are gone: a key counts without them, too, as
    long as only one archive is called so.
    """
    found = [_called(catalogue.original, (key, join_prefix(prefix, key))) for key in keys]
    named = [archive for archive in found if archive is not None]
    return named if len(named) == len(keys) else []


def _called(archives: Sequence[OriginalArchive], keys: Sequence[str]) -> OriginalArchive | None:
    by_base = {archive.base: archive for archive in archives}
    exact = next((by_base[key] for key in keys if key in by_base), None)
    if exact is not None:
        return exact
    paths = {plain_path(key) for key in keys}
    alike = [archive for archive in archives if plain_path(archive.base) in paths]
    return alike[0] if len(alike) == 1 else None


def with_all_originals(holdings: Holdings) -> Holdings:
    """The same, with what of the original lies outside of the Prefix."""
    prefix = holdings.configuration.store.prefix
    return replace(holdings, catalogue=with_originals_of_root(holdings.catalogue, holdings.store, prefix))


def is_original_meant(holdings: Holdings, words: OriginalRequest, today: date, *, asked_for: bool = False) -> bool:
    """Whether the original's archives are meant: they are named, or none of our own is as old.

    Args:
        asked_for: ``--original`` was given.

    Raises:
        S3napbackError: it is not clear which source or whose archives are meant.
    """
    if asked_for:
        return True
    catalogue, prefix = holdings.catalogue, holdings.configuration.store.prefix
    if words.keys or words.origin:
        return bool(named_originals(with_all_originals(holdings).catalogue, words.keys, prefix))
    if meant(words.source, catalogue):
        if words.at and parse_base(words.at):
            full = with_all_originals(holdings).catalogue
            if named_originals(full, [words.at], prefix):
                return True
        keys = {archive.key for archive in catalogue.archives}
        moment = read_moment(words.at, keys, prefix, today=today) if words.at else NEWEST
        own = holdings.own(words.source, keys=[moment.key])
        if moment == NEWEST or fitting(own, moment):
            return False
        why = f"none of our own archives of {words.source} is as old as {words.at}"
    else:
        why = f"there are no archives of our own of {words.source}"
    if not matching_originals(with_all_originals(holdings).catalogue, words.source):
        return False
    logger.info("%s: those of the original tool are looked at", why)
    return True


def choice_of_originals(holdings: Holdings, words: OriginalRequest, today: date) -> OriginalChoice:
    """The chain that is meant.

    Raises:
        UnclearRequest: the words do not go together.
        NothingToRestore: there is none that can be restored.
    """
    prefix = holdings.configuration.store.prefix
    if words.origin:
        raise UnclearRequest("--from names a Cycle, or a name in our own keys: it does not go with --original")
    if not words.keys:
        return choose_original(holdings.catalogue, words.source, words.at, prefix, today=today)
    if words.at:
        raise UnclearRequest("--keys names the chain, so --at has no meaning beside it")
    named = named_originals(holdings.catalogue, words.keys, prefix)
    if not named:
        raise NothingToRestore(f"not all of these are archives of the original tool: {', '.join(words.keys)}")
    return choose_by_hand(named, words.source)


def require_kind(word: str, found: SourceName) -> None:
    """Refuse what a word calls by another kind than it is of.

    Raises:
        NothingToRestore: it is.
    """
    called = source_called(word)
    if called is not None and called.kind != found.kind:
        raise NothingToRestore(f"these are archives of {found}, and not of {word}: write {str(found)!r} to restore it")


def choose_original(catalogue: Catalogue, word: str, at: str, prefix: str, *, today: date) -> OriginalChoice:
    """The chain to the newest archive of the original's as of ``at`` that can be restored.

    Args:
        word: names the source.
        at: a date, a time, or a key without its chunk's number; empty is the newest.
        prefix: of the configuration.
        today: completes ``at``.

    Raises:
        NothingToRestore: there is none.
    """
    found = matching_originals(catalogue, word)
    if not found:
        raise NothingToRestore(f"there are no archives of {word} among those of the original tool")
    bases = {archive.base for archive in catalogue.original}
    at = next((archive.base for archive in named_originals(catalogue, [at], prefix)), at) if at else ""
    moment = read_moment(at, bases, prefix, today=today) if at else NEWEST
    fit = _as_of(found, moment)
    if moment.key and not fit:
        raise NothingToRestore(f"{moment.key} is no archive of {word}")
    notes: list[str] = []
    for archive in fit:
        chain = chain_to(archive, catalogue.original)
        if chain.archives:
            return OriginalChoice(chain, tuple(notes))
        notes.append(f"{archive.base} of {local_day(archive)} cannot be restored: {chain.problem}")
    if notes:
        raise NothingToRestore(*notes)
    raise NothingToRestore(
        f"there is no archive of the original's as old as {at}; the oldest is of {local_day(found[-1])}"
    )


def choose_by_hand(named: Sequence[OriginalArchive], word: str) -> OriginalChoice:
    """The chain that ``--keys`` names.

    Raises:
        NothingToRestore: it is none, or not of that source.
    """
    strange = next((archive for archive in named if not matches_original(word, archive)), None)
    if strange is not None:
        raise NothingToRestore(f"{strange.base} is no archive of {word}")
    chain = chain_by_hand(named)
    if chain.problem:
        raise NothingToRestore(chain.problem)
    return OriginalChoice(chain)


def _as_of(found: Sequence[OriginalArchive], moment: Moment) -> list[OriginalArchive]:
    if moment.key:
        return [archive for archive in found if archive.base == moment.key]
    if moment.day is not None:
        return [archive for archive in found if day_number(local_day(archive)) <= moment.day]
    if moment.instant is not None:
        # People write whole seconds, and a folder keeps finer times.
        return [archive for archive in found if archive.modified.replace(microsecond=0) <= moment.instant]
    return list(found)


def local_day(archive: OriginalArchive) -> date:
    """The local calendar date on which the store took an archive."""
    return archive.modified.astimezone().date()
