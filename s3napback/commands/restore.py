"""``restore``: from the store back to files, SQL or a repository, as of a day. Needs nothing but the store."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

from s3napback.answering import require_answer
from s3napback.archives import NOTHING_UNREAD, Unread
from s3napback.catalogue.contents import CataloguedArchive
from s3napback.catalogue.selection import original_holder_of
from s3napback.config.settings import Configuration
from s3napback.errors import S3napbackError
from s3napback.formatting import human_bytes, human_time
from s3napback.kinds import DIRECTORY, SourceName
from s3napback.records import dataclass
from s3napback.recovery.choosing import Choice, chain_of_keys, source_of
from s3napback.recovery.holdings import Holdings, StoredCold, cold_advice, is_cold, look_at_store
from s3napback.recovery.moments import as_keys
from s3napback.recovery.opening.decoder import Decoder
from s3napback.recovery.original_choice import (
    OriginalRequest,
    choice_of_originals,
    is_original_meant,
    matching_originals,
    require_kind,
    with_all_originals,
)
from s3napback.recovery.paths import NoSuchPath, members_of_paths
from s3napback.recovery.registry import Restore, Restorer, UnclearRequest, Wanted, recovery_of
from s3napback.recovery.single_file import TO_STANDARD_OUTPUT
from s3napback.recovery.staging import UnusableTarget
from s3napback.recovery.unread import said_of, unread_in
from s3napback.rotation import day_date, day_number
from s3napback.screen import above
from s3napback.standing import asking_until, working_on

logger = logging.getLogger("s3napback")


class Declined(S3napbackError):
    """A person said no, or there was nobody to ask."""


class NotWhole(S3napbackError):
    """All that was named is restored, and is not what the source held in any night."""


@dataclass(frozen=True)
class RestoreRequest:
    """What the command line asks for.

    Attributes:
        source: as in the configuration: ``/etc``, ``MySQL/all``.
        paths: of a directory, what of it.
        where: the target.
        at: as of when; empty is the newest.
        origin: ``--from``: a Cycle's name or a key base.
        keys: ``--keys``: the chain by hand.
        in_place: merge into a live tree.
        strict: restore nothing of a directory where the target cannot take everything.
        staging: the folder to prepare a directory in; None is WHERE.
        agreed: ``--yes``.
        passphrase_file: for gpg.
        require_signature: restore only what GpgSignKey has signed.
        original: only what the original tool left.
        test: only say what would be fetched.
    """

    source: str
    where: Path
    paths: tuple[str, ...] = ()
    at: str = ""
    origin: str = ""
    keys: tuple[str, ...] = ()
    in_place: bool = False
    strict: bool = False
    staging: Path | None = None
    agreed: bool = False
    passphrase_file: Path | None = None
    require_signature: bool = False
    original: bool = False
    test: bool = False


@dataclass(frozen=True)
class _Meant:
    """What will be restored.

    Attributes:
        chain: oldest first.
        source: that it is of.
        restore: makes what restores it.
        decoder: makes what opens it.
        is_original: the original tool made it.
        gaps: why it is not a whole chain, one clause each: somebody has named it by hand.
    """

    chain: tuple[CataloguedArchive, ...]
    source: SourceName
    restore: Restorer
    decoder: Callable[[], Decoder]
    is_original: bool = False
    gaps: tuple[str, ...] = ()


def restore(
    configuration: Configuration,
    request: RestoreRequest,
    today: date,
    say: Callable[[str], None],
    confirm: Callable[[str], bool | None],
) -> int:
    """Restore, or tell what would be fetched.

    Args:
        today: completes ``--at``.
        say: takes the lines that are the result.
        confirm: asks a person; None if there is nobody.

    Returns:
        The exit code.

    Raises:
        S3napbackError: nothing was restored, or, as the message says, all but what the target cannot take. To standard
            output a part may have gone.
    """
    clock = time.monotonic()
    holdings = look_at_store(
        configuration, "" if request.keys else request.source, request.origin, request.keys or as_keys(request.at)
    )
    request = _located(holdings, request, today)
    meant = _meant(holdings, request, today)
    unread = NOTHING_UNREAD if meant.is_original else _unread(holdings, meant.chain[-1], meant.source, request)
    task = meant.restore(
        Wanted(meant.source, request.where, request.paths, request.in_place, request.strict, request.staging, unread)
    )
    _check_target(task, request, configuration.store.stall_timeout)
    if request.test:
        _rehearse(holdings, meant, request, say)
        return 1 if meant.gaps else 0
    if advice := _advice(meant, holdings):
        raise StoredCold(*advice)
    if request.in_place and not request.agreed:
        _ask(request, meant.source, confirm)
    doubt = "" if request.at or request.keys else _doubt(meant, today)
    logger.info("restoring %s from %s%s", meant.source, _described(holdings, meant), doubt)
    fetched = _carry_out(task, meant, request, _described(holdings, meant))
    logger.info(
        "%s is restored to %s: %s fetched, %s",
        *(meant.source, "standard output" if request.where == TO_STANDARD_OUTPUT else request.where),
        *(human_bytes(fetched), human_time(time.monotonic() - clock)),
    )
    if meant.gaps:
        raise NotWhole(
            f"what was restored is not what {meant.source} held in any night:", *(f"  {gap}" for gap in meant.gaps)
        )
    return 0


def _carry_out(task: Restore, meant: _Meant, request: RestoreRequest, described: str) -> int:
    """Restore, and show how far along it is; returns how many bytes were fetched."""
    decoder = meant.decoder()
    what, arrived = f"restoring {meant.source} from {described}", decoder.transport.total
    # Of PATHs only what is needed is fetched, be it ever so little.
    expected = 0 if request.paths else _whole_size(meant, request)
    counts = {"fetched": lambda: arrived.size}
    with (
        _undisturbed(request.where),
        working_on(what, counts, expected=expected, title=str(meant.source), stage="restore"),
    ):
        task.run(decoder, meant.chain)
    return arrived.size


@contextmanager
def _undisturbed(where: Path) -> Iterator[None]:
    """While the context lasts, nothing is drawn over what is restored to a terminal, and what was drawn is gone."""
    if where != TO_STANDARD_OUTPUT or not sys.stdout.isatty():
        yield
        return
    with asking_until(lambda: False):
        with above():
            pass
        yield


def _check_target(task: Restore, request: RestoreRequest, stall_timeout: int) -> None:
    """Look whether what is meant can be restored there.

    Args:
        stall_timeout: seconds in which each file system that is written to has to answer; 0 is for ever.

    Raises:
        SourceSilent: one does not answer.
        UnclearRequest: something else is in the way.
    """
    for folder in (request.where, request.staging):
        if folder not in (None, TO_STANDARD_OUTPUT):
            require_answer(str(folder.absolute()), stall_timeout)
    try:
        task.check()
    except UnusableTarget as error:
        raise UnclearRequest(*error.lines) from error


def _located(holdings: Holdings, request: RestoreRequest, today: date) -> RestoreRequest:
    """The same request, of the source within which a path lies that is none itself: ``/etc`` for ``/etc/hosts``.

    Raises:
        NoSuchPath: a PATH besides is relative to what is no source.
    """
    if request.keys or not request.source.startswith("/"):
        return request
    catalogue = holdings.catalogue
    holder = None if request.original else holdings.holder(request.source, request.at, today, request.origin)
    if holder is None and holdings.has_any(request.source):
        return request
    if holder is None and not matching_originals(catalogue, request.source):
        holder = original_holder_of(request.source, catalogue.original)
    if holder is None:
        return request
    if not all(path.startswith("/") for path in request.paths):
        raise NoSuchPath.within(request.source, str(holder))
    logger.info("%s lies in %s: restoring that of it", request.source, holder)
    return replace(request, source=str(holder), paths=(request.source, *request.paths))


def _chain(holdings: Holdings, request: RestoreRequest, today: date) -> Choice:
    if not request.keys:
        return Choice(holdings.chain(request.source, request.at, today, request.origin))
    if request.at or request.origin:
        raise UnclearRequest("--keys names the chain, so --at and --from have no meaning beside it")
    choice = chain_of_keys(holdings.catalogue, request.keys, holdings.configuration.store.prefix)
    for line in (*choice.notes, *choice.gaps):
        logger.warning("%s", line)
    return choice


def _unread(holdings: Holdings, newest: CataloguedArchive, source: SourceName, request: RestoreRequest) -> Unread:
    """What could not be read of a directory that night; of what is wanted, it is said."""
    if source.kind != DIRECTORY.name:
        return NOTHING_UNREAD
    unread = unread_in(holdings.store, newest)
    names = members_of_paths(source.target, request.paths) if unread.count else ()
    for line in said_of(unread, newest, [name.encode("utf-8", "surrogateescape") for name in names]):
        logger.warning("%s", line)
    return unread


def _meant(holdings: Holdings, request: RestoreRequest, today: date) -> _Meant:
    """Our own archives, or those of the original if they are named, or none of ours is as old."""
    words = OriginalRequest(request.source, request.at, request.keys, request.origin)
    if is_original_meant(holdings, words, today, asked_for=request.original):
        return _original(with_all_originals(holdings), request, words, today)

    def decoder() -> Decoder:
        return holdings.decoder(request.passphrase_file, require_signature=request.require_signature)

    choice = _chain(holdings, request, today)
    source = source_of(request.source, choice.archives)
    return _Meant(choice.archives, source, recovery_of(source).restore, decoder, gaps=choice.gaps)


def _original(holdings: Holdings, request: RestoreRequest, words: OriginalRequest, today: date) -> _Meant:
    from s3napback.recovery.original import (  # noqa: PLC0415 - few stores hold any of them
        as_catalogued,
        decoder_of_original,
        restore_of_original,
        source_of_original,
    )

    if request.require_signature:
        raise UnclearRequest("--require-signature is for archives of our own: the original signed nothing")
    choice = choice_of_originals(holdings, words, today)
    for note in (*choice.notes, *choice.chain.doubts):
        logger.warning("%s", note)
    decoder = decoder_of_original(holdings.decoder(request.passphrase_file))
    chain = as_catalogued(decoder, choice.chain.archives)
    sources = choice.chain.archives[0].name.sources
    if is_cold(chain[0]) or request.test:
        source = sources[-1] if request.where == TO_STANDARD_OUTPUT else sources[0]
    else:
        source = source_of_original(decoder, chain[0], sources)
    require_kind(request.source, source)
    return _Meant(chain, source, restore_of_original, lambda: decoder, is_original=True)


def _whole_size(meant: _Meant, request: RestoreRequest) -> int:
    """Bytes that are fetched if archives are read whole: a required signature is looked at first, and by itself."""
    return sum(archive.stored.size for archive in meant.chain) * (2 if request.require_signature else 1)


def _rehearse(holdings: Holdings, meant: _Meant, request: RestoreRequest, say: Callable[[str], None]) -> None:
    for number, archive in enumerate(meant.chain, 1):
        day = f", of {day_date(archive.record.day)}" if archive.record else ""
        if meant.is_original:
            day = f", of {archive.stored.modified.astimezone().date()}, by the original tool"
        size = f"{human_bytes(archive.stored.size)} ({archive.stored.size} bytes)"
        say(f"{number}. {holdings.store.location}/{archive.key}{day}: {size}")
    total = _whole_size(meant, request)
    shown = f"in all {human_bytes(total)} ({total} bytes)"
    twice = ", each archive twice, first for its signature" if request.require_signature else ""
    if request.paths and not meant.is_original:
        say(f"{shown} would be fetched{twice}; but wherever an index counts, only the parts in which the PATHs lie")
    else:
        say(f"{shown} would be fetched, in this order{twice}")
    for line in _advice(meant, holdings):
        say(line)


def _advice(meant: _Meant, holdings: Holdings) -> tuple[str, ...]:
    sums = {} if meant.is_original else holdings.catalogue.sums
    advice = cold_advice(meant.chain, holdings.configuration, sums)
    if not (advice and meant.is_original):
        return advice
    return (
        *advice,
        "Each of its chunks is an object of its own: KEY:00000000000000000000 and so on, as many as list says",
    )


def _ask(request: RestoreRequest, source: SourceName, confirm: Callable[[str], bool | None]) -> None:
    answer = confirm(f"Merge {source} into {request.where}, replacing files that are there?")
    if answer is None:
        raise Declined("--in-place replaces files, and there is no terminal to ask on: add --yes if that is meant")
    if not answer:
        raise Declined("nothing was restored")


def _described(holdings: Holdings, meant: _Meant) -> str:
    newest = meant.chain[-1]
    day = f" of {day_date(newest.record.day)}" if newest.record else ""
    if meant.is_original:
        day = f" of {newest.stored.modified.astimezone().date()}, an archive of the original tool"
    others = f", with {len(meant.chain) - 1} before it" if len(meant.chain) > 1 else ""
    return f"{holdings.store.location}/{newest.key}{day}{others}"


def _doubt(meant: _Meant, today: date) -> str:
    """What is to be said of a day that was not asked for, as a clause; of tomorrow it may be over the date line."""
    record = meant.chain[-1].record
    is_to_come = record is not None and not meant.is_original and record.day > day_number(today) + 1
    return ", a day that is still to come; --at KEY chooses another" if is_to_come else ""
