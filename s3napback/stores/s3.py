"""Archives in a bucket of Amazon's S3 or of any server that speaks its protocol."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from s3napback.config.settings import Credentials, StoreSettings
from s3napback.errors import StoreError, StoreUnreachable, UnusableStore
from s3napback.stores import ByteSource, StoredObject
from s3napback.stores.parts import PartLimits, plan_parts
from s3napback.stores.s3_client import make_client, waiting
from s3napback.stores.s3_errors import (
    FAILURES,
    NO_ANSWER,
    explain,
    is_definite,
    required,
    status_of,
    translate,
    translated,
)
from s3napback.stores.s3_listing import listed
from s3napback.stores.s3_upload import PartBuffers, Patience, Target, Upload

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

logger = logging.getLogger(__name__)

_READ_BLOCK = 64 * 1024
"""Bytes. Reading waits until a block is full: on a slow line larger ones would look like silence."""

_MOST_PAGES = 100
"""Of unfinished uploads to one key, of which each holds up to 1,000."""

_SECOND_LOOKS = (0.5, 1.5)
"""Pauses in seconds before a store that still shows the old object is asked again: not every store is consistent."""

_ID = "s3napback-id"


class S3Store:
    """A bucket.

    Args:
        settings: which bucket, where, and how uploads are cut.
        credentials: from S3Keyfile; empty ones leave the search to boto3.
        patient: try for minutes, as a nightly run should; otherwise answer within seconds.
        limits: of parts; smaller in tests only.
        outage_seconds: how long transfers wait for a network that has gone away; by default as ``patient`` says.
    """

    def __init__(
        self,
        settings: StoreSettings,
        credentials: Credentials,
        *,
        patient: bool = True,
        limits: PartLimits | None = None,
        outage_seconds: float | None = None,
    ) -> None:
        self._settings = settings
        self._bucket = settings.bucket
        self._credentials = credentials
        self._patient = patient
        self._limits = limits or PartLimits()
        patience = waiting(settings.stall_timeout, patient=patient).outage_seconds
        self._outage_seconds = patience if outage_seconds is None else outage_seconds
        self._made_client: S3Client | None = None
        self._making_client = threading.Lock()

    @property
    def location(self) -> str:
        """``s3://BUCKET``."""
        return f"s3://{self._bucket}"

    @property
    def identity(self) -> str:
        """The server and the bucket; Amazon's bucket names are unique by themselves."""
        return f"{(self._settings.endpoint or 's3:').rstrip('/')}/{self._bucket}"

    def check(self, *, for_writing: bool = True) -> None:
        """List one object: unlike the answer to a HEAD, that to a GET says what is wrong with the credentials."""
        del for_writing
        doing = f"the store {self.identity} cannot be used"
        try:
            client = self._client()
            client.list_objects_v2(Bucket=self._bucket, MaxKeys=1)
        except FAILURES as error:
            if is_definite(error):
                raise UnusableStore(f"{doing}: {explain(error)}") from error
            raise StoreUnreachable(f"{doing} now: {explain(error)}") from error
        except StoreError as error:
            raise UnusableStore(str(error)) from error

    def is_recognised(self) -> bool:
        """True: a bucket cannot be unmounted."""
        return True

    def head(self, key: str) -> StoredObject | None:
        """Describe one object; None only on HTTP 404."""
        doing = f"looking at {self.location}/{key}"
        try:
            answer = self._client().head_object(Bucket=self._bucket, Key=key)
        except FAILURES as error:
            if status_of(error) == 404:
                return None
            raise translate(error, doing) from error
        return StoredObject(
            key=key,
            size=required(answer, "ContentLength", doing),
            modified=required(answer, "LastModified", doing),
            metadata={name.lower(): value for name, value in answer.get("Metadata", {}).items()},
            version=answer.get("ETag", "").strip('"'),
            storage_class=answer.get("StorageClass", ""),
            restore_state=answer.get("Restore", ""),
        )

    def put(
        self, key: str, source: ByteSource, metadata: Mapping[str, str], *, expected_size: int | None = None
    ) -> StoredObject:
        """Upload, and look at what has arrived.

        Raises:
            OutOfParts: the source holds more than one upload can; a larger ``expected_size`` mends that.
            StoreError: the upload failed and is gone, or its success, reported by the store, is not true.
        """
        target = Target(
            client=self._client(),
            bucket=self._bucket,
            key=key,
            options={"Metadata": dict(metadata), **self._storage_options()},
            checksums=not self._settings.endpoint,
            has_landed=lambda size: not _difference(self.head(key), size, metadata),
            confirm=lambda size: self._confirm(key, size, metadata),
        )
        chunk_size = min(max(self._settings.chunk_size, self._limits.smallest), self._limits.largest)
        upload = Upload(
            target,
            plan_parts(chunk_size, expected_size, self._limits),
            PartBuffers(chunk_size, self._settings.upload_threads),
            threads=self._settings.upload_threads,
            outage_seconds=self._outage_seconds,
        )
        return upload.run(source)

    def read(self, key: str, *, start: int = 0, end: int | None = None, version: str = "") -> Iterator[bytes]:
        """Yield blocks of 64 KiB at most; a connection that breaks is made again at the byte where it broke."""
        doing = f"reading {self.location}/{key}"
        patience = Patience(self._outage_seconds)
        position, stop = start, end
        while stop is None or position < stop:
            try:
                answer = self._get(key, position, end, version)
                if answer is None:
                    return
                version = answer.get("ETag", "").strip('"')
                stop = position + int(required(answer, "ContentLength", doing))
                with closing(answer["Body"]) as body:
                    for block in iter(partial(body.read, _READ_BLOCK), b""):
                        position += len(block)
                        patience.reset()
                        yield block
            except NO_ANSWER as error:
                if not patience.allows_another(error, doing):
                    raise translate(error, doing) from error
            except FAILURES as error:
                # the last bytes have come, and the checksum that the store keeps is another
                raise translate(error, doing) from error

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """List page by page; S3 lists in the order of the keys' UTF-8 bytes."""
        doing = f"listing {self.location}/{prefix}"
        with translated(doing):
            pages = self._client().get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
            for found in listed(pages, doing):
                yield StoredObject(
                    key=found["Key"],
                    size=found["Size"],
                    modified=found["LastModified"],
                    version=found.get("ETag", "").strip('"'),
                    storage_class=found.get("StorageClass", ""),
                )

    def delete(self, key: str) -> None:
        """Remove one object; S3 does not mind if there is none."""
        try:
            self._client().delete_object(Bucket=self._bucket, Key=key)
        except FAILURES as error:
            if status_of(error) != 404:
                raise translate(error, f"deleting {self.location}/{key}") from error

    def discard_leftovers(self, key: str, *, count_only: bool = False) -> int:
        """Abort unfinished uploads to exactly this key, as far as the store lists them."""
        found = 0
        client = self._client()
        try:
            pages = client.get_paginator("list_multipart_uploads").paginate(Bucket=self._bucket, Prefix=key)
            for page in islice(pages, _MOST_PAGES):
                for upload in page.get("Uploads", []):
                    if upload["Key"] != key:
                        continue
                    if not count_only:
                        client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload["UploadId"])
                    found += 1
        except FAILURES as error:
            logger.debug("%s", translate(error, f"looking for unfinished uploads to {self.location}/{key}"))
        return found

    def _client(self) -> S3Client:
        with self._making_client:
            if self._made_client is None:
                try:
                    self._made_client = make_client(self._settings, self._credentials, patient=self._patient)
                except (*FAILURES, ValueError) as error:
                    raise StoreError(f"the store {self.identity} cannot be used: {explain(error)}") from error
            return self._made_client

    def _storage_options(self) -> dict[str, Any]:
        settings = self._settings
        options = {
            "StorageClass": settings.storage_class,
            "ServerSideEncryption": settings.server_side_encryption or ("aws:kms" if settings.sse_kms_key_id else ""),
            "SSEKMSKeyId": settings.sse_kms_key_id,
        }
        return {name: value for name, value in options.items() if value}

    def _confirm(self, key: str, size: int, metadata: Mapping[str, str]) -> StoredObject:
        """Describe the object just uploaded, if it is that."""
        for pause in (*_SECOND_LOOKS, None):
            found = self.head(key)
            difference = _difference(found, size, metadata)
            if found is not None and not difference:
                return found
            if pause is None or _is_ours(found, metadata):
                break
            time.sleep(pause)
        raise StoreError(f"the store reported success but {self.location}/{key} {difference}")

    def _get(self, key: str, start: int, end: int | None, version: str) -> Any:
        """Ask for the bytes ``[start, end)``; None if an open range begins at or past the end of the object."""
        address = f"{self.location}/{key}"
        options: dict[str, Any] = {}
        if start or end is not None:
            options["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        try:
            answer = self._client().get_object(Bucket=self._bucket, Key=key, **options)
        except NO_ANSWER:
            raise
        except FAILURES as error:
            if status_of(error) == 416 and end is None:
                return None
            if status_of(error) == 416:
                raise StoreError(f"reading {address} failed: it ends before byte {start}") from error
            raise translate(error, f"reading {address}") from error
        problem = _problem_of_answer(answer, address, start, end, version)
        if problem:
            answer["Body"].close()
            raise problem
        return answer


def _problem_of_answer(answer: Any, address: str, start: int, end: int | None, version: str) -> StoreError | None:
    """Look whether the answer is about another object, or a server has answered something else than was asked for.

    The versions are compared here and not by the server (``If-Match``), because not every one does that.
    """
    if version and answer.get("ETag", "").strip('"') != version:
        return StoreError(f"reading {address} failed: it has been replaced by another object meanwhile")
    if start and not answer.get("ContentRange", "").startswith(f"bytes {start}-"):
        return StoreError(f"reading {address} failed: the store does not give parts of objects")
    if end is not None and answer.get("ContentLength") != end - start:
        return StoreError(f"reading {address} failed: it ends before byte {end}")
    return None


def _is_ours(found: StoredObject | None, metadata: Mapping[str, str]) -> bool:
    return found is not None and found.metadata.get(_ID) == metadata.get(_ID)


def _difference(found: StoredObject | None, size: int, metadata: Mapping[str, str]) -> str:
    """What tells the object in the store from the one sent, as the end of a sentence; empty if nothing does."""
    if found is None:
        return "is absent"
    if found.size != size:
        return f"has {found.size} bytes in place of {size}"
    if not _is_ours(found, metadata):
        return f"bears another {_ID}: {found.metadata.get(_ID, 'none')} in place of {metadata.get(_ID)}"
    wrong = [name for name, value in metadata.items() if found.metadata and found.metadata.get(name, "") != value]
    return f"has other metadata: {', '.join(wrong)}" if wrong else ""
