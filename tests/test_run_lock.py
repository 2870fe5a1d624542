"""The lock on DiffDir: one run at a time, and none is locked out by a dead one."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from s3napback.errors import ChangeableByOthers, LockHeld, StateError, UnusableDiffDir
from s3napback.run_lock import cut_off, locked, require_own_diff_dir
from tests.hostile.mounts import served
from tests.site import Site

PROJECT = Path(__file__).parents[1]


def test_a_second_run_is_told_who_holds_the_lock(diff_dir: Path) -> None:
    with locked(diff_dir, "process 17, /etc/s3napback/ä.conf"):
        with pytest.raises(LockHeld, match=r"process 17, /etc/s3napback/ä\.conf") as caught, locked(diff_dir, "second"):
            pass
        assert str(diff_dir) in str(caught.value)
        with pytest.raises(LockHeld, match="process 17"), locked(diff_dir, "third"):
            pass
    with locked(diff_dir, "second"):
        pass


def test_whoever_only_looks_keeps_no_run_from_beginning(diff_dir: Path) -> None:
    with locked(diff_dir, "first"):
        pass
    with (diff_dir / "lock").open("rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        timer = threading.Timer(0.05, fcntl.flock, (looking, fcntl.LOCK_UN))
        timer.start()
        with locked(diff_dir, "second"):
            timer.join()


def test_the_lock_is_let_go_when_the_work_fails(diff_dir: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(diff_dir, "first"):
        raise ZeroDivisionError
    with locked(diff_dir, "second"):
        pass


def test_the_lock_of_a_killed_process_stops_nobody(diff_dir: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from s3napback.run_lock import locked\n"
        "with locked(Path(sys.argv[1]), 'doomed'): print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(diff_dir)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(LockHeld, match="doomed"), locked(diff_dir, "second"):
            pass
        process.send_signal(signal.SIGKILL)
    with locked(diff_dir, "second"), pytest.raises(LockHeld, match="second"), locked(diff_dir, "third"):
        pass


def test_status_knows_that_a_run_was_killed_until_the_next_one(site: Site) -> None:
    site.configure_cycle("")
    site.run()
    told = "the last run here did not end"
    assert cut_off(site.diff_dir) == cut_off(site.diff_dir / "none") == ""
    with locked(site.diff_dir, "process 17"):
        assert cut_off(site.diff_dir) == ""
        assert told not in site.run("status").stderr
    # As a killed one leaves it.
    (site.diff_dir / "lock").write_text("process 17, since then, site.conf\n")
    for options in ((), ("--check",)):
        assert (
            f"{told}: it was killed, or the machine went down (process 17, "
            in site.run("status", *options, expect=None).stderr
        )
    site.run("-f")
    assert told not in site.run("status").stderr


def test_children_do_not_inherit_the_lock(diff_dir: Path) -> None:
    with locked(diff_dir, "first"):
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        with locked(diff_dir, "second"):
            pass
    finally:
        child.kill()
        child.wait()


def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path: Path, diff_dir: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (diff_dir / "lock").symlink_to(victim)
    with pytest.raises(ChangeableByOthers, match="lock"), locked(diff_dir, "me"):
        pass
    assert victim.read_text() == "precious"


def test_a_diff_dir_that_cannot_be_written_to_is_refused_before_and_by_a_run() -> None:
    root = os.geteuid()
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        diff_dir = Path(folder)
        diff_dir.chmod(0o555)
        os.seteuid(root or 65_534)
        try:
            with pytest.raises(UnusableDiffDir, match="cannot be written to; set DiffDir to a folder that can"):
                require_own_diff_dir(diff_dir)
            with pytest.raises(UnusableDiffDir, match="cannot open the lock"), locked(diff_dir, "me"):
                pass
        finally:
            os.seteuid(root)
    assert UnusableDiffDir.exit_code == 2


def test_the_lock_of_a_missing_diff_dir_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="No such file"), locked(tmp_path / "missing", "me"):
        pass


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("bindfs"), reason="only root mounts it here")
def test_a_mount_that_dies_under_the_lock_is_no_failure_of_its_own(tmp_path: Path) -> None:
    """What failed for that has been told; closing the lock was called a bug."""
    below, place = tmp_path / "below", tmp_path / "place"
    below.mkdir()
    place.mkdir()
    with served(below, place) as server, locked(place, "me"):
        server.kill()
        server.wait()
