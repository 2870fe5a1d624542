"""Fixtures for tests of recovery: machines, a key pair, and servers for databases."""

from __future__ import annotations

from tests.commands.conftest import any_site, site
from tests.databases.conftest import mariadb, other_mariadb, other_postgres, postgres
from tests.nightly.conftest import key

__all__ = ["any_site", "key", "mariadb", "other_mariadb", "other_postgres", "postgres", "site"]
