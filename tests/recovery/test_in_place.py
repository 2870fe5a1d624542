"""Merging into a live tree: what is in the way is found before anything changes, and nothing is lost on the way."""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from s3napback.commands import backup
from s3napback.config.loading import load_configuration
from s3napback.deciding.facts import BackupOptions
from s3napback.recovery.clashes import WORDS
from s3napback.recovery.refusals import Incomplete
from s3napback.recovery.room import CopyingRoom
from s3napback.recovery.staging import UnusableTarget
from tests.drilling.scratches import disk as small_disk
from tests.recovery.helpers import file_member, folder_member, leftovers, put_archive, restore_here, tar_of
from tests.recovery.ordinary import as_user, give, open_folder
from tests.site import FIRST_DAY, Site

Held = Iterator[None]


def run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True)


@contextmanager
def with_attribute(flag: str, path: Path) -> Held:
    run("chattr", f"+{flag}", path)
    try:
        yield
    finally:
        run("chattr", f"-{flag}", path)


@contextmanager
def bound(path: Path, *options: str) -> Held:
    """Mounted onto itself."""
    run("mount", "--bind", path, path)
    try:
        for option in options:
            run("mount", "-o", f"remount,bind,{option}", path)
        yield
    finally:
        run("umount", path)


IN_THE_WAY: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "an immutable file": (lambda etc: with_attribute("i", etc / "a/file"), "a/file", "immutable"),
    "a file that can only grow": (lambda etc: with_attribute("a", etc / "a/file"), "a/file", "appended"),
    "an immutable folder": (lambda etc: with_attribute("i", etc / "a"), "a", "immutable"),
    "a mounted file": (lambda etc: bound(etc / "a/file"), "a/file", "mounted on it"),
    "a read-only file": (lambda etc: bound(etc / "a/file", "ro"), "a/file", "mounted on it"),
    "a read-only folder": (lambda etc: bound(etc / "a", "ro"), "a", "mounted read-only"),
}


@pytest.mark.parametrize("what", IN_THE_WAY)
def test_what_is_in_the_way_is_named_and_nothing_is_changed(site: Site, tmp_path: Path, what: str) -> None:
    site.configure("")
    members = [file_member(f"etc/{name}") for name in ("0", "a/file", "z")]
    folders = (folder_member("etc", ["Y0", "Da", "Yz"]), b""), (folder_member("etc/a", ["Yfile"]), b"")
    put_archive(site, 0, tar_of(*folders, *((member, b"restored") for member in members)))
    etc = tmp_path / "live/etc"
    (etc / "a").mkdir(parents=True)
    for name in ("0", "a/file", "z"):
        (etc / name).write_text("live")
    hold, path, reason = IN_THE_WAY[what]
    with hold(etc), pytest.raises(UnusableTarget, match="Nothing was changed") as caught:  # type: ignore[attr-defined]
        restore_here(site, "/etc", tmp_path / "live", in_place=True, agreed=True)
    lines = list(map(str, caught.value.args))
    assert str(etc / path) == lines[-1].strip()
    assert reason in lines[-2]
    assert [(etc / name).read_text() for name in ("0", "a/file", "z")] == ["live"] * 3
    assert not leftovers(tmp_path)
    restore_here(site, "/etc", tmp_path / "live", in_place=True, agreed=True)
    assert [(etc / name).read_text() for name in ("0", "a/file", "z")] == ["restored"] * 3


def test_a_file_that_the_system_swaps_to_is_found_before(site: Site, tmp_path: Path) -> None:
    site.configure("")
    folders = (folder_member("etc", ["Y0", "Yswap file"]), b"")
    put_archive(site, 0, tar_of(folders, *((file_member(f"etc/{name}"), b"restored") for name in ("0", "swap file"))))
    etc = tmp_path / "live/etc"
    etc.mkdir(parents=True)
    (etc / "0").write_text("live")
    swap = etc / "swap file"
    swap.write_bytes(bytes(1 << 20))
    swap.chmod(0o600)
    run("mkswap", "--quiet", swap)
    run("swapon", swap)
    try:
        with pytest.raises(UnusableTarget, match="Nothing was changed") as caught:
            restore_here(site, "/etc", tmp_path / "live", in_place=True, agreed=True)
    finally:
        run("swapoff", swap)
    assert [str(line).strip() for line in caught.value.args[1:]] == [
        "1 path: the system swaps to it (swapoff)",
        str(swap),
    ]
    assert (etc / "0").read_text() == "live"


@contextmanager
def exfat_disk(image: Path, place: Path) -> Held:
    """A real file system that takes names for one that differ in small and capital letters only."""
    with image.open("wb") as file:
        file.truncate(8 << 20)
    run("mkfs.exfat", image)
    command = ["losetup", "--find", "--show", str(image)]
    device = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    try:
        subprocess.run(["mount.exfat-fuse", device, str(place)], check=True, capture_output=True)
        try:
            yield
        finally:
            run("umount", place)
    finally:
        run("losetup", "--detach", device)


def test_a_mounted_disk_that_takes_names_for_one_gets_the_first_of_them(site: Site, tmp_path: Path) -> None:
    site.configure_cycle("Diffs 6")
    files = [
        site.source / name for name in ("Name", "disk/Name", "disk/name", "disk/alone", "disk/new/A", "disk/new/a")
    ]
    for path in (*files, site.source / "name"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(path.name)
    assert not backup.run(load_configuration(site.configuration), FIRST_DAY, BackupOptions()).failed
    where = tmp_path / "live"
    top = where / site.name()
    (top / "disk").mkdir(parents=True)
    with exfat_disk(tmp_path / "image", top / "disk"):
        with pytest.raises(Incomplete) as caught:
            restore_here(site, str(site.source), where, at="2026-12-31", in_place=True, agreed=True)
        found = {str(path.relative_to(top)): path.read_text() for path in top.rglob("*") if path.is_file()}
    lines = "\n".join(map(str, caught.value.args))
    assert found == {
        name: name.rpartition("/")[2] for name in ("Name", "name", "disk/Name", "disk/alone", "disk/new/A")
    }
    assert f"not made ({WORDS})\n  {top}/disk/name\n  {top}/disk/new/a" in lines
    assert not leftovers(where)


@pytest.mark.parametrize(
    ("mode", "reason"),
    [(0o1777, "sticky bit"), (0o755, "its folder belongs to somebody else, and nothing may be put there")],
)
def test_what_others_keep_an_ordinary_user_from_is_found_before(mode: int, reason: str) -> None:
    with open_folder() as base:
        site = Site(base / "site")
        site.configure("")
        names = [file_member(f"etc/{name}") for name in ("0", "theirs", "z")]
        content = tar_of((folder_member("etc", ["Y0", "Ytheirs", "Yz"]), b""), *((name, b"restored") for name in names))
        put_archive(site, 0, content)
        restore_here(site, "/etc", base / "loads all modules")
        give(site.vault)
        etc = base / "live/etc"
        etc.mkdir(parents=True)
        (etc / "theirs").write_text("live")
        etc.chmod(mode)

        def merge() -> None:
            with pytest.raises(UnusableTarget, match="Nothing was changed; see to these first") as caught:
                restore_here(site, "/etc", base / "live", in_place=True, agreed=True, staging=site.vault)
            assert reason in str(caught.value)
            assert f"{etc}/theirs" in str(caught.value)

        as_user(merge)
        assert [path.name for path in etc.iterdir()] == ["theirs"]


def test_what_is_in_the_way_of_other_paths_does_not_matter(site: Site, tmp_path: Path) -> None:
    site.configure("")
    put_archive(site, 0, tar_of((folder_member("etc", ["Ya", "Yb"]), b""), (file_member("etc/a"), b"restored")))
    etc = tmp_path / "live/etc"
    etc.mkdir(parents=True)
    (etc / "b").touch()
    with with_attribute("i", etc / "b"):
        restore_here(site, "/etc", tmp_path / "live", paths=("a",), in_place=True, agreed=True)
    assert (etc / "a").read_text() == "restored"


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Path]:
    """A live tree with a disk of its own mounted in it."""
    mounted = tmp_path / "live/etc/mounted"
    mounted.mkdir(parents=True)
    with small_disk(mounted, "size=10M"):
        yield tmp_path / "live"


def test_in_place_reaches_across_a_mounted_disk(site: Site, live: Path) -> None:
    site.configure("")
    folder = file_member("etc/mounted/new", type=b"5", mode=0o750, mtime=1_000_000_000)
    link = file_member("etc/mounted/link", type=b"2", linkname="/nowhere")
    content = tar_of(
        *((folder, b""), (file_member("etc/mounted/new/inner", mode=0o640), b"inner")),
        *((file_member("etc/mounted/old", mode=0o600, mtime=1_100_000_000), b"restored"), (link, b"")),
    )
    put_archive(site, 0, content)
    (live / "etc/mounted/old").write_text("live")
    (live / "etc/mounted/kept").write_text("kept")
    restore_here(site, "/etc", live, in_place=True, agreed=True)
    mounted = live / "etc/mounted"
    assert sorted(path.name for path in mounted.iterdir()) == ["kept", "link", "new", "old"]
    assert ((mounted / "old").read_text(), (mounted / "old").stat().st_mtime) == ("restored", 1_100_000_000)
    assert ((mounted / "new").stat().st_mode & 0o777, (mounted / "new").stat().st_mtime) == (0o750, 1_000_000_000)
    assert (mounted / "new/inner").read_text() == "inner"
    assert (mounted / "link").readlink() == Path("/nowhere")
    assert not leftovers(live)


def test_names_of_one_file_are_one_file_on_a_mounted_disk_as_well(site: Site, live: Path) -> None:
    site.configure("")
    members = [
        (file_member("etc/mounted/one", mode=0o640, uid=5), b"content"),
        (file_member("etc/mounted/new", type=b"5", mode=0o750), b""),
        *(
            (file_member(f"etc/mounted/{name}", type=b"1", linkname="etc/mounted/one"), b"")
            for name in ("two", "new/3")
        ),
    ]
    put_archive(site, 0, tar_of(*members))
    restore_here(site, "/etc", live, in_place=True, agreed=True)
    status = [(live / "etc/mounted" / name).stat() for name in ("one", "two", "new/3")]
    assert len({each.st_ino for each in status}) == 1
    assert (status[0].st_nlink, status[0].st_mode & 0o777, status[0].st_uid) == (3, 0o640, 5)
    assert (live / "etc/mounted/two").read_text() == "content"


def test_holes_devices_and_attributes_reach_a_mounted_disk(site: Site, live: Path) -> None:
    site.configure_cycle("Diffs 6")
    where = live / "etc"
    source = site.source / "mounted"
    source.mkdir()
    with (source / "sparse").open("wb") as file:
        file.seek(50_000_000)
        file.write(b"end")
    os.mknod(source / "null", 0o20640, os.makedev(1, 3))
    os.mkfifo(source / "pipe", 0o604)
    (source / "program").write_text("x")
    run("setcap", "cap_net_raw+ep", source / "program")
    run("setfacl", "-m", "u:7:r", source / "program")
    site.run()
    at = live / site.name() / "mounted"
    at.mkdir(parents=True)
    run("mount", "--bind", where / "mounted", at)
    try:
        restore_here(site, str(site.source), live, in_place=True, agreed=True)
        assert (at / "sparse").stat().st_blocks * 512 < 1_000_000
        assert (at / "sparse").read_bytes() == (source / "sparse").read_bytes()
        assert ((at / "null").stat().st_rdev, (at / "null").stat().st_mode) == (os.makedev(1, 3), 0o20640)
        assert (at / "pipe").stat().st_mode == 0o10604
        attributes = {name: os.getxattr(source / "program", name) for name in os.listxattr(source / "program")}
        assert {name: os.getxattr(at / "program", name) for name in os.listxattr(at / "program")} == attributes
        assert len(attributes) == 2
    finally:
        run("umount", at)


def test_a_mounted_disk_without_access_lists_costs_only_these(site: Site, tmp_path: Path) -> None:
    site.configure("")
    headers = {"SCHILY.acl.access": "user::rwx,user:7:r--,group::r-x,mask::r-x,other::---"}
    folder = file_member("etc/mounted", type=b"5", mode=0o750, pax_headers=headers)
    put_archive(site, 0, tar_of((folder, b""), (file_member("etc/mounted/a", pax_headers=headers), b"restored")))
    mounted = tmp_path / "live/etc/mounted"
    mounted.mkdir(parents=True)
    run("mount", "-t", "ramfs", "ramfs", mounted)
    try:
        with pytest.raises(Incomplete) as caught:
            restore_here(site, "/etc", tmp_path / "live", in_place=True, agreed=True)
        assert (mounted / "a").read_text() == "restored"
    finally:
        run("umount", mounted)
    lines = [str(line) for line in caught.value.args]
    assert lines[1:] == [
        "2 paths: list of access rights (ACL) not set (Operation not supported)",
        f"  {mounted}",
        f"  {mounted}/a",
    ]


def two_parts(site: Site, live: Path) -> Path:
    """An archive with files for a mounted disk, and for the disk that it is mounted in; returns the live folder."""
    site.configure("")
    folders = (folder_member("etc", ["Dmounted", "Yz"]), b""), (folder_member("etc/mounted", ["Ya"]), b"")
    members = (file_member("etc/mounted/a"), b"x" * 2_000_000), (file_member("etc/z"), b"restored")
    put_archive(site, 0, tar_of(*folders, *members))
    (live / "etc/mounted").mkdir(parents=True)
    return live / "etc"


@contextmanager
def tmpfs(path: Path, option: str) -> Held:
    run("mount", "-t", "tmpfs", "-o", option, "tmpfs", path)
    try:
        yield
    finally:
        run("umount", path)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("size=1m", "there is room for 1.0 MB, and 2.0 MB are to come there"),
        ("nr_inodes=2", "there is room for 1 file (df -i), and 3 are to come there"),
    ],
)
def test_a_mounted_disk_without_room_is_noticed_before(site: Site, tmp_path: Path, option: str, words: str) -> None:
    etc = two_parts(site, tmp_path / "live")
    with tmpfs(etc / "mounted", option):
        with pytest.raises(UnusableTarget, match=r"Nothing was changed") as caught:
            restore_here(site, "/etc", tmp_path / "live", in_place=True, agreed=True)
    assert words in str(caught.value)
    assert not (etc / "z").exists()


def test_what_is_replaced_on_a_mounted_disk_gives_no_room_before_its_copy_is_there(site: Site, tmp_path: Path) -> None:
    etc = two_parts(site, tmp_path / "live")
    with tmpfs(etc / "mounted", "size=3m"):
        (etc / "mounted/a").write_bytes(b"y" * 2_000_000)
        with pytest.raises(UnusableTarget, match=r"Nothing was changed") as caught:
            restore_here(site, "/etc", tmp_path / "live", in_place=True, agreed=True)
        assert (etc / "mounted/a").read_bytes() == b"y" * 2_000_000
        assert "there is room for 1.1 MB, and 2.0 MB are to come there" in str(caught.value)
        assert not (etc / "z").exists()
        run("mount", "-o", "remount,size=5m", etc / "mounted")
        restore_here(site, "/etc", tmp_path / "live", in_place=True, agreed=True)
        assert (etc / "mounted/a").read_bytes() == b"x" * 2_000_000


def test_a_file_with_two_names_needs_room_on_a_mounted_disk_once(site: Site, tmp_path: Path) -> None:
    site.configure("")
    folders = (folder_member("etc", ["Dmounted"]), b""), (folder_member("etc/mounted", ["Ya", "Yb"]), b"")
    link = file_member("etc/mounted/b", type=tarfile.LNKTYPE, linkname="etc/mounted/a")
    members = (file_member("etc/mounted/a"), b"x" * 2_000_000), (link, b"")
    put_archive(site, 0, tar_of(*folders, *members))
    mounted = tmp_path / "live/etc/mounted"
    mounted.mkdir(parents=True)
    with tmpfs(mounted, "size=3m"):
        restore_here(site, "/etc", tmp_path / "live", in_place=True, agreed=True)
        assert (mounted / "a").stat().st_nlink == (mounted / "b").stat().st_nlink == 2


def test_room_is_needed_where_the_same_disk_is_mounted_once_more(site: Site, tmp_path: Path) -> None:
    live = tmp_path / "live"
    live.mkdir()
    with tmpfs(live, "size=5m"):
        etc = two_parts(site, live)
        (live / "filling").write_bytes(b"x" * 1_500_000)
        with bound(etc / "mounted"):
            with pytest.raises(UnusableTarget, match=r"Nothing was changed") as caught:
                restore_here(site, "/etc", live, in_place=True, agreed=True)
            assert "2.0 MB are to come there" in str(caught.value)
            assert not (etc / "z").exists()


def test_a_merging_that_must_stop_says_how_far_it_came_and_can_be_run_again(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The disk is filled after it was looked at.
    monkeypatch.setattr(CopyingRoom, "wanting", lambda _self: iter(()))
    etc = two_parts(site, tmp_path / "live")
    with tmpfs(etc / "mounted", "nr_inodes=2"):
        with pytest.raises(UnusableTarget) as caught:
            restore_here(site, "/etc", tmp_path / "live", in_place=True, agreed=True)
        assert f"No space left on device: {etc}/mounted/a" in str(caught.value)
        assert f"{(etc / 'z').exists():d} of 4 paths are in place already" in str(caught.value)
        assert not leftovers(tmp_path / "live")
        run("mount", "-o", "remount,nr_inodes=9", etc / "mounted")
        restore_here(site, "/etc", tmp_path / "live", in_place=True, agreed=True)
        assert (etc / "mounted/a").stat().st_size == 2_000_000
        assert (etc / "z").read_text() == "restored"


def test_what_a_killed_merging_has_left_deep_in_the_tree_is_named(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    etc = two_parts(site, tmp_path / "live")
    left = etc / "mounted/.s3napback-restore-0123456789abcdef"
    left.mkdir(mode=0o700)
    restore_here(site, "/etc", tmp_path / "live", in_place=True, agreed=True)
    (said,) = [record.getMessage() for record in caplog.records if "ended by force" in record.getMessage()]
    assert said.endswith(f"remove it with: rm -rf -- {left}")
