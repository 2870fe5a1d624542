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

from tests.sources.trees import assert_same_tree

ROOT = Path("/tmp/s3napback-before")  # its metadata and its state name the source and the store by their paths
FIXTURE = Path(__file__).with_name("fixtures") / "first_version.tar.gz"


@pytest.fixture
def machine() -> Iterator[Path]:
    """The machine as the first version left it."""
    assert not ROOT.exists(), f"{ROOT} is in the way"
    try:
        subprocess.run(["tar", "-C", ROOT.parent, "-xzpf", FIXTURE, "--no-same-owner"], check=True, timeout=60)
        ROOT.chmod(0o755)
        yield ROOT
    finally:
        subprocess.run(["rm", "-rf", ROOT], check=True, timeout=60)


def run(*arguments: str) -> str:
    command = [sys.executable, "-m", "s3napback", "-c", str(ROOT / "before.conf"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def restored(tmp_path: Path, *options: str) -> Path:
    run("restore", str(ROOT / "source"), "--to", str(tmp_path / "out"), *options)
    return tmp_path / "out" / str(ROOT / "source").lstrip("/")


def test_the_fixture_holds_a_chain() -> None:
    with tarfile.open(FIXTURE) as archive:
        names = archive.getnames()
    assert any(name.endswith("/source-0-FULL") for name in names)
    assert any(name.endswith("/source-1-DIFF") for name in names)
    assert any(name.endswith("/state.json") for name in names)


def test_its_archives_are_listed_verified_and_restored(machine: Path, tmp_path: Path) -> None:
    listed = run("list")
    assert "2026-01-01" in listed
    assert "2026-01-02" in listed
    assert run("verify", "--all").count(": good") == 2
    assert run("verify", "--keyless", "--all").count(": good") == 2
    first = restored(tmp_path / "1", "--at", "2026-01-01")
    assert sorted(path.name for path in first.iterdir()) == ["file", "gone", "link", "other", "sub"]
    assert (first / "file").read_text() == "first\n"
    second = restored(tmp_path / "2")
    assert sorted(path.name for path in second.iterdir()) == ["file", "link", "new", "other", "sub"]
    assert (second / "file").read_text() == "second\n"


def test_the_next_night_builds_on_its_chain(machine: Path, tmp_path: Path) -> None:
    """An upgrade makes a FULL of nothing."""
    (machine / "source/third").write_text("third\n")
    said = run("--today", "2026-01-03")
    assert "source-2-DIFF" in said
    assert "FULL" not in said
    assert_same_tree(machine / "source", restored(tmp_path))
    assert not list(machine.rglob("*.index"))


def test_its_chain_gets_an_index_with_the_next_full(machine: Path, tmp_path: Path) -> None:
    run("--today", "2026-01-03")
    run("--today", "2026-01-04", "--full")
    (machine / "source/third").write_text("third\n")
    assert "source-4-DIFF" in run("--today", "2026-01-05")
    kept = sorted(path.name for path in machine.rglob("*.index") if path.is_file())
    assert kept[2:] == ["source-3-FULL.index", "source-4-DIFF.index"]
    assert len(kept) == 4
    assert_same_tree(machine / "source", restored(tmp_path))
