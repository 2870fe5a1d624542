"""An automounter of one folder: whoever looks there has another folder mounted there first.

Started as a program, with the folder and the other one as arguments; it answers the kernel
(Documentation/filesystems/autofs.rst, protocol 5) as automount(8) and systemd do, and ends when it is killed.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_READY = 0x9360
_FAILED = 0x9361


@contextmanager
def automounted(place: Path, other: Path) -> Iterator[None]:
    """While it is entered, ``other`` is bound to ``place`` for everybody who looks there."""
    with subprocess.Popen([sys.executable, __file__, str(place), str(other)], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        try:
            assert server.stdout.readline() == b"ready\n"
            yield
        finally:
            # What was bound there, and the automounter's own mount below it.
            for _ in range(2):
                subprocess.run(["umount", "--lazy", str(place)], check=False, capture_output=True)
            server.kill()


def main(place: str, other: str) -> None:
    """Mount, and answer until the end."""
    # Of its own group it does not wait for itself.
    os.setpgid(0, 0)
    reader, writer = os.pipe()
    options = f"fd={writer},pgrp={os.getpgrp()},minproto=5,maxproto=5,direct"
    library = ctypes.CDLL(None, use_errno=True)
    if library.mount(b"automounter", place.encode(), b"autofs", 0, options.encode()):
        raise OSError(ctypes.get_errno(), "cannot be mounted")
    os.close(writer)
    control = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while request := os.read(reader, 1024):
        (token,) = struct.unpack_from("I", request, 8)
        done = subprocess.run(["mount", "--bind", other, place], check=False)
        fcntl.ioctl(control, _FAILED if done.returncode else _READY, token)


if __name__ == "__main__":
    main(*sys.argv[1:])
