"""Disks that do not give back what is on them: what they keep is never taken for what was there."""

from __future__ import annotations

import random
import subprocess
import time

import pytest

from tests.hostile.mounts import failing_disk, half_failing_disk
from tests.site import Site
from tests.sources.trees import assert_same_tree


def test_a_breaking_disk_costs_the_files_that_it_does_not_give_and_they_are_taken_again(site: Site) -> None:
    site.configure_cycle("Diffs 6\nUnreadable warn")
    place = site.source / "disk"
    place.mkdir()
    (site.source / "other").write_text("other")
    content = random.Random(3).randbytes(100_000)
    with failing_disk(place, site.root / "image", {"one": content, "two": content}):
        log = site.run("--strict", day=0, expect=3).stderr
    for name in ("one", "two"):
        assert f"{place}/{name} is not whole in this archive, zeros stand for what could not be read: Input" in log
    for name in ("one", "two"):
        (place / name).write_bytes(content)
    (warning,) = [line for line in site.run(day=1).stderr.splitlines() if "WARNING" in line]
    assert "was a mounted file system (ext4) when it was backed up last, and is none now" in warning
    assert [key[-4:] for key in site.archive_keys()] == ["FULL", "DIFF"]
    assert_same_tree(site.source, site.recover(site.archive_keys(), site.root / "out"))


@pytest.mark.parametrize("option", ["", "TarOptions --warning=no-file-shrank", "TarOptions --ignore-failed-read"])
def test_a_disk_that_breaks_within_a_file_has_not_made_it_shorter(site: Site, option: str) -> None:
    """tar says that it shrank, and ends with 1: that it had changed."""
    place = site.source / "disk"
    place.mkdir()
    site.configure_cycle(f"Diffs 6\n{option}")
    ignores = "ignore" in option
    content = random.Random(3).randbytes(4 << 20)
    with half_failing_disk(place, site.root / "image", "file", content):
        time.sleep(2.1)  # what was changed so shortly before may have been changed since
        own = subprocess.run(["tar", "-cf", "-", "."], cwd=place, capture_output=True, check=False)
        assert b"file: File shrank by" in own.stderr
        assert own.returncode == 1
        refused = site.run(day=0, expect=0 if ignores else 1).stderr
        why = f"Unreadable is “fail”; with “warn” there, all the rest is backed up. The first is {place}/file: Input"
        assert (why in refused) != ignores
        site.configure_cycle(f"Diffs 6\n{option}\nUnreadable warn")
        for day in (1, 2):
            log = site.run("--strict", day=day, expect=3).stderr
            assert f"{place}/file is not whole in this archive, zeros stand for what could not be read: Input" in log
        (place / "file").unlink()
    assert site.run("verify", day=None).stdout.count("; 1 path could not be read that night\n") == len(
        site.archive_keys()
    )
    whole = site.run("restore", str(site.source), "--to", str(site.root / "whole"), day=None)
    assert f"{place}/file could not be read when" in whole.stderr
    assert "ends in zeros, or is missing; another day may have it whole" in whole.stderr
