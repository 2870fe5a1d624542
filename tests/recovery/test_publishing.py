"""What becomes of the staging folder: the root directory, other file systems below, folders that exist already."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from s3napback.recovery.copying import Copier
from s3napback.recovery.refusals import Incomplete, Refusals
from tests.drilling.scratches import disk as small_disk
from tests.recovery.helpers import file_member, folder_member, put_archive, restore_here, tar_of, why_not
from tests.site import Site


@pytest.fixture
def root_archive(site: Site) -> Site:
    """An archive of the root directory and a DIFF on it."""
    site.configure("")
    top = folder_member("./", ["Detc", "Yfile"])
    top.mode, top.mtime = 0o555, 1_000_000_000
    etc = folder_member("./etc/", ["Yhosts", "Yold"])
    content = tar_of((top, b""), (etc, b""), (file_member("./etc/hosts"), b"1"), (file_member("./etc/old"), b"x"))
    put_archive(site, 0, content, source="Directory /", name="")
    later = folder_member("./etc/", ["Yhosts"])
    content = tar_of((top, b""), (later, b""), (file_member("./etc/hosts"), b"2"), (file_member("./file"), b"y"))
    put_archive(site, 1, content, source="Directory /", name="", parent="test-host-0")
    return site


def test_the_root_directory_gives_where_its_own_permissions_and_times(root_archive: Site, tmp_path: Path) -> None:
    where = tmp_path / "disk"
    (where / "lost+found").mkdir(parents=True)
    restore_here(root_archive, "/", where)
    assert (where.stat().st_mode & 0o777, where.stat().st_mtime) == (0o555, 1_000_000_000)
    where.chmod(0o755)
    assert sorted(path.name for path in where.iterdir()) == ["etc", "file", "lost+found"]
    assert [path.name for path in (where / "etc").iterdir()] == ["hosts"]
    assert (where / "etc/hosts").read_text() == "2"


def test_an_archive_of_the_root_directory_lets_nobody_into_where(site: Site, tmp_path: Path) -> None:
    site.configure("")
    top = folder_member("./", ["Yprogram"])
    top.mode, top.uid = 0o777, 4321
    program = file_member("./program")
    program.mode = 0o4755
    put_archive(site, 0, tar_of((top, b""), (program, b"1")), source="Directory /", name="")
    restore_here(site, "/", tmp_path / "new")
    closed = tmp_path / "closed"
    closed.mkdir(0o750)
    restore_here(site, "/", closed)
    found = [(path.stat().st_mode & 0o7777, path.stat().st_uid) for path in (tmp_path / "new", closed)]
    assert found == [(0o700, os.geteuid()), (0o750, os.geteuid())]


def test_of_paths_that_lie_in_each_other_the_outer_one_brings_all(site: Site, tmp_path: Path) -> None:
    site.configure("")
    folders = folder_member("etc/", ["Dssh"]), folder_member("etc/ssh/", ["Yconfig"])
    content = tar_of(*((each, b"") for each in folders), (file_member("etc/ssh/config"), b"1"))
    put_archive(site, 0, content, source="Directory /etc", name="etc")
    for number, paths in enumerate((("ssh", "ssh/config"), ("ssh/config", "/etc"), ("ssh/config", "ssh/config/"))):
        restore_here(site, "/etc", tmp_path / str(number), paths=paths)
        assert (tmp_path / str(number) / "etc/ssh/config").read_text() == "1"


def test_paths_of_the_root_directory(root_archive: Site, tmp_path: Path) -> None:
    restore_here(root_archive, "/", tmp_path / "out", paths=("/etc/hosts",))
    (tmp_path / "out").chmod(0o755)
    assert sorted(path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*")) == [
        Path("etc"),
        Path("etc/hosts"),
    ]


def test_folders_above_several_paths_have_their_own_times(site: Site, tmp_path: Path) -> None:
    site.configure("")
    etc, ssh = folder_member("etc/", ["Yhosts", "Dssh"]), folder_member("etc/ssh/", ["Ya", "Yb"])
    etc.mtime, ssh.mtime = 1_000_000_000, 1_100_000_000
    files = [(file_member(f"etc/{name}"), b"1") for name in ("hosts", "ssh/a", "ssh/b")]
    put_archive(site, 0, tar_of((etc, b""), (ssh, b""), *files), source="Directory /etc", name="etc")
    restore_here(site, "/etc", tmp_path / "out", paths=("ssh/a", "hosts", "ssh/b"))
    top = tmp_path / "out/etc"
    assert sorted(path.name for path in (top / "ssh").iterdir()) == ["a", "b"]
    assert [path.stat().st_mtime for path in (top, top / "ssh")] == [etc.mtime, ssh.mtime]
    # What was there before keeps what is its own.
    (top / "ssh").chmod(0o700)
    restore_here(site, "/etc", tmp_path / "out", paths=("ssh/a", "ssh/b"), in_place=True, agreed=True)
    assert (top / "ssh").stat().st_mode & 0o777 == 0o700


def test_in_place_gives_existing_folders_the_restored_attributes_and_no_others(site: Site, tmp_path: Path) -> None:
    site.configure("")
    headers = {"SCHILY.xattr.user.colour": "green"}
    folder = file_member("etc/folder", type=b"5", mode=0o711, uid=12, gid=34, mtime=1_000_000_000, pax_headers=headers)
    put_archive(site, 0, tar_of((folder, b"")))
    existing = tmp_path / "live/etc/folder"
    existing.mkdir(parents=True)
    os.setxattr(existing, "user.colour", b"red")
    os.setxattr(existing, "user.shape", b"round")
    restore_here(site, "/etc", tmp_path / "live", in_place=True, agreed=True)
    assert {name: os.getxattr(existing, name) for name in os.listxattr(existing)} == {"user.colour": b"green"}
    status = existing.stat()
    assert (status.st_mode & 0o777, status.st_uid, status.st_gid, status.st_mtime) == (0o711, 12, 34, 1_000_000_000)


def test_attributes_beyond_the_users_own_come_back(site: Site, tmp_path: Path) -> None:
    """Such as the capabilities of programs; tar leaves them out unless asked."""
    name = "trusted.colour" if os.geteuid() == 0 else "user.colour"
    site.configure("")
    put_archive(site, 0, tar_of((file_member("etc/x", pax_headers={f"SCHILY.xattr.{name}": "green"}), b"x")))
    restore_here(site, "/etc", tmp_path / "out")
    assert os.getxattr(tmp_path / "out/etc/x", name) == b"green"


def test_a_target_that_came_into_being_meanwhile_is_left_alone(site: Site, tmp_path: Path) -> None:
    site.configure_cycle("Diffs 6\nFulls 2")
    (site.source / "file").write_text("x")
    site.run()
    other = tmp_path / "out/other"
    wait = f"while test ! -e {other}; do sleep 0.02; done"
    site.fake_program("tar", f'case "$*" in *--extract*) {wait};; esac\nexec REAL "$@"')

    def interfere() -> None:
        while not list(tmp_path.glob("out/.s3napback-restore-*/tree")):
            time.sleep(0.02)
        other.touch()

    somebody = threading.Thread(target=interfere, daemon=True)
    somebody.start()
    done = site.run("restore", str(site.source), "--to", str(tmp_path / "out"), day=None, expect=1)
    assert "is not empty" in done.stderr
    assert list((tmp_path / "out").iterdir()) == [other]


def test_a_disk_that_cannot_be_read_before_publishing_is_told_and_nothing_is_published(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    site.configure("")
    put_archive(site, 0, tar_of((folder_member("etc", ["Yx"]), b""), (file_member("etc/x"), b"x")))
    monkeypatch.setattr("s3napback.recovery.replaying.require_all", fail)
    said = why_not(site, "/etc", tmp_path / "out")
    assert "what was extracted cannot be looked into" in said
    assert "nothing was restored" in said


@pytest.fixture
def parted(site: Site, tmp_path: Path) -> Iterator[Path]:
    """A live tree with a disk of its own mounted in it, and an archive of a file that has names here and there."""
    site.configure("")
    links = [file_member(f"etc/{name}", type=b"1", linkname="etc/disk/one") for name in ("disk/two", "new/three", "z")]
    folders = [
        (folder_member("etc/", ["Ddisk", "Dnew", "Yz"]), b""),
        (folder_member("etc/disk/", ["Yone", "Ytwo"]), b""),
    ]
    folders.append((folder_member("etc/new/", ["Ythree"]), b""))
    content = tar_of(*folders, (file_member("etc/disk/one"), b"content"), *((link, b"") for link in links))
    put_archive(site, 0, content)
    disk = tmp_path / "live/etc/disk"
    disk.mkdir(parents=True)
    with small_disk(disk, "size=10M"):
        yield tmp_path / "live"


@pytest.mark.parametrize("paths", [(), ("disk", "new"), ("z", "disk/one")])
def test_a_file_that_becomes_two_because_a_disk_is_mounted_between_its_names_is_told(
    site: Site, parted: Path, paths: tuple[str, ...]
) -> None:
    with pytest.raises(Incomplete) as caught:
        restore_here(site, "/etc", parted, in_place=True, agreed=True, paths=paths)
    said = "\n".join(caught.value.lines)
    assert "1 path: made as a copy, not as another name of the same file (Invalid cross-device link)" in said
    assert f"{parted}/etc/disk/" in said
    assert (parted / "etc/disk/one").read_text() == "content"


@pytest.mark.parametrize("paths", [("disk",), ("disk/two",), ("new", "z"), ("z",)])
def test_nothing_is_told_of_names_that_were_not_asked_for(site: Site, parted: Path, paths: tuple[str, ...]) -> None:
    restore_here(site, "/etc", parted, in_place=True, agreed=True, paths=paths)
    assert (parted / "etc" / paths[-1]).exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
def test_no_folder_that_was_removed_is_held_while_files_are_copied(tmp_path: Path) -> None:
    """lowntfs-3g gives its number to the next folder, which the kernel took for the one that is gone."""
    folders = tmp_path / "source", tmp_path / "disk"
    for folder in folders:
        folder.mkdir()
    (folders[0] / "file").write_text("x")
    with small_disk(folders[1], "size=1M"), ExitStack() as stack:
        source, target = (os.open(each, os.O_RDONLY | os.O_DIRECTORY) for each in folders)
        for each in (source, target):
            stack.callback(os.close, each)
        assert Copier(Refusals(), stack).copy("file", source, target, b"file")
        held = [str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if os.path.lexists(each)]
        assert [path for path in held if path.startswith(str(folders[1]))] == [str(folders[1])] * 2
