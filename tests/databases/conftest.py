"""Real servers for the session, and a small machine whose configuration names them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases.mariadb import MariaDB, mariadb_server
from tests.databases.postgres import Postgres, postgres_server
from tests.site import Site


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """The MariaDB server that is backed up; every test makes databases of its own."""
    with mariadb_server() as server:
        yield server


@pytest.fixture(scope="session")
def other_mariadb() -> Iterator[MariaDB]:
    """A MariaDB server that archives are loaded into."""
    with mariadb_server() as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The PostgreSQL server that is backed up; every test makes databases of its own."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def other_postgres() -> Iterator[Postgres]:
    """A PostgreSQL server that archives are loaded into."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A machine with a directory store and an empty home folder."""
    made = Site(tmp_path / "site")
    home = made.root / "home"
    home.mkdir()
    made.environment["HOME"] = str(home)
    return made
