"""Exclude and the real tar: what each pattern leaves out, and what it does not."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3napback.config.settings import JobSettings
from s3napback.rotation import ArchiveType
from s3napback.sources import exclusion
from s3napback.sources.directory import DirectorySource, tar_command
from s3napback.sources.exclusion import exclude_options
from s3napback.streams.followers import Ends
from s3napback.streams.pipeline import Pipeline
from s3napback.streams.transformations import Transformation
from tests.sources.chains import FILES, NightlyChain, archive, directory_source, member_names
from tests.sources.trees import assert_same_tree


@pytest.fixture(params=["in options", "in files"])
def places(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Patterns as they are, and as if they were too many for a command line."""
    if request.param == "in files":
        monkeypatch.setattr(exclusion, "_ROOM", 0)
    exclusion._exclusion.cache_clear()
    yield
    exclusion._exclusion.cache_clear()


def archived_files(source: DirectorySource, folder: Path) -> set[str]:
    """Files of ``FILES`` that are archived, by their names below the source."""
    base = source.job.target.lstrip("/")
    names = {name.removeprefix(f"{base}/").removeprefix("./") for name in member_names(archive(source, folder))}
    return names & {*FILES}


def left_out(tree: Path, folder: Path, *patterns: str) -> set[str]:
    source = directory_source(tree, JobSettings(exclude=patterns))
    return {*FILES} - archived_files(source, folder)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("{tree}/var/*", {"var/log/syslog", "var/lib/x.o"}),
        ("{tree}/*", {*FILES}),
        ("{tree}/var", {"var/log/syslog", "var/lib/x.o"}),
        ("{tree}/var/", {"var/log/syslog", "var/lib/x.o"}),
        ("{tree}//var/./lib/", {"var/lib/x.o"}),
        ("{tree}/home/foobar/wumpus", {"home/foobar/wumpus/den"}),
        ("{tree}/home/foobar/wump", set()),
        ("{tree}/src/*.o", {"src/main.o", "src/deep/er/lib.o", "src/deep/er/a b.o"}),
        ("{tree}/s?c/main.[co]", {"src/main.c", "src/main.o"}),
        ("{tree}/#odd", {"#odd/two words/-dash"}),
        ("{tree}/#odd/two words", {"#odd/two words/-dash"}),
        ("{tree}/#odd/two words/-dash", {"#odd/two words/-dash"}),
        ("/var", set()),
        ("/src/main.c", set()),
        ("*.o", {"var/lib/x.o", "src/main.o", "src/deep/er/lib.o", "src/deep/er/a b.o"}),
        ("wumpus", {"home/foobar/wumpus/den", "home/wumpus", "src/deep/wumpus"}),
        ("wumpus/", {"home/foobar/wumpus/den", "home/wumpus", "src/deep/wumpus"}),
        ("foobar/wumpus", {"home/foobar/wumpus/den"}),
        ("proc", {"proc/1/stat", "deep/proc/file"}),
        ("a b.o", {"src/deep/er/a b.o"}),
        ("two words", {"#odd/two words/-dash"}),
        ("-dash", {"#odd/two words/-dash"}),
        ("#odd", {"#odd/two words/-dash"}),
        ("src*lib.o", {"src/deep/er/lib.o"}),
    ],
)
@pytest.mark.usefixtures("places")
def test_a_pattern_leaves_out(tree: Path, tmp_path: Path, pattern: str, expected: set[str]) -> None:
    assert left_out(tree, tmp_path / "out", pattern.format(tree=tree)) == expected


def test_a_directory_whose_content_is_left_out_stays_itself(tree: Path, tmp_path: Path) -> None:
    source = directory_source(tree, JobSettings(exclude=(f"{tree}/var/*",)))
    names = member_names(archive(source, tmp_path / "out"))
    assert [name for name in names if "/tree/var" in name] == [f"{str(tree)[1:]}/var"]


@pytest.mark.parametrize("patterns", [("*.o",), ("{tree}/src/*.o",), ("*.c", "{tree}/var/lib"), ("[n]othing", "/x")])
def test_every_directory_that_no_pattern_matches_is_archived_itself(
    tree: Path, tmp_path: Path, patterns: tuple[str, ...]
) -> None:
    """With ``--wildcards`` written before the patterns, an incremental tar 1.34 passes over all of them."""
    exclude = tuple(pattern.format(tree=tree) for pattern in patterns)
    names = member_names(archive(directory_source(tree, JobSettings(exclude=exclude)), tmp_path / "out"))
    folders = {str(path)[1:] for path in (tree, *tree.rglob("*")) if path.is_dir()}
    left = {str(tree / "var/lib")[1:]} if f"{tree}/var/lib" in exclude else set()
    assert folders - {*names} == left


@pytest.mark.usefixtures("places")
def test_patterns_of_both_kinds_add_up(tree: Path, tmp_path: Path) -> None:
    found = left_out(tree, tmp_path / "out", "*.c", f"{tree}/home/foobar", "-dash", f"{tree}/proc")
    assert found == {
        *("src/main.c", "home/foobar/wumpus/den", "home/foobar/other", "#odd/two words/-dash", "proc/1/stat"),
    }


def test_a_path_with_what_means_something_in_patterns_is_archived_whole(tmp_path: Path) -> None:
    odd = tmp_path / "[a]*?"
    (odd / "sub").mkdir(parents=True)
    (odd / "sub/file").write_text("x")
    names = member_names(archive(directory_source(odd, JobSettings(exclude=("nothing",))), tmp_path / "out"))
    assert f"{str(odd)[1:]}/sub/file" in names


@pytest.mark.parametrize(
    ("pattern", "option"),
    [("/var/*", "./var/*"), ("/proc", "./proc"), ("/home/foobar/wumpus/", "./home/foobar/wumpus")],
)
def test_patterns_for_the_root_directory_match_its_members(pattern: str, option: str) -> None:
    assert f"--exclude={option}" in exclude_options([pattern], "/", followed=False)


def test_the_root_directory_leaves_out_what_is_anchored_and_nothing_of_the_same_name_below(
    tree: Path, tmp_path: Path
) -> None:
    """With a folder in the place of the root directory: the same options, but for the folder that tar starts in."""
    settings = JobSettings(exclude=("/proc", "/var/*", "*.o"))
    command = [
        f"--directory={tree}" if part == "--directory=/" else part
        for part in tar_command("tar", "/", settings, snapshot=tmp_path / "snapshot")
    ]
    assert f"--directory={tree}" in command
    with (tmp_path / "root.tar").open("wb") as output:
        subprocess.run(command, check=True, stdout=output)
    names = {name.removeprefix("./") for name in member_names(tmp_path / "root.tar")}
    expected = {"src/main.c", "deep/proc/file", "home/wumpus", "home/foobar/other", "home/foobar/wumpus/den"}
    assert names & {*FILES} == expected | {"src/deep/wumpus", "#odd/two words/-dash"}
    assert {".", "var"} <= names
    assert "proc" not in names


def pipeline_flaw(source: DirectorySource, folder: Path) -> str:
    """What the source says of its dump once that has ended."""
    folder.mkdir()
    dump = source.dump(ArchiveType.FULL, None, folder)
    ends = Ends()
    with Pipeline([dump.stage, Transformation("the look at both ends", ends.passed)]) as pipeline:
        buffer = memoryview(bytearray(1 << 16))
        while pipeline.readinto(buffer):
            pass
        return source.flaw(ends.head, ends.tail)


@pytest.mark.parametrize("pattern", ["{tree}", "{tree}/", "tree", "{parent}", "*"])
def test_a_directory_that_is_itself_excluded_has_a_flaw(tree: Path, tmp_path: Path, pattern: str) -> None:
    settings = JobSettings(exclude=(pattern.format(tree=tree, parent=tree.parent),))
    assert "Exclude" in pipeline_flaw(directory_source(tree, settings), tmp_path / "out")


def test_an_archive_with_something_in_it_has_no_flaw(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert pipeline_flaw(directory_source(tree), tmp_path / "out") == ""
    assert pipeline_flaw(directory_source(tmp_path / "empty"), tmp_path / "out 2") == ""


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("{link}/var/*", {"var/log/syslog", "var/lib/x.o"}),
        ("{link}/src/main.c", {"src/main.c"}),
        ("{parent}/l?nk/src/main.c", {"src/main.c"}),
        ("{parent}/*/main.c", {"src/main.c"}),
        ("{link}/???/main.c", {"src/main.c"}),
        ("{link}/.*", set()),
        ("{link}/.?*", set()),
        ("{link}/*", {*FILES}),
        ("{tree}/src", set()),
        ("{link}-other/src", set()),
        ("*.o", {"var/lib/x.o", "src/main.o", "src/deep/er/lib.o", "src/deep/er/a b.o"}),
    ],
)
@pytest.mark.usefixtures("places")
def test_patterns_below_a_followed_link(
    tree: Path, linked: Path, tmp_path: Path, pattern: str, expected: set[str]
) -> None:
    """They are written with the link's own path, as the source is."""
    exclude = (pattern.format(link=linked, tree=tree, parent=tree.parent),)
    source = directory_source(linked, JobSettings(exclude=exclude))
    assert {*FILES} - archived_files(source, tmp_path / "out") == expected


@pytest.mark.parametrize(
    "option", ["--exclude-caches", "--exclude-caches-all", "--exclude-tag=TAG", "--exclude-tag-all=TAG"]
)
def test_what_a_tag_kept_out_is_in_the_next_diff_when_the_tag_is_gone(option: str, tmp_path: Path) -> None:
    tagged = tmp_path / "tree/folder"
    (tagged / "deep/er").mkdir(parents=True)
    for name in ("file", "deep/file", "deep/er/file"):
        (tagged / name).write_text(name)
        os.utime(tagged / name, (1_500_000_000, 1_500_000_000))
    (tagged / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55\n")
    (tagged / "TAG").touch()
    chain = NightlyChain(directory_source(tmp_path / "tree", JobSettings(tar_options=(option,))), tmp_path / "out")
    chain.backup()
    time.sleep(0.02)
    assert not [name for name in member_names(chain.backup()) if name.endswith("/file")]
    (tagged / "CACHEDIR.TAG").unlink()
    (tagged / "TAG").unlink()
    assert len([name for name in member_names(chain.backup()) if name.endswith("/file")]) == 3
    assert_same_tree(tmp_path / "tree", chain.replay(tmp_path / "target"))


def test_what_was_hidden_by_another_file_system_is_in_the_next_diff_when_that_is_gone(tmp_path: Path) -> None:
    place = tmp_path / "tree/place"
    place.mkdir(parents=True)
    (place / "hidden").write_text("hidden")
    os.utime(place / "hidden", (1_500_000_000, 1_500_000_000))
    settings = JobSettings(one_file_system=True)
    chain = NightlyChain(directory_source(tmp_path / "tree", settings), tmp_path / "out")
    subprocess.run(["mount", "-t", "tmpfs", "none", str(place)], check=True)
    try:
        (place / "other").write_text("other")
        chain.backup()
    finally:
        subprocess.run(["umount", str(place)], check=True)
    chain.backup()
    assert_same_tree(tmp_path / "tree", chain.replay(tmp_path / "target"))


@pytest.mark.parametrize("word", ["none", "no-failed-read", "all"])
def test_what_tar_could_not_read_is_said_whatever_is_silenced(word: str) -> None:
    settings = JobSettings(tar_options=("--ignore-failed-read", f"--warning={word}"))
    command = tar_command("tar", "/etc/shadow", settings, snapshot=None)
    done = subprocess.run(command, check=True, capture_output=True, user=65534, group=65534, extra_groups=[])
    assert b"etc/shadow: Warning: Cannot open: Permission denied" in done.stderr
