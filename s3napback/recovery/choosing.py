"""Which chain of archives a person means: whose, of which source, and as of when. Pure.

As of a day means that day's archive or the newest before it, as of an instant the newest archive begun by then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from s3napback.archives import join_prefix, split_key
from s3napback.catalogue.contents import Catalogue, CataloguedArchive, newest_first, started
from s3napback.catalogue.selection import matches, source_called
from s3napback.errors import S3napbackError
from s3napback.kinds import DIRECTORY, SourceName, kind_of
from s3napback.records import dataclass
from s3napback.recovery.moments import NEWEST, Moment
from s3napback.rotation import ArchiveType, day_date
from s3napback.targets import InvalidNameError


class NothingToRestore(S3napbackError):
    """No archive fits, or none of those that fit can be restored; the message says which there are."""


class NotYet(NothingToRestore):
    """All archives of the source are younger than what is asked for."""


def own_archives(
    found: Sequence[CataloguedArchive], host: str, *, host_is_configured: bool
) -> tuple[list[CataloguedArchive], str]:
    """Those of one machine: our own; else, on a machine without a HostName, of the only one that has any.

    Args:
        found: archives of a source.
        host: HostName, or the machine's own name.
        host_is_configured: HostName is set, so that nobody else's archives can be meant.

    Returns:
        The archives, and what should be said about it (maybe nothing).

    Raises:
        NothingToRestore: there are only other machines', and it is not clear whose are meant.
    """
    hosts = sorted({archive.record.owner.host for archive in found if archive.record})
    if host in hosts or not hosts:
        chosen, note = host, ""
    elif len(hosts) == 1 and not host_is_configured:
        chosen, note = hosts[0], f"these are archives of host {hosts[0]}; this one is {host}"
    else:
        raise NothingToRestore(
            f"there are only archives of {_listed(hosts)}, and this host is {host}: to take one's archives, set "
            "HostName in the configuration to its name, or name its Cycle or key with --from"
        )
    return [archive for archive in found if archive.record and archive.record.owner.host == chosen], note


def only_source(found: Sequence[CataloguedArchive], word: str) -> SourceName:
    """The one source that the archives are of.

    Raises:
        NothingToRestore: they are of several, or do not say.
    """
    sources = sorted({archive.record.owner.source for archive in found if archive.record}, key=str)
    if len(sources) == 1:
        return sources[0]
    if not sources:
        raise NothingToRestore(f"the archives of {word} have no metadata; name a chain of them with --keys")
    raise NothingToRestore(f"{word} can mean {' or '.join(repr(str(source)) for source in sources)}: write one of them")


def source_of(word: str, chain: Sequence[CataloguedArchive]) -> SourceName:
    """What a chain holds; where its archives do not say, what the word means by itself.

    Raises:
        NothingToRestore: the archives are of several sources, or the word does not tell the kind, or no source could be
            called so.
    """
    if any(archive.record for archive in chain):
        source = only_source(chain, word)
        if not all(matches(word, archive) for archive in chain if archive.record):
            raise NothingToRestore(
                f"these are archives of {source}, and not of {word}: write {str(source)!r} to restore it"
            )
        return source
    meant = SourceName(DIRECTORY.name, word) if word.startswith("/") else source_called(word)
    if meant is not None:
        try:
            return SourceName(meant.kind, kind_of(meant.kind).grammar.normalised(meant.target))
        except InvalidNameError as error:
            raise NothingToRestore(f"{word!r} names no source: {error}") from error
    raise NothingToRestore(
        f"the archives do not say what they hold, and {word!r} does not either: write it as '/etc', 'MySQL/all' or "
        "'Subversion /srv/svn/repository'"
    )


@dataclass(frozen=True)
class Choice:
    """What will be restored.

    Attributes:
        archives: a FULL and the DIFFs on it, oldest first.
        notes: newer archives that were passed over, and why, or what else should be known, one line each.
        gaps: why what comes of them is not what the source held in any night, one clause each.
    """

    archives: tuple[CataloguedArchive, ...]
    notes: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()


def choose(catalogue: Catalogue, found: Sequence[CataloguedArchive], moment: Moment | None = None) -> Choice:
    """The chain to the newest archive as of ``moment`` that can be restored.

    Raises:
        NothingToRestore: there is none.
    """
    notes: list[str] = []
    for archive in fitting(found, moment or NEWEST):
        chain = catalogue.chain(archive)
        if chain.archives:
            return Choice(chain.archives, (*notes, *_better_ones(catalogue, found, archive, moment or NEWEST)))
        notes.append(f"{archive.key}{_when(archive)} cannot be restored: {chain.problem}")
    if notes:
        raise NothingToRestore(*notes)
    days = sorted({archive.record.day for archive in found if archive.record})
    there = f"; the oldest is of {day_date(days[0])}" if days else ""
    raise NotYet(f"there is no archive {_described(moment or NEWEST)}{there}")


def _better_ones(
    catalogue: Catalogue, found: Sequence[CataloguedArchive], taken: CataloguedArchive, moment: Moment
) -> Iterator[str]:
    """What may have fitted better than the archive that is taken, and is gone: later ones build on it."""
    is_of_the_day = taken.record is not None and taken.record.day == moment.day
    if is_of_the_day or (moment.day is None and moment.instant is None):
        return
    asked = {archive.key for archive in fitting(found, moment)}
    before: dict[str, CataloguedArchive] = {}
    for archive in sorted(found, key=newest_first, reverse=True):
        last = before.get(archive.base)
        if archive.key not in asked and last and last.key in asked and catalogue.builds_on_what_is_lost(archive):
            yield (
                f"what {archive.key}{_when(archive)} builds on is no longer in the store: it may have been newer than "
                f"{taken.key}{_when(taken)}, which is taken for {moment.text}"
            )
        before[archive.base] = archive


def chain_of_keys(catalogue: Catalogue, keys: Sequence[str], prefix: str = "") -> Choice:
    """The chain that ``--keys`` names, in the order given; nothing but that they exist is asked of the archives.

    Raises:
        NothingToRestore: one is not there.
    """
    by_key = {archive.key: archive for archive in catalogue.archives}
    chosen = [by_key.get(key) or by_key.get(join_prefix(prefix, key)) for key in keys]
    missing = [key for key, archive in zip(keys, chosen, strict=True) if archive is None]
    if missing:
        raise NothingToRestore(f"not in the store, or not the key of an archive: {', '.join(missing)}")
    archives = tuple(archive for archive in chosen if archive is not None)
    pairs = list(zip((None, *archives), archives, strict=False))
    notes = filter(None, (_left_out(catalogue, archives, *pair) for pair in pairs))
    return Choice(archives, tuple(notes), tuple(filter(None, (_gap(catalogue, *pair) for pair in pairs))))


def _gap(catalogue: Catalogue, before: CataloguedArchive | None, archive: CataloguedArchive) -> str:
    """Why what comes of an archive behind another one is no night's content, as a clause; empty if it may be one."""
    if not _is_diff(archive):
        return ""
    if before is None:
        return f"{archive.key} is a DIFF, and no FULL is named before it"
    if archive.record and before.record:
        if archive.record.parent == before.record.id:
            return ""
        parent = catalogue.with_id(archive.record.parent)
        if parent is None:
            return f"{archive.key} builds on an archive that is not in the store, and not on {before.key}"
        return f"{archive.key} builds on {parent.key}, and not on {before.key}"
    # Within a chain slots ascend: where they begin anew a FULL is made.
    return "" if before.slot < archive.slot else f"{archive.key} cannot build on {before.key}, which has no lower slot"


def _left_out(
    catalogue: Catalogue, named: Sequence[CataloguedArchive], before: CataloguedArchive | None, after: CataloguedArchive
) -> str:
    """What may belong between two archives that do not tell their parents, as a sentence; empty if nothing does."""
    if before is None or not _is_diff(after) or (after.record and before.record):
        return ""
    # A FULL there, too: the DIFF is on that one, and not on the one before it.
    others = [each for each in catalogue.archives if each.base == before.base and each not in named]
    between = ", ".join(each.key for each in others if before.slot < each.slot < after.slot)
    if not between:
        return ""
    return (
        f"{between} may belong between {before.key} and {after.key}, and is not named: unless that is older than "
        f"{before.key}, what changed then is missing, and files are older than they were"
    )


def _is_diff(archive: CataloguedArchive) -> bool:
    """Whether it holds only what has changed, as its metadata say, or else its key."""
    parts = split_key(archive.key)
    told = archive.record.type.value if archive.record else parts[2] if parts else ""
    return told == ArchiveType.DIFF.value


def fitting(found: Sequence[CataloguedArchive], moment: Moment) -> list[CataloguedArchive]:
    """The archives as of ``moment``, those to be tried first in front."""
    ordered = sorted(found, key=newest_first)
    if moment.key:
        return [archive for archive in ordered if archive.key == moment.key]
    if moment.day is not None:
        by_day = [(archive.record.day, archive) for archive in ordered if archive.record]
        fitting = [pair for pair in by_day if pair[0] <= moment.day]
        return [archive for _day, archive in sorted(fitting, key=lambda pair: pair[0], reverse=True)]
    if moment.instant is not None:
        return [archive for archive in ordered if started(archive) <= moment.instant]
    return ordered


def _described(moment: Moment) -> str:
    if moment.key:
        return f"{moment.key} of this source"
    return f"as old as {moment.text}" if moment.text else "with metadata; name a chain with --keys"


def _when(archive: CataloguedArchive) -> str:
    return f" of {day_date(archive.record.day)}" if archive.record else ""


def _listed(hosts: Sequence[str]) -> str:
    return ("host " if len(hosts) == 1 else "hosts ") + ", ".join(hosts)
