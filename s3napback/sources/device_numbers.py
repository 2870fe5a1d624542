"""Whether the device numbers of a directory tell what lies on its file system: OneFileSystem goes by them.

An overlay of layers on several file systems has one number for its folders, and for each file that of its layer, unless
it is mounted with ``xino=on`` (Documentation/filesystems/overlayfs.rst, "Inode properties"). tar with
``--one-file-system`` leaves all these files out, and says nothing.
"""

from __future__ import annotations

import os
from contextlib import suppress

from s3napback.config.settings import Job
from s3napback.errors import SourceError
from s3napback.formatting import printable, shortened
from s3napback.mounts import current_mounts
from s3napback.sources.looking import stays_on_one

_MOST_FILES = 1000
_MOST_LOOKED_AT = 20_000


def require_own_numbers(job: Job) -> None:
    """Refuse a directory that is to stay on its file system, if a file in it has another number and is not mounted.

    Raises:
        SourceError: that is so; not if it lies behind what is looked at first.
    """
    if not stays_on_one(job.settings.tar_options, one_file_system=job.settings.one_file_system):
        return
    mounted = {mount.point for mount in current_mounts()}
    if mounted and (path := _strange_file(os.path.realpath(job.target), mounted)):
        raise SourceError(
            f"{job.source} cannot stay on one file system (OneFileSystem): {shortened(printable(path))} has another "
            "device number than the folder it lies in, and would be left out. So it is on an overlay of several file "
            "systems. Name with Exclude what is mounted below instead, or mount the overlay with xino=on"
        )


def _strange_file(top: str, mounted: set[str]) -> str:
    """The first file with another number than its folder; empty if there is none among those that are looked at."""
    files = looked_at = 0
    folders = [top]
    while folders:
        folder = folders.pop()
        # It may vanish, or not be readable: the backup itself says so.
        with suppress(OSError), os.scandir(folder) as entries:
            device = os.lstat(folder).st_dev
            for entry in entries:
                looked_at += 1
                if entry.path in mounted:
                    continue
                is_folder = entry.is_dir(follow_symlinks=False)
                is_elsewhere = entry.stat(follow_symlinks=False).st_dev != device
                if is_folder and not is_elsewhere:
                    folders.append(entry.path)
                elif not is_folder:
                    files += 1
                    if is_elsewhere:
                        return entry.path
                if files >= _MOST_FILES or looked_at >= _MOST_LOOKED_AT:
                    return ""
    return ""
