"""What comes only because a hard link of a PATH leads to it is gone when a later archive has something else there."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from s3napback.recovery import picking
from s3napback.recovery.opening import indexed
from s3napback.recovery.refusals import Incomplete
from s3napback.sources import directory
from tests.recovery.helpers import restore_here
from tests.recovery.test_picking import back_up
from tests.recovery.test_refusing_targets import mounted, told
from tests.site import Site
from tests.sources.trees import describe_tree


def file_at(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(str(path))
    return path


def link_at(path: Path) -> Path:
    path.symlink_to("../wanted")
    return path


@pytest.mark.parametrize("reading", ["in parts", "whole"])
@pytest.mark.parametrize(
    ("before", "after"),
    [(file_at, "place/inner"), (link_at, "place/inner"), (lambda path: file_at(path / "inner/deep"), "place")],
    ids=["a file and a folder", "a link and a folder", "folders and a file"],
)
def test_a_link_leads_to_what_takes_the_place_of_what_one_led_to_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reading: str, before: Callable[[Path], Path], after: str
) -> None:
    monkeypatch.setattr(directory, "margin", lambda: 0)
    if reading == "in parts":
        monkeypatch.setattr(indexed, "LEAST_SIZE", 1)
        monkeypatch.setattr(picking, "_WORTH_WHILE", 1000)
    site = Site(tmp_path / "site")
    aside, wanted = site.source / "aside", site.source / "wanted"
    aside.mkdir()
    file_at(wanted / "inner")
    os.link(before(aside / "place"), wanted / "first", follow_symlinks=False)
    site.configure_cycle("Diffs 5\nCompression none")
    # tar's clock and the file system's are not one.
    time.sleep(0.03)
    back_up(site, 0)
    shutil.rmtree(aside)
    (wanted / "second").hardlink_to(file_at(aside / after))
    back_up(site, 1)
    restore_here(site, str(site.source), tmp_path / "out", paths=("wanted",))
    restored = tmp_path / "out" / site.name()
    assert describe_tree(restored / "wanted") == describe_tree(wanted)
    assert [*restored.iterdir()] == [restored / "wanted"]
    assert restored.stat().st_mtime_ns == site.source.stat().st_mtime_ns


def test_what_the_target_does_not_take_of_a_file_is_told_by_the_name_that_was_asked_for(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    (site.source / "wanted").mkdir()
    first = file_at(site.source / "first")
    os.setxattr(first, "user.note", b"x")
    (site.source / "wanted/second").hardlink_to(first)
    site.configure_cycle("Diffs 5")
    back_up(site, 0)
    with mounted(tmp_path / "bare", "mount", "-t", "ramfs", "none") as bare:
        with pytest.raises(Incomplete) as refusal:
            restore_here(site, str(site.source), bare / "out", paths=("wanted",))
        assert [line for line in told(refusal) if str(bare / "out") in line][1:] == [
            f"  {bare / 'out' / site.name() / 'wanted/second'}"
        ]
