"""A folder that could not be read in some night: all in it counts as older until it is read again."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from s3napback.browsing.interest import Interest, read_pattern
from s3napback.browsing.nodes import OLDER, THERE
from s3napback.browsing.tree import Tree
from s3napback.config.settings import JobSettings
from tests.browsing.test_replaying import Nights
from tests.recovery.ordinary import as_user, open_folder
from tests.sources.chains import directory_source

BELOW = ("folder/", "folder/one", "folder/two", "folder/inner/", "folder/inner/deep")
SOUGHT = (
    Interest(b"folder/inner/deep", is_alone=True),
    Interest(pattern=read_pattern(b"d*")),
    Interest(b"folder/inner"),
)


def test_all_in_a_folder_that_is_not_read_is_older_until_it_is_read(tmp_path: Path) -> None:
    # All modules are loaded by that, some of which the user could not read.
    Nights(tmp_path).night()
    with open_folder() as root:
        root.chmod(0o777)
        as_user(lambda: lapse_and_return(root / "own"))


@pytest.mark.parametrize("shut", ["folder", "folder/inner", "folder/inner/deepest"])
@pytest.mark.parametrize("mode", [0o755, 0o444])
def test_what_cannot_be_read_after_what_it_lies_in_could_not_stays_as_it_was(
    tmp_path: Path, shut: str, mode: int
) -> None:
    Nights(tmp_path).night()
    with open_folder() as root:
        root.chmod(0o777)
        as_user(lambda: lapse_further_in(root / "own", shut, mode))


def lapse_further_in(root: Path, shut: str, mode: int) -> None:
    """First a folder cannot be read, and then what lies in one below it: by its own mode, or by that of the other."""
    nights = Nights(root)
    nights.chain.source = directory_source(nights.source, JobSettings(unreadable=9))
    folder, within = nights.source / shut, nights.source / shut / "within"
    (within / "last").mkdir(parents=True)
    for path in (folder / "beside", within / "file", within / "last/file"):
        path.write_text("content")
    nights.night()
    before = nights.require_as_replayed()
    folder.chmod(0)
    nights.night()
    assert nights.require_as_replayed().keys() == before.keys()
    folder.chmod(mode)
    if mode & 0o111:
        within.chmod(0)
    for _ in range(2):
        nights.night()
        states = nights.require_as_replayed()
        assert states.keys() == before.keys()
        assert {states[f"{shut}/within/{name}"] for name in ("", "file", "last/", "last/file")} == {OLDER}
    folder.chmod(0o755)
    within.chmod(0o755)
    nights.night()
    assert nights.require_as_replayed() == before


def lapse_and_return(root: Path) -> None:
    nights = Nights(root)
    nights.chain.source = directory_source(nights.source, JobSettings(unreadable=1))
    nights.night()
    folder = nights.source / "folder"
    assert states_below(nights) == [THERE] * 5
    for _ in range(2):
        (folder / "one").write_text("changed")
        folder.chmod(0)
        nights.night()
        folder.chmod(0o755)
        assert states_below(nights) == [OLDER] * 5
    require_two_spans(nights)
    (folder / "two").unlink()
    nights.night()
    states = nights.require_as_replayed()
    assert states.pop("folder/two", None) is None
    assert set(states.values()) == {THERE}


def states_below(nights: Nights) -> list[int]:
    states = nights.require_as_replayed()
    assert states["file"] == THERE
    return [states[name] for name in BELOW]


def require_two_spans(nights: Nights) -> None:
    for way, wanted in product((nights.by_lines, nights.by_members), SOUGHT):
        with Tree(wanted, is_recorded=True) as tree:
            for number in (1, 2, 3):
                with tree.archive(number, is_full=number == 1):
                    way(number - 1, tree)
            spans = [(node.state, first, last) for node, first, last in tree.spans() if node.name == b"deep"]
        assert spans == [(THERE, 1, 1), (OLDER, 2, 3)]
