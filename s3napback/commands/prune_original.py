"""``prune --original``: show what the original tool left, and delete it when our own archives have caught up."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial

from s3napback.catalogue.claims import Claims
from s3napback.catalogue.contents import Catalogue
from s3napback.catalogue.reading import PARALLEL_REQUESTS, read_catalogue, with_originals_of_root
from s3napback.catalogue.succession import Succession, successions
from s3napback.catalogue.telling import warn_of_nothing
from s3napback.config.settings import Configuration
from s3napback.crews import Crew
from s3napback.errors import S3napbackError, StoreError, UnusableConfiguration
from s3napback.formatting import counted, human_bytes
from s3napback.logs import log_lines
from s3napback.original.chains import OriginalArchive
from s3napback.original.contents import chunks_of, original_archives
from s3napback.rotation import day_number
from s3napback.stores import Store
from s3napback.stores.deleting import delete_and_look
from s3napback.surroundings import configured_store, host_name

logger = logging.getLogger("s3napback")

_MOST_SHOWN = 5


class TooEarly(S3napbackError):
    """Our own archives have not taken the place of the original's yet."""


def prune_originals(
    configuration: Configuration,
    today: date,
    say: Callable[[str], None],
    *,
    delete: bool,
    unowned: bool = False,
) -> int:
    """Show what the original left, and delete it if ``delete`` is set. The caller holds the lock then.

    Args:
        configuration: validated.
        today: the local calendar date.
        say: takes the lines that are the result.
        delete: do it.
        unowned: also what no block of the configuration backs up.

    Returns:
        The exit code: 1 if something could not be deleted.

    Raises:
        UnusableConfiguration: it has no sources, or the store cannot be used.
        TooEarly: a rotation of our own is not complete; nothing was deleted.
        StoreError: the store could not be read.
    """
    if not configuration.jobs:
        raise UnusableConfiguration(
            f"{configuration.path} names no sources, so nothing tells whether our own archives have caught up; "
            "nothing was deleted"
        )
    store = configured_store(configuration, patient=delete)
    store.check(for_writing=delete)
    prefix = configuration.store.prefix
    catalogue = read_catalogue(store, prefix)
    warn_of_nothing(store, catalogue)
    catalogue = with_originals_of_root(catalogue, store, prefix)
    claims = Claims(host_name(configuration), configuration.jobs)
    found = successions(catalogue, claims, catalogue.original, day_number(today))
    if delete:
        _require_complete(catalogue, found, unowned=unowned)
    return _show_or_delete(store, found, say, delete=delete, unowned=unowned)


def _require_complete(catalogue: Catalogue, found: Sequence[Succession], *, unowned: bool) -> None:
    lacking = list(dict.fromkeys(each.lacking for each in found if each.lacking))
    if unowned and not lacking and not catalogue.archives:
        lacking = ["there are no archives of our own at all"]
    if lacking:
        more = [f"and {len(lacking) - _MOST_SHOWN} more"] if len(lacking) > _MOST_SHOWN else []
        raise TooEarly(
            "what the original tool left is still needed, and nothing was deleted:",
            *(f"  {line}" for line in (*lacking[:_MOST_SHOWN], *more)),
        )


def _show_or_delete(
    store: Store, found: Sequence[Succession], say: Callable[[str], None], *, delete: bool, unowned: bool
) -> int:
    count = size = failed = 0
    troubled: set[str] = set()
    for each in found:
        archive = each.archive
        shown = f"{archive.base} ({_description(archive)})"
        stays = each.lacking or ("" if each.claimed or unowned else "no block backs it up; --unowned takes it as well")
        if archive.name.series in troubled:
            stays = "a later one could not be deleted, and may build on it"
        if stays:
            say(f"stays         {shown}: {stays}")
            continue
        if delete:
            try:
                delete_original(store, archive)
            except StoreError as error:
                log_lines(logger, logging.ERROR, error.lines)
                failed += 1
                troubled.add(archive.name.series)
                continue
        say(f"{'deleted     ' if delete else 'would delete'}  {shown}")
        count, size = count + 1, size + archive.size
    what = f"{counted(count, 'archive')} of the original tool ({human_bytes(size)})"
    if not count:
        say(f"{store.location}: nothing of the original tool {'was' if delete else 'is'} to be deleted")
    elif delete:
        say(f"{store.location}: deleted {what}")
    else:
        say(f"{store.location}: {what} to be deleted; nothing is, without --yes")
    return 1 if failed else 0


def delete_original(store: Store, archive: OriginalArchive) -> None:
    """Delete an archive, if it is still the one that was judged.

    Raises:
        StoreError: it has changed, or cannot be deleted.
    """
    chunks = chunks_of(archive.base, store.list(f"{archive.base}:"))
    now = next(iter(original_archives(chunks)), None)
    if now is None:
        return
    if (now.chunks, now.size, now.modified) != (archive.chunks, archive.size, archive.modified):
        raise StoreError(
            f"{store.location}/{archive.base} has been replaced since it was looked at, and stays. Does the original "
            "tool still run somewhere?"
        )
    # Without its first chunk what is left of it can never be taken for a whole archive.
    first, *others = chunks
    delete_and_look(store, first.key)
    with Crew(PARALLEL_REQUESTS, "delete") as crew:
        for _ in crew.map(partial(delete_and_look, store), [chunk.key for chunk in others]):
            pass


def _description(archive: OriginalArchive) -> str:
    kinds = " or ".join(source.kind for source in archive.name.sources)
    day = archive.modified.astimezone().date()
    return (
        f"{kinds} {archive.name.sources[0].target} of {day}, {counted(archive.chunks, 'object')}, "
        f"{human_bytes(archive.size)}"
    )
