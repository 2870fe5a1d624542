"""Fixtures for tests of faults: machines with a week of backups behind them, made once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path

import pytest

from tests.faults.machine import Bucket, Machine
from tests.faults.runner import Runner, fork_server
from tests.faults.subjects import (
    CommandSubject,
    DirectorySubject,
    RepositorySubject,
    SQLiteSubject,
    Subject,
    mysql_subject,
    postgresql_subject,
)
from tests.faulty_s3 import FaultyS3
from tests.gpg_keys import Key
from tests.servers import S3Server
from tests.site import Site

SUBJECTS: dict[str, Callable[[Path], Subject]] = {
    "S3": lambda root: DirectorySubject(root / "source" / "tree"),
    "Directory": lambda root: DirectorySubject(root / "source" / "tree"),
    "MySQL": lambda root: mysql_subject(root / "programs"),
    "PostgreSQL": lambda root: postgresql_subject(root / "programs"),
    "Subversion": lambda root: RepositorySubject(root / "source" / "repository"),
    "SQLite": lambda root: SQLiteSubject(root / "source" / "data.db"),
    "Command": lambda root: CommandSubject(root / "programs"),
}


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """Runs the command line by forking."""
    with fork_server(tmp_path_factory.mktemp("runs")) as running:
        yield running


@pytest.fixture(scope="session")
def machine_at(
    tmp_path_factory: pytest.TempPathFactory, rclone: S3Server, runner: Runner, key: Key
) -> Iterator[Callable[[str], Machine]]:
    """The machine of a name in ``SUBJECTS``."""
    with ExitStack() as stack:

        @lru_cache(None)
        def make(where: str) -> Machine:
            root = tmp_path_factory.mktemp(where.lower())
            bucket = None
            site = Site(root)
            if where == "S3":
                proxy = stack.enter_context(FaultyS3(rclone))
                site = Site(root, proxy.server)
                bucket = Bucket(rclone, proxy, site.bucket)
            return Machine(site, SUBJECTS[where](root), key, runner, bucket)

        yield make
