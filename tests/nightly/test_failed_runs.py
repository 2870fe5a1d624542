"""A run that fails or is killed in any stage leaves the old archive and DiffDir alone, and the next makes up for it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faulty_s3 import Fault, FaultyS3, answer
from tests.gpg_keys import Key
from tests.servers import S3Server
from tests.site import Site
from tests.waiting import becomes, is_running

pytestmark = pytest.mark.long(30)

CYCLE = "Diffs 3\nFulls 1"
"""Four slots, and the day number of night 2 is a multiple of 4: nights 2 to 5 fill slots 0 to 3.

The FULL of night 6 goes into the slot of the FULL of night 2, so a careless run would destroy it.
"""
FOUR_NIGHTS = range(2, 6)
NEXT_NIGHT = 6
SPARE_VERSION = 'case "$1" in --version) exec REAL "$@";; esac\n'
PROBE_FIRST = 'case "$*" in *--encrypt) [ -e BEGUN ] && { FAULT; }; : > BEGUN;; esac; exec REAL "$@"'
"""gpg encrypts a probe before anything starts, and that must succeed for the fault to befall the archive."""

FAULTS = {
    "tar fails at once": ("tar", 'echo "tar: disk on fire" >&2; exit 2', "disk on fire"),
    "tar fails half-way": ("tar", "head -c 5000 /dev/urandom; exit 2", "tar"),
    "tar fails after its last byte": ("tar", 'REAL "$@"; exit 2', "tar"),
    "tar is killed": ("tar", "head -c 5000 /dev/urandom; kill -9 $$", "SIGKILL"),
    "tar writes nothing": ("tar", "exit 0", "tar"),
    "gpg fails at once": ("gpg", "exit 2", "gpg"),
    "gpg fails after its last byte": ("gpg", 'REAL "$@"; exit 2', "gpg"),
    "gpg stops reading": ("gpg", "head -c 100; exit 0", "gpg"),
}


def four_nights(site: Site, key: Key) -> None:
    """Fill every slot: a FULL and three DIFFs."""
    site.configure_cycle(CYCLE, general=f"{key.directives}\nChunkSize 5242880")
    (site.source / "big").write_bytes(os.urandom(6_000_000))
    for night in FOUR_NIGHTS:
        (site.source / f"night-{night}").write_text(str(night))
        site.run(day=night)


def assert_made_up(site: Site, key: Key, folder: Path) -> None:
    """The next run succeeds, and what it made is the source as it is."""
    site.run(day=NEXT_NIGHT)
    assert site.slots() == ["0-FULL", "1-DIFF", "2-DIFF", "3-DIFF"]
    recovered = site.recover([f"{site.name()}-0-FULL"], folder, decrypt=key.decrypt)
    difference = subprocess.run(["diff", "-r", recovered, site.source], capture_output=True, text=True, check=False)
    assert difference.returncode == 0, difference.stdout


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failing_stage_changes_nothing_and_is_named(fault: str, site: Site, key: Key, tmp_path: Path) -> None:
    program, script, words = FAULTS[fault]
    four_nights(site, key)
    objects, state = site.contents(), site.diff_dir_contents()
    if program == "tar":
        fake = site.fake_program("tar", SPARE_VERSION + script)
    else:
        fake = site.fake_program("gpg", PROBE_FIRST.replace("FAULT", script).replace("BEGUN", str(tmp_path / "begun")))

    failed = site.run(day=NEXT_NIGHT, expect=1)

    assert words in failed.stderr
    assert str(site.source) in failed.stderr
    assert site.contents() == objects
    assert site.diff_dir_contents() == state
    fake.unlink()
    assert_made_up(site, key, tmp_path / "recovered")


def test_a_failed_diff_is_made_up_without_losing_a_change(site: Site, key: Key, tmp_path: Path) -> None:
    """In the original the snapshot had moved on already, and the changes of the failed night were in no archive."""
    site.configure_cycle("Diffs 6", general=key.directives)
    (site.source / "first").write_text("1")
    site.run(day=0)
    (site.source / "second").write_text("2")
    fake = site.fake_program("tar", SPARE_VERSION + 'REAL "$@"; exit 2')
    site.run(day=1, expect=1)
    fake.unlink()
    (site.source / "third").write_text("3")
    site.run(day=2)
    full, diff = site.archive_keys()
    assert diff.endswith("DIFF")
    recovered = site.recover([full, diff], tmp_path / "recovered", decrypt=key.decrypt)
    assert {path.name for path in recovered.iterdir()} == {"first", "second", "third"}


@pytest.mark.parametrize("operation", ["UploadPart", "CompleteMultipartUpload", "PutObject"])
def test_a_failed_upload_leaves_the_old_object(
    operation: str, tmp_path: Path, rclone: S3Server, key: Key, faulty: Callable[[S3Server], FaultyS3]
) -> None:
    proxy = faulty(rclone)
    site = Site(tmp_path / "site", proxy.server)
    four_nights(site, key)
    if operation == "PutObject":
        (site.source / "big").unlink()
    objects, state = site.contents(), site.diff_dir_contents()
    proxy.add(Fault(operation=operation, action=answer(403, "AccessDenied")))

    failed = site.run(day=NEXT_NIGHT, expect=1)

    assert f"{site.name()}-0-FULL" in failed.stderr
    assert "403" in failed.stderr
    proxy.clear()
    assert site.contents() == objects
    assert site.diff_dir_contents() == state
    assert rclone.unfinished_uploads(site.bucket) == []
    assert_made_up(site, key, tmp_path / "recovered")


def test_a_full_disk_in_temp_dir_fails_the_source_and_leaves_nothing(site: Site, key: Key, tmp_path: Path) -> None:
    four_nights(site, key)
    objects, state = site.contents(), site.diff_dir_contents()
    site.configure_cycle(f"{CYCLE}\nUseTempFile on", general=f"{key.directives}\nChunkSize 5242880")
    limited = ["prlimit", "--fsize=1000000", *site.command(day=NEXT_NIGHT)]
    done = subprocess.run(limited, capture_output=True, text=True, env=site.full_environment(), check=False)
    assert done.returncode == 1
    assert str(site.temp_dir) in done.stderr
    assert (site.contents(), site.diff_dir_contents()) == (objects, state)
    assert list(site.temp_dir.iterdir()) == []
    assert_made_up(site, key, tmp_path / "recovered")


SLOW_TAR = SPARE_VERSION + "head -c 6000000 /dev/urandom; echo $$ > READY.new; mv READY.new READY; exec sleep 60"


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda each: each.name)
def test_a_signal_in_the_middle_leaves_everything_alone(
    signal_number: signal.Signals, any_site: Site, key: Key, tmp_path: Path
) -> None:
    site = any_site
    four_nights(site, key)
    objects, state = site.contents(), site.diff_dir_contents()
    ready = tmp_path / "ready"
    fake = site.fake_program("tar", SLOW_TAR.replace("READY", str(ready)))
    process = subprocess.Popen(
        site.command(day=NEXT_NIGHT),
        env=site.full_environment(),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert becomes(ready.exists, 30)
    tar = int(ready.read_text())
    time.sleep(0.3)
    process.send_signal(signal_number)
    _, messages = process.communicate(timeout=30)

    if signal_number == signal.SIGKILL:
        os.kill(tar, signal.SIGKILL)
    else:
        assert process.returncode == 128 + signal_number
        assert signal_number.name in messages
        assert site.diff_dir_contents() == state
        assert not is_running(tar)
        if site.server is not None:
            assert site.server.unfinished_uploads(site.bucket) == []
    assert site.contents() == objects
    assert list(site.temp_dir.iterdir()) == []
    fake.unlink()
    assert_made_up(site, key, tmp_path / "recovered")
    if site.server is not None:
        assert site.server.unfinished_uploads(site.bucket) == []
