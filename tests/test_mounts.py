"""Which file systems tell truly what is a hole."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from s3napback import mounts
from s3napback.mounts import Mount, may_number_alike, read_mounts, tells_holes

LIST = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:21 / /proc rw - proc proc rw
24 22 0:30 / /mnt/with\040blank rw,nosuid master:3 - nfs4 server:/x rw,vers=4.2
25 22 0:31 / /home/eve/own rw - fuse.sshfs eve@there rw,user_id=4711,group_id=4711
26 22 0:32 / /srv/all rw - fuse.glusterfs x rw,user_id=0,group_id=0,allow_other
27 22 8:2 / /srv/all/again rw - xfs /dev/sda2 rw
28 22 0:33 / /srv rw - unionfs x rw
29 22 8:3 / /srv rw - ext4 /dev/sda3 rw
"""


@pytest.fixture(autouse=True)
def kernel_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "mountinfo"
    path.write_text(LIST)
    monkeypatch.setattr(mounts, "MOUNTS", path)
    return path


def test_the_kernels_list_is_understood() -> None:
    found = {mount.point: mount for mount in read_mounts(LIST)}
    assert found["/mnt/with blank"].type == "nfs4"
    assert found["/"] == Mount("/", "ext4", frozenset({"rw", "relatime"}), device="8:1", root="/", number=22)
    assert "user_id=4711" in found["/home/eve/own"].options


def test_a_mount_point_with_a_line_separator_in_its_name_is_one(kernel_list: Path) -> None:
    kernel_list.write_text(LIST + "30 22 0:40 / /mnt/a\u2028b\rc rw - nfs4 server:/x rw\n", newline="")
    assert not tells_holes("/mnt/a\u2028b\rc/d", one_file_system=True)


@pytest.mark.parametrize(
    ("path", "one_file_system", "expected"),
    [
        ("/etc", False, True),
        ("/", False, False),  # NFS, among others
        ("/", True, True),
        ("/home", False, True),  # root may not read what eve has mounted
        ("/mnt/with blank/x", False, False),
        ("/mnt", False, False),
        ("/mnt", True, True),
        ("/srv", True, True),  # the later of two on the same place
        ("/srv", False, False),
        ("/srv/all/again", False, True),
        ("/srv/all/against", False, False),
        ("/proc/sys", True, False),  # what is in these files is wanted; below “/” it is not
    ],
)
def test_holes(path: str, one_file_system: bool, expected: bool) -> None:
    assert tells_holes(path, one_file_system=one_file_system) is expected


@pytest.mark.parametrize(("type", "expected"), [("ext4", False), ("fuse", True), ("9p", True), ("proc", False)])
def test_what_may_give_two_files_one_number(type: str, *, expected: bool) -> None:  # noqa: A002
    assert may_number_alike(Mount("/", type)) is expected


def test_ones_own_fuse_mount_is_read(kernel_list: Path) -> None:
    kernel_list.write_text(LIST.replace("user_id=4711", f"user_id={os.geteuid()}"))
    assert not tells_holes("/home", one_file_system=False)


LAYERED = """31 22 7:1 / /usr/packed ro - erofs /dev/loop1 ro
32 22 7:2 / /cd ro - udf /dev/sr0 ro
33 22 0:41 / /live rw - overlay overlay rw,lowerdir=/usr/packed:/usr/other,upperdir=/up,workdir=/work
34 22 0:42 / /twice rw - overlay overlay rw,lowerdir+=/live/usr,lowerdir+=/up,datadir+=/twice/x,upperdir=/up/2
35 22 0:43 / /own rw - overlay overlay rw,lowerdir=lower:/own/lower,upperdir=/up/\\040x
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/usr/packed/x", False), ("/cd", False), ("/live", False), ("/twice", False), ("/own", True), ("/up", True)],
)
def test_what_is_packed_counts_no_blocks_of_its_own(kernel_list: Path, path: str, *, expected: bool) -> None:
    """erofs with ``ztailpacking`` has no block of a file, whatever is in it; nor has what is upon it."""
    kernel_list.write_text(LIST + LAYERED)
    assert tells_holes(path, one_file_system=True) is expected


def test_without_the_list_nothing_is_believed(kernel_list: Path) -> None:
    kernel_list.unlink()
    assert not tells_holes("/etc", one_file_system=True)


def test_why_tar_cannot_be_trusted_with_files_that_have_no_blocks() -> None:
    """The kernel's own files show what tar does with any file system that counts no blocks."""
    path = "/sys/kernel/mm/transparent_hugepage/enabled"
    archived = subprocess.run(
        ["tar", "--create", "--sparse", "--file=-", "-C", "/", path[1:]], check=True, capture_output=True
    ).stdout
    out = subprocess.run(["tar", "-xO"], input=archived, check=True, capture_output=True).stdout
    assert Path(path).read_bytes().strip()
    assert not out.strip(b"\0")
