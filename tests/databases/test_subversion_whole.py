"""Subversion: what is restored is byte for byte what was there, merges and what is invalid today included."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.databases.repository import Repository, add_odd_properties, begin, command, merge
from tests.site import Site


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return begin(tmp_path / "svn" / "grüße", tmp_path / "scratch")


def restored(site: Site, repository: Repository, where: Path, *, day: int) -> Repository:
    site.run("restore", f"Subversion {repository.path}", "--to", str(where), day=day)
    return Repository(where, create=False)


def test_merges_and_invalid_properties_of_every_night_come_back(
    site: Site, repository: Repository, tmp_path: Path
) -> None:
    site.configure(f'<Subversion "{repository.path}">\nDiffs 2\nFulls 2\n</Subversion>')
    for night in range(3):
        merge(repository, night)
        add_odd_properties(repository)
        site.run(day=night)
    assert [key.rpartition("-")[2] for key in site.archive_keys()] == ["FULL", "DIFF", "DIFF"]
    fresh = restored(site, repository, tmp_path / "new", day=3)
    assert fresh.dump() == repository.dump()
    assert fresh.dump(deltas=True) == repository.dump(deltas=True)
    assert fresh.uuid == repository.uuid
    assert command("svnlook", "propget", fresh.path, "svn:mergeinfo", "merged 2 4") == b"/trunk:4*"
    assert site.run("verify", day=3).stdout.count(": good") == 3


def test_what_svnadmin_does_not_take_is_told_in_its_words_and_is_no_fault_of_the_archive(
    site: Site, repository: Repository, tmp_path: Path
) -> None:
    site.configure(f'<Subversion "{repository.path}">\nDiffs 2\nFulls 2\n</Subversion>')
    site.run(day=0)
    site.fake_program(
        "svnadmin", 'case $1 in load) head -c 100 >&2; echo svnadmin: lightning >&2; exit 1;; esac; exec REAL "$@"'
    )
    said = site.run("restore", f"Subversion {repository.path}", "--to", str(tmp_path / "new"), day=1, expect=1).stderr
    assert "cannot be loaded" in said
    assert "svnadmin: lightning" in said
    assert "cannot be decoded" not in said
    assert not (tmp_path / "new" / "db").exists()


def test_a_repository_that_is_exchanged_while_it_is_dumped_fails_and_its_archive_stays(
    site: Site, repository: Repository, tmp_path: Path
) -> None:
    site.configure(f'<Subversion "{repository.path}">\nDiffs 2\nFulls 2\n</Subversion>')
    site.run(day=0)
    merge(repository, 0)
    other = begin(tmp_path / "other", tmp_path / "more")
    merge(other, 0)
    kept = tmp_path / "kept"
    site.fake_program(
        "svnadmin",
        f'[ $1 = dump ] && mv "{repository.path}" "{kept}" && mv "{other.path}" "{repository.path}"; exec REAL "$@"',
    )
    said = site.run(day=1, expect=1).stderr
    assert f"{repository.path} was replaced, moved or unmounted while svnadmin read it" in said
    site.environment.pop("PATH")
    assert "FULL" in site.run(day=2).stderr
    assert restored(site, repository, tmp_path / "new", day=3).dump() == repository.dump()
