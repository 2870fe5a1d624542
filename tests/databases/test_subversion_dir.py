"""SubversionDir: each repository directly below has a chain of its own, and what is no repository is said."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.databases.recovery import dump_of
from tests.databases.repository import Repository, begin, grow
from tests.site import Site

DAILY = "Diffs 2\nFulls 2"
"""Six slots, and the day number of the first day is a multiple of 6."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two repositories, a folder and a file that are none, and one that looks a little like one."""
    made = tmp_path / "repos"
    for name in ("alpha", "zwei ß"):
        begin(made / name, tmp_path / "scratch")
    (made / "notes").mkdir()
    (made / "README").write_text("hello\n")
    (made / "db-tools" / "db").mkdir(parents=True)
    return made


def repository(folder: Path, name: str) -> Repository:
    return Repository(folder / name, create=False)


def configure(site: Site, folder: Path, more: str = "") -> str:
    """A configuration of the folder and of the site's directory; returns the folder's key base."""
    site.configure(
        f'<SubversionDir "{folder}">\n{DAILY}\n</SubversionDir>\n{more}\n'
        f"<Directory {site.source}>\nFulls 1\n</Directory>"
    )
    return site.name(folder)


def ends(site: Site, name: str) -> list[str]:
    """What follows the folder's name in the keys."""
    return [key.removeprefix(f"{name}/") for key in site.archive_keys() if key.startswith(f"{name}/")]


def test_each_repository_has_a_chain_and_one_that_appears_later_begins_with_a_full(
    site: Site, folder: Path, tmp_path: Path
) -> None:
    name = configure(site, folder)
    assert f"Subversion {folder}/alpha -> file://" in site.run("-t").stdout
    first = site.run(day=0)
    for passed_over in ("notes", "db-tools"):
        assert f"{folder}/{passed_over} is not a Subversion repository and is passed over" in first.stderr
    assert "README" not in first.stderr
    grow(repository(folder, "alpha"), tmp_path / "scratch", 1)
    begin(folder / "later", tmp_path / "scratch")
    second = site.run(day=1)
    assert f"Subversion {folder}/zwei ß: nothing new since revision 5" in second.stderr
    assert ends(site, name) == ["alpha-0-FULL", "alpha-1-DIFF", "later-1-FULL", "zwei ß-0-FULL"]
    grow(repository(folder, "later"), tmp_path / "scratch", 1)
    site.run(day=2)
    chains = {"alpha": ["0-FULL", "1-DIFF"], "later": ["1-FULL", "2-DIFF"], "zwei ß": ["0-FULL"]}
    for each, slots in chains.items():
        fresh = Repository(tmp_path / "fresh" / each)
        for slot in slots:
            fresh.load(dump_of(site, f"{name}/{each}-{slot}"))
            assert site.metadata(f"{name}/{each}-{slot}")["s3napback-source"].startswith("Subversion%20/")
        assert fresh.dump() == repository(folder, each).dump()


def test_repositories_with_an_entry_of_their_own_are_left_to_it(site: Site, folder: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(folder / "alpha")
    elsewhere = begin(tmp_path / "elsewhere", tmp_path / "scratch")
    (folder / "linked").symlink_to(elsewhere.path)
    own = [(elsewhere.path, 4), (folder / "zwei ß", 1), (link, 4)]
    blocks = "\n".join(f'<Subversion "{path}">\nFulls {fulls}\n</Subversion>' for path, fulls in own)
    name = configure(site, folder, blocks)
    done = site.run(day=0)
    assert ends(site, name) == ["zwei ß-0-FULL"]
    assert f"{site.name(link)}-2-FULL" in site.archive_keys()
    assert f"Subversion {folder}/alpha has an entry of its own at {site.configuration}:" in done.stderr
    assert f"Subversion {folder}/linked has an entry of its own" in done.stderr
    assert f"{link} is a symbolic link; what is dumped is {folder}/alpha" in done.stderr


def test_a_folder_in_two_cycles_keeps_two_chains_for_each_repository(site: Site, folder: Path, tmp_path: Path) -> None:
    site.configure(
        f"<Cycle daily>\n{DAILY}\nSubversionDir {folder}\n</Cycle>\n"
        f"<Cycle decaying>\nCycleType HanoiCycle\nDiscs 3\nSubversionDir {folder}\n</Cycle>"
    )
    site.run(day=0)
    grow(repository(folder, "alpha"), tmp_path / "scratch", 1)
    site.run(day=1)
    name = site.name(folder)
    assert [key for key in site.archive_keys() if "alpha" in key] == [
        f"daily/{name}/alpha-0-FULL",
        f"daily/{name}/alpha-1-DIFF",
        f"decaying/{name}/alpha-0-FULL",
        f"decaying/{name}/alpha-2-FULL",
    ]


def test_a_damaged_repository_fails_and_the_others_are_done(site: Site, folder: Path) -> None:
    name = configure(site, folder)
    (folder / "alpha/db/current").unlink()
    failed = site.run(expect=1)
    assert f"Subversion {folder}/alpha FAILED" in failed.stderr
    assert "2 done, 0 skipped, 1 failed" in failed.stderr
    assert ends(site, name) == ["zwei ß-0-FULL"]


def remove(folder: Path) -> None:
    shutil.rmtree(folder)


def empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "lost+found").mkdir()


def be_a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (remove, "does not exist"),
        (empty, "holds no repository. Is a disk not mounted?"),
        (be_a_file, "not a directory"),
    ],
)
def test_a_folder_without_repositories_fails_and_the_others_are_done(
    change: object, words: str, site: Site, folder: Path
) -> None:
    assert callable(change)
    configure(site, folder)
    site.run(day=0)
    objects = site.contents()
    other = f"{site.name()}-0-FULL"
    change(folder)
    failed = site.run(day=1, expect=1)
    assert f"SubversionDir {folder} FAILED: {words}" in failed.stderr.replace(" is not a", " not a")
    assert "1 done, 0 skipped, 1 failed" in failed.stderr
    changed = {key for key, data in site.contents().items() if objects.get(key) != data}
    assert changed <= {other, f"{other}.sha256"}
    rehearsed = site.run("-t", day=1, expect=1)
    assert f"SubversionDir {folder}: would fail" in rehearsed.stdout
    assert words in rehearsed.stderr


def test_a_folder_that_is_meant_to_be_empty_passes_when_forced(site: Site, folder: Path) -> None:
    configure(site, folder)
    empty(folder)
    assert "1 done, 0 skipped, 0 failed" in site.run("-f").stderr


def test_a_missing_folder_is_no_failure_on_a_night_on_which_it_is_not_due(site: Site, folder: Path) -> None:
    site.configure(f"<SubversionDir {folder}>\nFrequency 3\nFulls 2\n</SubversionDir>")
    away = folder.with_name("away")
    # The day number of the first day is a multiple of 3.
    site.run(day=0)
    folder.rename(away)
    assert "not due until 2026-01-04" in site.run(day=1).stderr
    site.run(day=3, expect=1)
    # What was missed stays due until it is done.
    site.run(day=4, expect=1)
    away.rename(folder)
    assert "2 done" in site.run(day=5).stderr
    assert "2 skipped" in site.run(day=5).stderr
    # One repository was missed, so the folder is needed although the other one is not due.
    current = (folder / "zwei ß/db/current").rename(folder / "zwei ß/db/lost")
    site.run(day=6, expect=1)
    current.rename(folder / "zwei ß/db/current")
    folder.rename(away)
    site.run(day=7, expect=1)


def test_a_name_that_is_not_utf8_is_passed_over_with_a_warning(site: Site, folder: Path) -> None:
    name = configure(site, folder)
    shutil.copytree(folder / "alpha", os.fsdecode(os.fsencode(folder) + b"/caf\xe9"))
    done = site.run()
    assert f"Subversion {folder}/caf\\xe9 is passed over and NOT backed up" in done.stderr
    assert "WARNING" in done.stderr
    assert ends(site, name) == ["alpha-0-FULL", "zwei ß-0-FULL"]


def test_a_repository_whose_name_another_source_uses_fails_and_overwrites_nothing(site: Site, folder: Path) -> None:
    name = configure(site, folder, f"<Directory {folder}/alpha>\n{DAILY}\n</Directory>")
    failed = site.run(expect=1)
    assert f"Subversion {folder}/alpha FAILED: its archives would have the names" in failed.stderr
    assert f"Directory {folder}/alpha at {site.configuration}:" in failed.stderr
    assert site.metadata(f"{name}/alpha-0-FULL")["s3napback-source"].startswith("Directory")
    assert "2 done" not in failed.stderr
    assert "3 done, 0 skipped, 1 failed" in failed.stderr
