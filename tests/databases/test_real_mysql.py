"""MySQL itself, with its own mysqldump; only with ``--mysql``, since Debian's releases have MariaDB in its place."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import manual
from tests.databases.mysql import MySQL, mysql_server
from tests.databases.mysql_content import EVERYTHING
from tests.databases.recovery import dump_of
from tests.site import Site

pytestmark = pytest.mark.mysql

OF_MYSQL = """
CREATE TABLE computed (id INT PRIMARY KEY, twice INT GENERATED ALWAYS AS (id * 2), KEY by_sum ((id + twice)));
INSERT INTO computed (id) VALUES (1), (2);
CREATE TABLE hidden (shown INT, secret INT INVISIBLE DEFAULT 3);
CREATE ROLE reader;
GRANT SELECT ON shop.* TO reader;
"""


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[MySQL, MySQL]]:
    """One that is backed up, and one that dumps are loaded into."""
    with mysql_server() as server, mysql_server() as fresh:
        server.run("CREATE DATABASE shop CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci")
        server.run(EVERYTHING + OF_MYSQL, "shop")
        yield server, fresh


def described(server: MySQL, database: str, name: str = "shop") -> dict[str, bytes]:
    """All that a database holds, as if it were called by another name.

    Loaded tables name the character set of a column beside its collation, which tells it as well.
    """
    return {
        what: text.replace(b" CHARACTER SET utf8mb4 COLLATE", b" COLLATE").replace(
            f"`{database}`".encode(), name.encode()
        )
        for what, text in server.describe(database).items()
    }


def say(site: Site, server: MySQL, user: str = "root") -> None:
    option_file = Path(site.environment["HOME"]) / ".my.cnf"
    option_file.write_text(f"[client]\nsocket={server.socket}\nuser={user}\n[mysqldump]\nquick\nquote-names\n")


def recipe(site: Site, last: bool) -> None:
    """Load by README's recipe: one database, or all."""
    first, *lines = manual.marked("MySQL by hand").replace("gpg -d", "cat").splitlines()
    text = "\n".join([first, *(lines[-1:] if last else lines[:-1])])
    for name in ("wiki", "all"):
        (key,) = (key for key in site.archive_keys() if key.startswith(f"MySQL/{name.replace('wiki', 'shop')}-"))
        text = text.replace(f"/srv/vault/MySQL/{name}-3", str(site.vault / key))
    text = text.replace("wiki", "shop")
    subprocess.run(["bash", "-c", text], check=True, env=site.full_environment(), stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("last", [False, True], ids=["one", "all"])
def test_everything_comes_back(site: Site, servers: tuple[MySQL, MySQL], last: bool) -> None:
    server, fresh = servers
    say(site, server)
    site.configure("<Cycle c>\nMySQL shop all\nMySQLOptions --set-gtid-purged=OFF\n</Cycle>")
    done = site.run()
    assert "WARNING" not in done.stderr
    say(site, fresh)
    recipe(site, last)
    before = {**described(server, "shop"), "itself": server.run("SHOW CREATE DATABASE shop")}
    assert {"TRIGGER remember", "PROCEDURE pay", "EVENT tidy", "rows of computed"} <= before.keys()
    assert {**described(fresh, "shop"), "itself": fresh.run("SHOW CREATE DATABASE shop")} == before
    if last:
        fresh.run("FLUSH PRIVILEGES")
        assert b"`shop`.*" in fresh.run("SHOW GRANTS FOR reader")
    fresh.drop("shop")


def test_a_dump_of_one_database_loads_beside_the_original(site: Site, servers: tuple[MySQL, MySQL]) -> None:
    server, _ = servers
    say(site, server)
    site.configure("<MySQL shop>\n</MySQL>")
    site.run()
    server.create("copied")
    command = site.command("restore", "MySQL/shop", "--to", "-", day=None)
    dump = subprocess.run(command, capture_output=True, env=site.full_environment(), check=True).stdout
    server.run(dump, "copied")
    assert described(server, "copied") == described(server, "shop")
    server.drop("copied")


def test_rights_that_hide_something_are_asked_for(site: Site, servers: tuple[MySQL, MySQL]) -> None:
    server, _ = servers
    server.run("CREATE USER limited@localhost; GRANT SELECT ON shop.log TO limited@localhost")
    say(site, server, "limited")
    site.configure("<MySQL shop>\nMySQLOptions --no-tablespaces\n</MySQL>")
    failed = site.run(expect=1).stderr
    server.run(failed.partition("Run: ")[2].splitlines()[0])
    server.run("GRANT SHOW VIEW, EVENT ON *.* TO limited@localhost")
    site.run()
    (key,) = site.archive_keys()
    dump = dump_of(site, key)
    for name, kind in server.rows("SHOW FULL TABLES", "shop"):
        quoted = name.replace("`", "``")
        assert f"{'VIEW' if kind == 'VIEW' else 'CREATE TABLE'} `{quoted}`".encode() in dump
