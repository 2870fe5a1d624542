"""What a bucket and a key to it are like, found out without changing anything.

What a key may do is told by requests that no server can carry out: a version is deleted that nobody has, and settings
are sent whose text is cut off after its first character. Whoever may not is refused for that (403); whoever may, for
the rest. Servers look at rights first; where one does not even look at signatures, nothing is sent that could change
anything.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from s3napback.archives import join_prefix
from s3napback.config.settings import Credentials
from s3napback.records import dataclass
from s3napback.stores.lifecycle import Fate, deletion, freezing, least_noncurrent_days
from s3napback.stores.s3 import S3Store
from s3napback.stores.s3_client import Clients
from s3napback.stores.s3_errors import FAILURES, explain, status_of
from s3napback.stores.s3_locks import BucketLock, look_at_bucket
from s3napback.stores.s3_versions import clock_of

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

logger = logging.getLogger("s3napback")

_NOBODY_S = "null"
"""Id of a version that there can be without versioning; under a key that nobody has, it is none."""
_CUT_OFF = b"<"


class Right(Enum):
    """What a machine's key should not be able to do."""

    DELETE_VERSIONS = "s3:DeleteObjectVersion"
    PUT_VERSIONING = "s3:PutBucketVersioning"
    PUT_LIFECYCLE = "s3:PutLifecycleConfiguration"
    PUT_POLICY = "s3:PutBucketPolicy"
    BYPASS = "s3:BypassGovernanceRetention"


@dataclass(frozen=True)
class Told:
    """What a bucket says of itself; of each, None where it does not.

    Attributes:
        clock: its own, timezone-aware.
        versioning: ``Enabled``, ``Suspended``, or empty if it never was.
        rules: it told of its lifecycle rules.
        days: the least after which one of them removes what was replaced; None if none does.
        rule: the name of that one.
        lock: whether objects can be locked, and what is locked by default.
        refusals: why it does not tell, by what was asked for.
        deletion: what a rule does with archives that were not replaced; None if there is no such rule.
        freezing: the same of moving them where they cannot be read at once.
    """

    clock: datetime | None
    versioning: str | None
    rules: bool
    days: int | None
    rule: str
    lock: BucketLock | None
    refusals: dict[str, str]
    deletion: Fate | None = None
    freezing: Fate | None = None


class ExaminedBucket(S3Store):
    """A bucket, and the present key to it."""

    def told(self, prefix: str) -> Told:
        """Ask the bucket for its settings.

        Args:
            prefix: below which rules matter.
        """
        refusals: dict[str, str] = {}

        def asked(name: str, request: Callable[[S3Client], Any]) -> Any:
            try:
                return self._ask(request, f"asking {self.location} for its {name}")
            except FAILURES as error:
                refusals[name] = explain(error)
                return error

        versioning = asked("versioning", lambda client: client.get_bucket_versioning(Bucket=self._bucket))
        rules = asked("lifecycle", lambda client: client.get_bucket_lifecycle_configuration(Bucket=self._bucket))
        listed = asked("clock", lambda client: client.list_objects_v2(Bucket=self._bucket, MaxKeys=1))
        has_rules = not isinstance(rules, Exception) or status_of(rules) == 404
        if has_rules:
            refusals.pop("lifecycle", None)
        found = [] if isinstance(rules, Exception) else rules.get("Rules", [])
        days, rule = least_noncurrent_days(found, join_prefix(prefix, ""))
        return Told(
            clock=None if isinstance(listed, Exception) else clock_of(listed),
            versioning=None if isinstance(versioning, Exception) else str(versioning.get("Status", "")),
            rules=has_rules,
            days=days,
            rule=rule,
            lock=self._lock(refusals),
            refusals=refusals,
            deletion=deletion(found, join_prefix(prefix, "")),
            freezing=freezing(found, join_prefix(prefix, "")),
        )

    def _lock(self, refusals: dict[str, str]) -> BucketLock | None:
        try:
            return look_at_bucket(self._ask, self._bucket)
        except FAILURES as error:
            refusals["locks"] = explain(error)
            return None

    def may(self, right: Right, prefix: str) -> bool | None:
        """Whether the present key has a right; None if that cannot be found out.

        Args:
            prefix: below which the key is used.
        """
        if not self._checks_signatures:
            return None
        key = join_prefix(prefix, f"s3napback-doctor-{secrets.token_hex(8)}")
        bucket = self._bucket
        settings: Any = {}
        requests: dict[Right, Callable[[S3Client], Any]] = {
            Right.DELETE_VERSIONS: lambda client: client.delete_object(Bucket=bucket, Key=key, VersionId=_NOBODY_S),
            Right.BYPASS: lambda client: client.delete_object(
                Bucket=bucket, Key=key, VersionId=_NOBODY_S, BypassGovernanceRetention=True
            ),
            Right.PUT_VERSIONING: lambda client: client.put_bucket_versioning(
                Bucket=bucket, VersioningConfiguration=settings
            ),
            Right.PUT_LIFECYCLE: lambda client: client.put_bucket_lifecycle_configuration(
                Bucket=bucket, LifecycleConfiguration={"Rules": []}
            ),
            Right.PUT_POLICY: lambda client: client.put_bucket_policy(Bucket=bucket, Policy="-"),
        }
        try:
            with _cut_off(self._clients.prompt()) as client:
                requests[right](client)
        except FAILURES as error:
            status = status_of(error)
            logger.debug("%s: %s", right.value, explain(error))
            return None if not 400 <= status < 500 or status in {405, 408, 429} else status not in {401, 403}
        return True

    @cached_property
    def _checks_signatures(self) -> bool:
        """Whether the server looks who asks at all: one for tests does not, and may take what is no setting."""
        stranger = Clients(self._settings, Credentials("s3napback-doctor", "nobody"), self._waiting).prompt()
        requests: tuple[Callable[[], Any], ...] = (
            lambda: stranger.list_multipart_uploads(Bucket=self._bucket, MaxUploads=1),
            lambda: stranger.list_objects_v2(Bucket=self._bucket, MaxKeys=1),
        )
        return all(map(_is_refused, requests))  # a proxy or a policy may keep everybody from one of them


def _is_refused(request: Callable[[], Any]) -> bool:
    try:
        request()
    except FAILURES as error:
        return status_of(error) in {401, 403}
    return False


@contextmanager
def _cut_off(client: S3Client) -> Iterator[S3Client]:
    """Have the text of every setting cut off before it is signed."""

    def cut(request: Any, **_others: Any) -> None:
        if request.data:
            request.data = _CUT_OFF

    client.meta.events.register("before-sign.s3", cut)
    try:
        yield client
    finally:
        client.meta.events.unregister("before-sign.s3", cut)
