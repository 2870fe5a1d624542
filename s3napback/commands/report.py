"""``report``: one page for a browser, of all that stores tell: how things stand, and what can be restored."""

from __future__ import annotations

import logging
import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime
from functools import partial
from importlib.resources import files
from pathlib import Path

from s3napback.archives import join_prefix
from s3napback.catalogue.contents import Catalogue
from s3napback.catalogue.reading import PARALLEL_REQUESTS, read_catalogue
from s3napback.catalogue.remembering import HeadMemory, cache_folder
from s3napback.catalogue.sums import read_sum, sum_key
from s3napback.catalogue.telling import require_answers, warn_of_left_out
from s3napback.commands.status import look
from s3napback.config.loading import load_configuration
from s3napback.config.settings import Configuration
from s3napback.crews import Crew
from s3napback.durable import put_in_place
from s3napback.errors import S3napbackError, StoreError
from s3napback.page.document import pieces
from s3napback.page.facts import MOST_NIGHTS, Effort, PageFacts, Past, StoreView, pasts, with_note
from s3napback.stores import Store
from s3napback.surroundings import configured_store, host_name

logger = logging.getLogger("s3napback")

MOST_NOTES = 6_000
"""Checksum objects that are read for what they tell of durations, in all: those of the newest archives."""
_READABLE = 0o644


class UnusablePage(S3napbackError):
    """The page cannot be written where it was asked for."""


def make(paths: Sequence[Path], today: date, write: Callable[[Iterable[bytes]], None], *, remembers: bool) -> int:
    """Make one page of all configurations; what cannot be looked at is told on it.

    Args:
        write: takes the page piece by piece, in UTF-8.
        remembers: what the store told is kept in the cache.

    Returns:
        The exit code: that of the worst failure.

    Raises:
        UnusablePage: the page cannot be written.
    """
    views, codes = [], [0]
    for path in paths:
        try:
            views.append(_view(load_configuration(path), remembers=remembers))
        except S3napbackError as error:
            logger.error("%s: %s", path, error)
            logger.debug("details", exc_info=True)
            views.append(StoreView("", str(path), failure=str(error)))
            codes.append(error.exit_code)
    style = files("s3napback.page").joinpath("style.css").read_text(encoding="utf-8")
    write(piece.encode() for piece in pieces(PageFacts(datetime.now().astimezone(), today, views, style)))
    return max(codes)


def _view(configuration: Configuration, *, remembers: bool) -> StoreView:
    """One store: of every host, if the configuration names no sources, and else of this one."""
    standings, location = look(configuration)
    store = configured_store(configuration, patient=False)
    prefix = configuration.store.prefix
    memory = HeadMemory(store, cache_folder(os.environ), f"{store.identity}\0{prefix}")
    catalogue = read_catalogue(store, prefix, memory, asks_sums=True)
    warn_of_left_out(store.location, catalogue.left_out)
    if remembers:
        memory.save([*(archive.key for archive in catalogue.archives), *catalogue.sums, *catalogue.passed_over])
    hosts = frozenset({host_name(configuration)}) if configuration.jobs else None
    found = pasts(catalogue, join_prefix(prefix, ""), hosts)
    place = f"{location}/{prefix}" if prefix else location
    return StoreView(place, str(configuration.path), standings, _with_notes(found, store, catalogue))


def _with_notes(found: Sequence[Past], store: Store, catalogue: Catalogue) -> list[Past]:
    """With what the objects beside the newest archives tell: how long these took, and what they read."""
    each = min(MOST_NIGHTS, max(1, MOST_NOTES // max(1, len(found))))
    keys = [night.key for past in found for night in past.nights[:each] if sum_key(night.key) in catalogue.sums]
    identities = {archive.key: archive.record.id for archive in catalogue.archives if archive.record}
    with Crew(PARALLEL_REQUESTS, "notes") as pool:
        look = partial(_effort, store, identities)
        notes = dict(zip(keys[:MOST_NOTES], pool.map(look, keys[:MOST_NOTES]), strict=True))
    return [
        replace(past, nights=tuple(with_note(night, notes.get(night.key)) for night in past.nights)) for past in found
    ]


def _effort(store: Store, identities: Mapping[str, str], key: str) -> Effort | None:
    """What the object beside an archive tells, if it is of that archive."""
    try:
        note = read_sum(store, key)
    except StoreError as error:
        require_answers(store, error)
        # It may lie in cold storage, or be gone: then it is not known how long the archive took.
        logger.debug("what %s tells is not shown: %s", sum_key(key), error)
        return None
    return Effort(note.seconds, note.read) if note is not None and note.id == identities.get(key) else None


def write_page(target: Path, say: Callable[[str], None], data: Iterable[bytes], *, test: bool = False) -> None:
    """Put the page in the place of the one before, so that whoever reads it meets the one or the other, whole.

    It tells names of hosts, folders and databases: others may read it only where they could before.

    Args:
        target: a file that is there, or can be; nothing else is replaced.
        say: takes what would be done.
        data: its pieces.
        test: only say it.

    Raises:
        UnusablePage: it is something else, or cannot be written.
    """
    try:
        before = _before(target)
        if test:
            say(f"would write {target}, {sum(map(len, data))} bytes")
            return
        _replace(target, data, before)
    except OSError as error:
        raise UnusablePage(f"the page cannot be written to {target}: {error.strerror}") from error


def _before(target: Path) -> os.stat_result | None:
    try:
        found = target.lstat()
    except FileNotFoundError:
        if not target.parent.is_dir():
            raise UnusablePage(f"there is no folder {target.parent} for the page") from None
        return None
    if not stat.S_ISREG(found.st_mode):
        raise UnusablePage(f"{target} is no file, and is not replaced by the page; name another, or - for its output")
    return found


def _replace(target: Path, data: Iterable[bytes], before: os.stat_result | None) -> None:
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:80]}.")
    new = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(data)
            file.flush()
            if before is not None and before.st_uid == os.geteuid():
                # Whoever was given it, such as a web server's group, keeps it; a right to write is given to nobody.
                with suppress(OSError):
                    os.fchown(descriptor, -1, before.st_gid)
                    os.fchmod(descriptor, 0o600 | before.st_mode & _READABLE)
            os.fsync(descriptor)
        put_in_place(new, target, before=target.parent, after=[target.parent])
    except BaseException:
        with suppress(OSError):
            new.unlink()
        raise
