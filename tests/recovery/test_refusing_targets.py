"""What a target cannot take costs just that, and is told; an archive that is damaged costs the whole restore."""

from __future__ import annotations

import errno
import os
import struct
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest

from s3napback.recovery.attributes import remove_cut
from s3napback.recovery.refusals import Incomplete
from s3napback.recovery.staging import UnusableTarget
from tests.recovery.helpers import (
    file_member,
    folder_member,
    leftovers,
    put_archive,
    restore_here,
    tar_of,
    why_not,
)
from tests.site import Site

LONG = "n" * 256
"""One byte more than any file system here takes as a name."""


@contextmanager
def mounted(path: Path, *command: str) -> Iterator[Path]:
    path.mkdir(exist_ok=True)
    subprocess.run([*command, str(path)], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", str(path)], check=True)


@contextmanager
def without_owners(tmp_path: Path, option: str = "--chown-deny") -> Iterator[Path]:
    """A target such as a NAS, on which nothing can be given to anybody."""
    (tmp_path / "below").mkdir()
    with mounted(tmp_path / "nas", "bindfs", option, str(tmp_path / "below")) as nas:
        yield nas


def told(error: pytest.ExceptionInfo[BaseException]) -> list[str]:
    return [str(line) for line in error.value.args]


def nfs_list(*names: str, flags: int = 0, rights: int = 0x120127) -> str:
    """A list of access rights as NFSv4 has it, which allows the same to all of these."""
    entries = (
        struct.pack(">4I", 0, flags, rights, len(name)) + name.encode() + bytes(-len(name) % 4) for name in names
    )
    return (struct.pack(">I", len(names)) + b"".join(entries)).decode()


def restored(where: Path) -> list[str]:
    return sorted(str(path.relative_to(where)) for path in where.rglob("*"))


def full(site: Site, *members: tuple[object, bytes]) -> None:
    names = dict.fromkeys(f"Y{member.name.split('/')[1]}" for member, _ in members)  # type: ignore[attr-defined]
    put_archive(site, 0, tar_of((folder_member("etc", [*names]), b""), *members))  # type: ignore[arg-type]


def diff(site: Site, slot: int, entries: Sequence[str], *members: tuple[object, bytes]) -> None:
    content = tar_of((folder_member("etc", entries), b""), *members)  # type: ignore[arg-type]
    put_archive(site, slot, content, parent=f"test-host-{slot - 1}")


def test_names_that_are_too_long_are_left_out_with_all_below_and_listed(site: Site, tmp_path: Path) -> None:
    site.configure("")
    inner = file_member(f"etc/{LONG}b/inner/file")
    members = (
        (file_member("etc/a"), b"a"),
        (file_member(f"etc/{LONG}"), b"b"),
        (inner, b"c"),
        (file_member("etc/z"), b"z"),
    )
    full(site, *members)
    with pytest.raises(Incomplete) as caught:
        restore_here(site, "/etc", tmp_path / "out")
    assert restored(tmp_path / "out") == ["etc", "etc/a", "etc/z"]
    assert any(line.startswith("2 paths: not made (File name too long)") for line in told(caught))
    assert any(line.endswith(f"{LONG[-100:]}") for line in told(caught))
    assert not leftovers(tmp_path)


@pytest.mark.parametrize("first", [LONG, f"{LONG}/inner/file"])
def test_other_names_of_a_file_whose_first_name_is_not_taken_are_told_with_the_reason(
    site: Site, tmp_path: Path, first: str
) -> None:
    site.configure("")
    other = file_member("etc/other")
    other.type, other.linkname = tarfile.LNKTYPE, f"etc/{first}"
    full(site, (file_member("etc/a"), b"a"), (file_member(f"etc/{first}"), b"b"), (other, b""))
    reason = "its content stands in the archive under the other name, which was not made either"
    for paths in ((), ("/etc/other", "/etc/a")):
        out = tmp_path / f"out{len(paths)}"
        with pytest.raises(Incomplete) as caught:
            restore_here(site, "/etc", out, paths=paths)
        *_, heading, path = told(caught)
        assert heading == f"1 path: not made, another name of a file ({reason})"
        assert path == f"  {out}/etc/other"
        assert restored(out) == ["etc", "etc/a"]


def test_what_a_later_night_knows_gone_is_not_missed(site: Site, tmp_path: Path) -> None:
    site.configure("")
    full(site, (file_member("etc/a"), b"a"), (file_member(f"etc/{LONG}"), b"b"))
    diff(site, 1, ["Na"])
    restore_here(site, "/etc", tmp_path / "out")
    assert restored(tmp_path / "out") == ["etc", "etc/a"]


def test_what_no_later_night_brought_anew_is_still_missed(site: Site, tmp_path: Path) -> None:
    site.configure("")
    full(site, (file_member("etc/a"), b"a"), (file_member(f"etc/{LONG}"), b"b"))
    diff(site, 1, ["Ya", f"N{LONG}"], (file_member("etc/a"), b"A"))
    with pytest.raises(Incomplete, match="1 path: not made"):
        restore_here(site, "/etc", tmp_path / "out")


def test_of_paths_those_that_can_be_restored_are(site: Site, tmp_path: Path) -> None:
    site.configure("")
    full(site, (file_member("etc/a"), b"a"), (file_member(f"etc/{LONG}"), b"b"))
    with pytest.raises(Incomplete):
        restore_here(site, "/etc", tmp_path / "out", paths=(f"/etc/{LONG}", "/etc/a"))
    assert restored(tmp_path / "out") == ["etc", "etc/a"]
    assert "nothing was restored" in why_not(site, "/etc", tmp_path / "none", paths=(f"/etc/{LONG}",))


def test_strict_metadata_restores_all_or_nothing(site: Site, tmp_path: Path) -> None:
    site.configure("")
    full(site, (file_member("etc/a"), b"a"), (file_member(f"etc/{LONG}"), b"b"))
    assert "1 path: not made (File name too long)" in why_not(site, "/etc", tmp_path / "out", strict=True)
    diff(site, 1, ["Na"])
    restore_here(site, "/etc", tmp_path / "out", strict=True)
    assert restored(tmp_path / "out") == ["etc", "etc/a"]


def test_damage_fails_the_whole_restore_whatever_the_target_refuses(site: Site, tmp_path: Path) -> None:
    site.configure("")
    # No folder could have held the last one.
    members = (file_member("etc/a"), b"a"), (file_member(f"etc/{LONG}"), b"b"), (file_member("etc/a/b"), b"b")
    full(site, *members)
    assert "cannot be extracted" in why_not(site, "/etc", tmp_path / "out")


@pytest.mark.parametrize(
    "name",
    [
        "x': Operation not permitted\ntar: passwd: Cannot mknod: Operation not permitted",
        "x: Cannot open: Permission denied\ntar: passwd",
        "tar: passwd: Cannot open: Permission denied",
    ],
)
def test_a_name_says_nothing(site: Site, tmp_path: Path, name: str) -> None:
    """Neither in an error of tar's, nor in a warning on attributes, whose names tar does not quote."""
    site.configure("")
    member = file_member(f"etc/{name}", pax_headers={"SCHILY.xattr.user.colour": "green"})
    device = file_member(f"etc/{name}{LONG}", type=b"3", devmajor=1, devminor=3)
    full(site, (member, b"x"), (device, b""))
    with mounted(tmp_path / "ramfs", "mount", "-t", "ramfs", "ramfs") as target, pytest.raises(Incomplete) as caught:
        restore_here(site, "/etc", target / "out")
    lines = told(caught)
    assert not [line for line in lines if line.strip().endswith("/passwd")]
    assert "1 path: not made (File name too long)" in lines
    assert "1 path: extended attributes not set (the target does not take them)" in lines


@pytest.mark.parametrize("mtime", [-5, 10_000_000_000])
@pytest.mark.parametrize("name", ["x\ntar: etc/other: Cannot open: Permission denied", "x\\"])
def test_the_name_of_a_file_of_another_time_says_nothing_either(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, mtime: int
) -> None:
    """tar warns of such times with the name as it is."""
    site.configure("")
    device = file_member(f"etc/{LONG}", type=b"3", devmajor=1, devminor=3)
    full(site, (file_member(f"etc/{name}", mtime=mtime), b"x"), (file_member("etc/other"), b"y"), (device, b""))
    with pytest.raises(Incomplete) as caught:
        restore_here(site, "/etc", tmp_path / "out")
    assert [line for line in told(caught)[1:] if "path" in line] == ["1 path: not made (File name too long)"]
    assert [(tmp_path / "out/etc" / each).read_text() for each in (name, "other")] == ["x", "y"]
    assert "tar:" not in caplog.text


def test_attributes_that_a_target_has_no_room_for_are_listed(site: Site, tmp_path: Path) -> None:
    site.configure("")
    capability = "\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
    access = "user::rw-,user:7:r--,group::r--,mask::r--,other::---"
    full(
        site,
        (file_member("etc/program", pax_headers={"SCHILY.xattr.security.capability": capability}), b"x"),
        (file_member("etc/shared", pax_headers={"SCHILY.acl.access": access}), b"x"),
        (file_member("etc/minimal", pax_headers={"SCHILY.acl.access": "user::rw-,group::r--,other::r--"}), b"x"),
        (file_member("etc/labelled", pax_headers={"SCHILY.xattr.security.selinux": "label"}), b"x"),
        (file_member("etc/of XFS", pax_headers={"SCHILY.xattr.trusted.SGI_ACL_FILE": "list"}), b"x"),
    )
    with mounted(tmp_path / "ramfs", "mount", "-t", "ramfs", "ramfs") as target, pytest.raises(Incomplete) as caught:
        restore_here(site, "/etc", target / "out")
    assert [line.strip() for line in told(caught)[1:]] == [
        "1 path: capabilities not set (the target does not take them)",
        str(target / "out/etc/program"),
        "1 path: list of access rights (ACL) not set (the target does not take it)",
        str(target / "out/etc/shared"),
    ]
    (tmp_path / "out").mkdir()
    restore_here(site, "/etc", tmp_path / "out")
    assert os.listxattr(tmp_path / "out/etc/of XFS") == []


def test_lists_of_nfs_are_missed_where_they_tell_more_than_permissions(site: Site, tmp_path: Path) -> None:
    site.configure("")
    lists = {
        "plain": nfs_list("OWNER@", "GROUP@", "EVERYONE@"),
        "for ann": nfs_list("OWNER@", "ann@example.org"),
        "inherited": nfs_list("OWNER@", flags=1),
        "to append": nfs_list("OWNER@", rights=0x5),
        "cut": nfs_list("OWNER@")[:-9],
    }
    members = (file_member(f"etc/{name}", pax_headers={"SCHILY.xattr.system.nfs4_acl": lists[name]}) for name in lists)
    full(site, *((member, b"x") for member in members))
    with pytest.raises(Incomplete) as caught:
        restore_here(site, "/etc", tmp_path / "out")
    assert [line.strip() for line in told(caught)[1:]] == [
        "4 paths: extended attributes not set (the target does not take them)",
        *(str(tmp_path / "out/etc" / name) for name in sorted(lists) if name != "plain"),
    ]


@pytest.mark.parametrize("option", ["--chown-deny", "--chown-ignore"])
def test_owners_that_are_refused_are_told_and_give_nobody_power(site: Site, tmp_path: Path, option: str) -> None:
    """A setuid program of a user who is nobody here must not become one of root's."""
    site.configure("")
    program = file_member("etc/program", mode=0o4755, uid=4321, gid=4321)
    other = file_member("etc/same", type=b"1", linkname="etc/program", mode=0o4755, uid=4321, gid=4321)
    full(site, (program, b"x"), (other, b""), (file_member("etc/mine", mode=0o4755), b"x"))
    with without_owners(tmp_path, option) as nas:
        with pytest.raises(Incomplete) as caught:
            restore_here(site, "/etc", nas / "out")
        modes = {path.name: path.stat().st_mode & 0o7777 for path in (nas / "out/etc").iterdir()}
    assert modes == {"program": 0o755, "same": 0o755, "mine": 0o4755}
    lines = "\n".join(told(caught))
    assert ("owner and group not set" if option == "--chown-deny" else "owners and groups as they were") in lines
    assert "2 paths: setuid and setgid permissions not set" in lines


def test_a_disk_that_has_one_owner_and_one_mode_takes_all_content(site: Site, tmp_path: Path) -> None:
    """As FAT and SMB do, with the options of a mount that most have."""
    site.configure("")
    full(site, (file_member("etc/a", mode=0o600, uid=5), b"a"), (file_member("etc/folder/b"), b"b"))
    diff(site, 1, ["Nfolder", "Ya"], (file_member("etc/a", mode=0o600, uid=5), b"A"))
    (tmp_path / "below").mkdir()
    options = ("--perms=u=rwX:go=rX", "--force-user=1000", "--force-group=1000", "--chown-deny", "--chgrp-deny")
    with mounted(tmp_path / "fat", "bindfs", *options, "--chmod-deny", "--xattr-none", str(tmp_path / "below")) as fat:
        for in_place in (False, True):
            with pytest.raises(Incomplete) as caught:
                restore_here(site, "/etc", fat / "out", in_place=in_place, agreed=True)
            assert (fat / "out/etc/a").read_text() == "A"
            assert not leftovers(fat)
    lines = told(caught)
    assert any("owner and group not set" in line for line in lines)
    assert any("permissions" in line for line in lines), lines


def test_owners_that_a_target_has_anyway_are_no_loss(site: Site, tmp_path: Path) -> None:
    site.configure("")
    full(site, (file_member("etc/a"), b"a"))
    with without_owners(tmp_path) as nas:
        restore_here(site, "/etc", nas / "out")
        assert restored(nas / "out") == ["etc", "etc/a"]


@pytest.mark.parametrize(
    ("prefix", "what"),
    [
        (["capsh", "--drop=cap_mknod", "--", "-c", 'exec "$@"', "x"], ["1 path: not made (Operation not permitted)"]),
        (
            ["unshare", "--user", "--map-root-user"],
            ["1 path: not made (Operation not permitted)", "1 path: owner and group not set (Invalid argument)"],
        ),
    ],
    ids=["container", "user namespace"],
)
def test_devices_and_owners_that_a_container_may_not_make(
    site: Site, tmp_path: Path, prefix: Sequence[str], what: Sequence[str]
) -> None:
    site.configure_cycle("Diffs 6")
    os.mknod(site.source / "null", 0o20666, os.makedev(1, 3))
    (site.source / "file").touch()
    os.chown(site.source / "file", 4321, 4321)
    site.run()
    command = [*prefix, *site.command("restore", str(site.source), "--to", str(tmp_path / "out"), day=None)]
    environment = site.full_environment()
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=60)
    assert done.returncode == 1
    assert [line for line in what if line in done.stderr] == what
    assert [path.name for path in (tmp_path / "out" / site.name()).iterdir()] == ["file"]


def test_a_file_that_is_too_large_is_left_out_and_want_of_room_is_not_taken_for_it(site: Site, tmp_path: Path) -> None:
    """Such as one of more than 4 GiB on FAT."""
    site.configure("")
    full(site, (file_member("etc/a"), b"a"), (file_member("etc/large"), b"x" * 2000))
    line = "tar: etc/large: Wrote only 512 of 10240 bytes"
    site.fake_program("tar", f'case "$*" in *--extract*) REAL "$@"; echo "{line}" >&2; exit 2;; esac\nexec REAL "$@"')
    done = site.run("restore", "/etc", "--to", str(tmp_path / "out"), day=None, expect=1)
    assert "1 path: too large to be written, and left out (File too large)" in done.stderr
    assert restored(tmp_path / "out") == ["etc", "etc/a"]


def test_a_file_that_could_not_be_opened_is_not_left_empty_in_the_place_of_another(site: Site, tmp_path: Path) -> None:
    """tar has made some of those by then (``set_xattr`` in ``src/extract.c``)."""
    site.configure("")
    full(site, (file_member("etc/a"), b"a"), (file_member("etc/b"), b""))
    line = "tar: etc/b: Cannot open: Permission denied"
    site.fake_program("tar", f'case "$*" in *--extract*) REAL "$@"; echo "{line}" >&2; exit 2;; esac\nexec REAL "$@"')
    (tmp_path / "out/etc").mkdir(parents=True)
    (tmp_path / "out/etc/b").write_text("live")
    done = site.run("restore", "/etc", "--to", str(tmp_path / "out"), "--in-place", "--yes", day=None, expect=1)
    assert "1 path: not made (Permission denied)" in done.stderr
    assert [(tmp_path / "out/etc" / name).read_text() for name in "ab"] == ["a", "live"]


def test_a_full_disk_fails_the_whole_restore(site: Site, tmp_path: Path) -> None:
    site.configure("")
    full(site, (file_member("etc/a"), b"a"), (file_member("etc/large"), b"x" * 3_000_000))
    with mounted(tmp_path / "small", "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs") as small:
        with pytest.raises(UnusableTarget, match="not enough room"):
            restore_here(site, "/etc", small / "out")
        assert not list(small.iterdir())


@pytest.mark.parametrize("option", ["--delete-deny", "--rename-deny"])
def test_a_target_on_which_nothing_can_be_changed_is_refused_before_anything_is_fetched(
    site: Site, tmp_path: Path, option: str
) -> None:
    site.configure("")
    full(site, (file_member("etc/a"), b"a"))
    (tmp_path / "below").mkdir()
    with (
        mounted(tmp_path / "worm", "bindfs", option, str(tmp_path / "below")) as worm,
        pytest.raises(UnusableTarget, match=r"lets nothing be renamed or removed .*restore to another disk"),
    ):
        restore_here(site, "/etc", worm / "out")
    if option == "--rename-deny":
        assert not leftovers(tmp_path / "below")


def test_a_quota_is_want_of_room_though_the_disk_has_some(tmp_path: Path) -> None:
    """Quotas are not in every kernel, so the system call says what it says then."""
    (tmp_path / "cut").touch()
    folder = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with (
            patch("s3napback.recovery.attributes.os.write", side_effect=OSError(errno.EDQUOT, "Disk quota exceeded")),
            pytest.raises(UnusableTarget, match="not enough room"),
        ):
            remove_cut(folder, [b"cut"], tmp_path)
        remove_cut(folder, [b"cut"], tmp_path)
    finally:
        os.close(folder)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["two", "a 'quoted': name\nof \\ two lines"])
def test_where_files_have_one_name_only_the_others_become_copies(site: Site, tmp_path: Path, name: str) -> None:
    """Such as on FAT: what it says is said here by a program around tar."""
    site.configure_cycle("Diffs 6")
    (site.source / "below").mkdir()
    (site.source / name).write_text("content")
    (site.source / "below/link").hardlink_to(site.source / name)
    (site.source / name).chmod(0o640)
    site.run()
    folder = site.name()
    quoted = name.replace("\\", "\\\\").replace("\n", "\\n").replace("'", "\\'")
    line = f"tar: {folder}/below/link: Cannot hard link to '{folder}/{quoted}': Operation not permitted"
    (site.root / "line").write_text(line + "\n")
    site.fake_program(
        "tar",
        f'case "$*" in *--extract*) REAL "$@"; rm {folder}/below/link || exit 0; '
        f"cat {site.root}/line >&2; exit 2;; esac\n"
        'exec REAL "$@"',
    )
    done = site.run("restore", str(site.source), "--to", str(tmp_path / "out"), day=None, expect=1)
    assert "1 path: made as a copy, not as another name of the same file (Operation not permitted)" in done.stderr
    link = tmp_path / "out" / folder / "below/link"
    assert (link.read_text(), link.stat().st_mode & 0o777) == ("content", 0o640)
