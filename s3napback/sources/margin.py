"""How long what was archived may still change without a later time telling.

A file that is written to again within the same tick of its file system's clock keeps its time: up to two seconds on
some. A page of a shared mapping gets its time when it is first written to, and not again before it has been written
back: a file kept an old time for up to 35 s, with the kernel's own settings, on ext4, btrfs and overlayfs.
"""

from __future__ import annotations

from pathlib import Path

LEAST = 120
"""Seconds."""

_SETTINGS = ("dirty_expire_centisecs", "dirty_writeback_centisecs")
"""When the kernel writes back, in hundredths of a second: Documentation/admin-guide/sysctl/vm.rst."""


def margin(settings: Path = Path("/proc/sys/vm")) -> int:
    """Seconds: what was changed so shortly before a backup began is archived by the next one again."""
    try:
        centiseconds = sum(int((settings / name).read_text()) for name in _SETTINGS)
    except (OSError, ValueError):
        return LEAST
    return max(LEAST, 2 * centiseconds // 100 + 1)
