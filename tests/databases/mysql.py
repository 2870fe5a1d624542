"""A server of MySQL itself, on a socket; asked with MySQL's own client."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.databases.mariadb import USER, MariaDB
from tests.databases.private_server import as_user, running, short_folder


class MySQL(MariaDB):
    """See ``MariaDB``."""

    client = "mysql"


@contextmanager
def mysql_server() -> Iterator[MySQL]:
    """Run a fresh server; it cannot be reached by any network."""
    with short_folder(USER) as folder:
        base = ["mysqld", "--no-defaults", f"--datadir={folder / 'data'}", "--secure-file-priv=NULL"]
        install = [*base, "--initialize-insecure"]
        done = subprocess.run(install, capture_output=True, check=False, **as_user(USER, folder))
        assert done.returncode == 0, done.stdout + done.stderr
        socket = folder / "s"
        command = [*base, f"--socket={socket}", "--skip-networking", "--mysqlx=OFF", f"--pid-file={folder / 'pid'}"]
        command += ["--performance-schema=OFF", "--innodb-buffer-pool-size=64M", "--max-allowed-packet=1G"]
        ping = ["mysqladmin", "--no-defaults", f"--socket={socket}", "--user=root", "ping"]
        with running(command, USER, folder, ping) as server:
            yield MySQL(socket, server)
