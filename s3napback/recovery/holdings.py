"""What a store holds for a recovery: its catalogue, the chain that is meant, and what opens it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from functools import cached_property
from pathlib import Path

from s3napback.archives import join_prefix
from s3napback.catalogue.claims import is_stray
from s3napback.catalogue.contents import Catalogue, CataloguedArchive
from s3napback.catalogue.losses import Loss, losses
from s3napback.catalogue.narrowing import read_catalogue_of
from s3napback.catalogue.selection import holders_of, matching_archives, meant
from s3napback.catalogue.sums import sum_key
from s3napback.catalogue.unlisted import lost_by_word
from s3napback.catalogue.words import last_word
from s3napback.config.settings import Configuration
from s3napback.encryption.gpg import signer_fingerprint
from s3napback.encryption.keys import require_own_home
from s3napback.errors import S3napbackError
from s3napback.formatting import counted, printable
from s3napback.kinds import SourceName
from s3napback.records import dataclass
from s3napback.recovery.choosing import NothingToRestore, NotYet, choose, fitting, only_source, own_archives
from s3napback.recovery.moments import NEWEST, Moment, UnclearMoment, read_moment
from s3napback.recovery.opening.decoder import Decoder
from s3napback.recovery.opening.decrypting import Decryption
from s3napback.recovery.opening.fetching import LARGEST_RANGE, Transport
from s3napback.rotation import day_date
from s3napback.stores import COLD_CLASSES, COLD_TIERS, Store, StoredObject
from s3napback.surroundings import configured_store, host_name

logger = logging.getLogger("s3napback")


class StoredCold(S3napbackError):
    """Archives lie where they cannot be read from at once."""


@dataclass(frozen=True)
class Holdings:
    """A store, and what it holds.

    Attributes:
        configuration: its Bucket, and what goes with it, is used; with sources in it or without.
        catalogue: all archives below the Prefix.
    """

    configuration: Configuration
    store: Store
    catalogue: Catalogue

    def decoder(self, passphrase_file: Path | None = None, *, require_signature: bool = False) -> Decoder:
        """What opens archives of this store.

        Raises:
            UnusableKey: signatures are required, and it is not clear whose.
            ChangeableByOthers: others can change gpg's home.
        """
        require_own_home(self.configuration.encryption.home, os.environ)
        settings = self.configuration.store
        # Reading a folder in several places at once is slower than from its beginning to its end.
        threads = settings.upload_threads if settings.folder is None else 1
        size = min(LARGEST_RANGE, settings.chunk_size)
        transport = Transport(self.store, threads, size, settings.stall_timeout or None)
        encryption = self.configuration.encryption
        signer = signer_fingerprint(encryption) if require_signature else ""
        decryption = Decryption(encryption.home, passphrase_file, signer)
        sums, indexes = self._beside
        return Decoder(transport, decryption, sums, self.configuration.temp_dir, indexes=indexes)

    def has_any(self, word: str) -> bool:
        """Whether there are archives of the source that a word means, whole or not, whoever's."""
        return bool(meant(word, self.catalogue))

    def holder(self, path: str, at: str, today: date, cycle_or_name: str = "") -> SourceName | None:
        """The source within which a path lies that is none itself: ``/etc`` for ``/etc/hosts``; None if there is none.

        It is the innermost one that is as old as ``at``, and this host's if any is. If one around it was backed up
        later, that is said: the inner one may not be backed up by itself any more. So it is of a source itself that is
        not in the configuration.

        Args:
            path: as it was written; what is not absolute names a source.
            cycle_or_name: where it names whose archives are meant, other hosts' sources count as this one's.
        """
        found = meant(path, self.catalogue)
        if not path.startswith("/") or (found and cycle_or_name):
            return None
        host = host_name(self.configuration)
        archives = [each for each in self.catalogue.archives if each.record and not is_stray(each)]
        own = [each for each in archives if _may_be_of(host, each)]
        if found or holders_of(path, own):
            archives = own
        exact = [each for each in found if _may_be_of(host, each)]
        itself = {each.record.owner.source for each in exact if each.record}
        if exact and (len(itself) != 1 or any(job.source in itself for job in self.configuration.jobs)):
            return None
        moment = NEWEST
        with suppress(UnclearMoment):  # it may be a key of the original's; whoever uses it says what is wrong with it
            moment = self._moment(at, today) or NEWEST
        around = holders_of(path, archives)
        days = _last_days((*itself, *around), archives, moment)
        source = next(iter((*itself, *days, *around)), None)
        if source is not None:
            self._tell_of_later(path, source, days)
        return None if exact else source

    def _tell_of_later(self, path: str, source: SourceName, days: Mapping[SourceName, int]) -> None:
        later = max(days, key=lambda each: days[each], default=source)
        if source in days and days[later] > days[source]:
            self._tell(
                logging.WARNING,
                f"{printable(path)} lies in {later} as well, which was backed up later, on {day_date(days[later])}, "
                f"and may hold it as it was then: for that name {later.target} as SOURCE, and behind it this path",
            )

    def _moment(self, at: str, today: date) -> Moment | None:
        return read_moment(at, self._keys, self.configuration.store.prefix, today=today) if at else None

    def all_sources(self) -> list[str]:
        """Sources of this host; on a machine of another name, where none is configured, of all hosts."""
        archives, configuration = self.catalogue.archives, self.configuration
        strays = {archive.key for archive in archives if is_stray(archive)}
        if strays:
            logger.info("%s passed over: of another Prefix, or copies", counted(len(strays), "archive"))
        here = [archive.record for archive in archives if archive.record and archive.key not in strays]
        own = {str(record.owner.source) for record in here if record.owner.host == host_name(configuration)}
        if own or configuration.host_name:
            return sorted(own)
        return sorted({str(record.owner.source) for record in here})

    def nothing_that(self, could: str) -> S3napbackError:
        """That there are no archives of ``all_sources`` which “could be …”, and whose, or what, there is instead."""
        place = "/".join(filter(None, (self.store.location, self.configuration.store.prefix)))
        records = [each.record for each in self.catalogue.archives if not is_stray(each)]
        hosts = sorted({record.owner.host for record in records if record})
        whose = f"; there are those of other hosts: to take one's, set HostName to its name: {', '.join(hosts)}"
        others = "; those of the original tool are, with --original" if self.catalogue.original else ""
        return NothingToRestore(f"there are no archives in {place} that could be {could}{whose if hosts else others}")

    def sources_as_of(self, at: str, today: date, cycle_or_name: str = "") -> tuple[list[str], list[str]]:
        """The sources of ``all_sources`` that are as old as ``at``, and one line for each that is younger.

        Of what else may be wrong with them nothing is told here.

        Raises:
            NothingToRestore: all are younger.
        """
        found: list[str] = []
        young: list[str] = []
        for word in self.all_sources():
            try:
                if at:
                    self.chain_with_problems(word, at, today, cycle_or_name)
            except NotYet as error:
                young.append(f"{word}: {error}")
                continue
            except S3napbackError as error:
                logger.debug("%s: %s", word, error)
            found.append(word)
        if young and not found:
            raise NothingToRestore(*young)
        return found, young

    def own(self, word: str, cycle_or_name: str = "", keys: Sequence[str] = ()) -> list[CataloguedArchive]:
        """This host's archives of the source that a word means, newest first; those under other names only if named.

        Args:
            word: see ``selection.matches``.
            cycle_or_name: names a Cycle, or a name: a key base.
            keys: of archives, with the prefix or without; they name what is under their names.

        Raises:
            S3napbackError: there are none, or it is not clear which source or whose archives are meant.
        """
        matching = matching_archives(self.catalogue, word, cycle_or_name=cycle_or_name)
        asked = {*keys, *(join_prefix(self.configuration.store.prefix, key) for key in keys)}
        named = {word, cycle_or_name, *(archive.base for archive in matching if archive.key in asked)}
        found = [archive for archive in matching if not is_stray(archive) or archive.base in named]
        kept = {archive.key for archive in found}
        if others := sorted({archive.base for archive in matching if archive.key not in kept}):
            said = f"{word}: there are archives under other names, {', '.join(others)}: of another Prefix, or copies"
            if not found:
                raise NothingToRestore(f"{said}; set that Prefix, or name one with --from")
            self._tell(logging.INFO, f"{said}; they are passed over, unless --from names one")
        if not any(archive.record for archive in found) and (lost := self.lost(found)):
            raise NothingToRestore(*lost)
        configured = bool(self.configuration.host_name) and not cycle_or_name
        own, note = own_archives(found, host_name(self.configuration), host_is_configured=configured)
        if note:
            self._tell(logging.WARNING, f"{word}: {note}")
        mine = {archive.key for archive in own}
        if others := sorted({each.record.owner.host for each in found if each.record and each.key not in mine}):
            said = f"{word}: there are archives of other hosts, {', '.join(others)}"
            self._tell(logging.INFO, f"{said}; they are passed over: to take one's, set HostName to its name")
        only_source(own, word)
        return own

    def _tell(self, level: int, text: str) -> None:
        """Log what comes up with each question about a source, once."""
        if text not in self._told:
            self._told.add(text)
            logger.log(level, "%s", text)

    @cached_property
    def _told(self) -> set[str]:
        return set()

    def chain(self, word: str, at: str, today: date, cycle_or_name: str = "") -> tuple[CataloguedArchive, ...]:
        """The chain to the newest archive as of ``at`` that can be restored; says which newer ones cannot.

        Raises:
            S3napbackError: there is none, or it is not clear which is meant.
        """
        chain, problems = self.chain_with_problems(word, at, today, cycle_or_name)
        for problem in problems:
            self._tell(logging.WARNING, problem)
        return chain

    def chain_with_problems(
        self, word: str, at: str, today: date, cycle_or_name: str = ""
    ) -> tuple[tuple[CataloguedArchive, ...], tuple[str, ...]]:
        """The same chain, and why newer archives that were meant cannot be restored, one line each."""
        moment = self._moment(at, today)
        own = self.own(word, cycle_or_name, [moment.key] if moment else [])
        choice = choose(self.catalogue, own, moment)
        return choice.archives, (*self.lost(own), *choice.notes)

    def lost(self, archives: Sequence[CataloguedArchive]) -> tuple[str, ...]:
        """What is lost under the names of these archives, one line each: it may be newer ones."""
        bases = {archive.base for archive in archives}
        found = (loss for base in sorted(bases) for loss in self._losses_by_base.get(base, ()))
        return tuple(map(str, sorted(found, key=lambda each: each.key)))

    def lost_wholly(self) -> list[str]:
        """What is lost under names under which nothing is left that tells of its source, one line each.

        What can be looked at and bears no name of the configuration may be another program's.
        """
        known = {archive.base for archive in self.catalogue.archives if archive.record}
        unseen = {archive.key for archive in self.catalogue.archives if archive.flaw}
        names = {job.name for job in self.configuration.jobs}
        return [
            str(loss) for loss in self.losses if loss.base not in known and (loss.key in unseen or loss.base in names)
        ]

    @cached_property
    def _losses_by_base(self) -> Mapping[str, Sequence[Loss]]:
        found: dict[str, list[Loss]] = {}
        for loss in self.losses:
            found.setdefault(loss.base, []).append(loss)
        return found

    @cached_property
    def _keys(self) -> frozenset[str]:
        return frozenset(archive.key for archive in self.catalogue.archives)

    @cached_property
    def _beside(self) -> tuple[frozenset[str], frozenset[str]]:
        """Keys of the checksum objects, and of the index objects."""
        return frozenset(self.catalogue.sums), frozenset(self.catalogue.indexes)

    @cached_property
    def losses(self) -> Sequence[Loss]:
        """Every archive of this Prefix that has lost what would tell of it, or is gone."""
        names = {job.name for job in self.configuration.jobs}
        prefix = self.configuration.store.prefix
        found = {loss.key: loss for loss in losses(self.catalogue, names, prefix)}
        word = last_word(self.store, self.catalogue, self.configuration, host_name(self.configuration))
        if word is not None:
            found = {**{loss.key: loss for loss in lost_by_word(self.store, self.catalogue, word, prefix)}, **found}
        return [found[key] for key in sorted(found)]


def look_at_store(
    configuration: Configuration, word: str = "", origin: str = "", named: Sequence[str] = ()
) -> Holdings:
    """Look at a configuration's store.

    Args:
        word: the source that is asked for; empty is everything.
        origin: ``--from``.
        named: ``--keys``, or what of ``--at`` can be one.

    Raises:
        S3napbackError: it cannot be used, or read.
    """
    # A person is waiting: a store that is not there at all is said at once, one that goes away later is waited for.
    impatient = configured_store(configuration, patient=False)
    impatient.check(for_writing=False)
    store = configured_store(configuration, after=impatient)
    prefix = configuration.store.prefix
    catalogue = read_catalogue_of(store, prefix, word, host_name(configuration), origin=origin, named=named)
    return Holdings(configuration, store, catalogue)


def _may_be_of(host: str, archive: CataloguedArchive) -> bool:
    return archive.record is None or archive.record.owner.host == host


def _last_days(
    sources: Iterable[SourceName], archives: Sequence[CataloguedArchive], moment: Moment
) -> dict[SourceName, int]:
    """The day of the newest archive of each source as of a moment, in the order of sources, of those that have one."""
    found: dict[SourceName, int] = {}
    for source in sources:
        fit = fitting([each for each in archives if each.record and each.record.owner.source == source], moment)
        if fit and fit[0].record:
            found[source] = fit[0].record.day
    return found


def is_cold(archive: CataloguedArchive) -> bool:
    """Whether an archive cannot be read at once."""
    stored = archive.stored
    return stored.storage_class in COLD_CLASSES and 'ongoing-request="false"' not in stored.restore_state


def _is_coming_out(archive: CataloguedArchive) -> bool:
    """Whether the store has been asked for one in cold storage, and is at it."""
    return 'ongoing-request="true"' in archive.stored.restore_state


def cold_advice(
    chain: Sequence[CataloguedArchive], configuration: Configuration, sums: Mapping[str, StoredObject]
) -> tuple[str, ...]:
    """Which archives must be asked for first, and how, line by line; empty if none must.

    Args:
        chain: what is to be restored.
        configuration: which bucket.
        sums: the checksum objects, by key. Earlier versions stored them as cold as their archives.
    """
    cold = [archive for archive in chain if is_cold(archive)]
    if not cold:
        return ()
    settings = configuration.store
    endpoint = f"--endpoint-url {settings.endpoint} " if settings.endpoint else ""
    # What comes out of a tier comes for good, and no days can be named.
    tiers = [archive.stored.storage_class in COLD_TIERS for archive in cold]
    request = "--restore-request '{}'" if all(tiers) else "--restore-request Days=7"
    if any(archive.stored.version_id for archive in cold):
        request = f"--version-id VERSION {request}"
    if any(tiers) and not all(tiers):
        request = f"{request} (where it is ARCHIVE_ACCESS or DEEP_ARCHIVE_ACCESS, '{{}}' in place of Days=7)"
    asked = [_is_coming_out(archive) for archive in cold]
    lines = [
        f"{archive.key} lies in cold storage ({archive.stored.storage_class})"
        + (f", version {archive.stored.version_id}" if archive.stored.version_id else "")
        + (", and its restoration is under way" if _is_coming_out(archive) else "")
        for archive in cold
    ]
    lines += [
        f"{key} lies there as well ({sums[key].storage_class}); nothing but a look at its archive's checksum needs it"
        for key in map(sum_key, (archive.key for archive in cold if archive.record and not archive.record.recipients))
        if key in sums and sums[key].storage_class in COLD_CLASSES
    ]
    if all(asked):
        # A store refuses to be asked twice.
        return (*lines, "Wait until the store has brought out what lies in cold storage (hours), and run again")
    others = " whose restoration is not under way" * any(asked)
    return (
        *lines,
        f"Ask the store to bring each of them out{others}, wait until it has (hours), and run again:",
        f"  aws {endpoint}s3api restore-object --bucket {settings.bucket} --key KEY {request}",
    )
