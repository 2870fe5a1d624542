"""What is backed up in the tests of faults: one subject for each kind of source, which changes from night to night."""

from __future__ import annotations

import gzip
import os
import sqlite3
import subprocess
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

LARGE = 5_400_000
"""Bytes of a file that does not fit into one part of an upload."""


class Subject(Protocol):
    """One source of one kind.

    Attributes:
        label: how messages call it, ``Directory /etc``.
        directive: its line in a Cycle.
        name: its key base.
        program: what dumps it.
        middle: bytes of its dump that are surely not all.
        settings: of its Cycle.
    """

    label: str
    directive: str
    name: str
    program: str
    middle: int
    settings: str

    def change(self, night: int, *, large: int = 0) -> None:
        """Hold something else from now on, ``large`` times ``LARGE`` bytes of it new."""
        ...

    def assert_restored(self, dumps: Sequence[bytes], folder: Path) -> None:
        """Restore a chain from the content of its archives, decrypted, and compare with the source as it is."""
        ...


@dataclass
class DirectorySubject:
    """A tree of files."""

    path: Path
    program: str = "tar"
    middle: int = 20_000
    settings: str = "Diffs 2\nFulls 2"

    def __post_init__(self) -> None:
        self.path.mkdir(parents=True)
        (self.path / "big").write_bytes(os.urandom(LARGE))
        (self.path / "stays").write_bytes(os.urandom(100_000))
        self.label = self.directive = f"Directory {self.path}"
        self.name = str(self.path).lstrip("/")

    def change(self, night: int, *, large: int = 0) -> None:
        """See ``Subject``."""
        for old in self.path.glob("night-*"):
            old.unlink()
        (self.path / f"night-{night}").write_bytes(os.urandom(50_000 + large * LARGE))

    def assert_restored(self, dumps: Sequence[bytes], folder: Path) -> None:
        """See ``Subject``."""
        folder.mkdir()
        for dump in dumps:
            tar = ["tar", "-xz", "--listed-incremental=/dev/null", "-p", "-C", str(folder)]
            subprocess.run(tar, input=dump, check=True)
        difference = subprocess.run(
            ["diff", "-r", str(self.path), str(folder / self.name)], capture_output=True, text=True, check=False
        )
        assert difference.returncode == 0, difference.stdout


NO_DUMP = 'case "$*" in *--print-defaults* | *--schema-only*) exit 0 ;; esac'
"""What a dump program is asked besides, for the shell."""

MARIADB_CLIENT = "printf 's3napback\\t10.11.1-MariaDB\\nGRANT ALL PRIVILEGES ON *.* TO `root`@`localhost`\\n'"
"""Says of a server that it holds nothing worth mentioning."""

POSTGRESQL_CLIENT = r"""case $* in
    *server_version_num*) printf 150000 ;;
    *) printf 'table\tpublic\tgoods\t\0' ;;
esac"""
"""Says of a server that it holds one table."""


@dataclass
class DatabaseSubject:
    """A database whose dump program is a script, since faults of the pipe need no server."""

    kind: str
    programs: Path
    program: str
    heading: str
    ending: str
    client: str
    client_script: str
    middle: int = 100_000
    settings: str = "Fulls 2"

    def __post_init__(self) -> None:
        self.label = self.directive = f"{self.kind} shop"
        self.name = f"{self.kind}/shop"
        self.programs.mkdir(parents=True, exist_ok=True)
        self._dump = self.programs / f"{self.program}.sql"
        script = self.programs / self.program
        script.write_text(f"#!/bin/sh\n{NO_DUMP}\nexec cat {self._dump}\n")
        script.chmod(0o755)
        client = self.programs / self.client
        client.write_text(f"#!/bin/sh\n{self.client_script}\n")
        client.chmod(0o755)
        self.change(0)

    def change(self, night: int, *, large: int = 0) -> None:
        """See ``Subject``."""
        rows = os.urandom(large * LARGE // 2 or 150_000).hex()
        self._dump.write_text(f"{self.heading}\nINSERT INTO goods VALUES ({night}, '{rows}');\n{self.ending}\n")

    def assert_restored(self, dumps: Sequence[bytes], folder: Path) -> None:  # noqa: ARG002 - text needs none
        """See ``Subject``."""
        assert gzip.decompress(dumps[-1]) == self._dump.read_bytes()


@dataclass
class RepositorySubject:
    """A Subversion repository."""

    path: Path
    program: str = "svnadmin"
    middle: int = 300
    settings: str = "Diffs 2\nFulls 2"

    def __post_init__(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["svnadmin", "create", str(self.path)], check=True)
        self.label = self.directive = f"Subversion {self.path}"
        self.name = str(self.path).lstrip("/")
        self._count = 0

    def change(self, night: int, *, large: int = 0) -> None:  # noqa: ARG002 - one part will do
        """See ``Subject``."""
        self._count += 1
        url = f"file://{self.path}/folder-{night}-{self._count}"
        subprocess.run(["svn", "mkdir", "--quiet", "--message", "night " * 100, url], check=True)

    def assert_restored(self, dumps: Sequence[bytes], folder: Path) -> None:
        """See ``Subject``."""
        subprocess.run(["svnadmin", "create", str(folder)], check=True)
        for dump in dumps:
            load = ["svnadmin", "load", "--quiet", "--force-uuid", str(folder)]
            subprocess.run(load, input=gzip.decompress(dump), check=True)
        assert self._content(folder) == self._content(self.path)

    def _content(self, repository: Path) -> bytes:
        return subprocess.run(
            ["svnadmin", "dump", "--quiet", str(repository)], stdout=subprocess.PIPE, check=True
        ).stdout


@dataclass
class CommandSubject:
    """A command, which is a script of the machine's own."""

    programs: Path
    program: str = "dump-shop"
    middle: int = 100_000
    settings: str = "Fulls 2"

    def __post_init__(self) -> None:
        self.label, self.name = "Command shop", "Command/shop"
        # So little is what it writes in the middle that a dump which is cut off there cannot be taken for a whole one.
        self.directive = f"<Command shop>\nRun {self.program} --all\nLeastBytes 250000\n</Command>"
        self.programs.mkdir(parents=True, exist_ok=True)
        self._dump = self.programs / "shop.txt"
        script = self.programs / self.program
        script.write_text(f"#!/bin/sh\nexec cat {self._dump}\n")
        script.chmod(0o755)
        self.change(0)

    def change(self, night: int, *, large: int = 0) -> None:
        """See ``Subject``."""
        self._dump.write_text(f"{night} {os.urandom(large * LARGE // 2 or 150_000).hex()}\n")

    def assert_restored(self, dumps: Sequence[bytes], folder: Path) -> None:  # noqa: ARG002 - text needs none
        """See ``Subject``."""
        assert gzip.decompress(dumps[-1]) == self._dump.read_bytes()


@dataclass
class SQLiteSubject:
    """An SQLite database with a write-ahead log."""

    path: Path
    program: str = ""
    middle: int = 0
    settings: str = "Fulls 2"

    def __post_init__(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("CREATE TABLE goods (night INTEGER, data BLOB)")
            connection.commit()
        self.label = self.directive = f"SQLite {self.path}"
        self.name = f"SQLite{self.path}"
        self.change(0)

    def change(self, night: int, *, large: int = 0) -> None:
        """See ``Subject``."""
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute("DELETE FROM goods")
            connection.execute("INSERT INTO goods VALUES (?, ?)", (night, os.urandom(large * LARGE or 150_000)))
            connection.commit()

    def assert_restored(self, dumps: Sequence[bytes], folder: Path) -> None:
        """See ``Subject``."""
        folder.mkdir()
        copy = folder / "data.db"
        copy.write_bytes(gzip.decompress(dumps[-1]))
        assert self._content(copy) == self._content(self.path)

    def _content(self, path: Path) -> list[tuple[int, bytes]]:
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            return connection.execute("SELECT night, data FROM goods").fetchall()


def mysql_subject(programs: Path) -> DatabaseSubject:
    """A MySQL database."""
    return DatabaseSubject(
        "MySQL",
        programs,
        "mariadb-dump",
        "-- MariaDB dump 10.19  Distrib 10.11",
        "-- Dump completed on 2026-01-01",
        "mariadb",
        MARIADB_CLIENT,
    )


def postgresql_subject(programs: Path) -> DatabaseSubject:
    """A PostgreSQL database."""
    return DatabaseSubject(
        "PostgreSQL",
        programs,
        "pg_dump",
        "--\n-- PostgreSQL database dump\n--\n\n--\n-- Name: goods; Type: TABLE; Schema: public; Owner: shop\n--\n",
        "\n--\n-- PostgreSQL database dump complete\n--\n",
        "psql",
        POSTGRESQL_CLIENT,
    )
