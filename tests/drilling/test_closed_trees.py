"""What a drill restores may be closed by its own permissions, deeper than a path is long, or full of holes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drilling.scratches import left
from tests.site import WITHOUT_POWERS, Site


def bound(site: Site, *options: str) -> str:
    """Run a command as a root whom permissions bind as they do everybody else."""
    command = [*WITHOUT_POWERS, *site.command(*options, day=1)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=site.full_environment(), cwd=site.root, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def fill(top: Path) -> None:
    for name, mode in (("nothing", 0), ("names", 0o444), ("passed", 0o311), ("module", 0o555)):
        (top / name / "below").mkdir(parents=True)
        (top / name / "below/file").write_text("payload")
        (top / name / "file").write_text(name)
        (top / name / "file").chmod({"nothing": 0, "names": 0o200}.get(name, 0o444))
        (top / name / "below").chmod(mode)
        (top / name).chmod(mode)


@pytest.mark.parametrize("options", [(), ("--against-live",), ("--sample=20",)])
def test_what_permissions_close_is_proven_and_removed(site: Site, scratch: Path, options: tuple[str, ...]) -> None:
    site.configure_cycle("Diffs 6")
    fill(site.source)
    site.run(day=0)
    (site.source / "module/file").write_text("later")
    site.run(day=1)
    shown = bound(site, "drill", f"--scratch={scratch}", *options)
    assert "proven: 8 files of" in shown
    assert not left(scratch)


def test_what_is_kept_has_its_permissions(site: Site, scratch: Path) -> None:
    site.configure_cycle("Diffs 6")
    fill(site.source)
    site.run(day=1)
    bound(site, "drill", f"--keep={scratch}")
    (kept,) = scratch.iterdir()
    (top,) = kept.rglob("source")
    for name in ("nothing", "nothing/file", "names", "names/file", "passed", "passed/below", "module/below"):
        assert (top / name).stat().st_mode == (site.source / name).stat().st_mode, name


def test_what_a_killed_drill_left_is_removed_though_its_permissions_close_it(site: Site, scratch: Path) -> None:
    site.configure_cycle("Diffs 0")
    (site.source / "file").write_text("x")
    site.run(day=1)
    fill(scratch / ".s3napback-drill-0123/restored")
    bound(site, "drill", f"--scratch={scratch}")
    assert not left(scratch)


@pytest.fixture
def deep(site: Site, scratch: Path) -> Iterator[int]:
    """How many folders lie in each other in the source, the last one with the longest path that a backup can have."""
    depth = (4090 - len(os.fsencode(site.source))) // 2
    folder = os.open(site.source, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=folder)
        inner = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(folder)
    yield depth
    # Python cannot remove it.
    subprocess.run(["rm", "-rf", site.source, *scratch.iterdir()], check=True)


def test_a_tree_deeper_than_paths_with_the_scratch_folder_before_them(site: Site, scratch: Path, deep: int) -> None:
    site.configure_cycle("Diffs 0")
    long = scratch / ("s" * 200)
    long.mkdir()
    (site.source / "file").write_text("x")
    site.run()
    shown = site.run("drill", f"--scratch={long}").stdout
    assert f"proven: 1 file of 1 bytes, {deep + 1} folders" in shown
    assert not left(long)


def test_holes_are_not_read(site: Site, scratch: Path) -> None:
    with (site.source / "disk").open("wb") as file:
        file.truncate(8 << 40)
        file.seek(5 << 40)
        file.write(b"in the midst")
    site.configure_cycle("Diffs 0")
    site.run()
    assert "proven: 1 file of" in site.run("drill", f"--scratch={scratch}").stdout
    assert "1 the same" in site.run("drill", f"--scratch={scratch}", "--against-live").stdout


def test_files_and_folders_that_could_not_be_read_are_counted(site: Site, scratch: Path) -> None:
    site.configure_cycle("Diffs 6\nUnreadable warn")
    for name in ("file", "folder", "other"):
        path = site.source / name
        path.touch() if name == "file" else path.mkdir()
        os.chown(path, 12_345, -1)
        path.chmod(0)
    (site.source / "read").touch()
    bound(site)
    shown = bound(site, "drill", f"--scratch={scratch}")
    assert "proven: 1 file of 0 bytes, 1 folder" in shown
    assert "3 paths could not be read that night, and did not come back" in shown
