"""``list``: what a store holds, and to which days each source can be restored. Reads the store and nothing else."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta, timezone
from enum import Enum
from itertools import islice
from typing import Protocol, TextIO

from s3napback.archives import split_key
from s3napback.catalogue.claims import Claims
from s3napback.catalogue.contents import CataloguedArchive
from s3napback.catalogue.losses import unprotected_sources
from s3napback.catalogue.narrowing import read_catalogue_of
from s3napback.catalogue.reading import read_unread_counts, with_originals_of_root
from s3napback.catalogue.remembering import HeadMemory, cache_folder
from s3napback.catalogue.selection import matches_original, matching_archives, meant
from s3napback.catalogue.unlisted import lost_by_word
from s3napback.catalogue.words import last_word
from s3napback.config.settings import Configuration, StoreSettings
from s3napback.listing.json_text import json_lines
from s3napback.listing.plain import plain_lines
from s3napback.listing.report import Shown, make_report
from s3napback.stores import StoredObject
from s3napback.surroundings import configured_store, host_name

logger = logging.getLogger("s3napback")

_LINES_AT_ONCE = 1_000
_NARROWEST = 60  # columns


class Layout(Enum):
    """How the result is shown."""

    TERMINAL = "tables"
    PLAIN = "plain text"
    JSON = "JSON"


class Say(Protocol):
    """What takes the lines of a result."""

    def __call__(self, *lines: str) -> None:
        """Show some lines."""
        ...


def suitable_layout(stream: TextIO) -> Layout:
    """Tables on a terminal that is wide enough for words to stay whole, plain text elsewhere, in a pipe or file."""
    is_wide = shutil.get_terminal_size().columns >= _NARROWEST
    return Layout.TERMINAL if stream.isatty() and is_wide else Layout.PLAIN


def show(configuration: Configuration, word: str, layout: Layout, say: Say) -> int:
    """List what a configuration's store holds.

    Args:
        configuration: a Bucket is enough; with blocks in it, archives that none of them owns are shown as such.
        word: the source to be shown, in any form that ``matching_archives`` understands; empty for all.
        layout: how.
        say: takes the result, unless it goes to a terminal as tables.

    Returns:
        The exit code.

    Raises:
        UnusableStore: the store does not exist, or may not be read.
        StoreError: it could not be read.
        SourceError: it holds nothing of the source.
    """
    store = configured_store(configuration, patient=False)
    store.check(for_writing=False)
    prefix = configuration.store.prefix
    outdated = _may_be_locked_for_longer(configuration.store, datetime.now(timezone.utc))
    memory = HeadMemory(store, cache_folder(os.environ), f"{store.identity}\0{prefix}", outdated)
    own = host_name(configuration)
    catalogue = with_originals_of_root(read_catalogue_of(store, prefix, word, own, memory), store, prefix)
    lacking = unprotected_sources(catalogue, configuration, own, word)
    original = [each for each in catalogue.original if not word or matches_original(word, each)]
    is_found = not (lacking or original) or bool(meant(word, catalogue))
    archives: Sequence[CataloguedArchive] = catalogue.archives
    if word:
        archives = matching_archives(catalogue, word) if is_found else ()
    claims = Claims(own, configuration.jobs)
    said = last_word(store, catalogue, configuration, own)
    bases = {archive.base for archive in archives}
    lost = [loss for loss in (lost_by_word(store, catalogue, said, prefix) if said else ()) if loss.base in bases]
    shown = Shown(archives, lacking, lost, read_unread_counts(store, memory, catalogue, archives), original)
    memory.save([*(archive.key for archive in catalogue.archives), *catalogue.sums, *catalogue.passed_over])
    report = make_report(catalogue, shown, claims, location=store.location, prefix=prefix)
    if layout is Layout.JSON:
        _say_all(json_lines(report), say)
    elif layout is Layout.TERMINAL:
        # rich takes a while to import, and a pipe can do without
        from s3napback.listing.terminal import print_report  # noqa: PLC0415

        print_report(report)
    else:
        _say_all(plain_lines(report), say)
    return 0


def _may_be_locked_for_longer(settings: StoreSettings, now: datetime) -> Callable[[StoredObject], bool]:
    """Whether an archive may be locked for longer by now than it was when it was looked at.

    A night that is missed leaves it LockDays, and the part of a day by which days end later elsewhere.
    """
    if not settings.object_lock:
        return lambda _known: False
    soon = now + timedelta(days=settings.lock_days + 2)
    return lambda known: split_key(known.key) is not None and (known.locked_until or now) < soon


def _say_all(lines: Iterable[str], say: Say) -> None:
    """Show very many lines, some at a time."""
    left = iter(lines)
    while some := tuple(islice(left, _LINES_AT_ONCE)):
        say(*some)
