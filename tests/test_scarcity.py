"""Limits of the machine: what a process may have no more of is told as that, and is no bug."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from s3napback.errors import LockHeld
from s3napback.scarcity import foreseen, scarcity
from tests.drilling.scratches import disk
from tests.recovery.ordinary import give, open_folder
from tests.site import Site

_USER = 54_399
_READS_ALL = "-all,+dac_override,+dac_read_search"


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (MemoryError(), "memory"),
        (OSError(errno.ENOMEM, "no"), "memory"),
        (OSError(errno.EMFILE, "no", "/etc/passwd"), "open files"),
        (OSError(errno.ENFILE, "no"), "open files"),
        (BlockingIOError(errno.EAGAIN, "no"), "processes"),
        (RuntimeError("can't start new thread"), "threads"),
    ],
)
def test_what_is_scarce_is_named(error: Exception, what: str) -> None:
    assert str(scarcity(error)).startswith(f"no more {what} can be had: look at the limits")
    assert foreseen(error) is not None


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO])
def test_a_disk_that_takes_nothing_is_named(number: int) -> None:
    told = str(scarcity(OSError(number, os.strerror(number), "/var/lib/s3napback/x")))
    assert told.startswith(f"/var/lib/s3napback/x cannot be written or read: {os.strerror(number)}; look at its disk")
    assert str(scarcity(OSError(number, os.strerror(number)))).startswith("a file cannot be written or read")


@pytest.mark.parametrize(
    "error", [RuntimeError("dictionary changed size"), OSError(errno.ENOENT, "no"), OSError("no"), KeyError("memory")]
)
def test_other_failures_are_what_they_are(error: Exception) -> None:
    assert scarcity(error) is None
    assert foreseen(error) is None
    assert foreseen(held := LockHeld("held")) is held


@pytest.fixture
def site() -> Iterator[Site]:
    with open_folder() as folder:
        yield Site(folder / "site")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user whom nobody else is")
@pytest.mark.parametrize("most", [2, 3, 4, 5, 6, 7, 20])
def test_a_night_with_few_processes_and_threads_says_why_it_fails(site: Site, most: int) -> None:
    """The limit counts a user's threads; for who has all of root's powers it does not hold."""
    (site.source / "file").write_text("content")
    cycle = f"<Cycle nightly>\nDiffs 2\nDirectory {site.source}\n</Cycle>"
    site.configure(f"{cycle}\n<Command words>\nRun echo a\n</Command>")
    give(site.root, _USER)
    as_user = ["setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups", "--no-new-privs"]
    as_user += [f"--inh-caps={_READS_ALL}", f"--ambient-caps={_READS_ALL}"]
    done = subprocess.run(
        ["prlimit", f"--nproc={most}", *as_user, *site.command()],
        env=site.full_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "a bug" not in done.stderr
    assert "Traceback" not in done.stderr
    if done.returncode:
        assert done.returncode == 1
        assert "can be had: look at the limits of whoever starts s3napback" in done.stderr
    assert (done.returncode == 0) == ("2 done" in done.stderr)
    assert done.returncode == (most < 4) or 4 <= most < 20


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a file system")
def test_without_the_device_that_every_program_needs_it_is_said_how_to_make_it(site: Site) -> None:
    site.configure_cycle("Diffs 2")
    nobodys = site.root / "null"
    nobodys.touch(0o600)
    give(site.root, _USER)
    os.chown(nobodys, 0, 0)
    as_user = ["setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups", "--no-new-privs", *site.command()]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /dev/null && exec "$@"', str(nobodys), *as_user],
        env=site.full_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 70
    assert "/dev/null cannot be opened, which every program needs: Permission denied; make it anew" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a file system")
@pytest.mark.parametrize("left", [0, 1])
def test_a_night_without_room_for_a_file_more_is_a_failure_and_no_bug(site: Site, left: int) -> None:
    (site.source / "file").write_text("content")
    site.configure_cycle("Diffs 2")
    with disk(site.diff_dir, "nr_inodes=60,mode=700"):
        site.run(day=0)
        taken = site.diff_dir / "taken"
        taken.mkdir()
        for number in range(os.statvfs(site.diff_dir).f_favail - left):
            (taken / str(number)).touch()
        done = site.run(day=1, expect=1)
        assert "a bug" not in done.stderr
        assert "FAILED: " in done.stderr
        assert "No space left on device" in done.stderr
        shutil.rmtree(taken)
        site.run(day=2)
    assert len(site.archive_keys()) == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a file system")
@pytest.mark.parametrize("most", [2, 3, 4, 5])
def test_a_restore_without_room_for_its_folders_names_the_place(site: Site, most: int) -> None:
    (site.source / "file").write_text("content")
    site.configure_cycle("Diffs 2")
    site.run()
    place = site.root / "small"
    place.mkdir()
    with disk(place, f"nr_inodes={most}"):
        done = site.run("restore", str(site.source), "--to", str(place / "r"), expect=1, day=None)
    assert f"nothing can be written to {place}/r: No space left on device" in done.stderr
