"""A folder that gets a tag which leaves all of it out, or loses it, is as on the newest night: by plain tar, too."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from s3napback.index.comparing import Looks
from s3napback.index.tags import CACHE_TAG, Tag, has_tag
from s3napback.sources.looking import looks_for
from tests.commands.test_index_objects import night
from tests.site import Site
from tests.sources.trees import assert_same_tree

SIGNATURE = "Signature: 8a477f597d28d172789f06886806bc55\n"


def restored(site: Site, name: str) -> Path:
    """The source as the newest archive has it, which plain tar makes the same of."""
    whole, plain = site.root / f"{name}-restored", site.root / f"{name}-plain"
    site.run("restore", str(site.source), "--to", str(whole), day=None)
    plain.mkdir()
    for key in site.archive_keys():
        command = ["tar", "--extract", "--same-permissions", "--listed-incremental=/dev/null", "-C", str(plain)]
        subprocess.run(command, input=site.fetch(key), check=True)
    assert_same_tree(Path(f"{whole}{site.source}"), Path(f"{plain}{site.source}"))
    return Path(f"{whole}{site.source}")


@pytest.mark.parametrize("option", ["--exclude-caches-all", "--exclude-tag-all=CACHEDIR.TAG"])
@pytest.mark.parametrize("is_file_first", [False, True])
def test_what_got_a_tag_is_gone_and_what_lost_it_is_back(tmp_path: Path, option: str, *, is_file_first: bool) -> None:
    site = Site(tmp_path / "site")
    gets, loses = site.source / "gets", site.source / "loses"
    (loses / "deep").mkdir(parents=True)
    (loses / "deep/file").write_text("old")
    (loses / "CACHEDIR.TAG").write_text(SIGNATURE)
    if is_file_first:
        gets.write_text("a file")
    else:
        (gets / "deep").mkdir(parents=True)
        (gets / "deep/file").touch()
    site.configure_cycle(f"Diffs 3\nCompression none\nTarOptions {option}")
    night(site, 0)
    assert not (restored(site, "first") / "loses").exists()
    if is_file_first:
        gets.unlink()
        (gets / "deep").mkdir(parents=True)
    (gets / "CACHEDIR.TAG").write_text(SIGNATURE)
    (loses / "CACHEDIR.TAG").unlink()
    night(site, 1)
    second = restored(site, "second")
    assert not (second / "gets").exists()
    assert_same_tree(second / "loses", loses)
    listed = site.run("ls", str(site.source), "-R", day=None).stdout
    assert [line.split()[-1] for line in listed.splitlines()] == ["loses/", "loses/deep/", "loses/deep/file"]
    told = site.run("restore", f"{site.source}/gets", "--to", str(tmp_path / "one"), day=None, expect=1).stderr
    assert "left it out of the archives" in told
    assert "0 differences" in site.run("verify", "--compare", str(site.source), day=None).stdout
    (gets / "CACHEDIR.TAG").unlink()
    night(site, 2)
    assert_same_tree(restored(site, "third"), site.source)


def test_what_a_pattern_leaves_out_is_never_told_to_be_removed(tmp_path: Path) -> None:
    """Whoever lets tar extract a DIFF over the tree itself would lose it."""
    site = Site(tmp_path / "site")
    for name in ("kept.cache", "tagged"):
        (site.source / name).mkdir()
        (site.source / name / "CACHEDIR.TAG").write_text(SIGNATURE)
    site.configure_cycle("Diffs 3\nCompression none\nExclude *.cache\nTarOptions --exclude-caches-all")
    for day in range(3):
        night(site, day)
        command = ["tar", "--extract", "--listed-incremental=/dev/null", "-C", "/"]
        subprocess.run(command, input=site.fetch(site.archive_keys()[-1]), check=True)
        assert sorted(path.name for path in site.source.iterdir()) == ["kept.cache", "tagged"]


def test_a_tag_is_what_tar_takes_for_one(tmp_path: Path) -> None:
    (tmp_path / "folder/tag").mkdir(parents=True)
    (tmp_path / "folder/CACHEDIR.TAG").write_text("something else")
    (tmp_path / "folder/link").symlink_to("CACHEDIR.TAG")
    (tmp_path / "link").symlink_to("folder")
    descriptor = os.open(tmp_path, os.O_PATH)
    try:
        assert has_tag(b"folder", descriptor, (Tag(b"none"), Tag(b"tag")), follows=False)
        assert has_tag(b"folder", descriptor, (Tag(b"CACHEDIR.TAG"),), follows=False)
        assert not has_tag(b"folder", descriptor, (CACHE_TAG, Tag(b"link"), Tag(b"none")), follows=False)
        assert has_tag(b"folder", descriptor, (Tag(b"link"),), follows=True)
        assert not has_tag(b"link", descriptor, (Tag(b"tag"),), follows=False)
        assert has_tag(b"link", descriptor, (Tag(b"tag"),), follows=True)
        (tmp_path / "folder/CACHEDIR.TAG").write_text(SIGNATURE)
        assert has_tag(b"folder", descriptor, (CACHE_TAG,), follows=False)
    finally:
        os.close(descriptor)


def test_only_what_leaves_out_a_whole_folder_is_such_a_tag() -> None:
    options = ("--exclude-caches-all", "--exclude-tag=one", "--exclude-tag-all=two", "--exclude-caches")
    looks = looks_for(options, one_file_system=False)
    assert looks == Looks(tags=(CACHE_TAG, Tag(b"two")))
    assert looks.are_plain
