"""A bucket with versions whose dates a test sets, and a thief who has the machine's key.

The server is moto's, in this process, so that the time of what it holds can be changed: nights need not pass.
"""

from __future__ import annotations

import io
import itertools
import logging
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import FakeKey, S3Backend, s3_backends
from moto.server import ThreadedMotoServer

from tests.servers import S3Server

FIRST = datetime(2026, 1, 1, 3, tzinfo=timezone.utc)
"""When the store took what the first night made; each of the others a day later."""


@contextmanager
def past_server() -> Iterator[S3Server]:
    """Run moto's server in a thread."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield S3Server("moto", f"http://{host}:{port}", 0)
    finally:
        server.stop()
        # Of every version it keeps a file open.
        backend().reset()


@dataclass
class Past:
    """A bucket with versions.

    Attributes:
        dated: ids of the versions that have been given a date.
    """

    server: S3Server
    bucket: str
    dated: set[str] = field(default_factory=set)

    @classmethod
    def begin(cls, server: S3Server, *, has_versions: bool = True) -> Past:
        bucket = server.make_bucket()
        if has_versions:
            configuration: Any = {"Status": "Enabled"}
            server.client().put_bucket_versioning(Bucket=bucket, VersioningConfiguration=configuration)
        return cls(server, bucket)

    def versions(self) -> list[Any]:
        """All versions and marks of deletions, as moto keeps them, the oldest first."""
        return list(
            itertools.chain.from_iterable(found for _, found in backend().buckets[self.bucket].keys.iterlists())
        )

    def date(self, moment: datetime) -> list[Any]:
        """Give what is new since the last call this date, each a hundredth of a second after the one before."""
        new = [each for each in self.versions() if self._name(each) not in self.dated]
        for place, each in enumerate(new):
            each.last_modified = (moment + timedelta(milliseconds=place)).replace(tzinfo=None)
            self.dated.add(self._name(each))
        return new

    def date_night(self, night: int) -> None:
        """The same, for what the night of a number made."""
        self.date(FIRST + timedelta(days=night))

    def _name(self, each: Any) -> str:
        return f"{each.name}\0{each.version_id}"

    def keys(self) -> list[str]:
        """Keys that hold something now."""
        pages = self.server.client().get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return [found["Key"] for page in pages for found in page.get("Contents", [])]

    def versions_of(self, key: str) -> list[FakeKey]:
        """What is kept of one key, the oldest first."""
        return [each for each in self.versions() if each.name == key and isinstance(each, FakeKey)]


@dataclass(frozen=True)
class Thief:
    """Has the machine's key, and knows how archives are made."""

    past: Past

    def spoil(self, keys: Iterable[str]) -> None:
        """Put garbage over each, with the metadata that it has."""
        client, bucket = self.past.server.client(), self.past.bucket
        for key in keys:
            found = client.head_object(Bucket=bucket, Key=key)
            garbage = bytes(found["ContentLength"])
            client.put_object(Bucket=bucket, Key=key, Body=garbage, Metadata=found["Metadata"])

    def plant(self, key: str, tree: bytes, **changes: str) -> None:
        """Put an archive in its place that can be restored, with the metadata that it has but for some changes."""
        client, bucket = self.past.server.client(), self.past.bucket
        metadata = dict(client.head_object(Bucket=bucket, Key=key)["Metadata"])
        metadata.update({f"s3napback-{name}": value for name, value in changes.items()})
        client.put_object(Bucket=bucket, Key=key, Body=tree, Metadata=metadata)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete each, which sets a marker."""
        for key in keys:
            self.past.server.client().delete_object(Bucket=self.past.bucket, Key=key)

    def flood(self, key: str, count: int) -> None:
        """Put as many versions of one key."""
        for _ in range(count):
            backend().put_object(self.past.bucket, key, b"")

    def finish_late(self, key: str, data: bytes, metadata: Mapping[str, str], begun: datetime) -> None:
        """Complete an upload in parts that was begun at a moment, by which Amazon dates what comes of it."""
        client, bucket = self.past.server.client(), self.past.bucket
        upload = client.create_multipart_upload(Bucket=bucket, Key=key, Metadata=metadata)["UploadId"]
        part = client.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=data)
        parts: Any = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        client.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload=parts)
        self.past.date(begun)

    def remove_for_good(self, key: str) -> None:
        """Delete the newest version itself, with a right that README's policy does not give."""
        found = self.past.versions_of(key)[-1]
        self.past.server.client().delete_object(Bucket=self.past.bucket, Key=key, VersionId=found.version_id)


def is_version(found: Any) -> bool:
    """Whether it is a version, and no mark of a deletion."""
    return isinstance(found, FakeKey)


def tree(files: Mapping[str, bytes]) -> bytes:
    """An archive as a FULL without encryption is."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w:gz", format=tarfile.GNU_FORMAT) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return output.getvalue()


def backend() -> S3Backend:
    """What moto's server holds."""
    return s3_backends[next(iter(s3_backends), DEFAULT_ACCOUNT_ID)]["aws"]


def written(moment: datetime) -> str:
    """As ``--as-of`` takes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
