"""Targets that change more than they are asked to: times of what is renamed (EncFS), and what links lead to (sshfs).

Or that keep more than they list.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest

from tests.recovery.helpers import restore_here
from tests.recovery.test_times import errors
from tests.seaweedfs import without_sockets
from tests.servers import free_port, program, running
from tests.site import Site
from tests.sources.trees import assert_same_tree
from tests.waiting import becomes

AGO = 1_500_000_001_123_456_000
"""Nanoseconds since 1970; EncFS has no shorter steps."""

SFTP_SERVER = Path("/usr/lib/openssh/sftp-server")
DATED = "times of files with several names were not kept: the target sets them anew for each name that is made"
BARE = "owners and times of links were not set: the target would give them to what the links lead to"


@contextmanager
def mounted(place: Path, *command: str, password: str = "") -> Iterator[Path]:
    place.mkdir()
    environment = {**os.environ, "CRYFS_FRONTEND": "noninteractive", "CRYFS_NO_UPDATE_CHECK": "true"}
    subprocess.run(command, check=True, capture_output=True, text=True, input=password, env=environment)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def encfs(folder: Path) -> list[str]:
    return ["encfs", "--standard", "--extpass=echo secret", str(folder / "below"), str(folder / "disk")]


def sshfs(folder: Path) -> list[str]:
    """The server of sshd, without sshd."""
    server = folder / "server"
    server.write_text(f"#!/bin/sh\nexec {SFTP_SERVER}\n")
    server.chmod(0o755)
    return ["sshfs", f"-ossh_command={server}", f"host:{folder / 'below'}", str(folder / "disk")]


def cryfs(folder: Path) -> list[str]:
    return ["cryfs", str(folder / "below"), str(folder / "disk")]


@contextmanager
def disk(folder: Path, command: Callable[[Path], list[str]], password: str = "") -> Iterator[Path]:
    (folder / "below").mkdir(parents=True)
    words = command(folder)
    if os.geteuid() or not shutil.which(words[0]):
        pytest.skip(f"{words[0]} is not here, or only root mounts it")
    with mounted(folder / "disk", *words, password=password) as place:
        yield place


def fill(source: Path) -> None:
    (source / "folder/inner").mkdir(parents=True)
    (source / "folder/file").write_text("file")
    (source / "folder/inner/file").write_text("inner")
    for path in (*source.rglob("*"), source):
        os.utime(path, ns=(0, AGO))


def unlike(one: Path, other: Path) -> list[str]:
    """The names that bear another time."""
    names = [str(path.relative_to(one)) for path in (one, *one.rglob("*"))]
    times = [[os.lstat(each / name).st_mtime_ns for each in (one, other)] for name in names]
    return [name for name, (time, again) in zip(names, times, strict=True) if abs(time - again) >= 1_000_000]


@pytest.mark.parametrize("way", ["new", "in place", "prepared elsewhere", "a path"])
def test_times_that_a_renaming_changes_are_set_once_more(site: Site, tmp_path: Path, way: str) -> None:
    site.configure_cycle("Diffs 6")
    fill(site.source)
    site.run(day=0)
    (tmp_path / "staging").mkdir()
    options = {
        "in place": ["--in-place", "--yes"],
        "prepared elsewhere": ["--staging", str(tmp_path / "staging")],
        "a path": [str(site.source / "folder")],
    }
    with disk(tmp_path / "target", encfs) as target:
        site.run("restore", str(site.source), "--to", f"{target}/out", *options.get(way, []), day=None)
    # Mounted anew, so that nothing is told from memory.
    subprocess.run([*encfs(tmp_path / "target")], check=True, capture_output=True)
    try:
        where = Path(f"{target}/out{site.source}")
        below = "folder" if way == "a path" else "."
        assert unlike(site.source / below, where / below) == []
    finally:
        subprocess.run(["umount", str(target)], check=True)


@contextmanager
def folders_emptied_by_renaming() -> Iterator[None]:
    """As fusefat does it: a folder that gets another name has nothing in it then."""
    rename = os.rename

    def emptying(source: str, target: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        rename(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        if stat.S_ISDIR(os.lstat(target, dir_fd=dst_dir_fd).st_mode):
            shutil.rmtree(target, dir_fd=dst_dir_fd)
            os.mkdir(target, dir_fd=dst_dir_fd)

    with patch.object(os, "rename", emptying):
        yield


def test_where_a_folder_loses_what_it_holds_with_its_name_none_is_renamed(site: Site, tmp_path: Path) -> None:
    site.configure_cycle("Diffs 6")
    fill(site.source)
    site.run(day=0)
    with folders_emptied_by_renaming():
        restore_here(site, str(site.source), tmp_path / "out")
    assert_same_tree(site.source, tmp_path / "out" / site.name())


@pytest.mark.parametrize("staging", [False, True])
def test_what_links_lead_to_is_left_alone(site: Site, tmp_path: Path, staging: bool) -> None:
    """The server of sshfs gives a link's owner and times to what it leads to, wherever on the server that is."""
    site.configure_cycle("Diffs 6")
    fill(site.source)
    outside = tmp_path / "outside"
    outside.write_text("of the server")
    for name, leads_to in (("nowhere", "gone"), ("near", "folder/file"), ("far", str(outside))):
        link = site.source / name
        link.symlink_to(leads_to)
        os.chown(link, 1234, 1234, follow_symlinks=False)
        os.utime(link, ns=(0, 10**18), follow_symlinks=False)
    site.run(day=0)
    before = outside.stat()
    (tmp_path / "staging").mkdir()
    more = ["--staging", str(tmp_path / "staging")] if staging else []
    with disk(tmp_path / "target", sshfs) as target:
        words = ("restore", str(site.source), *more, "--to")
        assert BARE in errors(site.run(*words, f"{target}/out", day=None, expect=1).stderr)
        refused = site.run(*words, f"{target}/strict", "--strict-metadata", day=None, expect=1).stderr
        assert f"  {BARE}" in errors(refused)
    restored = Path(f"{tmp_path}/target/below/out{site.source}")
    assert (restored / "near").readlink() == Path("folder/file")
    assert (restored / "nowhere").readlink() == Path("gone")
    file = (restored / "folder/file").stat()
    assert (file.st_uid, file.st_mtime_ns // 10**9) == (0, AGO // 10**9)
    after = outside.stat()
    assert (after.st_uid, after.st_mtime_ns) == (before.st_uid, before.st_mtime_ns)


def test_what_was_put_into_a_folder_that_was_read_before_is_seen(site: Site, tmp_path: Path) -> None:
    """On sshfs a descriptor shows nothing more once it was read to its end, and so does every other one then."""
    site.configure_cycle("Diffs 6")
    fill(site.source)
    for name in ("stays", "goes", "becomes"):
        (site.source / name).symlink_to("folder/file")
    site.run(day=0)
    (site.source / "goes").unlink()
    (site.source / "becomes").unlink()
    (site.source / "becomes").write_text("a file")
    site.run(day=1)
    with disk(tmp_path / "target", sshfs) as target:
        done = site.run("restore", str(site.source), "--to", f"{target}/out", day=None, expect=1)
    assert "is left, and cannot be removed" not in done.stderr
    out = tmp_path / "target/below/out"
    assert [path.name for path in out.iterdir()] == [site.source.parts[1]]
    assert sorted(path.name for path in Path(f"{out}{site.source}").iterdir()) == ["becomes", "folder", "stays"]


@pytest.mark.parametrize("staging", [False, True])
def test_what_a_target_says_is_out_of_range_costs_that_alone(site: Site, tmp_path: Path, staging: bool) -> None:
    """CryFS has neither pipes nor second names."""
    site.configure_cycle("Diffs 6")
    fill(site.source)
    os.mkfifo(site.source / "pipe")
    (site.source / "second").hardlink_to(site.source / "folder/file")
    site.run(day=0)
    (tmp_path / "staging").mkdir()
    more = ["--staging", str(tmp_path / "staging")] if staging else []
    with disk(tmp_path / "target", cryfs, "secret") as target:
        told = errors(site.run("restore", str(site.source), "--to", f"{target}/out", *more, day=None, expect=1).stderr)
        assert "1 path: not made (Numerical result out of range)" in told
        assert any(line.startswith("1 path: made as a copy") for line in told)
        assert Path(f"{target}/out{site.source}/second").read_text() == "file"


@contextmanager
def mounted_seaweedfs(folder: Path) -> Iterator[Path]:
    """A mount of its filer."""
    (folder / "data").mkdir(parents=True)
    (folder / "cache").mkdir()
    names = ("master", "volume", "filer", "master.port.grpc", "volume.port.grpc", "filer.port.grpc")
    ports: dict[str, int] = {}

    def command(port: int) -> list[str]:
        ports.update({name: port if name == "filer" else free_port() for name in names})
        return [
            *(
                program("weed"),
                f"-logdir={folder}",
                "server",
                f"-dir={folder / 'data'}",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
                "-filer",
            ),
            *(f"-{name if '.' in name else f'{name}.port'}={number}" for name, number in ports.items()),
            *("-master.telemetry=false", "-master.electionTimeout=1s", "-volume.preStopSeconds=0"),
        ]

    place = folder / "disk"
    place.mkdir()
    with without_sockets(ports.values()), running(command, folder):
        filer = f"-filer=127.0.0.1:{ports['filer']}.{ports['filer.port.grpc']}"
        words = [program("weed"), f"-logdir={folder}", "mount", filer, f"-dir={place}", f"-cacheDir={folder / 'cache'}"]
        words.append(f"-localSocket={folder / 'mount.sock'}")
        client = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            assert becomes(place.is_mount, 60)
            yield place
        finally:
            subprocess.run(["umount", "--lazy", str(place)], check=True)
            client.terminate()
            client.wait()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts it here")
def test_names_that_a_target_gives_others_for_are_left_out_and_told(site: Site, tmp_path: Path) -> None:
    """SeaweedFS made “caf_” of a name in Latin-1, which the next archive of the chain did not know, and removed.

    A file has the time there at which it got its last name.
    """
    site.configure_cycle("Diffs 6")
    fill(site.source)
    (site.source / "folder/other").hardlink_to(site.source / "folder/file")
    for name in (b"caf\xe9", b"folder/\xff/inner", b"folder/\xff/\xfe"):
        path = site.source / os.fsdecode(name)
        path.parent.mkdir(exist_ok=True)
        path.write_text("content")
    site.run(day=0)
    (site.source / "new").write_text("new")
    site.run(day=1)
    with mounted_seaweedfs(tmp_path / "target") as target:
        where = Path(f"{target}/out{site.source}")
        told = errors(site.run("restore", str(site.source), "--to", f"{target}/out", day=None, expect=1).stderr)
        strict = ("restore", str(site.source), "--to", f"{target}/strict", "--strict-metadata")
        refused = errors(site.run(*strict, day=None, expect=1).stderr)
        assert sorted(path.name for path in where.iterdir()) == ["folder", "new"]
        assert sorted(path.name for path in (where / "folder").iterdir()) == ["file", "inner", "other"]
    # One time in forty, on a busy machine, the mount still tells the trial of the time before.
    assert DATED in told or f"  {DATED}" in refused
    at = told.index("2 paths: not made (the target keeps no names that are not UTF-8)")
    assert told[at + 1 : at + 3] == [f"  {where}/caf\\xe9", f"  {where}/folder/\\xff"]


@contextmanager
def attributes_of_users_listed_alone() -> Iterator[None]:
    """As NTFS-3G does it: it keeps all, and tells of the others whoever asks for them."""
    listxattr = os.listxattr

    def listed(path: str | int, *, follow_symlinks: bool = True) -> list[str]:
        return [name for name in listxattr(path, follow_symlinks=follow_symlinks) if name.startswith("user.")]

    with patch.object(os, "listxattr", listed):
        yield


@pytest.mark.skipif(os.geteuid() != 0, reason="only root sets such attributes")
def test_attributes_that_are_there_and_not_listed_are_not_missed(site: Site, tmp_path: Path) -> None:
    site.configure_cycle("Diffs 6")
    fill(site.source)
    capability = b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
    os.setxattr(site.source / "folder/file", "security.capability", capability)
    os.setxattr(site.source / "folder/inner", "trusted.note", b"x")
    site.run(day=0)
    with attributes_of_users_listed_alone():
        restore_here(site, str(site.source), tmp_path / "out")
    assert_same_tree(site.source, tmp_path / "out" / site.name())
