"""tar aborts, or would compute for ever, over a tree that it could archive: the night goes on all the same."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from s3napback.sources.snapshot import begin_snapshot
from tests.site import Site
from tests.sources.test_tar_renames import mounted
from tests.sources.trees import assert_same_tree


def tar_aborts(site: Site, scratch: Path) -> bool:
    """Whether the real tar does so over the source, with the snapshot as the next DIFF would give it to tar."""
    (kept,) = site.diff_dir.rglob("*.snapshot")
    snapshot = scratch / "snapshot"
    snapshot.unlink(missing_ok=True)
    begin_snapshot(snapshot, kept, margin=0)
    command = ["tar", "-cf", "-", f"--listed-incremental={snapshot}", "--no-check-device", "-C/", str(site.source)[1:]]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    assert done.returncode in (0, -signal.SIGABRT)
    return done.returncode != 0


def tar_computes_for_ever(source: Path, snapshot: Path) -> bool:
    command = ["tar", "-cf", "-", f"--listed-incremental={snapshot}", "-C/", str(source)[1:]]
    try:
        subprocess.run(command, stdout=subprocess.DEVNULL, timeout=10, check=True)
    except subprocess.TimeoutExpired:
        return True
    return False


def fill(source: Path) -> None:
    for name in ("0/below", "zzz/place", *map(str, range(1, 9))):
        (source / name).mkdir(parents=True)
    (source / "0/below/old").write_text("old")


def replace_folder(folder: Path) -> None:
    """By another one, which is there before the first is gone, so that it has another inode number."""
    (folder.with_name("new") / "below").mkdir(parents=True)
    (folder.with_name("new") / "below/file").write_text("new")
    shutil.rmtree(folder)
    folder.with_name("new").rename(folder)


@contextmanager
def made_to_abort(site: Site, scratch: Path) -> Iterator[None]:
    """While the context lasts, a replaced folder is there twice, and tar aborts; it hangs upon inode numbers."""
    for _ in range(30):
        replace_folder(site.source / "0")
        with mounted(site.source / "0", site.source / "zzz/place"):
            for number in range(40):
                if tar_aborts(site, scratch):
                    yield
                    return
                (site.source / f"1/{number}").mkdir()
        shutil.rmtree(site.source / "1")
        (site.source / "1").mkdir()
    pytest.fail("tar aborts over none of these trees")


def test_a_folder_that_was_replaced_and_is_mounted_twice_costs_no_night(site: Site, tmp_path: Path) -> None:
    site.configure_cycle("Diffs 6")
    fill(site.source)
    site.run(day=0)
    with made_to_abort(site, tmp_path):
        said = site.run(day=1).stderr
        assert f"Directory {site.source}: tar was killed by SIGABRT; it is tried again in another way" in said
        assert [slot.partition("-")[2] for slot in site.slots()] == ["FULL", "DIFF"]
        site.run("--strict", day=2)
        site.run("restore", str(site.source), "--to", str(tmp_path / "out"), day=None)
        assert_same_tree(site.source, tmp_path / "out" / str(site.source)[1:])
        assert_same_tree(site.source, site.recover(site.archive_keys(), tmp_path / "by hand"))
    assert "nowhere" not in str([path.read_bytes() for path in site.diff_dir.rglob("*") if path.is_file()])


def test_a_tar_that_always_crashes_is_tried_three_times_and_fails_the_night(site: Site, tmp_path: Path) -> None:
    site.configure_cycle("Diffs 6")
    (site.source / "file").write_text("content")
    crashing = tmp_path / "bin/tar"
    crashing.parent.mkdir()
    tried = tmp_path / "tried"
    crashing.write_text(
        f'#!/bin/sh\ncase $1 in --version) exec {shutil.which("tar")} "$@" ;; esac\necho >>{tried}\nkill -SEGV $$\n'
    )
    crashing.chmod(0o755)
    environment = {"PATH": f"{crashing.parent}:{os.environ['PATH']}"}
    said = site.run(day=0, environment=environment, expect=1).stderr
    assert said.count("tar was killed by SIGSEGV; it is tried again in another way") == 2
    assert f"Directory {site.source} FAILED: tar was killed by SIGSEGV" in said
    assert tried.read_text() == "\n" * 3
    assert site.archive_keys() == []
    site.run(day=1)
    assert len(site.slots()) == 1


def test_folders_that_changed_places_and_are_mounted_twice_hold_nothing_up(site: Site, tmp_path: Path) -> None:
    """tar follows each rename of its list to where that began, and here they run in a circle that it never leaves."""
    site.configure_cycle("Diffs 6")
    for name in "abcdefg":
        (site.source / name).mkdir()
        (site.source / name / name).write_text(name)
    snapshot = tmp_path / "snapshot"
    assert not tar_computes_for_ever(site.source, snapshot)
    site.run(day=0)
    for one, other in ("fb", "ce", "cf"):
        (site.source / one).rename(site.source / "aside")
        (site.source / other).rename(site.source / one)
        (site.source / "aside").rename(site.source / other)
    with ExitStack() as stack:
        for place in "ed":
            stack.enter_context(mounted(site.source / "b", site.source / place))
        assert tar_computes_for_ever(site.source, snapshot)
        # tar 1.35 meets the folder at a further place each night, and what it may have passed over is told.
        for day in (1, 2):
            site.run(day=day)
        site.run("--strict", day=3)
        site.run("restore", str(site.source), "--to", str(tmp_path / "out"), day=None)
        assert_same_tree(site.source, tmp_path / "out" / str(site.source)[1:])
        assert_same_tree(site.source, site.recover(site.archive_keys(), tmp_path / "by hand"))
