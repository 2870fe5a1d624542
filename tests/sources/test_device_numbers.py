"""A directory that is to stay on its file system, where device numbers do not tell what that is."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.site import Site
from tests.sources.trees import assert_same_tree


@contextmanager
def mounted(place: Path, *words: object) -> Iterator[None]:
    subprocess.run(["mount", *map(str, words), str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


@contextmanager
def overlay(folder: Path, place: Path, option: str) -> Iterator[None]:
    """An overlay whose layers are on two file systems."""
    lower, upper = folder / "lower", folder / "upper"
    (lower / "below").mkdir(parents=True)
    (lower / "below/old").write_text("old")
    upper.mkdir()
    with mounted(upper, "-t", "tmpfs", "upper"):
        for name in ("layer", "work"):
            (upper / name).mkdir()
        layers = f"lowerdir={lower},upperdir={upper / 'layer'},workdir={upper / 'work'},xino={option}"
        with mounted(place, "-t", "overlay", "-o", layers, "overlay"):
            yield


@pytest.mark.parametrize("settings", ["OneFileSystem On", "TarOptions --one-file-system"])
@pytest.mark.parametrize("diffs", [0, 6])
def test_files_of_an_overlay_are_never_left_out_in_silence(
    site: Site, tmp_path: Path, settings: str, diffs: int
) -> None:
    site.configure_cycle(f"Diffs {diffs}\n{settings}")
    with overlay(tmp_path, site.source, "off"):
        done = site.run(expect=1)
        assert "below/old has another device number than the folder it lies in" in done.stderr
        assert not site.archive_keys()
        site.configure_cycle("Diffs 6")
        site.run("--strict")


def test_an_overlay_with_numbers_of_its_own_comes_back(site: Site, tmp_path: Path) -> None:
    site.configure_cycle("Diffs 6\nOneFileSystem On")
    with overlay(tmp_path, site.source, "on"):
        for day in range(2):
            (site.source / "below/new").write_text(str(day))
            site.run("--strict", day=day)
        site.run("restore", str(site.source), "--to", str(tmp_path / "out"), day=None)
        assert_same_tree(site.source, tmp_path / "out" / str(site.source)[1:])


def test_what_is_mounted_is_left_out_and_no_reason_to_fail(site: Site, tmp_path: Path) -> None:
    site.configure_cycle("Diffs 6\nOneFileSystem On")
    for name in ("file", "folder/file", "kept/file"):
        (site.source / name).parent.mkdir(exist_ok=True)
        (site.source / name).write_text(name)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with ExitStack() as stack:
        stack.enter_context(mounted(elsewhere, "-t", "tmpfs", "elsewhere"))
        (elsewhere / "file").write_text("elsewhere")
        stack.enter_context(mounted(site.source / "file", "--bind", elsewhere / "file"))
        stack.enter_context(mounted(site.source / "folder", "--bind", elsewhere))
        site.run("--strict")
    site.run("restore", str(site.source), "--to", str(tmp_path / "out"), day=None)
    restored = tmp_path / "out" / str(site.source)[1:]
    assert [str(path.relative_to(restored)) for path in restored.rglob("*") if path.is_file()] == ["kept/file"]
