"""S3 servers for tests: moto's and rclone's, on free ports of the loopback device, in folders of their own.

``tests/seaweedfs.py``, ``tests/swift.py`` and ``tests/ceph.py`` have others.

``tests/conftest.py`` makes fixtures of them, one process each for the whole test session.
"""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from s3napback.config.settings import Credentials, StoreSettings

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

ACCESS_KEY = "TESTACCESSKEY0001"
SECRET_KEY = "testsecret0123456789"

_bucket_numbers = itertools.count(1)


@dataclass(frozen=True)
class S3Server:
    """A running server, or a faulty proxy in front of one (see ``behind``).

    Attributes:
        kind: ``moto``, ``rclone``, ``seaweedfs``, ``swift`` or ``ceph``.
        endpoint: its URL.
        process_id: of the server.
        folder: where rclone keeps buckets, each a subfolder; None for the others.
    """

    kind: str
    endpoint: str
    process_id: int
    folder: Path | None = None
    access_key: str = ACCESS_KEY
    secret_key: str = field(default=SECRET_KEY, repr=False)

    @property
    def credentials(self) -> Credentials:
        """What the server knows its one user by."""
        return Credentials(self.access_key, self.secret_key)

    def make_bucket(self, *, locks: bool = False) -> str:
        """Make a bucket that no other test uses, and return its name; in one with locks objects can be locked."""
        name = f"test-bucket-{next(_bucket_numbers)}"
        self.client().create_bucket(Bucket=name, ObjectLockEnabledForBucket=locks)
        return name

    def make_locked_bucket(self) -> str:
        """The same with Object Lock: what is put there, nobody deletes before a day has passed."""
        name = f"test-bucket-{next(_bucket_numbers)}"
        self.client().create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
        retention: Any = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}
        lock: Any = {"ObjectLockEnabled": "Enabled", "Rule": retention}
        self.client().put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=lock)
        return name

    def settings(self, bucket: str, **others: Any) -> StoreSettings:
        """Settings of a store in ``bucket``."""
        return replace(StoreSettings(bucket=bucket, endpoint=self.endpoint, region="us-east-1"), **others)

    def environment(self) -> dict[str, str]:
        """Variables by which boto3 and ``aws`` find the credentials, and nothing else on this machine."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }

    def key_file_text(self) -> str:
        """The content of an S3Keyfile."""
        return f"key={self.access_key}\nsecret={self.secret_key}\n"

    def behind(self, endpoint: str) -> S3Server:
        """The same server, reached through a proxy."""
        return replace(self, endpoint=endpoint)

    def client(self) -> S3Client:
        """A plain boto3 client, for looking behind the back of the code under test."""
        return _client(self.endpoint, self.access_key, self.secret_key)

    def unfinished_uploads(self, bucket: str) -> list[str]:
        """The keys of multipart uploads that were neither completed nor aborted."""
        try:
            answer = self.client().list_multipart_uploads(Bucket=bucket)
        except ClientError as error:
            # rclone's way to say that there are none
            if error.response["Error"]["Code"] == "NoSuchUpload":
                return []
            raise
        return [upload["Key"] for upload in answer.get("Uploads", [])]


@lru_cache
def _client(endpoint: str, access_key: str, secret_key: str) -> S3Client:
    config = Config(
        s3={"addressing_style": "path"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return boto3.session.Session(access_key, secret_key).client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", config=config
    )


@contextmanager
def rclone_server(folder: Path) -> Iterator[S3Server]:
    """Run ``rclone serve s3``; it forgets metadata when it ends."""
    buckets = folder / "buckets"
    buckets.mkdir(parents=True)

    def command(port: int) -> list[str]:
        address = ["--addr", f"127.0.0.1:{port}", "--auth-key", f"{ACCESS_KEY},{SECRET_KEY}"]
        return [program("rclone"), "--config", os.devnull, "serve", "s3", *address, str(buckets)]

    with running(command, folder) as (endpoint, process_id):
        yield S3Server("rclone", endpoint, process_id, buckets)


@contextmanager
def moto_server(folder: Path) -> Iterator[S3Server]:
    """Run moto's server; it believes every signature."""
    folder.mkdir(parents=True, exist_ok=True)

    def command(port: int) -> list[str]:
        return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]

    with running(command, folder) as (endpoint, process_id):
        yield S3Server("moto", endpoint, process_id)


def free_port() -> int:
    """A port of the loopback device on which nothing listens at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    command: Callable[[int], list[str]],
    folder: Path,
    variables: Mapping[str, str] = MappingProxyType({}),
    *,
    port: int | None = None,
) -> Iterator[tuple[str, int]]:
    """Start a server, wait until it listens, and end it; another process may snatch the port, hence the attempts.

    Args:
        command: given a port, the arguments.
        folder: what it writes goes there.
        variables: of its environment.
        port: the only one that will do.
    """
    own = {"HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache"), "TMPDIR": str(folder)}
    environment = {**os.environ, **own, **variables}
    log = folder / "server.log"
    for _attempt in range(3):
        chosen = port or free_port()
        with log.open("ab") as output:
            process = subprocess.Popen(
                command(chosen), stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
            )
        try:
            if _listens(process, chosen):
                yield f"http://127.0.0.1:{chosen}", process.pid
                return
        finally:
            process.terminate()
            try:
                process.wait(1)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    raise RuntimeError(f"the server did not start:\n{log.read_text(errors='replace')}")


def _listens(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.05)
    return False


def program(name: str) -> str:
    """The path of a program, be it on PATH or only beside this Python."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise RuntimeError(f"{name} is missing: install the package's [test] extra")
    return found
