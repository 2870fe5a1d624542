"""Where a restore is prepared: in WHERE, where it is told to be, or beside what is merged."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from s3napback.recovery.refusals import Incomplete
from s3napback.recovery.staging import UnusableTarget
from tests.recovery.helpers import file_member, folder_member, leftovers, put_archive, restore_here, tar_of
from tests.recovery.ordinary import USER, as_user, give, open_folder
from tests.site import Site
from tests.sources.trees import describe_tree, tree_differences
from tests.waiting import becomes


def mount(path: Path, *options: str) -> None:
    subprocess.run(["mount", *options, str(path)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Another file system."""
    (tmp_path / "disk").mkdir()
    mount(tmp_path / "disk", "-t", "tmpfs", "tmpfs")
    try:
        yield tmp_path / "disk"
    finally:
        subprocess.run(["umount", str(tmp_path / "disk")], check=True)


@pytest.mark.parametrize("in_place", [False, True])
def test_what_is_prepared_on_another_disk_comes_back_whole(
    site: Site, tmp_path: Path, disk: Path, *, in_place: bool
) -> None:
    site.configure_cycle("Diffs 6")
    (site.source / "folder/inner").mkdir(parents=True)
    (site.source / "folder/inner/file").write_text("x")
    (site.source / "hard").hardlink_to(site.source / "folder/inner/file")
    (site.source / "link").symlink_to("nowhere")
    os.mkfifo(site.source / "pipe")
    os.setxattr(site.source / "folder", "user.colour", b"green")
    os.chown(site.source / "hard", 5, 6)
    (site.source / "folder/inner").chmod(0o2511)
    os.utime(site.source / "folder/inner", (1_000_000_000, 1_000_000_000))
    for night in range(2):
        (site.source / "changing").write_text(str(night))
        site.run(day=night)
    where = tmp_path / "out"
    if in_place:
        (where / site.name()).mkdir(parents=True)
    restore_here(site, str(site.source), where, staging=disk, in_place=in_place, agreed=True)
    assert not tree_differences(describe_tree(site.source), describe_tree(where / site.name()))
    assert not [*disk.iterdir()]
    assert not leftovers(where)


def test_files_without_holes_come_to_a_disk_that_makes_no_file_longer(
    site: Site, tmp_path: Path, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As some FUSE file systems (fusefat)."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    site.configure_cycle("")
    (site.source / "file").write_text("content")
    (site.source / "empty").touch()
    site.run()
    monkeypatch.setattr(os, "ftruncate", refuse)
    restore_here(site, str(site.source), tmp_path / "out", staging=disk)
    assert (tmp_path / "out" / site.name() / "file").read_text() == "content"
    assert (tmp_path / "out" / site.name() / "empty").read_text() == ""


def test_the_root_directory_prepared_elsewhere_gives_where_its_permissions(
    site: Site, tmp_path: Path, disk: Path
) -> None:
    site.configure("")
    top = folder_member("./", ["Yfile"])
    top.mode, top.mtime = 0o555, 1_000_000_000
    put_archive(site, 0, tar_of((top, b""), (file_member("./file"), b"x")), source="Directory /", name="")
    (tmp_path / "out").mkdir()
    restore_here(site, "/", tmp_path / "out", staging=disk)
    status = (tmp_path / "out").stat()
    assert (status.st_mode & 0o777, status.st_mtime) == (0o555, 1_000_000_000)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["file"]


def test_what_the_target_does_not_take_from_elsewhere_is_told_and_strictly_nothing_is_published(
    site: Site, tmp_path: Path, disk: Path
) -> None:
    site.configure("")
    member = file_member(
        "etc/file", pax_headers={"SCHILY.acl.access": "user::rw-,user:7:r--,group::r--,mask::r--,other::---"}
    )
    put_archive(site, 0, tar_of((folder_member("etc", ["Yfile"]), b""), (member, b"x")))
    ramfs = tmp_path / "ramfs"
    ramfs.mkdir()
    mount(ramfs, "-t", "ramfs", "ramfs")
    try:
        with pytest.raises(UnusableTarget, match="strict-metadata"):
            restore_here(site, "/etc", ramfs / "out", staging=disk, strict=True)
        assert not [*ramfs.iterdir()]
        with pytest.raises(Incomplete, match="1 path: list of access rights"):
            restore_here(site, "/etc", ramfs / "out", staging=disk)
        assert (ramfs / "out/etc/file").read_text() == "x"
    finally:
        subprocess.run(["umount", str(ramfs)], check=True)


def test_permissions_that_the_target_forgets_are_told_of_what_was_prepared_elsewhere(
    site: Site, tmp_path: Path, disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site.configure("")
    secret = file_member("etc/secret")
    secret.mode, secret.mtime = 0o4700, 1_000_000_000
    put_archive(site, 0, tar_of((folder_member("etc", ["Ysecret"]), b""), (secret, b"x")))
    (tmp_path / "below").mkdir()
    (tmp_path / "nas").mkdir()
    command = ("bindfs", "--chmod-ignore", "-p", "0777", str(tmp_path / "below"), str(tmp_path / "nas"))
    subprocess.run(command, check=True)
    try:
        where = tmp_path / "nas/out"
        with pytest.raises(UnusableTarget, match="strict-metadata"):
            restore_here(site, "/etc", where, staging=disk, strict=True)
        with pytest.raises(Incomplete) as caught:
            restore_here(site, "/etc", where, staging=disk)
        assert stat.S_IMODE((where / "etc/secret").stat().st_mode) == 0o777
    finally:
        subprocess.run(["umount", str(tmp_path / "nas")], check=True)
    told = [str(line) for line in caught.value.args]
    assert "2 paths: permissions not set (the target takes no others)" in told
    assert f"  {where}/etc/secret" in told
    assert "were restored: " not in caplog.text, "it names powers that the target has not taken"


def test_a_target_that_knows_nothing_of_permissions_gets_what_was_prepared_elsewhere(
    site: Site, tmp_path: Path, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As fusefat; none that is at hand on every machine says so."""
    site.configure("")
    put_archive(
        site,
        0,
        tar_of((folder_member("srv/data", ["Yfile"]), b""), (file_member("srv/data/file"), b"x")),
        source="Directory /srv/data",
        name="srv/data",
    )
    set_permissions = os.fchmod

    def unknown(folder: int, mode: int) -> None:
        if os.fstat(folder).st_dev == tmp_path.stat().st_dev:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        set_permissions(folder, mode)

    monkeypatch.setattr(os, "fchmod", unknown)
    restore_here(site, "/srv/data", tmp_path / "out", staging=disk)
    assert (tmp_path / "out/srv/data/file").read_text() == "x"


def test_a_folder_for_staging_must_be_there(site: Site, tmp_path: Path) -> None:
    site.configure("")
    put_archive(site, 0, tar_of((folder_member("etc", ["Yfile"]), b""), (file_member("etc/file"), b"x")))
    with pytest.raises(UnusableTarget, match=f"nothing can be written to {tmp_path}/none: No such file"):
        restore_here(site, "/etc", tmp_path / "out", staging=tmp_path / "none")
    assert not (tmp_path / "out").exists()


def test_merging_is_prepared_on_the_disk_that_it_is_for(site: Site, tmp_path: Path, disk: Path) -> None:
    """A small root file system need not hold all of /home."""
    site.configure("")
    content = tar_of((folder_member("home", ["Yfile"]), b""), (file_member("home/file"), b"x" * 3_000_000))
    put_archive(site, 0, content, source="Directory /home", name="home")
    small = tmp_path / "small"
    small.mkdir()
    mount(small, "-t", "tmpfs", "-o", "size=1m", "tmpfs")
    try:
        (small / "home").mkdir()
        mount(small / "home", "--bind", str(disk))
        restore_here(site, "/home", small, in_place=True, agreed=True)
        assert (small / "home/file").stat().st_size == 3_000_000
        assert [path.name for path in (small / "home").iterdir()] == ["file"]
    finally:
        subprocess.run(["umount", str(small / "home")], check=False)
        subprocess.run(["umount", str(small)], check=True)


@pytest.mark.parametrize("paths", [(), ("docs/a", "docs/b")])
def test_an_ordinary_user_restores_the_own_home_into_a_root_of_others(paths: tuple[str, ...]) -> None:
    with open_folder() as base:
        site = Site(base / "site")
        site.configure("")
        folders = (folder_member("home/alice", ["Ddocs"]), b""), (folder_member("home/alice/docs", ["Ya", "Yb"]), b"")
        files = [file_member(f"home/alice/docs/{name}", uid=USER, gid=USER) for name in "ab"]
        content = tar_of(*folders, *((file, b"restored") for file in files))
        put_archive(site, 0, content, source="Directory /home/alice", name="home/alice")
        restore_here(site, "/home/alice", base / "loads all modules")
        give(site.vault)
        root = base / "root"
        (root / "home/alice").mkdir(parents=True)
        os.chown(root / "home/alice", USER, USER)
        # Others may go through it to what they know, and see no names.
        (root / "home").chmod(0o711)
        as_user(lambda: restore_here(site, "/home/alice", root, paths=paths, in_place=True, agreed=True))
        assert (root / "home/alice/docs/b").read_text() == "restored"
        assert [path.name for path in (root / "home/alice").iterdir()] == ["docs"]
        assert [path.name for path in root.iterdir()] == ["home"]
        as_user(lambda: restore_here(site, "/home/alice", root / "home/alice/new", paths=paths))
        assert (root / "home/alice/new/home/alice/docs/a").read_text() == "restored"


def test_attributes_of_what_a_user_may_not_read_or_write_come_from_another_disk() -> None:
    with open_folder() as base:
        site = Site(base / "site")
        site.configure_cycle("Diffs 6")
        for mode in (0o200, 0o000, 0o444):
            path = site.source / f"{mode:o}"
            path.write_text("x")
            os.setxattr(path, "user.colour", b"green")
            subprocess.run(["setfacl", "-m", "u:7:r", path], check=True)
            path.chmod(mode)
        give(site.source)
        site.run()
        restore_here(site, str(site.source), base / "loads all modules", staging=base)
        (base / "disk").mkdir()
        mount(base / "disk", "-t", "tmpfs", "tmpfs")
        try:
            give(site.vault)
            for path in (base / "disk", base):
                os.chown(path, USER, USER)
            as_user(lambda: restore_here(site, str(site.source), base / "out", staging=base / "disk"))
            found = describe_tree(base / "out" / site.name())
            assert not [*(base / "disk").iterdir()]
        finally:
            subprocess.run(["umount", str(base / "disk")], check=True)
        assert not tree_differences(describe_tree(site.source), found)


@pytest.fixture
def simple(site: Site) -> Site:
    """A site with a small archive of /etc."""
    site.configure("")
    put_archive(site, 0, tar_of((folder_member("etc", ["Yfile"]), b""), (file_member("etc/file"), b"x")))
    return site


@contextmanager
def append_only(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["chattr", "+a", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["chattr", "-a", str(folder)], check=True)


@pytest.mark.parametrize("is_where", [True, False])
def test_nothing_is_left_in_a_folder_to_which_can_only_be_added(simple: Site, tmp_path: Path, is_where: bool) -> None:
    folder = tmp_path / "growing"
    staging = {} if is_where else {"staging": folder}
    with append_only(folder), pytest.raises(UnusableTarget, match="append-only"):
        restore_here(simple, "/etc", folder if is_where else tmp_path / "out", **staging)
    assert list(folder.iterdir()) == []
    assert not (tmp_path / "out").exists()


def test_merging_below_a_folder_to_which_can_only_be_added_is_prepared_further_down(
    simple: Site, tmp_path: Path
) -> None:
    (tmp_path / "live/etc").mkdir(parents=True)
    with append_only(tmp_path / "live"):
        restore_here(simple, "/etc", tmp_path / "live", in_place=True, agreed=True)
    assert [path.name for path in (tmp_path / "live").rglob("*")] == ["etc", "file"]


def test_what_a_killed_restore_has_left_is_named_and_nobody_else_s_is(
    simple: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    where = tmp_path / "it's here"
    simple.fake_program("tar", 'case "$*" in *--extract*) touch begun; sleep 5 ;; esac\nexec REAL "$@"')
    command = simple.command("restore", "/etc", f"--to={where}")
    with subprocess.Popen(command, env=simple.full_environment(), stderr=subprocess.DEVNULL) as running:
        assert becomes(lambda: bool([*where.glob(".s3napback-restore-*/tree/begun")]), 30)
        running.send_signal(signal.SIGKILL)
    (left,) = leftovers(where)
    assert left.stat().st_mode & 0o7777 == 0o700
    theirs = where / ".s3napback-restore-theirs"
    theirs.mkdir()
    os.chown(theirs, USER, USER)
    restore_here(simple, "/etc", where)
    assert (where / "etc/file").read_text() == "x"
    (said,) = [record.getMessage() for record in caplog.records if "ended by force" in record.getMessage()]
    assert str(left) in said
    subprocess.run(["sh", "-c", said.partition("remove it with: ")[2]], check=True)
    assert leftovers(where) == [theirs]


def test_powers_that_the_target_has_not_taken_are_not_told_as_restored(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site.configure("")
    source = tmp_path / "program"
    source.write_text("x")
    subprocess.run(["setcap", "cap_net_raw+ep", str(source)], check=True)
    capability = os.getxattr(source, "security.capability").decode("ascii")
    members = (
        (file_member("etc/program", pax_headers={"SCHILY.xattr.security.capability": capability}), b"x"),
        (file_member("etc/setuid", mode=0o4755), b"x"),
    )
    put_archive(site, 0, tar_of(*members))
    bare = tmp_path / "bare"
    bare.mkdir(mode=0o755)
    mount(bare, "-t", "ramfs", "ramfs")
    try:
        with pytest.raises(Incomplete, match="capabilities not set"):
            restore_here(site, "/etc", bare, staging=tmp_path, in_place=True, agreed=True)
    finally:
        subprocess.run(["umount", str(bare)], check=True)
    (said,) = [record.getMessage() for record in caplog.records if "rights of their owners" in record.getMessage()]
    assert said.endswith(f"were restored: {bare}/etc/setuid (setuid or setgid)")
