"""Archives in a bucket of Amazon's S3 or of any server that speaks its protocol."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from s3napback.archives import METADATA_PREFIX, join_prefix
from s3napback.config.settings import Credentials, StoreSettings
from s3napback.errors import StoreError, StoreUnreachable, UnusableStore
from s3napback.stores import ByteSource, StoredObject
from s3napback.stores.choosing import identity_of
from s3napback.stores.parts import PartLimits, plan_parts
from s3napback.stores.s3_answers import IDENTITY, as_sent, difference, is_ours, problem_of_answer, tag_of
from s3napback.stores.s3_client import Clients
from s3napback.stores.s3_errors import (
    FAILURES,
    explain,
    is_absence,
    is_absent_proxy,
    is_foreign,
    is_mistake_at_first,
    is_passing,
    required,
    status_of,
    translate,
    translated,
)
from s3napback.stores.s3_leftovers import Leftovers
from s3napback.stores.s3_listing import in_utc, list_objects, listed
from s3napback.stores.s3_locks import Locks
from s3napback.stores.s3_upload import PartBuffers, Target, Upload
from s3napback.stores.s3_versions import noncurrent_days
from s3napback.stores.throttle import Throttle
from s3napback.stores.waiting import IMPATIENT, PATIENT, Patience, Waiting

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

logger = logging.getLogger(__name__)

_Answer = TypeVar("_Answer")

_READ_BLOCK = 64 * 1024
"""Bytes. Reading waits until a block is full: on a slow line larger ones would look like silence."""

_LEAST_SECOND_LOOK = 2.0
"""Seconds in which a store that still shows the old object is asked again in any case: not every one is consistent."""

_FRESH_SECONDS = 10.0  # for which a listing can begin with the page that the check has seen


class S3Store:
    """A bucket.

    Args:
        settings: which bucket, where, and how uploads are cut.
        credentials: from S3Keyfile; empty ones leave the search to boto3.
        patient: try for minutes, as a nightly run should; otherwise answer within seconds.
        limits: of parts; smaller in tests only.
        waiting: how long a failure is waited out; by default as ``patient`` and StallTimeout say.
        after: the same store, which was checked with other patience: what it has learnt is learnt.
    """

    def __init__(
        self,
        settings: StoreSettings,
        credentials: Credentials,
        *,
        patient: bool = True,
        limits: PartLimits | None = None,
        waiting: Waiting | None = None,
        after: S3Store | None = None,
    ) -> None:
        self._settings = settings
        self._bucket = settings.bucket
        self._limits = limits or PartLimits()
        self._waiting = waiting or (PATIENT if patient else IMPATIENT).within(settings.stall_timeout)
        self._clients: Clients = Clients(settings, credentials, self._waiting, after._clients if after else None)
        self._buffers = PartBuffers(self._chunk_size, settings.upload_threads)
        self._ask = self._clients.ask
        self._leftovers = Leftovers(self._ask, self._bucket, self.location)
        self._locks = Locks(settings.object_lock, self._bucket, self.location, self._ask)
        self._throttle = Throttle(settings.bandwidth)
        self._first_page: tuple[float, Any] | None = after._first_page if after else None

    @property
    def _chunk_size(self) -> int:
        return min(max(self._settings.chunk_size, self._limits.smallest), self._limits.largest)

    @property
    def location(self) -> str:
        """``s3://BUCKET``."""
        return f"s3://{self._bucket}"

    @property
    def identity(self) -> str:
        """The server and the bucket; Amazon's bucket names are unique by themselves."""
        return identity_of(self._settings)

    @property
    def is_distant(self) -> bool:
        """True; metadata changes only together with the object."""
        return True

    def check(self, *, for_writing: bool = True) -> None:
        """List the Prefix: unlike the answer to a HEAD, that to a GET says what is wrong with the credentials.

        The page is kept for the listing that mostly follows. For writing, locks must be possible if they are wanted.
        """
        prefix = join_prefix(self._settings.prefix, "")
        elsewhere = "" if self._settings.endpoint else self._settings.chosen.endpoint
        named = self.identity if self._settings.endpoint else self.location
        choice = f" at {elsewhere} (AWS_ENDPOINT_URL, or endpoint_url of a profile)" * bool(elsewhere)
        doing = f"the store {named}{choice} cannot be used"
        try:
            # A proxy that nothing listens at is said at once.
            page = self._ask(partial(list_objects, self._bucket, prefix, {}), doing, at_once=is_absent_proxy)
        except FAILURES as error:
            if not is_passing(error) or is_mistake_at_first(error):
                raise UnusableStore(f"{doing}: {explain(error)}") from error
            raise StoreUnreachable(f"{doing} now: {explain(error)}") from error
        if for_writing:
            self._locks.check()
        self._first_page = time.monotonic(), page

    def is_recognised(self) -> bool:
        """True: a bucket cannot be unmounted."""
        return True

    def head(self, key: str) -> StoredObject | None:
        """Describe one object; None only on HTTP 404."""
        return self._looked_at(key)

    def _looked_at(self, key: str, *, is_new: bool = False) -> StoredObject | None:
        """The same; what ``is_new`` is waited for like its upload: some stores read all of it before they answer."""
        doing = f"looking at {self.location}/{key}"
        try:
            answer = self._ask(partial(self._head_in_words, self._named(key)), doing, may_be_slow=is_new)
        except FAILURES as error:
            if is_absence(error):
                return None
            raise translate(error, doing) from error
        return self._described(key, answer, doing)

    def _head_once(self, key: str) -> StoredObject | None:
        """The same without patience, for whoever has it himself."""
        doing = f"looking at {self.location}/{key}"
        with translated(doing):
            try:
                return self._described(key, self._clients.prompt().head_object(Bucket=self._bucket, Key=key), doing)
            except ClientError as error:
                if is_absence(error):
                    return None
                raise

    def _head_in_words(self, named: dict[str, Any], client: S3Client) -> Any:
        """A HEAD; its failure in the store's words: an answer to a HEAD has none, one to a GET tells what is wrong.

        A proxy behind which there is no store now says that nothing is there, and a listing that it is a proxy.
        """
        try:
            return client.head_object(**named)
        except ClientError as error:
            if status_of(error) == 404 and is_foreign(error):
                list_objects(self._bucket, named["Key"], {"MaxKeys": 1}, client)
                return client.head_object(**named)
            if status_of(error) == 404 or not 400 <= status_of(error) < 500 or is_passing(error):
                raise
            told = self._refusal_in_words(named, client)
            if told is not None and status_of(told) == status_of(error):
                raise told from error
            # The store contradicts itself, as when the clock or a right has just been set.
            return client.head_object(**named)

    def _refusal_in_words(self, named: dict[str, Any], client: S3Client) -> ClientError | None:
        try:
            client.get_object(**named, Range="bytes=0-0")["Body"].close()
        except ClientError as error:
            return error
        except FAILURES:
            return None
        return None

    def _named(self, key: str) -> dict[str, Any]:
        return {"Bucket": self._bucket, "Key": key}

    def _described(self, key: str, answer: Any, doing: str) -> StoredObject:
        return StoredObject(
            key=key,
            size=required(answer, "ContentLength", doing),
            modified=in_utc(required(answer, "LastModified", doing)),
            # Blanks around the value of a header mean nothing; what stands on the way may put some there.
            metadata={name.lower(): value.strip() for name, value in answer.get("Metadata", {}).items()},
            version=tag_of(answer),
            storage_class=answer.get("ArchiveStatus") or answer.get("StorageClass", ""),
            restore_state=answer.get("Restore", ""),
            version_id=answer.get("VersionId", ""),
            locked_until=answer.get("ObjectLockRetainUntilDate"),
        )

    def put(
        self,
        key: str,
        source: ByteSource,
        metadata: Mapping[str, str],
        *,
        expected_size: int | None = None,
        is_helper: bool = False,
        lock_until: datetime | None = None,
    ) -> StoredObject:
        """Upload, and look at what has arrived, and whether it is locked.

        Raises:
            OutOfParts: the source holds more than one upload can; a larger ``expected_size`` mends that.
            StoreError: the upload failed and is gone, or its success, reported by the store, is not true.
        """
        # A helper must not wait until a large upload has room for it.
        chunk_size = self._limits.smallest if is_helper else self._chunk_size
        until = self._locks.until(lock_until)
        target = Target(
            client=self._clients.prompt,
            slow_client=self._clients.slow,
            bucket=self._bucket,
            key=key,
            options={
                "Metadata": dict(metadata),
                **self._storage_options(metadata, is_helper=is_helper),
                **self._locks.arguments(until),
            },
            is_amazon=not self._settings.endpoint,
            throttle=self._throttle,
            # Without an identity the old object could be taken for the new one.
            has_landed=lambda size: IDENTITY in metadata and not difference(self._head_once(key), size, metadata),
            # What a store has taken it tells by a tag; something else on the way may say "200" as well.
            confirm=lambda size, answer: (
                as_sent(key, size, metadata, answer.get("VersionId", ""))
                if is_helper and size <= chunk_size and tag_of(answer)
                else self._confirm(key, size, metadata)
            ),
        )
        upload = Upload(
            target,
            plan_parts(chunk_size, expected_size, self._limits),
            PartBuffers(chunk_size, 1) if is_helper else self._buffers,
            threads=self._settings.upload_threads,
            waiting=self._waiting,
        )
        self._first_page = None
        stored = upload.run(source)
        return self._locks.confirmed(stored, until, self.head, is_seen=bool(stored.version))

    def read(self, key: str, *, start: int = 0, end: int | None = None, version: str = "") -> Iterator[bytes]:
        """Yield blocks of 64 KiB at most; a connection that breaks is made again at the byte where it broke."""
        doing = f"reading {self.location}/{key}"
        patience = Patience(self._waiting.outage_seconds)
        position, stop = start, end
        while stop is None or position < stop:
            try:
                answer = self._get(key, position, end, version)
                if answer is None and stop is None:
                    return
                if answer is None:
                    raise StoreError(f"{doing} failed: it has been replaced by another object meanwhile")
                version = tag_of(answer)
                stop = position + int(required(answer, "ContentLength", doing))
                with closing(answer["Body"]) as body:
                    for block in iter(lambda: body.read(self._throttle.piece(_READ_BLOCK)), b""):
                        self._throttle.take(len(block))
                        position += len(block)
                        patience.reset()
                        yield block
            except FAILURES as error:
                # What is definite here: the last bytes have come, and the checksum that the store keeps is another.
                if not is_passing(error) or not patience.allows_another(error, doing):
                    raise translate(error, doing) from error

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """List page by page, in the server's order: Amazon's is that of the keys' UTF-8 bytes."""
        doing = f"listing {self.location}/{prefix}"
        with translated(doing):
            for found in listed(self._pages(prefix, doing), doing):
                yield StoredObject(
                    key=found["Key"],
                    size=required(found, "Size", doing),
                    modified=in_utc(required(found, "LastModified", doing)),
                    version=tag_of(found),
                    storage_class=sys.intern(found.get("StorageClass", "")),
                )

    def gone(self, prefix: str) -> Iterator[str]:
        """None: S3 has an object with its metadata, or neither."""
        del prefix
        return iter(())

    def delete(self, key: str) -> bool:
        """Remove one object; S3 does not mind if there is none. True if it has set a marker in the object's place."""
        doing = f"deleting {self.location}/{key}"
        self._first_page = None
        try:
            answer = self._ask(lambda client: client.delete_object(Bucket=self._bucket, Key=key), doing)
        except FAILURES as error:
            if not is_absence(error):
                raise translate(error, doing) from error
            return False
        return bool(answer.get("DeleteMarker"))

    def unfinished(self, prefix: str) -> Iterator[str]:
        """List uploads; MinIO shows none but to whoever asks for exactly their key."""
        return self._leftovers.keys(prefix)

    def discard_leftovers(self, key: str, *, count_only: bool = False, least_age: float = 0) -> int:
        """Abort unfinished uploads to exactly this key, as far as the store lists them."""
        return self._leftovers.discard(key, count_only=count_only, least_age=least_age)

    def lock(self, key: str, version: str, until: datetime) -> None:
        """Lock a version for longer."""
        self._locks.retain(key, version, until)

    def keeps_for(self, prefix: str) -> int | None:
        """Days that a lifecycle rule gives to what is replaced or deleted below a prefix; None if none is known."""
        return noncurrent_days(self._ask, self._bucket, prefix)[0]

    def _pages(self, prefix: str, doing: str) -> Iterator[Any]:
        more: dict[str, Any] = {}
        page = self._kept_page() if prefix == join_prefix(self._settings.prefix, "") else None
        while True:
            page = page or self._ask(partial(list_objects, self._bucket, prefix, more), doing)
            yield page
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": required(page, "NextContinuationToken", doing)}
            page = None

    def _kept_page(self) -> Any:
        """What the check has just seen, once."""
        kept, self._first_page = self._first_page, None
        return kept[1] if kept and time.monotonic() - kept[0] < _FRESH_SECONDS else None

    def _storage_options(self, metadata: Mapping[str, str], *, is_helper: bool) -> dict[str, Any]:
        settings = self._settings
        own = {"FULL": settings.full_storage_class, "DIFF": settings.diff_storage_class}
        storage_class = own.get(metadata.get(f"{METADATA_PREFIX}type", "")) or settings.storage_class
        options = {
            "StorageClass": "" if is_helper else storage_class,
            "ServerSideEncryption": settings.server_side_encryption or ("aws:kms" if settings.sse_kms_key_id else ""),
            "SSEKMSKeyId": settings.sse_kms_key_id,
        }
        return {name: value for name, value in options.items() if value}

    def _confirm(self, key: str, size: int, metadata: Mapping[str, str]) -> StoredObject:
        """Describe the object just uploaded, if it is that."""
        doing = f"looking at {self.location}/{key}"
        patience = Patience(max(self._waiting.outage_seconds, _LEAST_SECOND_LOOK))
        hurry = Patience(_LEAST_SECOND_LOOK)
        while True:
            found = self._looked_at(key, is_new=True)
            wrong = difference(found, size, metadata)
            if found is not None and not wrong:
                return found
            problem = StoreError(f"the store reported success but {self.location}/{key} {wrong}")
            # What bears no identity is hardly the old archive, but the new one, of which something was lost.
            is_nameless = found is not None and IDENTITY in metadata and IDENTITY not in found.metadata
            left = hurry if is_nameless else patience
            if is_ours(found, metadata) or not left.allows_another(problem, doing):
                raise problem

    def _get(self, key: str, start: int, end: int | None, version: str) -> Any:
        """Ask for the bytes ``[start, end)``; None if an open range begins at or past the end of the object."""
        address = f"{self.location}/{key}"
        options = self._named(key)
        if start or end is not None:
            options["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        try:
            answer = self._clients.prompt().get_object(**options)
        except FAILURES as error:
            if is_passing(error):
                raise
            if status_of(error) == 416 and end is None:
                return None
            if status_of(error) == 416:
                raise StoreError(f"reading {address} failed: it ends before byte {start}") from error
            raise translate(error, f"reading {address}") from error
        problem = problem_of_answer(answer, address, start, end, version)
        if problem:
            answer["Body"].close()
            raise problem
        return answer
