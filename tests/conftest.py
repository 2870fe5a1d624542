"""What holds for all tests: Hypothesis's profile; S3 servers for the session, a faulty proxy for one test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from hypothesis import settings

from tests.faulty_s3 import FaultyS3
from tests.servers import S3Server, moto_server, rclone_server

# A slow machine is no failure, and the checkout may be one that cannot be written to.
settings.register_profile("s3napback", settings(deadline=None, database=None))
settings.load_profile("s3napback")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Long forms of tests that are short in CI."""
    parser.addoption("--storm", type=int, default=20, metavar="N", help="kill so many runs on each store")
    parser.addoption("--storm-seed", type=int, default=1, metavar="N", help="at moments drawn from this seed")
    parser.addoption(
        "--fuzz-members", type=float, default=10, metavar="SECONDS", help="restore random archives so long"
    )
    parser.addoption("--fuzz-seed", default="1", metavar="SEED", help="which are drawn from this seed")
    parser.addoption("--fuzz", type=int, default=300, metavar="N", help="so many inputs for each test of a fuzzer")


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """``rclone serve s3``, for the session; every test makes buckets of its own with ``rclone.make_bucket()``."""
    with rclone_server(tmp_path_factory.mktemp("rclone")) as server:
        yield server


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """moto's server, for the session; every test makes buckets of its own with ``moto.make_bucket()``."""
    with moto_server(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture
def faulty() -> Iterator[Callable[[S3Server], FaultyS3]]:
    """Put a proxy that obeys rules for faults in front of a server: ``proxy = faulty(rclone)``."""
    with ExitStack() as running:
        yield lambda server: running.enter_context(FaultyS3(server))
