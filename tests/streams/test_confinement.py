"""A confined process can change nothing but its folder, and runs all the same where the kernel offers nothing."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from s3napback.streams import confinement
from s3napback.streams.confinement import NotConfined, start_confined

SOMEBODY = 1234

ATTEMPTS = {
    "write a file": "echo x >{out}/file",
    "make a file": "touch {out}/new",
    "make a folder": "mkdir {out}/new",
    "make a link": "ln -s /etc/passwd {out}/new",
    "make a hard link": "ln {out}/file {out}/new",
    "make a device": "mknod {out}/new c 1 3",
    "make a pipe": "mkfifo {out}/new",
    "remove": "rm {out}/file",
    "rename": "mv {out}/file {out}/new",
    "move in": "mv {out}/file .",
    "move out": "touch a && mv a {out}/new",
    "truncate": "truncate -s 0 {out}/file",
}
OF_ROOT = {
    "change permissions": "chmod 777 {out}/file",
    "change owners": "chown 1 {out}/file",
    "change times": "touch -d 2001-01-01 {out}/file",
    "change attributes": "setfattr -n user.x -v y {out}/file",
    "change mounts": "mount -o remount,rw / && echo x >{out}/file",
    "lay a folder over": "mount --bind {out} . && touch new",
}


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A folder to be kept in, and what must not change."""
    inside, out = tmp_path / "inside", tmp_path / "out"
    for folder in (inside, out):
        folder.mkdir(mode=0o777)
        folder.chmod(0o777)
    (out / "file").write_text("content")
    (out / "file").chmod(0o666)
    return inside, out


def facts(out: Path) -> list[tuple[str, int, int, int, bytes]]:
    return [
        (str(path), path.stat().st_mode, path.stat().st_uid, path.stat().st_ctime_ns, path.read_bytes())
        for path in out.iterdir()
    ]


def run(script: str, inside: Path, user: int | None = None) -> subprocess.CompletedProcess[bytes]:
    descriptor = os.open(inside, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return start_confined(
            descriptor,
            lambda path: subprocess.run(
                ["sh", "-c", script], cwd=path, user=user, capture_output=True, check=False, timeout=30
            ),
        )
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("attempt", [*ATTEMPTS, *OF_ROOT])
def test_root_can_change_nothing_outside(folders: tuple[Path, Path], attempt: str) -> None:
    inside, out = folders
    before = facts(out)
    done = run({**ATTEMPTS, **OF_ROOT}[attempt].format(out=out), inside)
    assert done.returncode != 0
    assert facts(out) == before


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_an_ordinary_user_can_write_nothing_outside(folders: tuple[Path, Path], attempt: str) -> None:
    inside, out = folders
    for folder in (*out.parents, out):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    before = facts(out)
    assert run(ATTEMPTS[attempt].format(out=out), inside, SOMEBODY).returncode != 0
    assert facts(out) == before


def test_inside_everything_can_be_done(folders: tuple[Path, Path]) -> None:
    inside, _out = folders
    script = "mkdir a && touch a/b && mknod a/c c 1 3 && chown 1:1 a/b && mv a d && ln d/b e && ln -s / f && rm e"
    done = run(f"{script} && setfattr -n user.x -v y d/b && echo x >/dev/null && pwd", inside)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().strip() == str(inside)
    assert sorted(path.name for path in inside.rglob("*")) == ["b", "c", "d", "f"]


def test_the_program_itself_is_not_confined(folders: tuple[Path, Path]) -> None:
    inside, out = folders
    run("true", inside)
    (out / "file").write_text("changed")
    assert subprocess.run(["touch", str(out / "new")], check=True).returncode == 0
    assert Path.cwd() != inside


def test_it_runs_where_neither_wall_is_to_be_had(folders: tuple[Path, Path]) -> None:
    """Sixteen restrictions are as many as a process may lay on itself; the capability for namespaces is dropped."""
    inside, _out = folders
    program = f"""
import os, subprocess
from s3napback.streams import confinement
folder = os.open({str(inside)!r}, os.O_RDONLY | os.O_DIRECTORY)
root = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
for _ in range(16):
    confinement._restrict_to(root)
for function in (confinement._restrict_to, confinement._enter_namespace):
    try:
        function(folder)
    except OSError as error:
        print("refused:", function.__name__)
done = confinement.start_confined(folder, lambda path: subprocess.run(["touch", "made"], cwd=path))
print("status", done.returncode)
"""
    done = subprocess.run(
        ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.splitlines() == ["refused: _restrict_to", "refused: _enter_namespace", "status 0"]
    assert (inside / "made").exists()


def test_a_folder_that_is_moved_while_it_is_shut_off_is_still_the_one(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, out = folders
    real = confinement._set_read_only
    now = threading.Event()

    def move() -> None:
        now.wait(30)
        inside.rename(inside.with_name("moved"))
        out.rename(inside)

    # begun outside of the walls, as somebody else's
    mover = threading.Thread(target=move)
    mover.start()

    def moving(descriptor: int, path: bytes, flags: int, *, read_only: bool) -> None:
        real(descriptor, path, flags, read_only=read_only)
        now.set()
        mover.join()

    monkeypatch.setattr(confinement, "_set_read_only", moving)
    assert run("touch made", inside).returncode == 0
    assert [path.name for path in inside.with_name("moved").iterdir()] == ["made"]
    assert [path.name for path in inside.iterdir()] == ["file"]


def test_nothing_is_started_where_another_folder_is_found(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if it were moved between the look for its name and its opening."""
    inside, out = folders
    monkeypatch.setattr(os, "readlink", lambda _path: str(out))
    with pytest.raises(NotConfined, match="was moved by somebody"):
        run("touch made", inside)
    assert list(inside.iterdir()) == []


def test_the_numbers_of_the_calls_are_those_of_this_kernel() -> None:
    version = ctypes.CDLL(None).syscall(confinement._LANDLOCK_CREATE, None, 0, 1)
    assert version >= 1, "Landlock is not to be had on this machine: the tests of this file show nothing"
