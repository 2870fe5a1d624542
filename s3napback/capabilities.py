"""What this process may do besides what its user may: the kernel's capabilities (capabilities(7))."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path

DAC_OVERRIDE = 1 << 1
"""Read, write and pass whatever the permissions are."""
DAC_READ_SEARCH = 1 << 2
"""Read and pass likewise."""
FOWNER = 1 << 3
"""Do with what belongs to others what else its owner alone may: set permissions and times, remove in sticky folders."""
SYS_ADMIN = 1 << 21
"""Set attributes that are for programs of the system, as ``trusted.*``, besides much else."""
SETFCAP = 1 << 31
"""Give programs capabilities."""

NO_PROC = "/proc is missing; mount it with: mount -t proc proc /proc"
"""What to do where ``has_proc`` is false."""


def has_proc() -> bool:
    """Whether open folders have a path there, by which their files are reached."""
    return Path("/proc/self/fd").is_dir()


def effective_capabilities() -> int:
    """Those that count now, as bits; none where the kernel does not tell."""
    try:
        status = Path("/proc/self/status").read_text("ascii", "replace")
    except OSError:
        return 0
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return int(found[1], 16) if found else 0


def is_bound_by_modes() -> bool:
    """Whether permissions bind the caller: all but root, and root where it is deprived of its powers over them."""
    return _is_bound(os.geteuid(), DAC_OVERRIDE)


def is_deprived_root() -> bool:
    """Whether the caller is a root who is no owner of what belongs to others."""
    user = os.geteuid()
    return user == 0 and _is_bound(user, FOWNER)


@lru_cache
def _is_bound(user: int, power: int) -> bool:
    """For each user that the process has been: it is asked at each of a million folders."""
    return user != 0 or not effective_capabilities() & power
