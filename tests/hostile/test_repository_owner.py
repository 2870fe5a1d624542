"""Repositories that belong to somebody else, backed up by root: what their owner can make of that is nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from s3napback.environment import NOBODY
from s3napback.errors import SourceError
from s3napback.sources.repository_access import repository_access
from tests.databases.private_server import short_folder
from tests.databases.recovery import dump_of
from tests.databases.repository import Repository, begin, command, grow
from tests.site import Site

DEVELOPER = 1234
OTHER = 4321
SECRET = b"a secret of root's\n"
QUICK = 60  # seconds; far less than StallTimeout

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root backs up what belongs to others")


def give(folder: Path, uid: int) -> None:
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, uid, uid, follow_symlinks=False)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """One of a developer's, in a folder that only root can pass."""
    made = begin(tmp_path / "repository", tmp_path / "scratch")
    give(made.path, DEVELOPER)
    return made


@pytest.fixture
def berkeley(tmp_path: Path) -> Path:
    """One of Berkeley DB with a revision, root's own."""
    made = tmp_path / "berkeley"
    command("svnadmin", "create", "--fs-type", "bdb", made)
    command("svnmucc", "--non-interactive", "-m", "one", "-U", made.as_uri(), "mkdir", "trunk")
    return made


@pytest.fixture
def precious(tmp_path: Path) -> Iterator[Path]:
    """A file of root's, which must stay as it is."""
    made = tmp_path / "precious"
    made.write_bytes(SECRET)
    made.chmod(0o600)
    yield made
    assert made.read_bytes() == SECRET


def configure(site: Site, path: Path, kind: str = "Subversion") -> None:
    site.configure(f'<{kind} "{path}">\nDiffs 2\nFulls 2\nStallTimeout 3600\n</{kind}>')


def read_as(path: Path, caller: int = 0) -> tuple[int, int] | None:
    user = repository_access(str(path), caller).user
    return None if user is None else (user.uid, user.gid)


def test_a_chain_of_a_developers_repository_is_made_with_the_developers_rights(
    repository: Repository, tmp_path: Path
) -> None:
    with short_folder("root") as folder:
        site = Site(folder / "site")
        seen = folder / "seen"
        seen.mkdir()
        seen.chmod(0o777)
        for program in ("svnadmin", "svnlook"):
            site.fake_program(program, f'id -u >>{seen}/uid; env >>{seen}/environment; exec REAL "$@"')
        site.environment["PATH"] = f"{folder}/site/bin:/usr/bin:/bin"
        site.environment |= {"AWS_SECRET_ACCESS_KEY": "SEKRIT", "HOME": "/root", "TMPDIR": "/root"}
        configure(site, repository.path)
        site.run(day=0)
        grow(repository, tmp_path / "scratch", 1)
        give(repository.path, DEVELOPER)
        site.run(day=1)
        assert set((seen / "uid").read_text().split()) == {str(DEVELOPER)}
        environment = (seen / "environment").read_text()
        assert "SEKRIT" not in environment
        assert "=/root" not in environment
        loaded = Repository(tmp_path / "loaded")
        name = site.name(repository.path)
        for key in (f"{name}-0-FULL", f"{name}-1-DIFF"):
            loaded.load(dump_of(site, key))
    assert loaded.dump().partition(b"Revision-number")[2] == repository.dump().partition(b"Revision-number")[2]


HOOKS = [
    f"{when}-{what}" for what in ("commit", "revprop-change", "lock", "unlock") for when in ("start", "pre", "post")
]


@pytest.mark.parametrize("owner", [DEVELOPER, 0])
def test_no_hook_is_run_and_none_comes_back(site: Site, repository: Repository, tmp_path: Path, owner: int) -> None:
    with short_folder("root") as folder:
        folder.chmod(0o777)
        for name in HOOKS:
            hook = repository.path / "hooks" / name
            hook.write_text(f"#!/bin/sh\ntouch {folder}/{name}\n")
            hook.chmod(0o755)
        give(repository.path, owner)
        configure(site, repository.path)
        site.run(day=0)
        grow(repository, tmp_path / "scratch", 1)
        assert [*folder.iterdir()]
        for path in folder.iterdir():
            path.unlink()
        give(repository.path, owner)
        site.run(day=1)
        site.run("restore", str(repository.path), "--to", str(tmp_path / "restored"), day=None)
        site.run("verify", day=None)
        assert not [*folder.iterdir()]
        assert not {*HOOKS} & {path.name for path in (tmp_path / "restored/hooks").iterdir()}


def test_the_dry_run_shows_the_command_as_it_is_run(site: Site, repository: Repository, tmp_path: Path) -> None:
    configure(site, repository.path)
    printed = site.run("-t", "-d").stdout
    assert f"env --chdir={repository.path} setpriv --reuid={DEVELOPER} " in printed
    line = next(line for line in printed.splitlines() if "svnadmin dump" in line).removesuffix("\\")
    dumped = subprocess.run(["sh", "-c", line], capture_output=True, check=True).stdout
    assert dumped.startswith(b"SVN-fs-dump-format-version:")
    root_own = begin(tmp_path / "own", tmp_path / "scratch")
    configure(site, root_own.path)
    assert (
        f"    svnadmin dump --quiet --revision=0:5 --incremental --deltas {root_own.path}"
        in site.run("-t", "-d").stdout
    )


def test_what_the_owner_may_not_read_fails_with_a_message_that_tells_who_read(
    site: Site, repository: Repository, precious: Path
) -> None:
    current = repository.path / "db" / "current"
    os.chown(current, 0, 0)
    current.chmod(0o600)
    configure(site, repository.path)
    failed = site.run(expect=1).stderr
    assert f"cannot be read as user number {DEVELOPER}, whose it is" in failed
    assert "Permission denied" in failed


def test_a_link_to_a_secret_in_a_repository_is_not_followed_with_roots_rights(
    site: Site, repository: Repository, precious: Path
) -> None:
    revision = repository.path / "db" / "revs" / "0" / "2"
    revision.unlink()
    revision.symlink_to(precious)
    for owner in (DEVELOPER, 0):
        os.chown(revision, owner, owner, follow_symlinks=False)
        configure(site, repository.path)
        failed = site.run(expect=1).stderr
        assert "Permission denied" in failed
        assert site.archive_keys() == []


@pytest.mark.parametrize("place", ["db/current", "db/revs/0/2", "db/revs", "db", "db/fs-type", "db/fsfs.conf"])
def test_a_link_of_a_third_persons_is_refused_and_told_whose_it_is(
    site: Site, repository: Repository, tmp_path: Path, place: str
) -> None:
    """Whoever can write to a folder in the repository could show its owner's other files."""
    path = repository.path / place
    path.rename(tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")
    os.chown(path, OTHER, OTHER, follow_symlinks=False)
    configure(site, repository.path)
    failed = site.run(expect=1).stderr
    assert f"{path} is a symbolic link of user number {OTHER}'s" in failed
    assert site.archive_keys() == []
    os.chown(path, 0, 0, follow_symlinks=False)
    assert read_as(repository.path) == (DEVELOPER, NOBODY)


def test_a_link_on_the_way_must_be_roots_or_the_owners(repository: Repository, tmp_path: Path) -> None:
    """Else a developer whose folder is a SubversionDir would get a colleague's repository under an own name."""
    for link in (tmp_path / "link", tmp_path / "above"):
        link.symlink_to(repository.path if link.name == "link" else tmp_path)
        path = link if link.name == "link" else link / "repository"
        assert read_as(path) == (DEVELOPER, NOBODY)
        os.chown(link, DEVELOPER, DEVELOPER, follow_symlinks=False)
        assert read_as(path) == (DEVELOPER, NOBODY)
        os.chown(link, OTHER, OTHER, follow_symlinks=False)
        with pytest.raises(SourceError, match=f"{link} is a symbolic link of user number {OTHER}'s"):
            read_as(path)
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(SourceError, match="Too many levels of symbolic links"):
        read_as(tmp_path / "round")


@pytest.mark.parametrize(
    "place",
    ["format", "db/current", "db/format", "db/fs-type", "db/uuid", "db/fsfs.conf", "db/min-unpacked-rev"],
)
@pytest.mark.parametrize("kind", ["fifo", "link to a device"])
def test_what_would_never_end_is_noticed_before_a_tool_opens_it(
    site: Site, repository: Repository, place: str, kind: str
) -> None:
    harm(repository.path / place, kind)
    configure(site, repository.path)
    begun = time.monotonic()
    failed = site.run(expect=1).stderr
    assert f"{repository.path / place} is neither a file nor a folder" in failed
    assert time.monotonic() - begun < QUICK


@pytest.mark.parametrize("place", ["db/revs/0/2", "db/revprops/0/2", "db/revs/0/new", "db/revs/9", "db/anything"])
def test_what_would_never_end_is_noticed_wherever_a_dump_may_come(
    site: Site, repository: Repository, place: str
) -> None:
    harm(repository.path / place, "fifo")
    configure(site, repository.path)
    begun = time.monotonic()
    assert f"{repository.path / place} is neither a file nor a folder" in site.run(expect=1).stderr
    assert time.monotonic() - begun < QUICK


def harm(path: Path, kind: str) -> None:
    path.unlink(missing_ok=True)
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    os.chown(path, DEVELOPER, DEVELOPER, follow_symlinks=False)


def test_a_subversion_dir_takes_the_others_when_one_repository_has_a_pipe_as_its_format(
    site: Site, tmp_path: Path
) -> None:
    folder = tmp_path / "repositories"
    begin(folder / "good", tmp_path / "scratch")
    bad = begin(folder / "bad", tmp_path / "scratch")
    give(folder, DEVELOPER)
    harm(bad.path / "format", "fifo")
    configure(site, folder, "SubversionDir")
    failed = site.run(expect=1).stderr
    assert f"Subversion {bad.path} FAILED" in failed
    assert site.archive_keys() == [f"{site.name(folder)}/good-0-FULL"]


def test_berkeley_db_is_read_by_its_owner_and_overwrites_nothing_of_roots(
    site: Site, berkeley: Path, precious: Path
) -> None:
    give(berkeley, DEVELOPER)
    configure(site, berkeley)
    site.run()
    assert site.archive_keys() == [f"{site.name(berkeley)}-0-FULL"]
    for name in ("__db.register", "__db.002", "nodes"):
        path = berkeley / "db" / name
        path.unlink(missing_ok=True)
        path.symlink_to(precious)
        os.chown(path, DEVELOPER, DEVELOPER, follow_symlinks=False)
        site.run("-f", expect=1)


def let_group_write(berkeley: Path) -> None:
    os.chown(berkeley / "db", 0, DEVELOPER)
    (berkeley / "db").chmod(0o2775)


def give_one_file(berkeley: Path) -> None:
    os.chown(berkeley / "db" / "DB_CONFIG", DEVELOPER, DEVELOPER)


def let_all_write_the_type(berkeley: Path) -> None:
    (berkeley / "db" / "fs-type").chmod(0o666)


@pytest.mark.parametrize("share", [let_group_write, give_one_file, let_all_write_the_type])
def test_berkeley_db_that_is_roots_and_others_can_write_to_is_refused(
    site: Site, berkeley: Path, share: Callable[[Path], None]
) -> None:
    configure(site, berkeley)
    site.run()
    assert len(site.archive_keys()) == 1
    before = {path: path.read_bytes() for path in berkeley.rglob("*") if path.is_file()}
    share(berkeley)
    failed = site.run("-f", expect=1).stderr
    assert "is of Berkeley DB" in failed
    assert "others than root can write to it" in failed
    assert f"svnadmin dump {berkeley} | svnadmin load NEW" in failed
    assert {path: path.read_bytes() for path in berkeley.rglob("*") if path.is_file()} == before


def test_a_repository_that_does_not_tell_its_kind_counts_as_one_of_berkeley_db(berkeley: Path) -> None:
    (berkeley / "db" / "fs-type").unlink()
    assert read_as(berkeley) is None
    let_group_write(berkeley)
    with pytest.raises(SourceError, match="Berkeley DB"):
        read_as(berkeley)


def test_somebody_who_is_not_root_reads_an_own_berkeley_db_and_nobody_elses(berkeley: Path) -> None:
    give(berkeley, DEVELOPER)
    assert read_as(berkeley, DEVELOPER) is None
    with pytest.raises(SourceError, match=f"belongs to user number {DEVELOPER}, and s3napback runs as user number"):
        read_as(berkeley, OTHER)


def test_with_whose_rights_a_repository_is_read(repository: Repository, tmp_path: Path) -> None:
    path = repository.path
    assert read_as(path) == (DEVELOPER, NOBODY)
    assert read_as(path, DEVELOPER) is None
    assert read_as(path, OTHER) is None
    os.chown(path, 0, 0)
    assert read_as(path) == (DEVELOPER, NOBODY)
    give(path, 0)
    assert read_as(path) is None
    for inner in ("", "db", "db/revs", "db/revs/0", "db/fs-type"):
        mode = (path / inner).stat().st_mode
        os.chown(path / inner, 0, DEVELOPER)
        (path / inner).chmod(mode | 0o020)
        assert read_as(path) == (NOBODY, DEVELOPER if inner == "db" else NOBODY), inner
        (path / inner).chmod(mode)
        os.chown(path / inner, 0, 0)
    assert read_as(path) is None
    folder = tmp_path / "of a developer"
    folder.mkdir()
    os.chown(folder, DEVELOPER, DEVELOPER)
    path.rename(folder / "repository")
    assert read_as(folder / "repository") == (NOBODY, NOBODY)


def test_a_repository_that_a_group_commits_to_is_read_with_the_groups_rights_alone(
    site: Site, repository: Repository, precious: Path, tmp_path: Path
) -> None:
    give(repository.path, 0)
    for path in [repository.path, *repository.path.rglob("*")]:
        os.chown(path, OTHER if path.is_file() else 0, DEVELOPER)
        path.chmod(0o2770 if path.is_dir() else 0o660)
    configure(site, repository.path)
    site.run()
    assert dump_of(site, f"{site.name(repository.path)}-0-FULL").count(b"Revision-number") == 6
    current = repository.path / "db" / "current"
    shutil.copyfile(current, tmp_path / "current")
    current.unlink()
    current.symlink_to(precious)
    os.chown(current, OTHER, OTHER, follow_symlinks=False)
    assert "is a symbolic link of user number 4321's" in site.run("-f", expect=1).stderr


def test_what_nobody_may_not_read_fails_with_the_reason_why_it_is_nobody_who_reads(
    site: Site, repository: Repository
) -> None:
    give(repository.path, 0)
    (repository.path / "db").chmod(0o2770)
    os.chown(repository.path / "db", 0, DEVELOPER)
    (repository.path / "db" / "current").chmod(0o600)
    configure(site, repository.path)
    failed = site.run(expect=1).stderr
    assert "cannot be read as nobody, since others than root can write to it" in failed
    assert "Permission denied" in failed


def test_where_the_user_cannot_be_changed_the_message_tells_what_is_missing(site: Site, repository: Repository) -> None:
    configure(site, repository.path)
    limited = ["setpriv", "--bounding-set=-all,+dac_read_search", *site.command()]
    done = subprocess.run(limited, capture_output=True, text=True, env=site.full_environment(), check=False)
    assert done.returncode == 1, done.stderr
    assert f"cannot start svnlook as user number {DEVELOPER}" in done.stderr
    assert "CAP_SETUID CAP_SETGID" in done.stderr
