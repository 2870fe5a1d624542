"""Links that are followed (``--dereference``) stand for what they lead to; DIFFs notice that they lead elsewhere."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from s3napback.config.settings import JobSettings
from s3napback.errors import SourceError
from tests.sources.chains import directory_source
from tests.sources.indexed_chain import IndexedChain, blind_chain
from tests.sources.quiet_edits import quietly
from tests.sources.trees import assert_same_tree


def the_second_passes() -> None:
    """Wait until what was changed is older, by the second in which tar counts, than what begins now."""
    time.sleep(1 - time.time() % 1 + 0.01)


@pytest.mark.parametrize("option", ["--dereference", "-h", "-Sh", "-hS"])
def test_followed_links_stand_for_what_they_lead_to(tmp_path: Path, option: str) -> None:
    root = tmp_path / "tree"
    quietly(tmp_path / "elsewhere/inner", "first")
    target = quietly(tmp_path / "target", "first")
    root.mkdir()
    (root / "link").symlink_to("../target")
    (root / "folder").symlink_to("../elsewhere")
    chain = blind_chain(root, tmp_path, option)
    chain.back_up()
    assert chain.back_up() == []
    quietly(target, "changed")
    quietly(tmp_path / "elsewhere/inner", "changed")
    chain.back_up()
    assert (chain.replay(tmp_path / "out") / "link").read_text() == "changed"
    assert (tmp_path / "out" / str(root)[1:] / "folder/inner").read_text() == "changed"


@pytest.mark.parametrize("changed", ["tree/link", "between", "folder", "tree/whole"])
def test_a_followed_link_that_leads_to_what_looks_the_same_is_taken(tmp_path: Path, changed: str) -> None:
    for place in ("first", "other"):
        quietly(tmp_path / place / "file", place)
    links = {"tree/link": "../first/file", "between": "first/file", "folder": "first", "tree/whole": "../first"}
    links |= {"tree/by another": "../between", "tree/by a folder": "../folder/file"}
    root = tmp_path / "tree"
    root.mkdir()
    for name, target in links.items():
        (tmp_path / name).symlink_to(target)
    chain = IndexedChain(
        directory_source(root, replace(JobSettings(), tar_options=("--dereference",)), margin=0), tmp_path / "work"
    )
    for expected in (["by a folder", "by another", "link", "whole/file"], []):
        the_second_passes()
        assert sorted(chain.back_up()) == expected
    (tmp_path / changed).unlink()
    (tmp_path / changed).symlink_to(links[changed].replace("first", "other"))
    taken = {"between": "by another", "folder": "by a folder", "tree/link": "link", "tree/whole": "whole/file"}[changed]
    for expected in ([taken], []):
        the_second_passes()
        assert chain.back_up() == expected
    assert (chain.replay(tmp_path / "out") / taken).read_text() == "other"


ROUNDS = {
    "to itself": {"tree/here": "."},
    "above": {"tree/sub/up": ".."},
    "above the source": {"tree/out": "..", "beside/file": None},
    "two": {"tree/one": ".", "tree/other": "."},
    "beside one to nothing but itself": {"tree/here": ".", "tree/a self": "a self"},
    "to each other": {"tree/a/b": "../b", "tree/b/a": "../a"},
    "by another": {"tree/in": "../beside", "beside/back": "../tree"},
    "by a link on the way": {"tree/in": "../way/beside", "way": ".", "beside/back": "../tree"},
}


@pytest.mark.parametrize("links", ROUNDS.values(), ids=ROUNDS)
def test_tar_goes_round_in_no_link(tmp_path: Path, links: dict[str, str | None]) -> None:
    """It did so a thousand times in one, which took gigabytes, and in two without an end."""
    root = tmp_path / "all/tree"
    quietly(root / "sub/file", "first")
    for path, to in links.items():
        place = tmp_path / "all" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if to is None:
            quietly(place, "first")
        else:
            place.symlink_to(to)
    source = directory_source(root, replace(JobSettings(), tar_options=("--dereference",), stall_timeout=20), margin=0)
    (note,) = source.check(had_content=False, remembered={})
    assert "leads to a folder in which it lies itself" in note
    chain = IndexedChain(source, tmp_path / "work")
    chain.back_up()
    the_second_passes()
    assert chain.back_up() == []
    quietly(root / "sub/file", "changed")
    chain.back_up()
    replayed = chain.replay(tmp_path / "out")
    found = sorted(str(path.relative_to(replayed)) for path in replayed.rglob("file"))
    assert found == sorted(held_without_rounds(root))
    assert all((replayed / path).read_text() == ("changed" if "sub" in path else "first") for path in found)


def held_without_rounds(root: Path) -> Iterator[str]:
    """The paths of all files called ``file`` that links lead to, no folder within itself."""

    def walk(folder: Path, around: frozenset[Path]) -> Iterator[str]:
        for path in folder.iterdir():
            real = Path(os.path.realpath(path))
            if real in around:
                continue
            if path.is_dir():
                yield from walk(path, around | {real})
            elif path.name == "file":
                yield str(path.relative_to(root))

    return walk(root, frozenset({root.resolve()}))


def test_links_that_are_left_out_anyway_are_not_told(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    for place in ("cache/here", "deep/cache/here", "named/here"):
        (root / place).parent.mkdir(parents=True)
        (root / place).symlink_to(".")
    (root / "more").symlink_to("..")
    excluded = JobSettings(tar_options=("--dereference", "--exclude=more"), exclude=("cache", f"{root}/na*d/here"))
    source = directory_source(root, excluded, margin=0)
    assert source.check(had_content=False, remembered={}) == []


def test_links_that_are_not_followed_may_lead_anywhere(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    (root / "here").symlink_to(".")
    chain = blind_chain(root, tmp_path)
    assert chain.back_up() == ["here"]


def test_links_among_many_folders_fail_the_source_before_tar_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "tree"
    names = "abcdefgh"
    for name in names:
        (root / name).mkdir(parents=True)
        for other in set(names) - {name}:
            (root / name / other).symlink_to(f"../{other}")
    monkeypatch.setattr("s3napback.sources.own_exclusion._MOST", 1000)
    source = directory_source(root, replace(JobSettings(), tar_options=("--dereference",)), margin=0)
    with pytest.raises(
        SourceError, match=r"links in .*/tree lead to more than 1000 folders, such as .*: Exclude those"
    ):
        source.check(had_content=False, remembered={})


@pytest.mark.parametrize("to", ["nowhere", "link", "target/below"])
@pytest.mark.parametrize("was", ["file", "folder", "link"])
def test_a_followed_link_that_leads_nowhere_is_not_what_was_there_before(tmp_path: Path, was: str, to: str) -> None:
    root = tmp_path / "tree"
    quietly(root / "kept", "kept")
    quietly(root / "target", "first")
    place = root / "link"
    if was == "folder":
        quietly(place / "deep/file", "first")
    elif was == "file":
        quietly(place, "first")
    else:
        place.symlink_to("target")
    chain = blind_chain(root, tmp_path, "--dereference")
    chain.back_up()
    place.rename(tmp_path / "away")
    place.symlink_to(to)
    assert chain.back_up() == []
    warning = f"{place} is a symbolic link that leads nowhere: with --dereference nothing of it can be archived"
    assert chain.warnings == [warning]
    assert sorted(path.name for path in chain.replay(tmp_path / "out").iterdir()) == ["kept", "target"]
    assert chain.back_up() == []
    place.unlink()
    quietly(place, "at last")
    chain.back_up()
    assert_same_tree(root, chain.replay(tmp_path / "out"))
