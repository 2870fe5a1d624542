"""Subversion: chains of dumps that load into an equal repository, and every way in which a repository can go back."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.databases.configuring import word
from tests.databases.recovery import dump_of, state_of, unharmed
from tests.databases.repository import Repository, begin, command, grow
from tests.site import Site

GROUPS_OF_THREE = "Diffs 2\nFulls 2"
"""Six slots, and the day number of the first day is a multiple of 6."""

FORGOTTEN = "/trunk/data @ 1.bin"


def configure(site: Site, repository: Repository, settings: str = GROUPS_OF_THREE) -> str:
    """A configuration of one repository; returns the key base."""
    site.configure(f"<Subversion {word(str(repository.path))}>\n{settings}\n</Subversion>")
    return site.name(repository.path)


def loaded(site: Site, keys: Sequence[str], path: Path) -> Repository:
    """A fresh repository with archives loaded into it, oldest first."""
    fresh = Repository(path)
    fresh.load(b"".join(dump_of(site, key) for key in keys))
    assert fresh.youngest == int(site.metadata(keys[-1])["s3napback-revisions"].partition(":")[2])
    return fresh


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Five revisions in a folder whose name is hard on tools."""
    return begin(tmp_path / "svn" / "grüße @ 1 'x'", tmp_path / "scratch")


def test_a_full_and_its_diffs_load_into_an_equal_repository(site: Site, repository: Repository, tmp_path: Path) -> None:
    name = configure(site, repository)
    keys = [f"{name}-{end}" for end in ("0-FULL", "1-DIFF", "2-DIFF")]
    expected = ["0:5", "6:8", "9:11"]
    for night, key in enumerate(keys):
        if night:
            grow(repository, tmp_path / "scratch", night)
        options = f"--quiet --revision={expected[night]} --incremental --deltas"
        assert f"svnadmin dump {options}" in site.run("-t", "-d", day=night).stdout
        site.run(day=night)
        assert site.metadata(key)["s3napback-revisions"] == expected[night]
        assert site.metadata(key)["s3napback-uuid"] == repository.uuid
        fresh = loaded(site, keys[: night + 1], tmp_path / f"fresh-{night}")
        assert fresh.dump() == repository.dump()
        command("svnadmin", "verify", "--quiet", fresh.path)
    site.run(day=3)
    assert site.archive_keys() == [*keys, f"{name}-3-FULL"]
    assert loaded(site, [f"{name}-3-FULL"], tmp_path / "fresh").dump() == repository.dump()


def test_what_looks_like_a_header_in_a_path_is_none(site: Site, repository: Repository, tmp_path: Path) -> None:
    configure(site, repository)
    repository.commit("a line separator", ("mkdir", "trunk/a\u2028Revision-number: 99"))
    site.run(day=0)
    repository.commit("another one", ("mkdir", "trunk/b\u2028UUID: 99\u2028Content-length: 99"))
    site.run(day=1)
    assert site.run("verify", day=1).stdout.count(": good") == 2
    site.run("restore", f"Subversion {repository.path}", "--to", str(tmp_path / "new"), day=1)
    assert Repository(tmp_path / "new", create=False).dump() == repository.dump()


def test_without_diffs_and_in_a_hanoi_cycle_every_archive_stands_by_itself(
    site: Site, repository: Repository, tmp_path: Path
) -> None:
    path = word(str(repository.path))
    site.configure(
        f"<Cycle simple>\nFulls 2\nSubversion {path}\n</Cycle>\n"
        f"<Cycle hanoi>\nCycleType HanoiCycle\nDiscs 3\nUseTempFile 1\nSubversion {path}\n</Cycle>"
    )
    # 20454 is even, and leaves 2 when divided by 4.
    for night, (simple, hanoi) in enumerate([(0, 0), (1, 2), (0, 0)]):
        site.run(day=night)
        for cycle, slot in (("simple", simple), ("hanoi", hanoi)):
            key = f"{cycle}/{site.name(repository.path)}-{slot}-FULL"
            assert loaded(site, [key], tmp_path / f"{cycle}-{night}").dump() == repository.dump()
        grow(repository, tmp_path / "scratch", night + 1)


def test_a_night_without_new_revisions_stores_nothing_and_the_next_diff_builds_on_what_is_there(
    site: Site, repository: Repository, tmp_path: Path
) -> None:
    name = configure(site, repository)
    site.run(day=0)
    objects, state = site.contents(), site.diff_dir_contents()
    assert "nothing new since revision 5" in site.run("-t", day=1).stdout
    quiet = site.run(day=1)
    assert "nothing new since revision 5" in quiet.stderr
    assert "0 done, 1 skipped, 0 failed" in quiet.stderr
    assert site.contents() == objects
    assert site.diff_dir_contents() == state
    grow(repository, tmp_path / "scratch", 1)
    site.run(day=2)
    assert site.archive_keys() == [f"{name}-0-FULL", f"{name}-2-DIFF"]
    fresh = loaded(site, site.archive_keys(), tmp_path / "fresh")
    assert fresh.dump() == repository.dump()
    # A FULL is always stored.
    site.run(day=3)
    assert site.archive_keys() == [f"{name}-0-FULL", f"{name}-2-DIFF", f"{name}-3-FULL"]


def test_a_second_run_on_the_same_night_keeps_the_revisions_of_the_first(
    site: Site, repository: Repository, tmp_path: Path
) -> None:
    name = configure(site, repository)
    site.run(day=0)
    grow(repository, tmp_path / "scratch", 1)
    site.run(day=1)
    grow(repository, tmp_path / "scratch", 2)
    site.run("-f", day=1)
    assert site.metadata(f"{name}-1-DIFF")["s3napback-revisions"] == "6:11"
    assert loaded(site, site.archive_keys(), tmp_path / "fresh").dump() == repository.dump()


def test_a_revision_committed_during_the_dump_belongs_to_the_next_archive(
    site: Site, repository: Repository, tmp_path: Path
) -> None:
    name = configure(site, repository)
    url = repository.path.as_uri()
    commit = f'svnmucc --non-interactive -U "{url}" -m during mkdir "during-$$" >&2'
    fake = site.fake_program("svnadmin", f'export LC_ALL=C.UTF-8\n{commit} || exit 9\nexec REAL "$@"')
    site.run(day=0)
    assert repository.youngest == 6
    assert site.metadata(f"{name}-0-FULL")["s3napback-revisions"] == "0:5"
    fake.unlink()
    site.run(day=1)
    assert site.metadata(f"{name}-1-DIFF")["s3napback-revisions"] == "6:6"
    assert loaded(site, site.archive_keys(), tmp_path / "fresh").dump() == repository.dump()


def replace_with(repository: Repository, other: Repository) -> None:
    shutil.rmtree(repository.path)
    shutil.copytree(other.path, repository.path)


def go_back(repository: Repository, older: Repository, scratch: Path) -> None:
    replace_with(repository, older)


def go_back_and_on(repository: Repository, older: Repository, scratch: Path) -> None:
    """As many revisions as before, and the same UUID."""
    replace_with(repository, older)
    grow(repository, scratch, 1)
    assert repository.youngest == 8


def become_another(repository: Repository, older: Repository, scratch: Path) -> None:
    command("svnadmin", "setuuid", repository.path)
    grow(repository, scratch, 2)


def lose_a_path(repository: Repository, older: Repository, scratch: Path) -> None:
    """All revisions are there, with the same dates; what was to be forgotten is not in them."""
    dump = command("svnadmin", "dump", "--quiet", "--exclude", FORGOTTEN, repository.path)
    vanish(repository)
    Repository(repository.path).load(dump)
    assert repository.youngest == 8


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lose_a_path, "it was made anew under its old UUID, and its revisions up to 8 are others than before"),
        (go_back, "its youngest revision is 5, and 8 was archived"),
        (go_back_and_on, "its revision 8 is not the one that was archived"),
        (become_another, "the repository's UUID is"),
    ],
)
def test_a_repository_that_is_not_the_one_archived_gets_a_full_and_a_warning(
    change: object, words: str, site: Site, repository: Repository, tmp_path: Path
) -> None:
    assert callable(change)
    name = configure(site, repository)
    older = repository.copy(tmp_path / "older")
    site.run(day=0)
    grow(repository, tmp_path / "scratch", 1)
    site.run(day=1)
    change(repository, older, tmp_path / "scratch")
    assert words in site.run("-t", day=2).stdout
    done = site.run(day=2)
    assert f"a FULL is made in the place of a DIFF: {words}" in done.stderr
    assert "WARNING" in done.stderr
    assert site.archive_keys() == [f"{name}-0-FULL", f"{name}-1-DIFF", f"{name}-2-FULL"]
    assert loaded(site, [f"{name}-2-FULL"], tmp_path / "fresh").dump() == repository.dump()


def test_a_hot_copy_in_its_place_is_the_same_repository(site: Site, repository: Repository, tmp_path: Path) -> None:
    name = configure(site, repository)
    site.run(day=0)
    copy = repository.copy(tmp_path / "copy")
    assert (copy.path / "db/uuid").read_bytes() != (repository.path / "db/uuid").read_bytes()
    replace_with(repository, copy)
    grow(repository, tmp_path / "scratch", 1)
    site.run(day=1)
    assert site.archive_keys() == [f"{name}-0-FULL", f"{name}-1-DIFF"]


def corrupt(repository: Repository) -> None:
    revision = repository.path / "db/revs/0/3"
    data = revision.read_bytes()
    revision.chmod(0o644)
    revision.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))


def lose_youngest(repository: Repository) -> None:
    (repository.path / "db/current").unlink()


def vanish(repository: Repository) -> None:
    shutil.rmtree(repository.path)


def begin_anew(repository: Repository) -> None:
    vanish(repository)
    Repository(repository.path)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (corrupt, "svnadmin: E"),
        (lose_youngest, "svnlook: E"),
        (vanish, "does not exist"),
        (begin_anew, "has no revision, but had some"),
    ],
)
def test_a_repository_that_cannot_be_dumped_fails_and_leaves_the_old_archive(
    damage: object, words: str, site: Site, repository: Repository, tmp_path: Path
) -> None:
    assert callable(damage)
    site.configure(
        f"Fulls 1\n<Subversion {word(str(repository.path))}>\n</Subversion>\n<Directory {site.source}>\n</Directory>"
    )
    site.run(day=0)
    archived = repository.dump()
    damage(repository)
    key = f"{site.name(repository.path)}-0-FULL"
    with unharmed(site, f"Subversion {repository.path}", key) as failure:
        failure.run = site.run(day=1, expect=1)
    assert words in failure.words
    assert loaded(site, [key], tmp_path / "fresh").dump() == archived


def test_a_failed_diff_leaves_the_state_and_is_made_up(site: Site, repository: Repository, tmp_path: Path) -> None:
    name = configure(site, repository)
    source = f"Subversion {repository.path}"
    site.run(day=0)
    state = state_of(site, source)
    grow(repository, tmp_path / "scratch", 1)
    fake = site.fake_program("svnadmin", '"REAL" "$@"; echo "svnadmin: lightning" >&2; exit 1')
    assert "svnadmin: lightning" in site.run(day=1, expect=1).stderr
    assert state_of(site, source) == state
    fake.unlink()
    grow(repository, tmp_path / "scratch", 2)
    site.run(day=2)
    assert site.archive_keys() == [f"{name}-0-FULL", f"{name}-2-DIFF"]
    assert loaded(site, site.archive_keys(), tmp_path / "fresh").dump() == repository.dump()


def test_a_missing_repository_or_program_is_told_by_the_dry_run(site: Site, tmp_path: Path) -> None:
    site.configure(f"<Subversion {tmp_path}/none>\nDiffs 2\n</Subversion>")
    rehearsed = site.run("-t", expect=1)
    assert "would fail: does not exist" in rehearsed.stdout
    assert "does not exist" in rehearsed.stderr
    site.environment["PATH"] = str(site.root)
    assert "svnadmin was not found on PATH; install it (Debian's package is subversion)" in site.run(expect=1).stderr
