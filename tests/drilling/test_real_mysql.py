"""Dumps of MySQL itself are loaded into MySQL itself; only with ``--mysql``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases.mysql import MySQL, mysql_server
from tests.databases.mysql_content import EVERYTHING
from tests.drilling.scratches import left
from tests.drilling.spoiling import replacing, spoil
from tests.site import Site

pytestmark = pytest.mark.mysql


@pytest.fixture(scope="module")
def server() -> Iterator[MySQL]:
    with mysql_server() as running:
        running.run("CREATE DATABASE shop CHARACTER SET utf8mb4")
        running.run(EVERYTHING, "shop")
        running.run("CREATE DATABASE small")
        running.run("CREATE TABLE first (a INT, b TEXT); INSERT INTO first VALUES (1, 'a'), (2, 'b')", "small")
        yield running


def say(site: Site, server: MySQL) -> None:
    option_file = Path(site.environment["HOME"]) / ".my.cnf"
    option_file.write_text(f"[client]\nsocket={server.socket}\nuser=root\n")


@pytest.mark.parametrize("options", ["", "MySQLOptions --flush-privileges --set-gtid-purged=OFF\n"])
def test_a_dump_is_loaded_and_counted(site: Site, server: MySQL, scratch: Path, options: str) -> None:
    say(site, server)
    site.configure(f"<MySQL all>\n{options}</MySQL>\n<MySQL shop>\n</MySQL>")
    site.run()
    shown = site.run("drill", f"--scratch={scratch}").stdout
    found = re.findall(r"^MySQL \w+ of 2026-01-\d\d: proven: \d+ tables with \d+ rows, ", shown, re.MULTILINE)
    assert len(found) == 2, shown
    assert not left(scratch)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (replacing(b",(2,'b')", b""), "the table first has 1 rows, and had 2 when it was made"),
        (replacing(b"`b` text", b"`b` varchar(0)"), "said: Data truncated for column 'b'"),
        (replacing(b"INSERT INTO `first`", b"INSERT INTO `fist`"), "fist' doesn't exist"),
    ],
)
def test_a_dump_that_is_not_good_is_found(site: Site, server: MySQL, scratch: Path, change: object, words: str) -> None:
    say(site, server)
    site.configure("<MySQL small>\n</MySQL>")
    site.run()
    (key,) = site.archive_keys()
    assert callable(change)
    spoil(site, key, change)
    assert words in site.run("drill", f"--scratch={scratch}", expect=1).stdout
    assert not left(scratch)
