"""Merging where neither permissions nor mounts tell that nothing can be put there: found before anything is changed."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from s3napback.recovery.staging import UnusableTarget
from tests.recovery.helpers import file_member, folder_member, leftovers, put_archive, restore_here, tar_of
from tests.site import Site

_ADD_KEY, _SET_POLICY, _REMOVE_KEY = 0xC0506617, 0x800C6613, 0xC0406618
"""Requests of ``<linux/fscrypt.h>``."""

Shut = Iterator[None]


@contextmanager
def disk(size: int, place: Path, *make: str) -> Shut:
    image = place.with_name(f"{place.name}.image")
    with image.open("wb") as file:
        file.truncate(size << 20)
    subprocess.run([*make, str(image)], check=True, capture_output=True)
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


@contextmanager
def read_only_subvolume(folder: Path) -> Shut:
    with disk(120, folder, "mkfs.btrfs", "-q"):
        subprocess.run(["btrfs", "property", "set", str(folder), "ro", "true"], check=True)
        yield


def ask(path: Path, request: int, argument: bytes) -> bytes:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        changed = bytearray(argument)
        fcntl.ioctl(folder, request, changed)
        return bytes(changed)
    finally:
        os.close(folder)


@contextmanager
def locked(folder: Path) -> Shut:
    """Encrypted, with its key gone."""
    mounted = folder.parent.parent / "encrypted"
    with disk(16, mounted, "mkfs.ext4", "-q", "-F", "-O", "encrypt"):
        secret = mounted / "secret"
        secret.mkdir()
        try:
            answer = ask(mounted, _ADD_KEY, struct.pack("=2I32s2I32s64s", 2, 0, b"", 64, 0, b"", os.urandom(64)))
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP:
                pytest.skip("this kernel knows no encrypted folders")
            raise
        key = answer[8:24]
        ask(secret, _SET_POLICY, struct.pack("=5B3s16s", 2, 1, 4, 3, 0, b"", key))
        ask(mounted, _REMOVE_KEY, struct.pack("=2I32s24s", 2, 0, key, b""))
        subprocess.run(["mount", "--bind", str(secret), str(folder)], check=True)
        try:
            yield
        finally:
            subprocess.run(["umount", str(folder)], check=True)


SHUT: dict[str, tuple[Callable[[Path], AbstractContextManager[None]], str]] = {
    "a read-only subvolume": (read_only_subvolume, "read-only subvolume"),
    "a locked folder": (locked, "its key is not there"),
}


@pytest.mark.parametrize("paths", [(), ("/etc/a/file",), ("/etc/a",)], ids=str)
@pytest.mark.parametrize("what", SHUT)
def test_what_cannot_be_put_there_is_told_before_anything_is_changed(
    site: Site, tmp_path: Path, what: str, paths: tuple[str, ...]
) -> None:
    site.configure("")
    folders = (folder_member("etc", ["Y0", "Da", "Yz"]), b""), (folder_member("etc/a", ["Yfile"]), b"")
    members = ((file_member(f"etc/{name}"), b"restored") for name in ("0", "a/file", "z"))
    put_archive(site, 0, tar_of(*folders, *members))
    etc = tmp_path / "live/etc"
    (etc / "a").mkdir(parents=True)
    for name in ("0", "z"):
        (etc / name).write_text("live")
    hold, reason = SHUT[what]
    with hold(etc / "a"), pytest.raises(UnusableTarget, match="Nothing was changed") as caught:
        restore_here(site, "/etc", tmp_path / "live", paths=paths, in_place=True, agreed=True)
    assert reason in str(caught.value.args[1])
    assert str(caught.value.args[2]).strip().startswith(f"{etc}/a")
    assert [(etc / name).read_text() for name in ("0", "z")] == ["live"] * 2
    assert not leftovers(tmp_path)


def test_a_store_in_a_read_only_subvolume_is_told_as_such(site: Site) -> None:
    site.configure_cycle("Fulls 1")
    with read_only_subvolume(site.vault):
        done = site.run(expect=2)
    assert f"the folder {site.vault} (Bucket file://…) is read-only here" in done.stderr
