"""What an archive lacks because it could not be read that night, as the checksum object beside it tells."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from s3napback.archives import NOTHING_UNREAD, Unread
from s3napback.catalogue.contents import CataloguedArchive
from s3napback.catalogue.sums import read_own_sum, sum_key, unread_count
from s3napback.errors import S3napbackError
from s3napback.formatting import counted, printable, shortened
from s3napback.rotation import day_date
from s3napback.stores import Store

logger = logging.getLogger("s3napback")

_SHOWN = 5


def unread_in(store: Store, archive: CataloguedArchive) -> Unread:
    """What is known of it; nothing where the checksum object is absent, or cannot be read, which hinders nothing."""
    if archive.record is None:
        return NOTHING_UNREAD
    try:
        found = store.head(sum_key(archive.key))
        count = unread_count(found.metadata, archive.record.id) if found else 0
        # What a copy has lost of its metadata, it has lost of those beside it as well.
        note = read_own_sum(store, archive.key, archive.record.id) if count or archive.told else None
    except S3napbackError as error:
        logger.debug("what could not be read when %s was made is not known: %s", archive.key, error)
        return NOTHING_UNREAD
    noted = note.unread if note else NOTHING_UNREAD
    return Unread(max(count, noted.count), noted.paths)


def said_of(unread: Unread, archive: CataloguedArchive, names: Sequence[bytes]) -> list[str]:
    """What has to be known of a restore, one line each. Pure.

    Args:
        unread: of the newest archive of the chain.
        archive: that one.
        names: of the paths to be restored, as in archives; none is everything.
    """
    concerned = [path for path in unread.paths if not names or any(_meets(path, name) for name in names)]
    nameless = unread.count - len(unread.paths)
    night = f"when {archive.key}{f' of {day_date(archive.record.day)}' if archive.record else ''} was made"
    lines = [
        f"/{_readable(path)} could not be read {night}: what comes back of it is from an older archive, ends in zeros, "
        "or is missing; another day may have it whole (--at)"
        for path in concerned[:_SHOWN]
    ]
    if more := len(concerned[_SHOWN:]) + nameless:
        doubt = ", which may lie in what is restored" if nameless and names else ""
        lines.append(f"{counted(more, 'other path')}{doubt} could not be read {night}; see {sum_key(archive.key)}")
    return lines


def _meets(path: bytes, name: bytes) -> bool:
    """Whether one of two paths is the other, or lies below it."""
    return path == name or path.startswith(name + b"/") or name.startswith(path + b"/") or name == b"."


def _readable(path: bytes) -> str:
    return shortened(printable(path.decode("utf-8", "surrogateescape")))
