"""Where a directory store lies within a source: each archive would hold all those before it, and a part of itself.

Names do not tell: the store, the source, or a folder above either of them can be a symbolic link or mounted at several
places. So each is expressed as a place on its file system, which the kernel's list of mounts tells (proc(5),
``mountinfo``: device, and the root of the mount within it), and what is found is believed if it is the same directory,
by device and inode number.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Sequence

from s3napback.errors import SourceError
from s3napback.mounts import Mount, current_mounts, is_at_or_below, mount_of, visible_within


def store_within(top: str, store: str) -> list[str]:
    """The paths below ``top`` at which a directory store, or a part of it, can be seen from there.

    Args:
        top: an absolute path without symbolic links.
        store: any path. If nothing is there, it lies nowhere.

    Raises:
        SourceError: ``top`` lies in the store, or is the store.
    """
    real, mounts = os.path.realpath(store), current_mounts()
    seen = [*_by_folders_above(top, real), *_by_mounts(top, real, mounts)]
    in_store = [(real, top), *_by_folders_above(real, top), *_by_mounts(real, top, mounts)]
    if any(_are_same(*pair) for pair in in_store):
        raise SourceError(f"{top} lies in the store {store} itself; give the store another folder")
    return list(dict.fromkeys(path for path, original in seen if _are_same(path, original)))


def _by_folders_above(top: str, path: str) -> Iterator[tuple[str, str]]:
    """Where the path lies if a folder above it is ``top``, also where the kernel tells nothing of mounts; see below."""
    above = path
    while above != "/":
        above = posixpath.dirname(above)
        if _are_same(above, top):
            yield posixpath.join(top, posixpath.relpath(path, above)), path


def _by_mounts(top: str, path: str, mounts: Sequence[Mount]) -> Iterator[tuple[str, str]]:
    """Where below ``top`` a path, or a part of it, would be seen if nothing hides it; and what should be there then."""
    device, inside = _on_device(path, mount_of(path, mounts))
    for mount in visible_within(top, mounts):
        seen = top if is_at_or_below(top, mount.point) else mount.point
        other, root = _on_device(seen, mount)
        if not device or device != other:
            continue
        if is_at_or_below(inside, root):
            yield posixpath.normpath(posixpath.join(seen, posixpath.relpath(inside, root))), path
        elif is_at_or_below(root, inside) and seen != top:
            yield seen, posixpath.join(path, posixpath.relpath(root, inside))


def _on_device(path: str, mount: Mount) -> tuple[str, str]:
    """The device of the file system on which a path lies, and its path there."""
    return mount.device, posixpath.normpath(posixpath.join(mount.root, posixpath.relpath(path, mount.point)))


def _are_same(first: str, second: str) -> bool:
    try:
        return os.path.samestat(os.lstat(first), os.lstat(second))
    except OSError:
        return False
