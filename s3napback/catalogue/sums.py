"""The checksum object beside an archive: a help, never a hindrance, so that no more of it is read than makes sense."""

from __future__ import annotations

import logging

from s3napback.archives import LONGEST_SUM, sum_key
from s3napback.stores import Store

logger = logging.getLogger("s3napback")


def sum_text(store: Store, key: str) -> str:
    """The text of the object that holds an archive's sum; empty, with a warning, if it is longer than any of ours.

    Args:
        key: the archive's.

    Raises:
        StoreError: it cannot be read.
    """
    data = bytearray()
    for block in store.read(sum_key(key)):
        data += block
        if len(data) > LONGEST_SUM:
            logger.warning("%s is not used: it is longer than checksums are (%d bytes)", sum_key(key), LONGEST_SUM)
            return ""
    return data.decode(errors="replace")
