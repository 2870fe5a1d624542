"""``restore``: from the store back to files, SQL or a repository, as of a day. Needs nothing but the store."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Protocol

from s3napback.catalogue.contents import CataloguedArchive
from s3napback.config.settings import Configuration
from s3napback.errors import S3napbackError
from s3napback.formatting import human_bytes, human_time
from s3napback.recovery.choosing import chain_of_keys, source_of
from s3napback.recovery.databases import TO_STANDARD_OUTPUT, FileRestore
from s3napback.recovery.decoding import Decoder
from s3napback.recovery.directory import DirectoryRestore
from s3napback.recovery.reaching import Reach, StoredCold, cold_advice, reach
from s3napback.recovery.subversion import RepositoryRestore
from s3napback.rotation import day_date
from s3napback.surroundings import find_gnu_tar

logger = logging.getLogger("s3napback")


class UnclearWish(S3napbackError):
    """The command line asks for something that does not go together."""

    exit_code = 2


class Declined(S3napbackError):
    """A person said no, or there was nobody to ask."""


@dataclass(frozen=True)
class Wish:
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


class Restore(Protocol):
    """One kind of restore."""

    def check(self) -> None:
        """Look whether it can be begun; raises if not."""
        ...

    def run(self, decoder: Decoder, chain: Sequence[CataloguedArchive]) -> None:
        """Restore a chain; raises if anything failed."""
        ...


def restore(
    configuration: Configuration,
    wish: Wish,
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
    reached = reach(configuration)
    chain = _chain(reached, wish, today)
    kind, _, target = source_of(wish.source, chain).partition(" ")
    task = _task(kind, target, wish)
    if wish.test:
        _rehearse(reached, chain, say)
        return 0
    task.check()
    if advice := cold_advice(chain, configuration):
        raise StoredCold(*advice)
    if wish.in_place and not wish.agreed:
        _ask(wish, kind, target, confirm)
    logger.info("restoring %s %s from %s", kind, target, _described(reached, chain))
    task.run(reached.decoder(wish.passphrase_file, require_signature=wish.require_signature), chain)
    fetched = sum(archive.stored.size for archive in chain)
    logger.info(
        "%s %s is restored to %s: %s fetched, %s",
        *(kind, target, "standard output" if wish.where == TO_STANDARD_OUTPUT else wish.where),
        *(human_bytes(fetched), human_time(time.monotonic() - clock)),
    )
    return 0


def _chain(reached: Reach, wish: Wish, today: date) -> tuple[CataloguedArchive, ...]:
    if not wish.keys:
        return reached.chain(wish.source, wish.at, today, wish.origin)
    if wish.at or wish.origin:
        raise UnclearWish("--keys names the chain, so --at and --from have no meaning beside it")
    return chain_of_keys(reached.catalogue, wish.keys, reached.configuration.store.prefix).archives


def _task(kind: str, target: str, wish: Wish) -> Restore:
    to_output = wish.where == TO_STANDARD_OUTPUT
    if kind == "Directory":
        if to_output:
            raise UnclearWish("a directory cannot be restored to standard output: name a directory with --to")
        return DirectoryRestore(target, wish.paths, wish.where.absolute(), wish.in_place, find_gnu_tar())
    if wish.paths or wish.in_place:
        raise UnclearWish(f"PATHs and --in-place are for directories, and {kind} {target} is none")
    if kind in ("Subversion", "SubversionDir") and not to_output:
        return RepositoryRestore(wish.where.absolute())
    return FileRestore(kind, wish.where)


def _rehearse(reached: Reach, chain: Sequence[CataloguedArchive], say: Callable[[str], None]) -> None:
    for number, archive in enumerate(chain, 1):
        day = f", of {day_date(archive.record.day)}" if archive.record else ""
        size = f"{human_bytes(archive.stored.size)} ({archive.stored.size} bytes)"
        say(f"{number}. {reached.store.location}/{archive.key}{day}: {size}")
    total = sum(archive.stored.size for archive in chain)
    say(f"in all {human_bytes(total)} ({total} bytes) would be fetched, in this order")
    for line in cold_advice(chain, reached.configuration):
        say(line)


def _ask(wish: Wish, kind: str, target: str, confirm: Callable[[str], bool | None]) -> None:
    answer = confirm(f"Merge {kind} {target} into {wish.where}, replacing files that are there?")
    if answer is None:
        raise Declined("--in-place replaces files, and there is no terminal to ask on: add --yes if that is meant")
    if not answer:
        raise Declined("nothing was restored")


def _described(reached: Reach, chain: Sequence[CataloguedArchive]) -> str:
    newest = chain[-1]
    day = f" of {day_date(newest.record.day)}" if newest.record else ""
    others = f", with {len(chain) - 1} before it" if len(chain) > 1 else ""
    return f"{reached.store.location}/{newest.key}{day}{others}"
