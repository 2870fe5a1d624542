"""A MariaDB server of the tests' own, on a socket, and what a test asks it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tests.databases.private_server import as_user, kept_open, running, short_folder

USER = "mysql"
SYSTEM = ("information_schema", "mysql", "performance_schema", "sys")


@dataclass(frozen=True)
class MariaDB:
    """A running server.

    Attributes:
        socket: by which it is reached; the user ``root`` needs no password.
        process: the server's.
    """

    socket: Path
    process: subprocess.Popen[bytes]
    client: ClassVar[str] = "mariadb"

    def run(self, text: str | bytes, database: str = "", *, user: str = "root", password: str = "") -> bytes:
        """Let the client read SQL and return what it prints: rows as lines, columns between tabs, binary as hex."""
        data = text.encode() if isinstance(text, str) else text
        command = [self.client, "--no-defaults", f"--socket={self.socket}", f"--user={user}", f"--password={password}"]
        command += ["--batch", "--skip-column-names", "--binary-as-hex", "--default-character-set=utf8mb4"]
        command += ["--max-allowed-packet=1G", f"--database={database}"]
        done = subprocess.run(command, input=data, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
        return done.stdout

    @contextmanager
    def session(self, text: str, database: str) -> Iterator[None]:
        """Keep a connection open that has done ``text`` first."""
        command = ["mariadb", "--no-defaults", f"--socket={self.socket}", "--user=root", "--unbuffered"]
        with kept_open([*command, "--skip-column-names", f"--database={database}"], f"{text}; SELECT 'done';\n"):
            yield

    def rows(self, text: str, database: str = "") -> list[list[str]]:
        """The rows of a query."""
        return [line.split("\t") for line in self.run(text, database).decode().splitlines()]

    def create(self, database: str) -> None:
        self.run(f"CREATE DATABASE {quoted(database)} CHARACTER SET utf8mb4")

    def drop(self, database: str) -> None:
        self.run(f"DROP DATABASE IF EXISTS {quoted(database)}")

    def databases(self) -> list[str]:
        """Names of all databases but the server's own."""
        return sorted(name for (name,) in self.rows("SHOW DATABASES") if name not in SYSTEM)

    def describe(self, database: str) -> dict[str, bytes]:
        """Everything that a database holds: each definition as the server writes it, each table's rows in order."""
        found = {}
        for name, kind in self.rows("SHOW FULL TABLES", database):
            what = kind if kind in ("VIEW", "SEQUENCE") else "TABLE"
            found[f"definition of {name}"] = self.run(f"SHOW CREATE {what} {quoted(name)}", database)
            found[f"rows of {name}"] = self.run(f"SELECT * FROM {quoted(name)} ORDER BY 1", database)
        for kind, query in (
            ("TRIGGER", "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE()"),
            ("EVENT", "SELECT event_name FROM information_schema.events WHERE event_schema = DATABASE()"),
            *((kind, _routines(kind)) for kind in ("PROCEDURE", "FUNCTION", "PACKAGE", "PACKAGE BODY")),
        ):
            for (name,) in self.rows(query, database):
                lines = self.rows(f"SHOW CREATE {kind} {quoted(name)}", database)
                # The time of its creation is a trigger's last column, and that of loading.
                found[f"{kind} {name}"] = repr([line[:6] for line in lines]).encode()
        return found


def _routines(kind: str) -> str:
    return (
        "SELECT routine_name FROM information_schema.routines "
        f"WHERE routine_schema = DATABASE() AND routine_type = '{kind}'"
    )


def quoted(name: str) -> str:
    """A name as SQL takes it."""
    return "`" + name.replace("`", "``") + "`"


@contextmanager
def mariadb_server(options: Sequence[str] = ()) -> Iterator[MariaDB]:
    """Run a fresh server; it cannot be reached by any network."""
    with short_folder(USER) as folder:
        data = folder / "data"
        install = ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--skip-test-db"]
        install += ["--auth-root-authentication-method=normal", "--innodb-log-file-size=16M"]
        done = subprocess.run(install, capture_output=True, check=False, **as_user(USER, folder))
        assert done.returncode == 0, done.stdout + done.stderr
        socket = folder / "s"
        command = [
            "mariadbd",
            "--no-defaults",
            f"--datadir={data}",
            f"--tmpdir={data}",
            f"--socket={socket}",
            "--skip-networking",
        ]
        command += [f"--pid-file={folder / 'pid'}", "--innodb-log-file-size=16M", "--innodb-flush-log-at-trx-commit=0"]
        command += ["--max-allowed-packet=1G", "--character-set-server=utf8mb4", *options]
        ping = ["mariadb-admin", "--no-defaults", f"--socket={socket}", "ping"]
        with running(command, USER, folder, ping) as server:
            yield MariaDB(socket, server)
