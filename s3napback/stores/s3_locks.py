"""Object Lock: until when versions in a bucket cannot be deleted, by whomever.

What stands here rests on Amazon's manual ("Using S3 Object Lock") and on what other servers were seen to do: Ceph's RGW
and moto drop the headers of a lock from the beginning of an upload in parts; on RGW a lock that is asked for wins over
the bucket's default retention even if it is the shorter one; moto lets locks be made shorter.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

from s3napback.errors import StoreError, UnusableStore
from s3napback.records import dataclass
from s3napback.stores import StoredObject
from s3napback.stores.s3_errors import FAILURES, explain, is_passing, status_of, translate
from s3napback.stores.s3_leftovers import Ask

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

logger = logging.getLogger(__name__)

_COMPLIANCE = "COMPLIANCE"
_SLACK = timedelta(days=1)
"""An upload takes a while, and the bucket's default counts from its end."""
_ROUNDING = timedelta(seconds=1)
_NO_LOCK = frozenset({404, 405, 501})
"""HTTP statuses of a bucket that has none, and of a server that knows none."""


@dataclass(frozen=True)
class BucketLock:
    """What a bucket says of locks.

    Attributes:
        is_on: objects in it can be locked.
        mode: of the default retention: ``GOVERNANCE`` or ``COMPLIANCE``; empty without one.
        days: of the default retention; 0 without one.
    """

    is_on: bool
    mode: str = ""
    days: int = 0


def look_at_bucket(ask: Ask, bucket: str) -> BucketLock:
    """Look whether objects can be locked, changing nothing.

    Raises:
        one of ``FAILURES``: the bucket does not tell.
    """
    try:
        answer = ask(
            lambda client: client.get_object_lock_configuration(Bucket=bucket),
            f"looking at the Object Lock of {bucket}",
        )
    except FAILURES as error:
        if status_of(error) in _NO_LOCK:
            return BucketLock(is_on=False)
        raise
    found: Any = answer.get("ObjectLockConfiguration", {})
    default = found.get("Rule", {}).get("DefaultRetention", {})
    # A year is one of 365 days in Amazon's counting; one that is longer does no harm.
    days = int(default.get("Days") or 0) + 366 * int(default.get("Years") or 0)
    return BucketLock(found.get("ObjectLockEnabled") == "Enabled", default.get("Mode", "") if days else "", days)


class Locks:
    """Locks what is put into a bucket. Methods may be called from several threads."""

    def __init__(self, mode: str, bucket: str, location: str, ask: Ask) -> None:
        """Ask nothing yet.

        Args:
            mode: ``governance`` or ``compliance``; empty locks nothing.
        """
        self._wanted = mode.upper()
        self._bucket = bucket
        self._location = location
        self._ask = ask
        self._default: BucketLock | None = None
        self._helpers_hold: bool | None = None
        self._looking = threading.Lock()

    def check(self) -> None:
        """Look whether the bucket can lock objects at all.

        Raises:
            UnusableStore: it cannot, or does not tell.
        """
        if self._wanted:
            self._look()

    def _look(self) -> BucketLock:
        doing = f"ObjectLock is set, and {self._location}"
        try:
            found = look_at_bucket(self._ask, self._bucket)
        except FAILURES as error:
            if is_passing(error):
                raise translate(error, f"looking whether {self._location} can lock objects") from error
            raise UnusableStore(f"{doing} does not tell whether it can lock objects: {explain(error)}") from error
        if not found.is_on:
            raise UnusableStore(
                f"{doing} is a bucket that cannot lock objects. One that can is made with: aws s3api create-bucket "
                "--bucket NAME --object-lock-enabled-for-bucket. On Amazon this one learns it with: "
                f"{enabling(self._bucket)}"
            )
        self._default = found
        return found

    @property
    def _mode(self) -> str:
        """What is asked for: never less than the bucket's default."""
        default = self._default or self._look()
        return _COMPLIANCE if default.mode == _COMPLIANCE else self._wanted

    def until(self, wanted: datetime | None) -> datetime | None:
        """Until when something is to be locked that is put now; None if not at all.

        Raises:
            StoreError, UnusableStore: the bucket did not answer when the run began, nor does it tell now.
        """
        if wanted is None or not self._wanted:
            return None
        default = self._default or self._look()
        least = datetime.now(timezone.utc) + timedelta(days=default.days) + _SLACK
        return max(wanted.astimezone(timezone.utc), least).replace(microsecond=0)

    def arguments(self, until: datetime | None) -> dict[str, Any]:
        """As PutObject and CreateMultipartUpload take them."""
        return {} if until is None else {"ObjectLockMode": self._mode, "ObjectLockRetainUntilDate": until}

    def confirmed(
        self, stored: StoredObject, until: datetime | None, look: Callable[[str], StoredObject | None], *, is_seen: bool
    ) -> StoredObject:
        """An object that has just arrived, with what is known of its lock; one that did not take is made good.

        Args:
            until: that was asked for.
            look: describes the object under a key.
            is_seen: the store has described it; else it was sent in one request, which every server is the same with.
        """
        if until is None:
            return stored
        if not is_seen:
            if self._do_helpers_hold(stored, until, look):
                return replace(stored, locked_until=until)
        elif _holds(stored, until):
            return stored
        try:
            self.retain(stored.key, stored.version_id, until)
        except StoreError as error:
            return replace(stored, lock_flaw=f"the lock that was asked for did not take, and could not be set: {error}")
        return replace(stored, locked_until=until, lock_flaw="")

    def _do_helpers_hold(self, sent: StoredObject, until: datetime, look: Callable[[str], StoredObject | None]) -> bool:
        """Whether a lock is kept that goes along with one request: of the first one of a run the store is asked."""
        with self._looking:
            if self._helpers_hold is None:
                try:
                    found = look(sent.key)
                except StoreError as error:
                    logger.debug("%s: %s", sent.key, error)
                    return True
                self._helpers_hold = found is not None and _holds(found, until)
        return self._helpers_hold

    def retain(self, key: str, version: str, until: datetime) -> None:
        """Lock a version until a moment.

        Args:
            version: its id; empty is what lies under the key now.

        Raises:
            StoreError: it could not be locked.
        """
        doing = f"locking {self._location}/{key} until {until:%Y-%m-%d %H:%M:%S} UTC"
        named: dict[str, Any] = {"Bucket": self._bucket, "Key": key, **({"VersionId": version} if version else {})}
        try:
            try:
                self._ask(partial(_retain, named, self._mode, until), doing)
            except FAILURES as error:
                # What was locked more strictly once can only be locked so for longer.
                if self._mode == _COMPLIANCE or status_of(error) not in {400, 403}:
                    raise
                if self._ask(partial(_mode_of, named), doing) != _COMPLIANCE:
                    raise
                self._ask(partial(_retain, named, _COMPLIANCE, until), doing)
        except FAILURES as error:
            raise translate(error, doing) from error


def enabling(bucket: str) -> str:
    """The command that lets a bucket lock objects, where the server can still do that."""
    settings = "--object-lock-configuration ObjectLockEnabled=Enabled"
    return f"aws s3api put-object-lock-configuration --bucket {bucket} {settings}"


def _holds(found: StoredObject, until: datetime) -> bool:
    return found.locked_until is not None and found.locked_until >= until - _ROUNDING


def _retain(named: dict[str, Any], mode: Any, until: datetime, client: S3Client) -> Any:
    return client.put_object_retention(**named, Retention={"Mode": mode, "RetainUntilDate": until})


def _mode_of(named: dict[str, Any], client: S3Client) -> str:
    return str(client.head_object(**named).get("ObjectLockMode", ""))
