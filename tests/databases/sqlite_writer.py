"""Programs that use an SQLite database in the way of others: one that writes all the time, and such as hold it up.

Each is a process of its own, as its locks are.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

WRITING = """
import os, sqlite3, sys, time
path, progress, mode, pause = sys.argv[1:]
connection = sqlite3.connect(path, timeout=60, isolation_level=None)
connection.execute(f"PRAGMA journal_mode = {mode}")
connection.execute("PRAGMA synchronous = OFF")
for table in ("entries", "totals"):
    connection.execute(f"CREATE TABLE IF NOT EXISTS {table} (number INTEGER PRIMARY KEY, text TEXT)")
connection.execute("CREATE INDEX IF NOT EXISTS by_text ON entries (text)")
file = os.open(progress, os.O_RDWR | os.O_CREAT)
number = connection.execute("SELECT count(*) FROM entries").fetchone()[0]
while True:
    number += 1
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO entries VALUES (?, ?)", (number, str(number) * 40))
    connection.execute("UPDATE entries SET text = text || 'x' WHERE number = ?", (number // 2,))
    connection.execute("INSERT INTO totals VALUES (?, ?)", (number, "x"))
    connection.execute("COMMIT")
    os.pwrite(file, b"%20d" % number, 0)
    time.sleep(float(pause))
"""

HOLDING = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
for statement in sys.argv[2:]:
    connection.execute(statement).fetchall()
print("ready", flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class Written:
    """A database that is being written to.

    Attributes:
        path: of it.
        progress: the file in which its writer notes the last number that it has committed.
    """

    path: Path
    progress: Path

    @property
    def committed(self) -> int:
        """The last number that is surely in it."""
        return int(self.progress.read_bytes() or b"0") if self.progress.exists() else 0


@contextmanager
def written(folder: Path, mode: str, pause: float = 0.001) -> Iterator[Written]:
    """Write to a new database.

    Args:
        mode: of its journal.
        pause: seconds between two transactions.
    """
    database = Written(folder / "data.db", folder / "progress")
    command = [sys.executable, "-c", WRITING, str(database.path), str(database.progress), mode, str(pause)]
    with subprocess.Popen(command) as process:
        try:
            while database.committed < 100:
                assert process.poll() is None
            yield database
            assert process.poll() is None
        finally:
            process.kill()


@contextmanager
def held(path: Path, *statements: str, user: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A program that has executed some statements, and keeps its connection."""
    command = [sys.executable, "-c", HOLDING, str(path), *statements]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, user=user) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            yield process
        finally:
            process.communicate()


def make(path: Path, *statements: str, rows: int = 100) -> Path:
    """A database with a table ``t``."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in (*statements, "CREATE TABLE t (number INTEGER PRIMARY KEY, text TEXT)"):
            connection.execute(statement)
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO t VALUES (?, ?)", ((number, "x" * 500) for number in range(rows)))
        connection.execute("COMMIT")
    return path


def flaws(path: Path) -> list[str]:
    """What is wrong with a database; nothing if it is whole."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as connection:
        return [line for (line,) in connection.execute("PRAGMA integrity_check") if line != "ok"]


def numbers(path: Path, table: str = "t") -> list[int]:
    """The rows of a table by their numbers."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as connection:
        return [number for (number,) in connection.execute(f"SELECT number FROM {table} ORDER BY number")]
