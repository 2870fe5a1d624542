"""A target that takes several names for one gets the first of them, and is said not to have the others."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from unittest.mock import patch

import pytest

from s3napback.commands import backup
from s3napback.config.loading import load_configuration
from s3napback.deciding.facts import BackupOptions
from s3napback.recovery import attributes, clearing, directory
from s3napback.recovery.clashes import SHORTENED, TELLS_APART, WORDS, Folding
from s3napback.recovery.folders import names_in
from s3napback.recovery.refusals import Incomplete
from s3napback.recovery.tar_words import FIRST_REFUSED
from s3napback.sources import directory as source
from tests.recovery.helpers import restore_here
from tests.recovery.test_in_place import exfat_disk
from tests.site import FIRST_DAY, Site

ORPHANED = f"1 path: not made, another name of a file ({FIRST_REFUSED})"
BOTH = Folding(case=True, forms=True)


@pytest.mark.parametrize(
    ("folding", "one", "other", "is_same"),
    [
        (Folding(case=True), "Makefile", "makefile", True),
        (Folding(case=True), "ÄRGER", "ärger", True),
        (Folding(case=True), "straße", "STRASSE", False),
        (Folding(case=True), "\u00e4", "a\u0308", False),
        (Folding(forms=True), "\u00e4", "a\u0308", True),
        (Folding(forms=True), "\u00c4", "\u00e4", False),
        (BOTH, "\u00c4", "a\u0308", True),
        (BOTH, "a\udcff", "A\udcff", True),
        (Folding(ends="."), "report", "report..", True),
        (Folding(ends="."), "report", "report. ", False),
        (Folding(ends=". "), "report", "report. ", True),
        (Folding(case=True, ends="."), "Report", "report.", True),
        (Folding(ends="."), "..", "...", False),
        (TELLS_APART, "a", "A", False),
        (TELLS_APART, "a", "a.", False),
    ],
)
def test_what_is_one_name(folding: Folding, one: str, other: str, is_same: bool) -> None:
    assert (folding.key(one) == folding.key(other)) is is_same


def test_a_target_is_asked_and_nothing_is_left_of_that(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert attributes.folding_of(folder) == TELLS_APART
        # No file system of every machine folds names, so a link stands for what it would show.
        for other, folding in (
            ("PROBE", Folding(case=True)),
            ("probe\u0301", Folding(forms=True)),
            ("probe.", Folding(ends=".")),
            ("probe ", Folding(ends=" ")),
        ):
            (tmp_path / other).symlink_to("probe")
            assert attributes.folding_of(folder) == folding
            (tmp_path / other).unlink()
    finally:
        os.close(folder)
    assert not list(tmp_path.iterdir())


@contextmanager
def folding_target() -> Iterator[None]:
    """A target that is said to fold names. Lest it is needed by every machine, no real one is mounted."""
    with patch.object(directory, "folding_of", lambda _folder: Folding(case=True)):
        yield


def backed_up(site: Site, night: int) -> None:
    """What was archived once is not archived again because it was young then."""
    day = FIRST_DAY + timedelta(days=night)
    time.sleep(0.05)
    with patch.object(source, "margin", lambda: 0):
        assert not backup.run(load_configuration(site.configuration), day, BackupOptions()).failed


def restored(site: Site, where: Path, *paths: str) -> tuple[dict[str, str], list[str]]:
    """Files with what they hold, and the paths that are said to be missing."""
    lacking: list[str] = []
    with folding_target():
        try:
            restore_here(site, str(site.source), where, at=date(2027, 1, 1).isoformat(), paths=paths)
        except Incomplete as error:
            lines = [str(line).strip() for line in error.args]
            start = f"{where}/{site.name()}/"
            told = [number for number, line in enumerate(lines) if not line.startswith(start)][1:]
            lacking = [line.removeprefix(start) for line in lines if line.startswith(start)]
            count = len(lines) - told[0] - 1 if len(told) == 1 else told[1] - told[0] - 1
            assert lines[told[0]] == f"{count} path{'s' * (count > 1)}: not made ({WORDS})"
            orphans = [[ORPHANED, f"{start}to it"]] if "to it" in lacking else []
            assert [lines[number:] for number in told[1:]] == orphans
    top = where / site.name()
    return {str(path.relative_to(top)): path.read_text() for path in top.rglob("*") if path.is_file()}, lacking


def fill(top: Path) -> None:
    for name in ("Name", "name", "Folder/x", "folder/y", "folder/z", "alone", "below/A", "below/a"):
        (top / name).parent.mkdir(exist_ok=True)
        (top / name).write_text(name)
    (top / "to it").hardlink_to(top / "name")


@pytest.mark.parametrize("diffs", [0, 6])
def test_the_first_of_them_comes_back_and_the_others_are_named(site: Site, tmp_path: Path, diffs: int) -> None:
    site.configure_cycle(f"Diffs {diffs}")
    fill(site.source)
    backed_up(site, 0)
    found, lacking = restored(site, tmp_path / "out")
    # Without a list of the folder's names it is the order in which the file system gave them.
    kept = [name for name in ("Name", "name") if name in found]
    assert len(kept) == 1
    assert {name: text for name, text in found.items() if name != "to it"} == {
        name: name for name in found if name != "to it"
    }
    if diffs:
        assert sorted(found) == ["Folder/x", "Name", "alone", "below/A"]
        assert lacking == ["below/a", "folder", "name", "to it"]
    everything = {"Name", "name", "to it", "alone", "below/A", "below/a", "Folder/x", "folder/y", "folder/z"}
    gone = {name for name in everything if name in lacking or name.partition("/")[0] in lacking}
    assert {*found} == everything - gone


def test_in_a_chain_the_newest_one_comes_back_and_what_is_alone_again_is_not_missed(site: Site, tmp_path: Path) -> None:
    site.configure_cycle("Diffs 6")
    (site.source / "Old").write_text("old")
    (site.source / "both").write_text("small")
    (site.source / "Both").write_text("large")
    backed_up(site, 0)
    (site.source / "old").write_text("new")
    (site.source / "Both").unlink()
    (site.source / "both").write_text("alone")
    backed_up(site, 1)
    assert restored(site, tmp_path / "one") == ({"old": "new", "both": "alone"}, ["Old"])
    assert restored(site, tmp_path / "two", str(site.source / "Old")) == ({"Old": "old"}, [])


@pytest.mark.parametrize("diffs", [0, 6])
def test_where_dots_are_dropped_two_names_do_not_become_one_and_a_shorter_one_is_told(
    site: Site, tmp_path: Path, diffs: int
) -> None:
    site.configure_cycle(f"Diffs {diffs}")
    for name in ("report", "report.", "alone.", "folder./x", ".profile"):
        (site.source / name).parent.mkdir(exist_ok=True)
        (site.source / name).write_text(name)
    backed_up(site, 0)
    where = tmp_path / "out"
    with patch.object(directory, "folding_of", lambda _folder: Folding(ends=".")), pytest.raises(Incomplete) as told:
        restore_here(site, str(site.source), where, at=date(2027, 1, 1).isoformat())
    top = where / site.name()
    found = {str(path.relative_to(top)) for path in top.rglob("*") if path.is_file()}
    lost = {"report", "report."} - found
    # Without a list of the folder's names the first is the one that the file system gave first.
    assert lost == {"report."} if diffs else len(lost) == 1
    assert found == {"report", "report.", "alone.", "folder./x", ".profile"} - lost
    words = "\n".join(str(line).strip() for line in told.value.args)
    assert f"1 path: not made ({WORDS})\n{top}/{lost.pop()}" in words
    assert f"there by a shorter name ({SHORTENED})\n{top}/alone.\n{top}/folder." in words


@contextmanager
def restored_to_exfat(site: Site, tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """The source on a disk that takes names in other letters for the same, and what was said of what is not there."""
    (place := tmp_path / "disk").mkdir()
    with exfat_disk(tmp_path / "image", place):
        with pytest.raises(Incomplete) as told:
            restore_here(site, str(site.source), place / "where", at=date(2027, 1, 1).isoformat())
        yield place / "where" / site.name(), "\n".join(str(line).strip() for line in told.value.args)


def test_what_lay_in_a_folder_that_gave_way_to_another_name_is_missed_once_that_is_gone(
    site: Site, tmp_path: Path
) -> None:
    """A DIFF brings the folder, which is alone then, and not what it holds since the FULL."""
    site.configure_cycle("Diffs 6")
    (site.source / "mix/x/inner").mkdir(parents=True)
    for name in ("mix/X", "mix/x/old", "mix/x/inner/old", "mix/x/inner/changing", "mix/x/goes"):
        (site.source / name).write_text("old")
    backed_up(site, 0)
    (site.source / "mix/X").unlink()
    (site.source / "mix/x/inner/changing").write_text("new")
    backed_up(site, 1)
    (site.source / "mix/x/goes").unlink()
    backed_up(site, 2)
    with restored_to_exfat(site, tmp_path) as (top, words):
        assert [*top.rglob("*")] == [top / name for name in ("mix", "mix/x", "mix/x/inner", "mix/x/inner/changing")]
        assert (top / "mix/x/inner/changing").read_text() == "new"
    assert f"2 paths: not made ({WORDS})\n{top}/mix/x/inner/old\n{top}/mix/x/old" in words


def test_the_folder_that_comes_back_has_its_own_name_and_not_that_of_the_one_that_gives_way(
    site: Site, tmp_path: Path
) -> None:
    """What lay in the place of ``DOCS`` since the FULL was ``Docs``, and kept its name with other content."""
    site.configure_cycle("Diffs 6")
    for night, name in enumerate(("Docs/a", "DOCS/b")):
        (site.source / name).parent.mkdir()
        (site.source / name).write_text(name)
        backed_up(site, night)
    with restored_to_exfat(site, tmp_path) as (top, words):
        assert sorted(top.rglob("*")) == [top / "DOCS", top / "DOCS/b"]
        assert (top / "DOCS/b").read_text() == "DOCS/b"
    assert f"1 path: not made ({WORDS})\n{top}/Docs" in words


@pytest.mark.parametrize(
    ("folding", "there", "lacking", "gone"),
    [
        (TELLS_APART, {"report", "other"}, "", {"report", "other"}),
        (Folding(case=True), {"report", "other"}, "", {"report", "other"}),
        (Folding(ends="."), {"report", "other"}, "", {"other"}),
        (Folding(case=True, ends=".", lowers=True), {"report", "other"}, "", set()),
        # It is that of another name, which is gone.
        (Folding(ends="."), {"report"}, "report.", {"report"}),
    ],
)
def test_what_a_target_lists_by_another_name_is_not_taken_for_gone(
    tmp_path: Path, folding: Folding, there: set[str], lacking: str, gone: set[str]
) -> None:
    for name in there:
        (tmp_path / name).touch()
    folder = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        found = clearing.gone(folder, b"Nreport.\0NOther\0\0", folding, lambda entry: entry == lacking)
    finally:
        os.close(folder)
    assert {name for name, _is_folder in found} == gone


def test_that_a_target_lists_small_letters_is_found_out_and_told(site: Site, tmp_path: Path) -> None:
    """As NTFS does with ``ignore_case``; here its looks alone stand for it."""
    site.configure_cycle("Diffs 6")
    (site.source / "Name").write_text("x")
    backed_up(site, 0)

    def listed(folder: int) -> list[str]:
        return [name.lower() for name in names_in(folder)]

    with patch.object(attributes, "names_in", listed), pytest.raises(Incomplete) as told:
        restore_here(site, str(site.source), tmp_path / "out", at=date(2027, 1, 1).isoformat())
    assert told.value.args[1:] == ("names are there in small letters: the target keeps no others",)
    assert (tmp_path / "out" / site.name() / "Name").read_text() == "x"


@pytest.mark.parametrize(
    ("folding", "there", "lost", "gone"),
    [
        (Folding(case=True), "Docs", "Docs", {"Docs"}),
        (Folding(case=True, ends="."), "Docs", "Docs", {"Docs"}),
        (Folding(case=True, ends="."), "DOCS", "Docs", set()),
        # It may be that of the other one, which is listed by this name.
        (Folding(case=True, lowers=True), "docs", "docs", set()),
    ],
)
def test_what_gives_way_to_another_name_is_gone(
    tmp_path: Path, folding: Folding, there: str, lost: str, gone: set[str]
) -> None:
    (tmp_path / there).mkdir()
    folder = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        found = clearing.gone(folder, b"DDOCS\0DDocs\0\0", folding, is_lost=lambda entry: entry == lost)
    finally:
        os.close(folder)
    assert {name for name, _is_folder in found} == gone
