"""What the first version left behind, in a store and in DiffDir, is gone on with: no format has changed.

``fixtures/first_version.tar.gz`` was made by it, on two nights of 2026: its folder store, its DiffDir, and its source.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.nightly.moved import FIXTURE, first_machine
from tests.sources.trees import assert_same_tree


@pytest.fixture
def machine() -> Iterator[Path]:
    """The machine as the first version left it."""
    with first_machine() as root:
        yield root


def run(machine: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "s3napback", "-c", str(machine / "before.conf"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def restored(machine: Path, tmp_path: Path, *options: str) -> Path:
    run(machine, "restore", str(machine / "source"), "--to", str(tmp_path / "out"), *options)
    return tmp_path / "out" / str(machine / "source").lstrip("/")


def test_the_fixture_holds_a_chain() -> None:
    with tarfile.open(FIXTURE) as archive:
        names = archive.getnames()
    assert any(name.endswith("/source-0-FULL") for name in names)
    assert any(name.endswith("/source-1-DIFF") for name in names)
    assert any(name.endswith("/state.json") for name in names)


def test_its_archives_are_listed_verified_and_restored(machine: Path, tmp_path: Path) -> None:
    listed = run(machine, "list")
    assert "2026-01-01" in listed
    assert "2026-01-02" in listed
    assert run(machine, "verify", "--all").count(": good") == 2
    assert run(machine, "verify", "--keyless", "--all").count(": good") == 2
    first = restored(machine, tmp_path / "1", "--at", "2026-01-01")
    assert sorted(path.name for path in first.iterdir()) == ["file", "gone", "link", "other", "sub"]
    assert (first / "file").read_text() == "first\n"
    second = restored(machine, tmp_path / "2")
    assert sorted(path.name for path in second.iterdir()) == ["file", "link", "new", "other", "sub"]
    assert (second / "file").read_text() == "second\n"


def test_the_next_night_builds_on_its_chain(machine: Path, tmp_path: Path) -> None:
    """An upgrade makes a FULL of nothing."""
    (machine / "source/third").write_text("third\n")
    said = run(machine, "--today", "2026-01-03")
    assert "source-2-DIFF" in said
    assert "FULL" not in said
    assert_same_tree(machine / "source", restored(machine, tmp_path))
    assert not list(machine.rglob("*.index"))


def test_its_chain_gets_an_index_with_the_next_full(machine: Path, tmp_path: Path) -> None:
    run(machine, "--today", "2026-01-03")
    run(machine, "--today", "2026-01-04", "--full")
    (machine / "source/third").write_text("third\n")
    assert "source-4-DIFF" in run(machine, "--today", "2026-01-05")
    kept = sorted(path.name for path in machine.rglob("*.index") if path.is_file())
    assert kept[2:] == ["source-3-FULL.index", "source-4-DIFF.index"]
    assert len(kept) == 4
    assert_same_tree(machine / "source", restored(machine, tmp_path))
