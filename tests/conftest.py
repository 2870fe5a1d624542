"""What holds for all tests: signals and Hypothesis's profile; servers and a key for the session; a machine for one."""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings

from s3napback.cli import Invocation
from tests import sampling
from tests.botocore_data import share_botocore_data
from tests.ceph import ceph_server
from tests.databases.mariadb import MariaDB, mariadb_server
from tests.databases.postgres import Postgres, postgres_server
from tests.faulty_s3 import FaultyS3
from tests.forked_command import FORKED
from tests.gpg_keys import Key, gpg_home
from tests.mail_host import MailHost
from tests.seaweedfs import seaweedfs_server
from tests.servers import S3Server, moto_server, rclone_server
from tests.site import Site
from tests.swift import swift_server

# A slow machine is no failure, and the checkout may be one that cannot be written to.
settings.register_profile("s3napback", settings(deadline=None, database=None))
settings.load_profile("s3napback")

IGNORED_BY_PYTHON = {signal.SIGPIPE, signal.SIGXFSZ}


def pytest_configure() -> None:
    """Undo what this process has inherited, for itself and all that the tests start, and keep what takes long to read.

    A shell starts what runs in the background with SIGINT and SIGQUIT ignored, ``nohup`` does so with SIGHUP, and no
    shell can undo it. A program that is told to end by an ignored signal does not end.

    Where Python may keep no bytecode, every command would compile all its modules anew, which takes longer than most
    commands do. Where it is to keep nothing back of what it prints, as images for containers have it, what fails to be
    printed is forgotten; with its users it fails once more at the end.
    """
    share_botocore_data()
    for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"):
        os.environ.pop(name, None)
    for number in signal.valid_signals():
        if signal.getsignal(number) is signal.SIG_IGN and number not in IGNORED_BY_PYTHON:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def pytest_unconfigure() -> None:
    """End what commands were forked from."""
    FORKED.stop()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Long forms of tests that are short in CI."""
    parser.addoption("--storm", type=int, default=20, metavar="N", help="kill so many runs on each store")
    parser.addoption("--storm-seed", type=int, default=1, metavar="N", help="at moments drawn from this seed")
    parser.addoption(
        "--fuzz-members", type=float, default=10, metavar="SECONDS", help="restore random archives so long"
    )
    parser.addoption("--lock-rounds", type=int, default=5, metavar="N", help="so many times 400 nights for each cycle")
    parser.addoption("--every-user", action="store_true", help="each hostile archive as root and as an ordinary user")
    parser.addoption("--every-case", action="store_true", help="all cases of the tests that take longest")
    parser.addoption("--ceph", action="store_true", help="also on Ceph, whose programs must be on PATH")
    parser.addoption("--outages", action="store_true", help="also outages at their full length: half an hour")
    parser.addoption("--mysql", action="store_true", help="also what needs a server of MySQL itself on PATH")
    parser.addoption("--large", action="store_true", help="also what takes gigabytes of disk")
    parser.addoption("--fuzz-seed", default="1", metavar="SEED", help="which are drawn from this seed")
    parser.addoption("--fuzz", type=int, default=300, metavar="N", help="so many inputs for each test of a fuzzer")


@pytest.fixture(scope="session", autouse=True)
def home_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A home for what programs remember, which is nobody's who runs the tests; pytest removes it even if killed."""
    home = tmp_path_factory.mktemp("home")
    os.environ["HOME"] = str(home)
    os.environ["XDG_CACHE_HOME"] = str(home / ".cache")


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


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """SeaweedFS, for the session; every test makes buckets of its own with ``seaweedfs.make_bucket()``."""
    with seaweedfs_server(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@pytest.fixture(scope="session")
def swift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """OpenStack Swift, for the session; every test makes buckets of its own with ``swift.make_bucket()``."""
    with swift_server(tmp_path_factory.mktemp("swift")) as server:
        yield server


@pytest.fixture(scope="session")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Ceph's gateway, for the session; every test makes buckets of its own with ``ceph.make_bucket()``."""
    with ceph_server(tmp_path_factory.mktemp("ceph")) as server:
        yield server


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


@pytest.fixture(scope="session")
def key() -> Iterator[Key]:
    """A key pair that archives are encrypted with."""
    with gpg_home() as home:
        yield Key(home, home.make_key("Backup <backup@example.org>"))


@pytest.fixture
def tidied(tmp_path: Path) -> Iterator[None]:
    """Removes a test's folder, if it is so deep that pytest itself could not, and would fail in a later run."""
    yield
    subprocess.run(["rm", "-rf", "--", tmp_path], check=True)


@pytest.fixture
def diff_dir(tmp_path: Path) -> Path:
    """An empty one."""
    folder = tmp_path / "diff"
    folder.mkdir()
    return folder


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A machine with a directory store and an empty source."""
    return Site(tmp_path / "site")


@pytest.fixture(params=["directory", "rclone"])
def any_site(request: pytest.FixtureRequest, tmp_path: Path, rclone: S3Server) -> Site:
    """A machine with a directory store, and one with an S3 server."""
    return Site(tmp_path / "site", rclone if request.param == "rclone" else None)


@pytest.fixture
def faulty() -> Iterator[Callable[[S3Server], FaultyS3]]:
    """Put a proxy that obeys rules for faults in front of a server: ``proxy = faulty(rclone)``."""
    with ExitStack() as running:
        yield lambda server: running.enter_context(FaultyS3(server))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only an option asks for, and begin with the files that take longest."""
    for option in ("mysql", "ceph", "large", "outages"):
        if not config.getoption(f"--{option}"):
            _deselect(config, items, {item for item in items if item.get_closest_marker(option)})
    if not config.getoption("--every-case") and config.args == config.getini("testpaths"):
        _deselect(config, items, set(sampling.left_out(items)))
    items.sort(key=_seconds, reverse=True)


def _deselect(config: pytest.Config, items: list[pytest.Item], left_out: set[pytest.Item]) -> None:
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = [item for item in items if item not in left_out]


def pytest_collection_finish() -> None:
    """Let garbage be looked for in what tests make, not in the tests themselves and all that they import.

    These are a million objects, and many tests collect garbage to prove that they leave none.
    """
    gc.collect()
    gc.freeze()


def _seconds(item: pytest.Item) -> float:
    mark = item.get_closest_marker("long")
    return float(mark.args[0]) if mark else 0.0


@pytest.fixture
def mail_host() -> Iterator[MailHost]:
    """Takes the mail that is sent to it, until the test ends."""
    host = MailHost()
    thread = threading.Thread(target=host.serve)
    thread.start()
    yield host
    host.listener.shutdown(socket.SHUT_RDWR)
    host.listener.close()
    thread.join(10)
    assert not thread.is_alive()


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What the group and a command were given, without anything being done."""
    given: dict[str, object] = {}
    monkeypatch.setattr("s3napback.logs.configure_logging", lambda *_arguments, **_options: None)

    def note(_invocation: Invocation, _action: object, **_options: object) -> None:
        given.update({"paths": [str(path) for path in _invocation.paths], "test": _invocation.test})

    monkeypatch.setattr(Invocation, "run_each", note)
    return given
