"""Pages of a listing, until it ends: a store that has no end to tell must not keep a run for ever."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from s3napback.errors import StoreError
from s3napback.stores import EARLIEST, LATEST
from s3napback.stores.s3_errors import SenselessAnswer, required

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

MOST_KEYS = 10_000_000
"""A thousand machines with a thousand sources have as many archives in ten slots."""

MOST_EMPTY_PAGES = 1_000
"""One after the other. Stores may have to look at many deleted objects before they find one that is there."""


def listed(pages: Iterable[Any], doing: str) -> Iterator[Any]:
    """Yield the entries of all pages of ListObjectsV2, in the order of the store, which not every store sorts.

    None comes twice, though a page may begin with the last key of the one before: what is there twice seems to be
    needless.

    Args:
        pages: the answers.
        doing: begins messages: ``listing s3://bucket/prefix``.

    Raises:
        StoreError: there is no end.
    """
    count = empty = 0
    first_keys: set[str] = set()
    before: Collection[str] = ()
    for page in pages:
        found = [each for each in page.get("Contents", []) if required(each, "Key", doing)]
        count += len(found)
        empty = 0 if found else empty + 1
        if empty > MOST_EMPTY_PAGES or count > MOST_KEYS:
            what = f"{empty} pages without a key" if empty else f"more than {MOST_KEYS} keys"
            raise StoreError(
                f"{doing} failed: it does not end, after {what}; look at the store, or set Prefix to a part of it"
            )
        if found:
            if found[0]["Key"] in first_keys:
                raise StoreError(
                    f"{doing} failed: it does not end, the store tells {found[0]['Key']!r} again and again"
                )
            first_keys.add(found[0]["Key"])
        by_key = {each["Key"]: each for each in found}
        yield from (each for key, each in by_key.items() if key not in before)
        before = by_key.keys()


def list_objects(bucket: str, prefix: str, more: Mapping[str, Any], client: S3Client) -> Any:
    """One page of the objects below a prefix; ``more`` continues an earlier one."""
    return _decoded(lambda: client.list_objects_v2(Bucket=bucket, Prefix=prefix, **more))


def list_versions(bucket: str, prefix: str, more: Mapping[str, Any], client: S3Client) -> Any:
    """The same of versions and deletions."""
    return _decoded(lambda: client.list_object_versions(Bucket=bucket, Prefix=prefix, **more))


def list_uploads(bucket: str, prefix: str, more: Mapping[str, Any], client: S3Client) -> Any:
    """One page of unfinished uploads."""
    return _decoded(lambda: client.list_multipart_uploads(Bucket=bucket, Prefix=prefix, **more))


def _decoded(request: Callable[[], Any]) -> Any:
    try:
        return request()
    except LookupError as error:
        # botocore decodes keys, and takes it that each entry has one.
        raise SenselessAnswer(error) from error


def in_utc(moment: datetime) -> datetime:
    """A moment in the one zone that all share: botocore gives each an object of its own, as large as all else."""
    return min(max(moment, EARLIEST), LATEST).astimezone(timezone.utc)
