"""Symbolic links that are followed, as by tar with ``--dereference``: whether they lead where they led before."""

from __future__ import annotations

import os
import stat

_MOST_LINKS = 40
"""On one way; the kernel follows no more (``path_resolution(7)``)."""


def leads_as_before(name: bytes, folder: int, since_ns: int) -> bool:
    """Whether no link on the way to what a name stands for has been changed, or put there, since a moment.

    If it leads to another file of the same size and time now, nothing but that tells.

    Args:
        name: in the folder.
        folder: its descriptor.
        since_ns: nanoseconds since 1970.

    Raises:
        OSError: the way cannot be looked at.
    """
    gone, ahead, links = b"", [name], 0
    while ahead:
        part = ahead.pop()
        if not part:
            continue
        place = gone + part
        status = os.lstat(place, dir_fd=folder)
        if not stat.S_ISLNK(status.st_mode):
            gone = place + b"/"
            continue
        links += 1
        if status.st_ctime_ns >= since_ns or links > _MOST_LINKS:
            return False
        target = os.readlink(place, dir_fd=folder)
        gone = b"/" if target.startswith(b"/") else gone
        ahead += reversed(target.split(b"/"))
    return True
