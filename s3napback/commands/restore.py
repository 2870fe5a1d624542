"""``restore``: from the store back to files, SQL or a repository, as of a day. Needs nothing but the store."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from s3napback.catalogue.contents import CataloguedArchive
from s3napback.catalogue.selection import holder_of
from s3napback.config.settings import Configuration
from s3napback.errors import S3napbackError
from s3napback.formatting import human_bytes, human_time
from s3napback.kinds import SourceName
from s3napback.recovery.choosing import chain_of_keys, source_of
from s3napback.recovery.holdings import Holdings, StoredCold, cold_advice, look_at_store
from s3napback.recovery.registry import UnclearRequest, Wanted, recovery_of
from s3napback.recovery.single_file import TO_STANDARD_OUTPUT
from s3napback.rotation import day_date
from s3napback.standing import working_on

logger = logging.getLogger("s3napback")


class Declined(S3napbackError):
    """A person said no, or there was nobody to ask."""


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
        agreed: ``--yes``.
        passphrase_file: for gpg.
        require_signature: restore only what GpgSignKey has signed.
        test: only say what would be fetched.
    """

    source: str
    where: Path
    paths: tuple[str, ...] = ()
    at: str = ""
    origin: str = ""
    keys: tuple[str, ...] = ()
    in_place: bool = False
    agreed: bool = False
    passphrase_file: Path | None = None
    require_signature: bool = False
    test: bool = False


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
        S3napbackError: nothing was restored. To standard output a part may have gone.
    """
    clock = time.monotonic()
    holdings = look_at_store(configuration)
    request = _located(holdings, request)
    chain = _chain(holdings, request, today)
    source = source_of(request.source, chain)
    task = recovery_of(source).restore(Wanted(source, request.where, request.paths, request.in_place))
    if request.test:
        _rehearse(holdings, chain, say)
        return 0
    task.check()
    if advice := cold_advice(chain, configuration, holdings.catalogue.sums):
        raise StoredCold(*advice)
    if request.in_place and not request.agreed:
        _ask(request, source, confirm)
    logger.info("restoring %s from %s", source, _described(holdings, chain))
    with working_on(f"restoring {source} from {_described(holdings, chain)}"):
        task.run(holdings.decoder(request.passphrase_file, require_signature=request.require_signature), chain)
    fetched = sum(archive.stored.size for archive in chain)
    logger.info(
        "%s is restored to %s: %s fetched, %s",
        *(source, "standard output" if request.where == TO_STANDARD_OUTPUT else request.where),
        *(human_bytes(fetched), human_time(time.monotonic() - clock)),
    )
    return 0


def _located(holdings: Holdings, request: RestoreRequest) -> RestoreRequest:
    """The same request, of the source within which a path lies that is none itself: ``/etc`` for ``/etc/hosts``."""
    if request.keys or not request.source.startswith("/") or holdings.has_any(request.source):
        return request
    holder = holder_of(request.source, holdings.catalogue.archives)
    if holder is None:
        return request
    logger.info("%s lies in %s: restoring that of it", request.source, holder)
    return replace(request, source=str(holder), paths=(request.source, *request.paths))


def _chain(holdings: Holdings, request: RestoreRequest, today: date) -> tuple[CataloguedArchive, ...]:
    if not request.keys:
        return holdings.chain(request.source, request.at, today, request.origin)
    if request.at or request.origin:
        raise UnclearRequest("--keys names the chain, so --at and --from have no meaning beside it")
    return chain_of_keys(holdings.catalogue, request.keys, holdings.configuration.store.prefix).archives


def _rehearse(holdings: Holdings, chain: Sequence[CataloguedArchive], say: Callable[[str], None]) -> None:
    for number, archive in enumerate(chain, 1):
        day = f", of {day_date(archive.record.day)}" if archive.record else ""
        size = f"{human_bytes(archive.stored.size)} ({archive.stored.size} bytes)"
        say(f"{number}. {holdings.store.location}/{archive.key}{day}: {size}")
    total = sum(archive.stored.size for archive in chain)
    say(f"in all {human_bytes(total)} ({total} bytes) would be fetched, in this order")
    for line in cold_advice(chain, holdings.configuration, holdings.catalogue.sums):
        say(line)


def _ask(request: RestoreRequest, source: SourceName, confirm: Callable[[str], bool | None]) -> None:
    answer = confirm(f"Merge {source} into {request.where}, replacing files that are there?")
    if answer is None:
        raise Declined("--in-place replaces files, and there is no terminal to ask on: add --yes if that is meant")
    if not answer:
        raise Declined("nothing was restored")


def _described(holdings: Holdings, chain: Sequence[CataloguedArchive]) -> str:
    newest = chain[-1]
    day = f" of {day_date(newest.record.day)}" if newest.record else ""
    others = f", with {len(chain) - 1} before it" if len(chain) > 1 else ""
    return f"{holdings.store.location}/{newest.key}{day}{others}"
