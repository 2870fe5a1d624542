"""The rehearsal of changing over, with the listing of a small old bucket."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from tests.manual import CHECKOUT
from tests.original.vectors import Bucket

SCRIPT = CHECKOUT / "examples/rehearse-changing-over.py"


def rehearsed(folder: Path, bucket: Bucket, configuration: str, *options: str) -> list[str]:
    path, listing = folder / "old.conf", folder / "listing.json"
    path.write_text(f"Bucket my-backups\n{configuration}")
    contents = [
        {"Key": found.key, "Size": found.size, "LastModified": found.modified.isoformat()} for found in bucket.listing()
    ]
    listing.write_text(json.dumps({"Contents": contents}))
    command = [sys.executable, str(SCRIPT), str(path), str(listing), "--from", "2026-01-01", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_it_tells_what_can_be_restored_and_when_the_old_ones_may_go(tmp_path: Path) -> None:
    bucket = Bucket(step=timedelta(days=1))
    for base in ("/etc-1-DIFF", "/etc-2-FULL", "/etc-3-DIFF", "MySQL/wiki-0", "/gone-0-FULL"):
        bucket.put(base, b"x" * 9000)
    blocks = "<Directory /etc>\nFulls 2\nDiffs 1\n</Directory>\n<MySQL wiki>\nFulls 2\n</MySQL>\n"
    lines = rehearsed(tmp_path, bucket, blocks)
    assert sorted(lines[:3]) == [
        "/etc: 3 old archives; restorable for as long as they are not deleted: 2009-03-03, 2009-03-04",
        "/gone: 1 old archives; restorable for as long as they are not deleted: 2009-03-06",
        "MySQL/wiki: 1 old archives; restorable for as long as they are not deleted: 2009-03-05",
    ]
    assert lines[3:] == [
        "2026-01-02: ours have caught up with MySQL/wiki: its old archives may go",
        "2026-01-04: ours have caught up with /etc: its old archives may go",
        "2026-01-04: the old archives of /gone have to stay: no block backs it up; --unowned takes it as well",
    ]


def test_it_gives_up_after_some_nights(tmp_path: Path) -> None:
    bucket = Bucket(step=timedelta(days=1))
    bucket.put("/etc-0-FULL", b"x")
    lines = rehearsed(tmp_path, bucket, "<Directory /etc>\nCycleType HanoiCycle\n</Directory>\n", "--days", "2")
    assert lines[-1] == "2026-01-02: the old archives of /etc have to stay: " + lines[-1].partition("stay: ")[2]
    assert "has not been filled yet" in lines[-1]


@pytest.mark.parametrize(
    ("configuration", "listing", "said"),
    [
        ("Bucket my-backups\nDirectori /etc\n", "{}", "old.conf:2: unknown directive Directori"),
        ("Bucket my-backups\nDirectory /etc\n", "2009-03-01 04:00 /etc-0-FULL", "listing.json is not what aws s3api"),
        ("Bucket my-backups\nDirectory /etc\n", None, "listing.json cannot be read: No such file or directory"),
        ("Bucket my-backups\nDirectory /etc\n", "", "No block of the configuration backs any of this up."),
    ],
)
def test_what_it_cannot_use_is_named(tmp_path: Path, configuration: str, listing: str | None, said: str) -> None:
    path, listed = tmp_path / "old.conf", tmp_path / "listing.json"
    path.write_text(configuration)
    if listing is not None:
        listed.write_text(listing)
    command = [sys.executable, str(SCRIPT), str(path), str(listed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
