"""Databases and repositories back into live servers and a new repository."""

from __future__ import annotations

import errno
import os
import re
import subprocess
from pathlib import Path

import pytest

from s3napback.recovery.single_file import BrokenOutput
from tests.databases.mariadb import MariaDB
from tests.databases.mysql_content import EVERYTHING as MYSQL_CONTENT
from tests.databases.postgres import Postgres
from tests.databases.postgres_content import EVERYTHING as POSTGRESQL_CONTENT
from tests.databases.repository import Repository, begin, grow
from tests.gpg_keys import Key
from tests.recovery.helpers import leftovers, overwrite, put_archive, restore_here, why_not
from tests.site import Site


def to_standard_output(site: Site, source: str, *, expect: int = 0) -> bytes:
    command = site.command("restore", source, "--to", "-", day=None)
    done = subprocess.run(command, capture_output=True, env=site.full_environment(), check=False)
    assert done.returncode == expect, done.stderr
    return done.stdout


def test_a_mysql_dump_goes_through_a_pipe_into_another_server(
    site: Site, key: Key, mariadb: MariaDB, other_mariadb: MariaDB
) -> None:
    mariadb.create("to_restore")
    mariadb.run(MYSQL_CONTENT, "to_restore")
    home = site.root / "home"
    home.mkdir()
    (home / ".my.cnf").write_text(f"[client]\nsocket={mariadb.socket}\nuser=root\n")
    site.environment["HOME"] = str(home)
    site.configure("<MySQL to_restore>\n</MySQL>", general=key.directives)
    site.run()
    other_mariadb.create("to_restore")
    other_mariadb.run(to_standard_output(site, "MySQL/to_restore"), "to_restore")
    assert other_mariadb.describe("to_restore") == mariadb.describe("to_restore")


def test_a_postgresql_dump_becomes_a_file_that_psql_takes(
    site: Site, key: Key, postgres: Postgres, other_postgres: Postgres, tmp_path: Path
) -> None:
    postgres.create("to_restore")
    postgres.run(POSTGRESQL_CONTENT, "to_restore")
    site.environment.update(postgres.environment)
    site.configure("<PostgreSQL to_restore>\n</PostgreSQL>", general=key.directives)
    site.run()
    file = tmp_path / "dump.sql"
    site.run("restore", "PostgreSQL/to_restore", "--to", str(file), day=None)
    assert file.stat().st_mode & 0o777 == 0o600
    assert not leftovers(tmp_path)
    other_postgres.create("to_restore")
    other_postgres.run(file.read_bytes(), "to_restore")
    assert other_postgres.describe("to_restore") == postgres.describe("to_restore")
    before = file.read_bytes()
    refused = site.run("restore", "PostgreSQL/to_restore", "--to", str(file), day=None, expect=2)
    assert f"{file} exists" in refused.stderr
    assert file.read_bytes() == before


@pytest.mark.parametrize("damage", [-1, 40])
def test_a_reader_of_standard_output_learns_of_failure_by_the_exit_code(
    site: Site, tmp_path: Path, damage: int
) -> None:
    site.configure("")
    name = put_archive(site, 0, b"-- MariaDB dump\n\xff\0SQL\n-- Dump completed\n", source="MySQL x", name="MySQL/x")
    assert to_standard_output(site, "MySQL/x") == b"-- MariaDB dump\n\xff\0SQL\n-- Dump completed\n"
    overwrite(site, name, site.fetch(name)[:damage])
    to_standard_output(site, "MySQL/x", expect=1)
    assert name in why_not(site, "MySQL/x", tmp_path / "x.sql")


def test_a_reader_that_goes_away_is_a_failure(site: Site) -> None:
    site.configure("")
    put_archive(site, 0, b"SQL\n" * 2_000_000, source="MySQL x", name="MySQL/x")
    command = site.command("restore", "MySQL/x", "--to", "-", day=None)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=site.full_environment()
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.read(10)
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode == 1
    assert b"standard output cannot be written to" in said


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return begin(tmp_path / "repository", tmp_path / "scratch")


def back_up(site: Site, repository: Repository, tmp_path: Path, count: int = 3) -> str:
    site.configure(f"<Subversion {repository.path}>\nDiffs 2\nFulls 2\n</Subversion>")
    for night in range(count):
        if night:
            grow(repository, tmp_path / "scratch", night)
        site.run(day=night)
    return site.name(repository.path)


def test_a_repository_is_loaded_anew_with_its_uuid_and_every_revision(
    any_site: Site, repository: Repository, tmp_path: Path
) -> None:
    site = any_site
    back_up(site, repository, tmp_path)
    where = tmp_path / "restored"
    site.run("restore", str(repository.path), "--to", str(where), day=None)
    restored = Repository(where, create=False)
    assert (restored.uuid, restored.youngest) == (repository.uuid, repository.youngest)
    assert restored.dump() == repository.dump()
    assert not leftovers(where)
    site.run("restore", str(repository.path), "--to", str(where), day=None, expect=2)
    by_hand = Repository(tmp_path / "by hand")
    by_hand.load(to_standard_output(site, str(repository.path)))
    assert by_hand.dump() == repository.dump().replace(repository.uuid.encode(), by_hand.uuid.encode())


def test_dumps_that_do_not_continue_each_other_make_no_repository(
    site: Site, repository: Repository, tmp_path: Path
) -> None:
    name = back_up(site, repository, tmp_path)
    full, second, third = (site.fetch(f"{name}-{end}") for end in ("0-FULL", "1-DIFF", "2-DIFF"))
    where = tmp_path / "restored"
    overwrite(site, f"{name}-1-DIFF", third)
    site.store().delete(f"{name}-1-DIFF.sha256")
    said = why_not(site, str(repository.path), where)
    assert f"{name}-1-DIFF" in said
    assert "what is loaded so far continues with" in said
    overwrite(site, f"{name}-1-DIFF", second)
    other = Repository(tmp_path / "other")
    for number in range(6):
        other.commit("x", ("mkdir", f"x{number}"))
    foreign = put_archive(site, 3, other.dump(), source=f"Subversion {other.path}", name="other")
    overwrite(site, f"{name}-0-FULL", site.fetch(foreign))
    site.store().delete(f"{name}-0-FULL.sha256")
    said = why_not(site, str(repository.path), where)
    assert f"{name}-0-FULL" in said
    overwrite(site, f"{name}-0-FULL", full)
    shorter = {"revisions": "0:99", "uuid": repository.uuid}
    put_archive(site, 4, repository.dump(), source="Subversion /shorter", name="shorter", extra=shorter)
    assert "which is not what its metadata say" in why_not(site, "/shorter", where)
    keys = (f"{name}-0-FULL", f"{name}-2-DIFF")
    said = why_not(site, f"Subversion {repository.path}", where, keys=keys)
    assert f"{name}-2-DIFF" in said


def test_a_dump_that_svnadmin_refuses_is_not_told_as_decoding(
    site: Site, repository: Repository, tmp_path: Path
) -> None:
    site.configure("")
    refused = re.sub(rb"(Text-content-md5: ).{4}", rb"\g<1>0000", repository.dump())
    name = str(repository.path).strip("/")
    key = put_archive(site, 0, refused, source=f"Subversion {repository.path}", name=name)
    said = why_not(site, str(repository.path), tmp_path / "restored")
    assert key in said
    assert "cannot be loaded" in said
    assert "cannot be decoded" not in said
    assert "svnadmin failed" in said


def test_a_file_that_cannot_get_its_name_is_told_with_where_it_should_have_been(site: Site, tmp_path: Path) -> None:
    site.configure("")
    put_archive(site, 0, b"SQL", source="MySQL x", name="MySQL/x")
    where = tmp_path / ("x" * 300)
    with pytest.raises(BrokenOutput, match=f"what was restored cannot become {where}: File name too long"):
        restore_here(site, "MySQL/x", where)
    assert not leftovers(tmp_path)


def test_a_disk_that_loses_a_file_at_the_end_is_told(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    site.configure("")
    put_archive(site, 0, b"SQL", source="MySQL x", name="MySQL/x")
    monkeypatch.setattr(os, "fsync", fail)
    assert "cannot become" in why_not(site, "MySQL/x", tmp_path / "x.sql")
