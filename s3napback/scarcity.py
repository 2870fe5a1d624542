"""What a process may have no more of, by its own limits, the machine's or a disk's: no fault of ours or of the data.

A limit is met wherever something is begun, and there are hundreds of such places. So it is told apart where failures
are caught that nobody foresaw.
"""

from __future__ import annotations

import errno
import os
import resource

from s3napback.errors import S3napbackError

_BY_NUMBER = {errno.ENOMEM: "memory", errno.EMFILE: "open files", errno.ENFILE: "open files"}
_SHARE = 16
"""Of the files that this process may have open, one in so many is for the folders of one path."""
_OF_A_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)


def foreseen(error: Exception) -> S3napbackError | None:
    """An exception as one of the failures that can be told to people; None if nobody foresaw it."""
    return error if isinstance(error, S3napbackError) else scarcity(error)


class Scarcity(S3napbackError):
    """This process may have no more of something that it needs."""


def scarcity(error: BaseException) -> Scarcity | None:
    """The same as a failure with words of its own, if that is what an exception means."""
    if isinstance(error, OSError) and error.filename == os.devnull:
        return Scarcity(
            f"{os.devnull} cannot be opened, which every program needs: {error.strerror}; make it anew, as root: "
            f"rm -f {os.devnull} && mknod -m 666 {os.devnull} c 1 3"
        )
    if isinstance(error, OSError) and error.errno in _OF_A_DISK:
        return _of_a_disk(error)
    what = ""
    if isinstance(error, MemoryError):
        what = "memory"
    elif isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        what = "threads"
    elif isinstance(error, BlockingIOError) and error.filename is None:
        what = "processes"  # fork(2); of a file it would bear the name
    elif isinstance(error, OSError):
        what = _BY_NUMBER.get(error.errno or 0, "")
    if not what:
        return None
    return Scarcity(
        f"no more {what} can be had: look at the limits of whoever starts s3napback (ulimit -a; of a unit of systemd "
        "TasksMax=, MemoryMax= and LimitNOFILE=; of a container its memory and pids)"
    )


def require_means(error: OSError) -> None:
    """Look at an error that is about to be taken for what is so of a file, a folder or a disk.

    Raises:
        Scarcity: this process may have no more open files or memory, which says nothing of what was looked at.
    """
    if error.errno in _BY_NUMBER and (lack := scarcity(error)):
        raise lack from error


def folders_kept(most: int) -> int:
    """How many folders of one path are kept open: ``most``, or fewer where this process may have few files open."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return most if limit == resource.RLIM_INFINITY else max(1, min(most, limit // _SHARE))


def _of_a_disk(error: OSError) -> Scarcity:
    where = " and ".join(
        os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)
    )
    return Scarcity(f"{where or 'a file'} cannot be written or read: {error.strerror}; look at its disk (df -h, df -i)")
