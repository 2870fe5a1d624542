"""What changes its kind while tar reads, seen with real tar, which is stopped in the middle of its reading for that."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.site import Site

LARGE = 1 << 20
"""Bytes, of a file that comes before what changes: when the first are written, tar has looked at all folders."""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "site")


def interrupting(site: Site, script: str) -> dict[str, str]:
    """An environment in which tar has a script executed when it has read all folders and no file yet."""
    programs = site.root / "programs"
    programs.mkdir(exist_ok=True)
    change, tar = programs / "change", programs / "tar"
    change.write_text(f"#!/bin/sh\ntest $TAR_CHECKPOINT -eq 3 || exit 0\ncd {site.source} || exit 1\n{script}\n")
    tar.write_text(
        f'#!/bin/sh\ncase "$*" in *--create*) set -- --checkpoint=3 --checkpoint-action=exec={change} "$@" ;; esac\n'
        f'exec {shutil.which("tar")} "$@"\n'
    )
    for program in (change, tar):
        program.chmod(0o755)
    return {"PATH": f"{programs}:{os.environ['PATH']}"}


def tree_of(folder: Path) -> dict[str, str | None]:
    found = sorted(folder.rglob("*"))
    return {str(path.relative_to(folder)): None if path.is_dir() else path.read_text() for path in found}


@pytest.mark.parametrize("settings", ["", 'TarOptions "--owner=1"'], ids=["", "owners not compared"])
@pytest.mark.parametrize("day", [0, 1], ids=["FULL", "DIFF"])
def test_a_file_that_becomes_a_folder_costs_the_night_just_that(site: Site, day: int, settings: str) -> None:
    """Everything is root's: of such trees the members were not looked at any more, and the next DIFFs got lost."""
    (site.source / "before").write_text("x" * LARGE)
    (site.source / "changes").write_text("file")
    (site.source / "other").write_text("first")
    site.configure_cycle(f"Diffs 3\n{settings}")
    if day:
        site.run()
        (site.source / "before").write_text("y" * LARGE)
        (site.source / "other").write_text("second")
        (site.source / "changes").write_text("another")
    done = site.run(day=day, environment=interrupting(site, "rm changes; mkdir changes; echo in >changes/in"))
    assert f"{site.source}/changes was kept out of this archive: it was exchanged" in done.stderr
    restored = site.root / f"out{site.source}"
    done = site.run("restore", str(site.source), "--to", str(site.root / "out"), day=day)
    assert "could not be read" in done.stderr
    found = tree_of(restored)
    # It is as it was before, or is gone, if it was a folder already when its name in the list passed.
    assert found.pop("changes", "file") == "file"
    assert found == {"before": ("y" if day else "x") * LARGE, "other": "second" if day else "first"}
    site.run(day=day + 1)
    shutil.rmtree(site.root / "out")
    site.run("restore", str(site.source), "--to", str(site.root / "out"), day=day + 1)
    assert tree_of(restored) == tree_of(site.source)


def test_another_name_of_a_file_that_was_kept_out_is_kept_out_too(site: Site) -> None:
    """A hard link to what is not in the archive would end its restore."""
    for number in range(300):
        (site.source / f"before-{number:03}" / f"{'x' * 200}").mkdir(parents=True)
    (site.source / "changes" / "in").mkdir(parents=True)
    (site.source / "later").write_text("file")
    site.configure_cycle("Diffs 3\n")
    done = site.run(environment=interrupting(site, "rm -r changes; mv later changes; ln changes later"))
    for name in ("changes", "later"):
        assert f"{site.source}/{name} was kept out of this archive" in done.stderr
    restored = site.root / f"out{site.source}"
    site.run("restore", str(site.source), "--to", str(site.root / "out"))
    assert not (restored / "later").exists()
    site.run(day=1)
    shutil.rmtree(site.root / "out")
    site.run("restore", str(site.source), "--to", str(site.root / "out"), day=1)
    assert (restored / "changes").samefile(restored / "later")
