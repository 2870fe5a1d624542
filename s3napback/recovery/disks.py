"""Whether what was restored has reached its disk.

A system takes what is written, and writes it later. Whether that went well it tells those only who ask: a disk that
fails, or that has less room than it says (thin provisioning, a quota of a server), would lose files in silence.
"""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import ExitStack
from dataclasses import field
from functools import partial

from s3napback.crews import begin, result_of
from s3napback.records import dataclass

_UNKNOWN = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)


def require_on_disk(folder: int) -> None:
    """Have all on disk that was written to the file system of a folder.

    Args:
        folder: descriptor, open for reading since before that was written.

    Raises:
        OSError: something was not, ours or another's; since Linux 5.8.
    """
    # It may take minutes, within the kernel, where no signal reaches us.
    result_of(begin(partial(_sync, folder), "sync"))


def _sync(folder: int) -> None:
    import ctypes  # noqa: PLC0415 - loaded only where it is used

    library = ctypes.CDLL(None, use_errno=True)
    if hasattr(library, "syncfs") and library.syncfs(folder) and (number := ctypes.get_errno()) not in _UNKNOWN:
        raise OSError(number, os.strerror(number))


@dataclass
class Disks:
    """File systems that something is copied to."""

    _folders: dict[int, int] = field(default_factory=dict)

    def note(self, folder: int, within: int, stack: ExitStack) -> None:
        """Something will be copied to a folder; a further descriptor of it is kept.

        Of one that is removed meanwhile none may be kept: lowntfs-3g gives its number to the next folder that is made,
        and the kernel takes that for the one that is gone as long as somebody has it open.

        Args:
            folder: descriptor, for passing through alone if the caller may do no more.
            within: descriptor of one in it, which the caller may read.
            stack: closes what is kept.
        """
        device = os.fstat(within).st_dev
        if device not in self._folders:
            is_readable = not fcntl.fcntl(folder, fcntl.F_GETFL) & os.O_PATH
            self._folders[device] = os.dup(folder if is_readable else within)
            stack.callback(os.close, self._folders[device])

    def require_on_disk(self) -> None:
        """See ``require_on_disk``."""
        for folder in self._folders.values():
            require_on_disk(folder)
