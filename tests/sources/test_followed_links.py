"""Links that are followed (``--dereference``) stand for what they lead to; DIFFs notice that they lead elsewhere."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from s3napback.config.settings import JobSettings
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
