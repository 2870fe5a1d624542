"""Two weeks of nights in a bucket whose server enforces locks, and then a thief who may do everything but lift them."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from s3napback.rotation import day_date, day_number
from tests.servers import S3Server
from tests.site import Site, files

pytestmark = pytest.mark.long(60)

NIGHTS = 14
FIRST = date.today() - timedelta(days=NIGHTS - 1)
"""The last night is today's, and all locks last for a while yet."""
CYCLE = "Diffs 2\nFulls 2"


@dataclass
class Stolen:
    """A machine after a theft.

    Attributes:
        moments: after each night, by the store's clock.
        copies: of the source, after each night.
        refused: how many deletions of versions the store has refused.
    """

    site: Site
    moments: list[datetime]
    copies: list[dict[str, bytes]]
    refused: int = 0

    def restored(self, target: Path, *options: str) -> dict[str, bytes]:
        self.site.run("restore", str(self.site.source), "--to", str(target), *options, day=None)
        return files(target / self.site.name())


def written(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture(scope="module", params=["seaweedfs", pytest.param("ceph", marks=pytest.mark.ceph)])
def stolen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stolen]:
    server: S3Server = request.getfixturevalue(request.param)
    site = Site(tmp_path_factory.mktemp("stolen"), server, server.make_bucket(locks=True))
    site.configure_cycle(CYCLE, general="ObjectLock governance\nChunkSize 5242880")
    (site.source / "noise").write_bytes(os.urandom(5_300_000))
    found = Stolen(site, [], [])
    for night in range(NIGHTS):
        (site.source / f"night-{night}").write_bytes(os.urandom(100))
        (site.source / f"night-{night - 3}").unlink(missing_ok=True)
        site.run(day=FIRST + timedelta(days=night))
        found.copies.append(files(site.source))
        # Stores date versions to the second: what comes later must bear another one.
        found.moments.append(datetime.now(timezone.utc) + timedelta(seconds=1))
        time.sleep(2.1)
    steal(server, found)
    yield found


def steal(server: S3Server, found: Stolen) -> None:
    """Overwrite all, delete all, and delete every version for good as far as the store lets."""
    client, bucket = server.client(), found.site.bucket
    keys = [each["Key"] for each in client.list_objects_v2(Bucket=bucket)["Contents"]]
    for key in keys:
        metadata = client.head_object(Bucket=bucket, Key=key)["Metadata"]
        client.put_object(Bucket=bucket, Key=key, Body=b"garbage", Metadata=metadata)
        client.delete_object(Bucket=bucket, Key=key)
    versions: list[Any] = [
        each
        for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket)
        for each in page.get("Versions", [])
    ]
    for each in versions:
        try:
            client.delete_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])
        except ClientError:
            found.refused += 1


def test_nothing_that_was_ever_locked_could_be_deleted(stolen: Stolen) -> None:
    """Each archive, its index and its sum: the words of runs alone are not locked."""
    assert stolen.refused == NIGHTS * 3


@pytest.mark.parametrize("night", range(NIGHTS))
def test_every_night_comes_back_byte_for_byte(stolen: Stolen, tmp_path: Path, night: int) -> None:
    then = written(stolen.moments[night])
    assert stolen.restored(tmp_path / "then", "--as-of", then) == stolen.copies[night]


def test_every_day_that_could_be_restored_comes_back_out_of_the_last_evening(stolen: Stolen, tmp_path: Path) -> None:
    """So it does of slots whose lock has long been older than what lies in them."""
    then = written(stolen.moments[-1])
    listed = stolen.site.run("list", "--as-of", then, day=None).stdout
    (first_day,) = re.findall(rf"^Directory {stolen.site.source} +test-host +\d+  (\S+) to \S+$", listed, re.MULTILINE)
    first = date.fromisoformat(first_day)
    assert (first - FIRST).days <= NIGHTS - 4
    for night in range((first - FIRST).days, NIGHTS):
        day = str(day_date(day_number(FIRST) + night))
        assert stolen.restored(tmp_path / day, "--as-of", then, "--at", day) == stolen.copies[night]


def test_without_it_there_is_nothing_to_restore(stolen: Stolen, tmp_path: Path) -> None:
    done = stolen.site.run("restore", str(stolen.site.source), "--to", str(tmp_path / "now"), day=None, expect=1)
    assert done.stderr


def test_the_store_refuses_to_make_a_lock_shorter(stolen: Stolen) -> None:
    """Which moto would do: here it is the server's word."""
    server = stolen.site.server
    assert server is not None
    client, bucket = server.client(), stolen.site.bucket
    found = next(
        each
        for each in client.list_object_versions(Bucket=bucket, Prefix=f"{stolen.site.name()}-4")["Versions"]
        if each["Size"] > 100
    )
    soon: Any = {"Mode": "GOVERNANCE", "RetainUntilDate": datetime.now(timezone.utc) + timedelta(hours=1)}
    with pytest.raises(ClientError, match=r"AccessDenied|WORM"):
        client.put_object_retention(Bucket=bucket, Key=found["Key"], VersionId=found["VersionId"], Retention=soon)
