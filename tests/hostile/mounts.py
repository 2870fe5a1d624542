"""File systems as a user, or a breaking disk, makes them; each is gone when its context is left."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.waiting import becomes

_USER = 1234


@contextmanager
def mounted_by_a_user(place: Path) -> Iterator[None]:
    """A FUSE file system of another user's on ``place``, without allow_other: the kernel keeps even root out.

    Nobody answers for it; the kernel refuses before it would ask.
    """
    with _fuse(place, ""):
        yield


@contextmanager
def never_answering(place: Path) -> Iterator[None]:
    """The same with allow_other: whoever asks it for anything waits, until he is killed."""
    with _fuse(place, ",allow_other"):
        yield


@contextmanager
def abandoned(place: Path) -> Iterator[None]:
    """The same, whose program has ended: whoever looks is told that the transport endpoint is not connected."""
    with _fuse(place, ",allow_other", is_abandoned=True):
        yield


@contextmanager
def served(below: Path, place: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A folder, shown at ``place`` by a program that is yielded: while that is stopped, whoever looks there waits."""
    with subprocess.Popen(["bindfs", "-f", str(below), str(place)]) as server:
        try:
            assert becomes(place.is_mount)
            yield server
        finally:
            server.send_signal(signal.SIGCONT)
            subprocess.run(["umount", "--lazy", str(place)], check=True)
            server.terminate()


@contextmanager
def _fuse(place: Path, more: str, *, is_abandoned: bool = False) -> Iterator[None]:
    library = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open("/dev/fuse", os.O_RDWR)
    try:
        options = f"fd={descriptor},rootmode=40000,user_id={_USER},group_id={_USER}{more}"
        if library.mount(b"nobody", os.fsencode(place), b"fuse", 0, options.encode()):
            raise OSError(ctypes.get_errno(), "cannot mount")
        try:
            if is_abandoned:
                os.close(descriptor)
            yield
        finally:
            subprocess.run(["umount", "--lazy", str(place)], check=True)
    finally:
        if not is_abandoned:
            os.close(descriptor)


@contextmanager
def failing_disk(place: Path, image: Path, files: dict[str, bytes]) -> Iterator[None]:
    """An ext4 file system with ``files``, mounted on ``place``, whose device has lost its content but for metadata.

    Reading a file of more than a few bytes is EIO. Listing works, because the kernel has listed it before.
    """
    with image.open("wb") as file:
        file.truncate(24 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-b", "1024", str(image)], check=True)
    with _mounted(image, place):
        for name, content in files.items():
            (place / name).write_bytes(content)
    with _mounted(image, place):
        for path in place.rglob("*"):
            path.lstat()
        os.sync()
        os.truncate(image, 0)
        for path in filter(Path.is_file, place.rglob("*")):
            _forget(path)
        yield


@contextmanager
def half_failing_disk(place: Path, image: Path, name: str, content: bytes) -> Iterator[None]:
    """An ext4 file system mounted on ``place`` whose device fails somewhere within its only file.

    The read that comes to that place gives what lies before it; the next one is EIO.
    """
    with image.open("wb") as file:
        file.truncate(16 * len(content))
    subprocess.run(["mkfs.ext4", "-q", "-F", "-b", "4096", str(image)], check=True)
    with _mounted(image, place):
        (place / name).write_bytes(content)
        os.sync()
        shown = subprocess.run(["filefrag", "-v", str(place / name)], check=True, capture_output=True, text=True).stdout
        (extent,) = re.findall(r"^ +0: +0\.\. *\d+: +(\d+)\.\.", shown, re.MULTILINE)
    with _mounted(image, place):
        (place / name).lstat()
        os.sync()
        os.truncate(image, (int(extent) + len(content) // 4096 // 2) * 4096)
        _forget(place / name)
        yield


def _forget(path: Path) -> None:
    """Have the kernel forget what it has read of a file.

    The file system may be the one from before: mounts in a namespace that somebody made meanwhile keep it.
    """
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@contextmanager
def _mounted(image: Path, place: Path) -> Iterator[None]:
    subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)
