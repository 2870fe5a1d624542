"""``prune``: show what the rotation no longer needs, and delete it where that is asked for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timezone
from functools import partial
from itertools import chain

from s3napback.archives import ArchiveRecord, join_prefix, split_key
from s3napback.catalogue.claims import Claims
from s3napback.catalogue.contents import Catalogue, CataloguedArchive
from s3napback.catalogue.indexes import index_key, index_note, indexed_key
from s3napback.catalogue.reading import PARALLEL_REQUESTS, read_catalogue
from s3napback.catalogue.retention import (
    Disposition,
    deletable,
    indexes_without_archive,
    judge_archives,
    judge_sum,
    proofs_without_archive,
    sums_without_archive,
    upload_keys,
)
from s3napback.catalogue.sums import SumNote, read_sum, sum_key, summed_key
from s3napback.catalogue.telling import warn_of_left_out, warn_of_nothing
from s3napback.catalogue.unlisted import without_doubtful
from s3napback.commands.prune_original import prune_originals
from s3napback.config.settings import Configuration
from s3napback.crews import Crew
from s3napback.errors import StoreError, UnusableConfiguration
from s3napback.formatting import counted, human_bytes
from s3napback.locks import whole_day
from s3napback.logs import log_lines
from s3napback.records import dataclass
from s3napback.rotation import day_date, day_number
from s3napback.run_lock import lock_holder, locked, make_diff_dir
from s3napback.stores import KeepingStore, Store, StoredObject
from s3napback.stores.deleting import delete_and_look
from s3napback.surroundings import configured_store, diff_dir, host_name
from s3napback.watch.proofs import proof_keys, proven_key

logger = logging.getLogger("s3napback")

UPLOAD_AGE = 7
"""Days after which an upload that is not finished is taken for one that nobody is at any more."""
_DAY = 86_400.0


@dataclass(frozen=True)
class Companion:
    """What lies beside an archive that is gone.

    Attributes:
        noun: what it is.
        kept: why it stays; empty if it can go.
    """

    key: str
    archive_key: str
    noun: str
    kept: str


@dataclass(frozen=True)
class Findings:
    """What can be deleted, and what stays although the rotation does not need it.

    Attributes:
        dispositions: on archives, in the order in which they can go.
        companions: what lies beside archives that are gone: checksums, indexes, and what drills and verify left.
        marks: keys of all that these have left.
        uploads: keys to which uploads were begun and not finished, with how many.
    """

    dispositions: Sequence[Disposition]
    companions: Sequence[Companion]
    marks: frozenset[str]
    uploads: Sequence[tuple[str, int]]


def prune(
    configuration: Configuration,
    today: date,
    say: Callable[[str], None],
    *,
    delete: bool,
    unowned: bool = False,
    original: bool = False,
    upload_age: int = UPLOAD_AGE,
) -> int:
    """Show what is not needed, and delete it if ``delete`` is set.

    Args:
        configuration: validated; without sources in it nothing is looked at.
        today: the local calendar date.
        say: takes the lines that are the result.
        delete: do it. Otherwise nothing is touched: neither the store nor DiffDir.
        unowned: also names that no block claims.
        original: in place of all that, what the original tool left.
        upload_age: days; what was begun later may be under way on another machine.

    Returns:
        The exit code: 1 if something could not be deleted.

    Raises:
        UnusableConfiguration: it has no sources, or the store cannot be used.
        TooEarly: what the original left is still needed.
        LockHeld: a run is at work.
        StoreError: the store could not be read.
    """
    if not configuration.jobs:
        raise UnusableConfiguration(
            f"{configuration.path} names no sources, so nothing tells which archives are still needed; "
            "nothing was deleted"
        )
    if original:
        with _alone(configuration, delete=delete):
            return prune_originals(configuration, today, say, delete=delete, unowned=unowned)
    claims = Claims(host_name(configuration), configuration.jobs)
    store = configured_store(configuration, patient=delete)
    with _alone(configuration, delete=delete):
        store.check(for_writing=delete)
        prefix = configuration.store.prefix
        findings = _look(store, prefix, claims, day_number(today), unowned=unowned, least_age=upload_age * _DAY)
        pruner = _Pruner(store, prefix, say, delete=delete, least_age=upload_age * _DAY, proofs=findings.marks)
        for disposition in findings.dispositions:
            pruner.archive(disposition)
        for companion in findings.companions:
            pruner.companion(companion)
        for key, count in findings.uploads:
            pruner.uploads(key, count)
        pruner.summary()
    return 1 if pruner.failed else 0


@contextmanager
def _alone(configuration: Configuration, *, delete: bool) -> Iterator[None]:
    """Hold the lock, unless nothing is to be changed."""
    if not delete:
        yield
        return
    folder = diff_dir(configuration)
    if configuration.diff_dir is None:
        make_diff_dir(folder)
    with locked(folder, lock_holder(configuration.path)):
        yield


def _look(store: Store, prefix: str, claims: Claims, day: int, *, unowned: bool, least_age: float) -> Findings:
    catalogue = read_catalogue(store, prefix)
    warn_of_nothing(store, catalogue)
    _warn_of_unseen(catalogue)
    warn_of_left_out(store.location, catalogue.left_out)
    judged = judge_archives(catalogue, claims, day, unowned=unowned)
    dispositions = without_doubtful(store, prefix, catalogue, judged)
    kinds = (
        ("checksum", sums_without_archive(catalogue), summed_key, _note),
        ("index", indexes_without_archive(catalogue), indexed_key, _index_note),
        ("proof", proofs_without_archive(catalogue), proven_key, _index_note),
    )
    companions = [
        Companion(found.key, beside(found.key), noun, kept)
        for noun, objects, beside, note in kinds
        for found in objects
        if (kept := judge_sum(_base(beside(found.key), prefix), note(store, found), claims, day, unowned=unowned))
        is not None
    ]
    going = (disposition.archive.key for disposition in deletable(dispositions))
    keys = chain(upload_keys(catalogue, claims, prefix), going)
    unfinished = _unfinished(store, prefix, keys, least_age)
    return Findings(dispositions, companions, frozenset(catalogue.proofs), unfinished)


def _warn_of_unseen(catalogue: Catalogue) -> None:
    unseen = [archive for archive in catalogue.archives if archive.flaw]
    if unseen:
        logger.warning(
            "%s cannot be judged, so that nothing under the same names is deleted; the first is %s: %s",
            *(counted(len(unseen), "archive"), unseen[0].key, unseen[0].flaw),
        )


def _base(key: str, prefix: str) -> str:
    parts = split_key(key.removeprefix(join_prefix(prefix, "")))
    return parts[0] if parts else ""


def _note(store: Store, found: StoredObject) -> SumNote | None:
    try:
        return read_sum(store, summed_key(found.key))
    except StoreError as error:
        logger.warning("%s stays, because it cannot be read: %s", found.key, error)
        return None


def _index_note(store: Store, found: StoredObject) -> SumNote | None:
    try:
        described = store.head(found.key)
    except StoreError as error:
        logger.warning("%s stays, because it cannot be looked at: %s", found.key, error)
        return None
    return index_note(described.metadata) if described else None


def _unfinished(store: Store, prefix: str, ours: Iterable[str], least_age: float) -> list[tuple[str, int]]:
    """Keys of ours to which uploads were begun and not finished, with how many.

    One listing tells where a store has any. MinIO tells of none in it, and removes them itself after a day.
    """
    begun = frozenset(store.unfinished(join_prefix(prefix, "")))
    keys = tuple(dict.fromkeys(key for key in ours if key in begun))
    with Crew(PARALLEL_REQUESTS, "leftovers") as pool:
        counts = list(pool.map(partial(store.discard_leftovers, count_only=True, least_age=least_age), keys))
    return [(key, count) for key, count in zip(keys, counts, strict=True) if count]


class _Pruner:
    """Shows one thing after the other, and deletes it if that is wanted."""

    def __init__(
        self,
        store: Store,
        prefix: str,
        say: Callable[[str], None],
        *,
        delete: bool,
        least_age: float,
        proofs: frozenset[str],
    ) -> None:
        self._store = store
        self._prefix = prefix
        self._say = say
        self._delete = delete
        self._least_age = least_age
        self._proofs = proofs
        self._bytes = 0
        self._now = datetime.now(timezone.utc)
        self._troubled: dict[str, str] = {}
        self._counts = {"archive": 0, "checksum": 0, "index": 0, "proof": 0, "unfinished upload": 0}
        self._hidden_until = ""
        self.failed = 0

    def archive(self, disposition: Disposition) -> None:
        """Deal with one archive and what lies beside it."""
        archive = disposition.archive
        shown = f"{archive.key} ({_description(archive)}): {disposition.needless}"
        until = archive.stored.locked_until
        kept = disposition.kept or self._troubled.get(archive.base, "")
        if not kept and until is not None and until > self._now:
            kept = f"it is locked until {day_date(whole_day(until))}"
            self._troubled[archive.base] = "a later one of its name is locked, and may build on it"
        if kept:
            self._say(f"stays         {shown}; but {kept}")
        elif self._carry_out(shown, partial(self._delete_archive, archive)):
            self._counts["archive"] += 1
            self._bytes += archive.stored.size
        else:
            self._troubled[archive.base] = "a later one of its name could not be deleted, and may build on it"

    def companion(self, companion: Companion) -> None:
        """Deal with what lies beside an archive, and the archive is gone."""
        shown = f"{companion.key}: there is no such archive any more"
        if companion.kept:
            self._say(f"stays         {shown}; but {companion.kept}")
        elif self._carry_out(shown, partial(self._delete_companion, companion.key, companion.archive_key)):
            self._counts[companion.noun] += 1

    def uploads(self, key: str, count: int) -> None:
        """Deal with what was begun and not finished."""
        shown = f"{counted(count, 'unfinished upload')} to {key}"
        if self._carry_out(shown, partial(self._store.discard_leftovers, key, least_age=self._least_age)):
            self._counts["unfinished upload"] += count

    def summary(self) -> None:
        """Say what it came to."""
        parts = [counted(count, noun) for noun, count in self._counts.items() if count]
        size = f" ({human_bytes(self._bytes)})" if self._bytes else ""
        if not parts:
            nothing = "nothing was to be deleted" if self._delete else "nothing is to be deleted"
            self._say(f"{self._store.location}: {'nothing was deleted' if self.failed else nothing}")
        elif self._delete:
            self._say(f"{self._store.location}: deleted {', '.join(parts)}{size}")
            if self._hidden_until:
                self._say(
                    f"The bucket keeps them as older versions, {self._hidden_until}: their space is free when these go"
                )
        else:
            self._say(f"{self._store.location}: {', '.join(parts)}{size} to be deleted; nothing is, without --yes")

    def _carry_out(self, shown: str, action: Callable[[], object]) -> bool:
        """Do it, unless it is only to be shown; an action says whether older versions stay."""
        if not self._delete:
            self._say(f"would delete  {shown}")
            return True
        try:
            is_hidden = action() is True
        except StoreError as error:
            log_lines(logger, logging.ERROR, error.lines)
            self.failed += 1
            return False
        if is_hidden:
            self._hidden_until = self._hidden_until or self._versions_stay()
            self._say(f"hidden        {shown}; its versions stay {self._hidden_until}")
        else:
            self._say(f"deleted       {shown}")
        return True

    def _versions_stay(self) -> str:
        """Until when the store keeps what is replaced or deleted now."""
        days = self._store.keeps_for(self._prefix) if isinstance(self._store, KeepingStore) else None
        if days is None:
            return "until somebody removes them"
        return f"until {day_date(day_number(self._now.date()) + days)}"

    def _delete_archive(self, archive: CataloguedArchive) -> bool:
        """Delete an archive, if it is still the one that was judged, and then what lies beside it."""
        is_hidden = False
        found = self._store.head(archive.key)
        if found is not None:
            record = ArchiveRecord.from_metadata(found.metadata)
            if record is None or archive.record is None or record.id != archive.record.id:
                raise StoreError(
                    f"{self._store.location}/{archive.key} has been replaced since it was looked at, and stays. "
                    "Is another machine at work under the same names?"
                )
            is_hidden = delete_and_look(self._store, archive.key)
        for key in (index_key(archive.key), sum_key(archive.key), *sorted(proof_keys(archive.key) & self._proofs)):
            try:
                delete_and_look(self._store, key)
            except StoreError as error:
                # The archive itself is gone, which has to be told.
                log_lines(logger, logging.ERROR, error.lines)
                self.failed += 1
        return is_hidden

    def _delete_companion(self, key: str, archive_key: str) -> bool:
        if self._store.head(archive_key) is not None:
            raise StoreError(f"{self._store.location}/{key} stays: its archive has come back since it was looked at")
        return delete_and_look(self._store, key)


def _description(archive: CataloguedArchive) -> str:
    record = archive.record
    size = human_bytes(archive.stored.size)
    return f"{record.owner.source} of {day_date(record.day)}, {size}" if record else size
