"""Patterns that are too many, or too long, for a command line: tar reads them in files, and they mean the same."""

from __future__ import annotations

import itertools
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from s3napback.config.settings import JobSettings
from s3napback.errors import SourceError
from s3napback.rotation import ArchiveType
from s3napback.sources import exclusion
from s3napback.sources.exclusion import WORKING_ANCHORED, WORKING_EXCLUDES
from tests.nightly.test_dry_run import pasted, run_pasted
from tests.site import Site
from tests.sources.chains import NightlyChain, archive, directory_source, member_names
from tests.sources.indexed_chain import BLIND, IndexedChain
from tests.sources.quiet_edits import quietly

MANY = tuple(f"never-{number:05}-of-this-name" for number in range(90_000))
"""Of which options would take more than 2 MiB."""


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """Names with everything at their ends that a line of a file could lose."""
    tree = tmp_path / "odd"
    (tree / "folder").mkdir(parents=True)
    for name in (
        "plain",
        " ",
        "blank ",
        "blank",
        "two  ",
        "tab\t",
        "[ab",
        "[a ",
        "a",
        "x\\ ",
        "#",
        "# x",
        "-dash",
        "é\u00a0",
    ):
        (tree / name).write_text("x")
        (tree / "folder" / name).write_text("x")
    return tree


ODD = ("blank ", "two  ", "tab\t", "[a ", "x\\\\ ", " ", "#", "# x", "-dash", "é\u00a0", "nothing*", "[n]othing")


@pytest.mark.parametrize("start", ["", "{tree}/", "{tree}/folder/"])
def test_each_pattern_means_in_a_file_what_it_means_in_an_option(
    odd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: str
) -> None:
    counts = itertools.count()

    def names(pattern: str) -> list[str]:
        exclusion._exclusion.cache_clear()
        source = directory_source(odd, JobSettings(exclude=(start.format(tree=odd) + pattern,)))
        return member_names(archive(source, tmp_path / f"out-{next(counts)}"))

    in_options = [names(pattern) for pattern in ODD]
    monkeypatch.setattr(exclusion, "_ROOM", 0)
    assert [names(pattern) for pattern in ODD] == in_options
    assert len({*map(len, in_options)}) > 1
    exclusion._exclusion.cache_clear()


@pytest.mark.parametrize(
    "settings",
    [
        JobSettings(exclude=(*MANY, "b", "/odd", "blank ")),
        JobSettings(exclude=("b", "blank "), tar_options=tuple(f"--exclude={pattern}" for pattern in MANY)),
        JobSettings(exclude=(f"{'x' * 150_000}", "b", "blank ")),
    ],
    ids=["many", "many of TarOptions", "a long one"],
)
def test_a_night_with_more_patterns_than_a_command_line_takes_leaves_out_what_they_match(
    odd: Path, tmp_path: Path, settings: JobSettings
) -> None:
    (odd / "b").write_text("x")
    source = directory_source(odd, settings)
    assert source.check(had_content=True, remembered={}) == []
    chain = NightlyChain(source, tmp_path / "chain")
    full = member_names(chain.backup())
    (odd / "new").write_text("x")
    (odd / "folder/b").write_text("x")
    names = {name.removeprefix(f"{str(odd)[1:]}/") for name in full}
    assert {"plain", "blank", "folder/plain"} <= names
    assert not names & {"b", "blank ", "folder/blank "}
    names = {name.removeprefix(f"{str(odd)[1:]}/") for name in member_names(chain.backup())}
    assert "new" in names
    assert "folder/b" not in names


def test_the_second_tar_of_a_diff_leaves_out_what_the_first_does(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    for name in ("a", "b", "blank "):
        quietly(root / name, "first")
    source = replace(directory_source(root, JobSettings(exclude=(*MANY, "b", "blank "))), margin=BLIND)
    chain = IndexedChain(source, tmp_path / "work")
    assert chain.back_up() == ["a"]
    for name in ("a", "b", "blank "):
        quietly(root / name, "changed")
    assert (chain.back_up(), chain.warnings) == (["a"], [])


def test_a_directory_that_one_of_many_patterns_matches_is_refused_before_anything_is_written(odd: Path) -> None:
    source = directory_source(odd, JobSettings(exclude=(*MANY, str(odd))))
    with pytest.raises(SourceError, match="would be archived"):
        source.check(had_content=True, remembered={})


def test_files_take_the_place_of_options_where_those_stood(odd: Path) -> None:
    settings = JobSettings(exclude=(*MANY, f"{odd}/plain"), tar_options=("--exclude=b", "--exclude-caches"))
    stage = directory_source(odd, settings).plan(ArchiveType.FULL, Path("/place"))
    assert sum(map(len, stage.command)) < 1_000
    words = [word for word in stage.command if word.startswith("--exclude") or word == "--anchored"]
    assert words[:4] == [
        "--exclude-caches",
        f"--exclude-from=/place/{WORKING_EXCLUDES}",
        "--anchored",
        f"--exclude-from=/place/{WORKING_ANCHORED}",
    ]
    assert stage.lists[Path(f"/place/{WORKING_EXCLUDES}")] == "".join(f"{line}\n" for line in ("b", *MANY)).encode()
    assert stage.lists[Path(f"/place/{WORKING_ANCHORED}")] == f"{str(odd)[1:]}/plain\n".encode()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "site")


def test_the_dry_run_shows_commands_that_run_when_pasted_and_a_run_leaves_no_list_behind(site: Site) -> None:
    for name in ("kept", "left 'out'"):
        (site.source / name).write_bytes(os.urandom(50_000))
    lines = "".join(f"Exclude {pattern}\n" for pattern in MANY[:2_000])
    site.configure(f"<Cycle c>\nDiffs 6\nDirectory {site.source}\nExclude \"left 'out'\"\n{lines}</Cycle>")
    assert 50_000 < run_pasted(pasted(site), "sh") < 60_000
    assert not [path for path in site.diff_dir.rglob("*") if path.is_file()]
    site.run(day=0)
    left = {path.name.partition(".")[2] for path in site.diff_dir.rglob("*") if path.is_file()}
    assert left <= {"", "snapshot", "index", "json"}
    (full,) = (site.vault / key for key in site.archive_keys())
    listed = subprocess.run(["tar", "-tzf", str(full)], check=True, capture_output=True, text=True).stdout
    assert listed.splitlines() == [f"{site.name()}/", f"{site.name()}/kept"]


def test_what_state_keeps_does_not_grow_with_the_patterns_and_what_it_kept_before_still_counts(site: Site) -> None:
    (site.source / "file").write_text("x")
    lines = "".join(f"Exclude {pattern}\n" for pattern in MANY[:2_000])
    body = f"<Cycle c>\nDiffs 6\nDirectory {site.source}\n{{}}{lines}</Cycle>"
    site.configure(body.format(""))
    site.run(day=0)
    (state,) = site.diff_dir.rglob("state.json")
    text = state.read_text()
    assert len(text) < 4_000
    digest = next(line for line in text.splitlines() if '"Exclude"' in line)
    # As earlier versions kept it.
    state.write_text(text.replace(digest, f'"Exclude": {list(MANY[:2_000])},'.replace("'", '"')))
    site.run(day=1)
    assert any(key.endswith("-DIFF") for key in site.archive_keys())
    site.configure(body.format("Exclude another\n"))
    assert "Exclude changed" in site.run(day=2).stderr
