"""Folders that a tag in them leaves out, as GNU tar looks for one."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple

from s3napback.scarcity import require_means

_OPENING = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Tag(NamedTuple):
    """What has a folder left out.

    Attributes:
        name: of what lies in the folder: a file, or whatever else can be opened.
        begins: the bytes with which it begins.
    """

    name: bytes
    begins: bytes = b""


CACHE_TAG = Tag(b"CACHEDIR.TAG", b"Signature: 8a477f597d28d172789f06886806bc55")
"""That of a cache (the Cache Directory Tagging Specification)."""


def has_tag(name: bytes, folder: int, tags: Iterable[Tag], *, follows: bool) -> bool:
    """Whether what lies under a name in a folder, a descriptor, is a folder that has one of some tags.

    Args:
        name: within the folder.
        folder: a descriptor.
        tags: one of them is enough.
        follows: symbolic links stand for what they lead to.
    """
    flags = _OPENING | (0 if follows else os.O_NOFOLLOW)
    return any(_is_there(tag, name, folder, flags) for tag in tags)


def _is_there(tag: Tag, name: bytes, folder: int, flags: int) -> bool:
    opened: list[int] = []
    try:
        opened.append(os.open(name, flags | os.O_DIRECTORY, dir_fd=folder))
        opened.append(os.open(tag.name, flags, dir_fd=opened[0]))
        return not tag.begins or os.read(opened[1], len(tag.begins)) == tag.begins
    except OSError as error:
        require_means(error)
        return False
    finally:
        for descriptor in opened:
            os.close(descriptor)
