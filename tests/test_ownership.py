"""What decides over us is ours: each way in which somebody else could change it, or swap it, is refused."""

from __future__ import annotations

import grp
import os
import pwd
import stat
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

import s3napback
from s3napback.errors import ChangeableByOthers
from s3napback.ownership import (
    NotAPlainFileError,
    open_own_file,
    open_own_for_writing,
    read_own_file,
    require_own,
)
from tests.verdicts import verdict, verdict_as

OTHER = 1234
IS_ROOT = os.geteuid() == 0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of ours with a file of ours in it."""
    place = tmp_path / "conf"
    place.mkdir(mode=0o755)
    (place / "file").write_text("content")
    return place


def read_refused(path: Path) -> str:
    """Why a file is refused, which must be the same whether it is read or only looked at."""
    reading, looking = verdict(lambda: open_own_file(path)), verdict(lambda: require_own(path))
    assert reading == looking
    return reading


def test_a_file_of_ours_is_read_and_described(folder: Path) -> None:
    content, status = read_own_file(folder / "file")
    assert content == b"content"
    assert status.st_ino == (folder / "file").stat().st_ino
    assert read_own_file(folder / "file", 3)[0] == b"con"


def test_relative_paths_and_links_lead_to_it_as_well(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (folder / "inner").mkdir()
    (folder / "relative").symlink_to("inner/../file")
    (folder / "absolute").symlink_to(folder / "relative")
    (folder / "inner/up").symlink_to("..")
    (folder / "top").symlink_to("/../..")
    for path in ("file", "./inner/../file", "relative", "absolute", "inner/up/inner/up/file", f"top{folder}/file"):
        assert read_own_file(Path(path))[0] == b"content", path
    for path in (".", "..", "/", "inner/up", "top"):
        require_own(Path(path))


def test_what_is_not_there_is_told_from_what_is_not_ours(folder: Path) -> None:
    (folder / "dangling").symlink_to("nowhere")
    for name in ("missing", "dangling", "missing/file"):
        with pytest.raises(FileNotFoundError):
            open_own_file(folder / name)
        require_own(folder / name)
    with pytest.raises(NotADirectoryError):
        open_own_file(folder / "file/below")
    (folder / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="Too many levels"):
        open_own_file(folder / "loop")


def test_the_null_device_in_place_of_a_file_is_ours_although_everybody_writes_to_it(folder: Path) -> None:
    require_own(Path("/dev/null"))
    (folder / "none").symlink_to("/dev/null")
    require_own(folder / "none")
    with pytest.raises(ChangeableByOthers):
        require_own(Path("/dev/zero"))


def test_what_is_no_file_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "fifo")
    (folder / "link").symlink_to("/dev/zero")
    for path in (folder, folder / "fifo", folder / "link"):
        with pytest.raises(NotAPlainFileError):
            open_own_file(path)


# --- who may write ---


def writable_file(folder: Path) -> Path:
    (folder / "file").chmod(0o646)
    return folder / "file"


def writable_folder(folder: Path) -> Path:
    folder.chmod(0o757)
    return folder / "file"


def writable_folder_far_above(folder: Path) -> Path:
    (folder / "a/b/c").mkdir(parents=True)
    (folder / "a/b/c/file").touch()
    (folder / "a").chmod(0o777)
    return folder / "a/b/c/file"


def writable_folder_of_the_links_target(folder: Path) -> Path:
    (folder / "open").mkdir()
    (folder / "open/file").touch()
    (folder / "open").chmod(0o777)
    (folder / "link").symlink_to("open/file")
    return folder / "link"


def writable_folder_of_a_link_on_the_way(folder: Path) -> Path:
    (folder / "open").mkdir()
    (folder / "open/back").symlink_to(folder)
    (folder / "open").chmod(0o777)
    return folder / "open/back/file"


def access_list(folder: Path) -> Path:
    """The mode shows the list's mask as the rights of the group, which is our private one."""
    entries = [(0x01, 6, -1), (0x02, 6, OTHER), (0x04, 4, -1), (0x10, 6, -1), (0x20, 4, -1)]
    packed = b"".join(struct.pack("<HHi", *entry) for entry in entries)
    os.setxattr(folder / "file", "system.posix_acl_access", struct.pack("<I", 2) + packed)
    assert stat.S_IMODE((folder / "file").stat().st_mode) == 0o664
    return folder / "file"


def access_list_of_a_folder(folder: Path) -> Path:
    entries = [(0x01, 7, -1), (0x02, 7, OTHER), (0x04, 5, -1), (0x10, 7, -1), (0x20, 5, -1)]
    packed = b"".join(struct.pack("<HHi", *entry) for entry in entries)
    os.setxattr(folder, "system.posix_acl_access", struct.pack("<I", 2) + packed)
    return folder / "file"


def second_name_in_a_shared_folder(folder: Path) -> Path:
    """Where everybody may make entries, anybody may give root's file a name that decides something."""
    (folder / "shared").mkdir()
    (folder / "shared").chmod(0o1777)
    os.link(folder / "file", folder / "shared/file")
    return folder / "shared/file"


def other_users_file(folder: Path) -> Path:
    os.chown(folder / "file", OTHER, 0)
    return folder / "file"


def other_groups_file(folder: Path) -> Path:
    os.chown(folder / "file", 0, OTHER)
    (folder / "file").chmod(0o664)
    return folder / "file"


def other_users_folder(folder: Path) -> Path:
    os.chown(folder, OTHER, 0)
    return folder / "file"


def other_groups_folder(folder: Path) -> Path:
    os.chown(folder, 0, OTHER)
    folder.chmod(0o775)
    return folder / "file"


def other_users_shared_folder(folder: Path) -> Path:
    """The sticky bit does not bind the folder's owner."""
    os.chown(folder, OTHER, 0)
    folder.chmod(0o1777)
    return folder / "file"


def other_users_file_in_a_shared_folder(folder: Path) -> Path:
    folder.chmod(0o1777)
    return other_users_file(folder)


def other_users_link_in_a_shared_folder(folder: Path) -> Path:
    folder.chmod(0o1777)
    (folder / "link").symlink_to("file")
    os.lchown(folder / "link", OTHER, 0)
    return folder / "link"


def other_users_folder_in_a_shared_folder(folder: Path) -> Path:
    folder.chmod(0o1777)
    (folder / "own").mkdir()
    (folder / "own/file").touch()
    os.chown(folder / "own", OTHER, 0)
    return folder / "own/file"


WAYS_IN = [
    (writable_file, "can be written by others (mode 0646); look at what is in it, then run: chmod o-w {}/file"),
    (writable_folder, "take a place that nobody else can change, or run: chmod o-w {}"),
    (writable_folder_far_above, "{}/a can be written by others (mode 0777)"),
    (writable_folder_of_the_links_target, "run: chmod go-w {}/open"),
    (writable_folder_of_a_link_on_the_way, "run: chmod go-w {}/open"),
    (second_name_in_a_shared_folder, "2 names"),
]
if IS_ROOT:
    WAYS_IN += [
        (access_list, "run: setfacl -b {}/file"),
        (access_list_of_a_folder, "run: setfacl -b {}"),
        (other_users_file, "{}/file belongs to another user, 1234 (a uid without a name); look"),
        (other_groups_file, "by the group 1234 (a gid without a name) (mode 0664); look"),
        (other_users_folder, "run: chown root {}"),
        (other_groups_folder, "run: chmod g-w {}"),
        (other_users_shared_folder, "run: chown root {}"),
        (other_users_file_in_a_shared_folder, "run: chown root {}/file"),
        (other_users_link_in_a_shared_folder, "run: chown root {}/link"),
        (other_users_folder_in_a_shared_folder, "run: chown root {}/own"),
    ]


@pytest.mark.parametrize(("make", "words"), WAYS_IN)
def test_what_others_can_change_is_refused_with_the_command_that_helps(
    make: Callable[[Path], Path], words: str, folder: Path
) -> None:
    path = make(folder)
    refusal = read_refused(path)
    assert refusal.startswith(f"{path} is not used: ")
    assert words.format(folder) in refusal


def test_the_command_in_the_message_is_quoted(folder: Path) -> None:
    path = folder / "it's $(mine)"
    path.touch()
    path.chmod(0o666)
    assert read_refused(path).endswith(f"""chmod go-w '{folder}/it'"'"'s $(mine)'""")


def test_in_a_shared_folder_what_is_ours_is_ours(folder: Path) -> None:
    """As in /tmp: the sticky bit keeps others from renaming and removing it."""
    folder.chmod(0o1777)
    (folder / "link").symlink_to("file")
    assert read_refused(folder / "file") == ""
    assert read_refused(folder / "link") == ""


def test_a_shared_folder_is_ours_only_where_that_is_enough(folder: Path) -> None:
    require_own(folder)
    folder.chmod(0o1777)
    assert "everybody may write to" in verdict(lambda: require_own(folder))
    require_own(folder, shared=True)
    folder.chmod(0o777)
    assert "can be written by others" in verdict(lambda: require_own(folder, shared=True))


def test_a_link_in_a_folder_of_ours_may_be_anybodys(folder: Path) -> None:
    (folder / "link").symlink_to("file")
    if IS_ROOT:
        os.lchown(folder / "link", OTHER, OTHER)
    assert read_refused(folder / "link") == ""


def test_a_private_group_is_nobody_else(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user database is pretended: the machine that runs the tests may have no user with a private group."""
    me = os.geteuid()
    (folder / "file").chmod(0o664)
    group = (folder / "file").stat().st_gid

    def pretend(name: str, primary: int, members: list[str], others: dict[str, tuple[int, int]]) -> str:
        users = {"me": (me, primary), **others}
        entries = {
            each: pwd.struct_passwd((each, "", uid, gid, "", "/", "/bin/sh")) for each, (uid, gid) in users.items()
        }
        monkeypatch.setattr(pwd, "getpwnam", entries.__getitem__)
        monkeypatch.setattr(pwd, "getpwall", lambda: list(entries.values()))
        monkeypatch.setattr(grp, "getgrgid", lambda _: grp.struct_group((name, "", group, members)))
        return read_refused(folder / "file")

    assert pretend("me", group, [], {}) == ""
    assert pretend("me", group, ["me"], {}) == ""
    assert "can be written by others" in pretend("users", group, [], {}), "others in it may be unknown here"
    assert "can be written by others" in pretend("me", group + 1, [], {}), "it only has the name of a user"
    assert "can be written by others" in pretend("me", group, ["she"], {"she": (OTHER, OTHER)})
    assert "can be written by others" in pretend("me", group, ["unknown"], {})
    assert "can be written by others" in pretend("me", group, [], {"she": (OTHER, group)})
    assert "can be written by others" in pretend("she", group, [], {"she": (OTHER, group)})


# --- an ordinary user ---


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Where other users may enter; not below pytest's folders, which only their owner enters."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


if IS_ROOT:

    def test_an_ordinary_user_takes_what_is_his_or_roots(open_folder: Path) -> None:
        for owner in (0, OTHER):
            place = open_folder / str(owner)
            place.mkdir()
            (place / "file").touch()
            for path in (place, place / "file"):
                os.chown(path, owner, owner)
            assert verdict_as(OTHER, partial(open_own_file, place / "file")) == ""
            refused = verdict_as(OTHER + 1, partial(open_own_file, place / "file"))
            assert bool(refused) == (owner == OTHER)
            assert not refused or f"chown {OTHER + 1} (" not in refused

    def test_a_folder_that_may_only_be_searched_is_no_obstacle(open_folder: Path) -> None:
        (open_folder / "file").touch()
        open_folder.chmod(0o711)
        assert verdict_as(OTHER, lambda: open_own_file(open_folder / "file")) == ""

    def test_a_lock_of_roots_is_not_an_ordinary_users(open_folder: Path) -> None:
        os.chown(open_folder, OTHER, OTHER)
        (open_folder / "lock").touch(mode=0o666)
        said = verdict_as(OTHER, lambda: open_own_for_writing(open_folder / "lock"))
        assert "belongs to another user, root (uid 0); run as root, or remove" in said

    def test_whom_a_user_namespace_does_not_know_is_nobody_that_could_be_told_to_give_it_away(folder: Path) -> None:
        """Neither can chown be run there, nor is it nobody's: all users but one may look so, and root."""
        script = (
            "import pathlib, sys; from s3napback.ownership import require_own as look; look(pathlib.Path(sys.argv[1]))"
        )
        os.chown(folder, OTHER, OTHER)
        command = ["unshare", "--user", "--map-root-user", sys.executable, "-c", script, str(folder / "file")]
        package = Path(s3napback.__file__).parent.parent
        said = subprocess.run(command, cwd=package, check=False, capture_output=True, text=True).stderr
        assert (
            f"{folder} belongs to another user, nobody (uid 65534), as which this user namespace shows all whom" in said
        )
        assert "run: chown" not in said
