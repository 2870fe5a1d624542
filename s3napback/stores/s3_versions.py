"""What an S3 server keeps of the past: its listing of versions, and what it says of how long it keeps them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from s3napback.records import dataclass
from s3napback.stores.lifecycle import least_noncurrent_days
from s3napback.stores.s3_answers import tag_of
from s3napback.stores.s3_errors import FAILURES, explain, is_passing, required, status_of, translate
from s3napback.stores.s3_listing import in_utc, list_versions
from s3napback.stores.version_pages import Page, walk
from s3napback.stores.versions import StoredVersion

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

logger = logging.getLogger("s3napback")

Ask = Callable[[Callable[["S3Client"], Any], str], Any]
"""Makes a request, as often as the policy says; the second argument is what for."""


@dataclass(frozen=True)
class Keeping:
    """What a bucket says of the past.

    Attributes:
        clock: the store's, timezone-aware; None if it does not tell.
        versioning: ``Enabled``, ``Suspended``, empty if it never was; None if it may not be looked at.
        days: after how many a lifecycle rule removes what was replaced; None if none does, or it is not known.
        rule: the name of that rule.
    """

    clock: datetime | None
    versioning: str | None
    days: int | None = None
    rule: str = ""

    @property
    def is_keeping(self) -> bool | None:
        """Whether there can be older versions; None if that is not known."""
        return None if self.versioning is None else bool(self.versioning)


def look_at_keeping(ask: Ask, bucket: str, prefix: str) -> Keeping:
    """Look, changing nothing.

    Args:
        prefix: below which it matters.

    Raises:
        StoreError: versions may not be listed, or it did not answer.
    """
    doing = f"listing the versions in s3://{bucket}"
    try:
        page = ask(partial(list_versions, bucket, prefix, {"MaxKeys": 1}), doing)
    except FAILURES as error:
        raise translate(error, doing) from error
    versioning, (days, rule) = _versioning(ask, bucket), noncurrent_days(ask, bucket, prefix)
    return Keeping(clock_of(page), versioning, days, rule)


def listed_versions(ask: Ask, bucket: str, prefix: str, *, is_amazons: bool = False) -> Iterator[StoredVersion]:
    """Yield every version and deletion of the keys below a prefix, page by page, each kind in the store's order.

    Args:
        is_amazons: pages are known to leave nothing out.

    Raises:
        StoreError: they may not be listed, there is no end, or some are left out.
    """
    doing = f"listing the versions in s3://{bucket}/{prefix}"
    return walk(partial(_page, ask, bucket, doing), prefix, doing, is_sure=is_amazons)


def _page(ask: Ask, bucket: str, doing: str, prefix: str, more: Mapping[str, str]) -> Page:
    try:
        answer = ask(partial(list_versions, bucket, prefix, more), doing)
    except FAILURES as error:
        raise translate(error, doing) from error
    found = [_version(each, doing) for each in (*answer.get("Versions", []), *answer.get("DeleteMarkers", []))]
    then: dict[str, str] = {}
    if answer.get("IsTruncated"):
        then["KeyMarker"] = required(answer, "NextKeyMarker", doing)
        if answer.get("NextVersionIdMarker"):
            then["VersionIdMarker"] = answer["NextVersionIdMarker"]
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return Page(found, then, server=headers.get("server", ""))


def _version(found: Any, doing: str) -> StoredVersion:
    return StoredVersion(
        key=required(found, "Key", doing),
        id=found.get("VersionId") or "null",
        modified=in_utc(required(found, "LastModified", doing)),
        size=found.get("Size", 0),
        etag=tag_of(found),
        storage_class=found.get("StorageClass", ""),
        is_marker="Size" not in found,
    )


def clock_of(answer: Any) -> datetime | None:
    """The store's clock, from the answer's header Date."""
    text = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        told = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return told if told.tzinfo else told.replace(tzinfo=timezone.utc)


def _versioning(ask: Ask, bucket: str) -> str | None:
    doing = f"looking whether s3://{bucket} keeps versions"
    try:
        return str(ask(lambda client: client.get_bucket_versioning(Bucket=bucket), doing).get("Status", ""))
    except FAILURES as error:
        if is_passing(error):
            raise translate(error, doing) from error
        logger.debug("%s failed: %s", doing, explain(error))
        return None


def noncurrent_days(ask: Ask, bucket: str, prefix: str) -> tuple[int | None, str]:
    """The least days of a lifecycle rule for older versions that may concern keys below a prefix, and its name."""
    doing = f"looking at the lifecycle rules of s3://{bucket}"
    try:
        rules = ask(lambda client: client.get_bucket_lifecycle_configuration(Bucket=bucket), doing).get("Rules", [])
    except FAILURES as error:
        if is_passing(error):
            raise translate(error, doing) from error
        if status_of(error) == 403:
            logger.info(
                "%s failed: %s; whether older versions have been removed by one is not known", doing, explain(error)
            )
        return None, ""
    return least_noncurrent_days(rules, prefix)


def kept_since(keeping: Keeping) -> datetime | None:
    """Since when all that was replaced is still there; None if a lifecycle rule does not say."""
    if keeping.days is None or keeping.clock is None:
        return None
    return keeping.clock - timedelta(days=keeping.days)
