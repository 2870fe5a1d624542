"""What uploads to a bucket left unfinished: it costs space, and no listing of objects shows it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from s3napback.errors import StoreError
from s3napback.stores.s3_answers import begun
from s3napback.stores.s3_errors import FAILURES, status_of, translate
from s3napback.stores.s3_listing import list_uploads

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

# The store's: whoever reads a log looks for it there.
logger = logging.getLogger("s3napback.stores.s3")

_Answer = TypeVar("_Answer")

_REFUSED = (301, 307, 400, 401, 403)
"""What no server says that merely has no such request: 404, 405, 501."""
_MOST_PAGES = 100
"""Of unfinished uploads, of which each holds up to 1,000."""


class Ask(Protocol):
    """Makes a request, as often as the store's policy says."""

    def __call__(self, request: Callable[[S3Client], _Answer], doing: str, /) -> _Answer:
        """Return the answer; ``doing`` is what a log says of it."""
        ...


class Leftovers:
    """Finds and aborts them, as far as the server lists them."""

    def __init__(self, ask: Ask, bucket: str, location: str) -> None:
        """See ``S3Store``."""
        self._ask = ask
        self._bucket = bucket
        self._location = location
        self._has_said_refusal = False

    def keys(self, prefix: str) -> Iterator[str]:
        """Keys to which uploads were begun; MinIO shows none but to whoever asks for exactly their key."""
        doing = f"looking for unfinished uploads to {self._location}/{prefix}"
        try:
            for page in self._pages(prefix, doing):
                yield from (upload["Key"] for upload in page.get("Uploads", []) if "Key" in upload)
        except FAILURES as error:
            self._say_that_they_stay(error, doing)

    def discard(self, key: str, *, count_only: bool, least_age: float) -> int:
        """Abort those to exactly this key; see ``Store.discard_leftovers``."""
        found = 0
        doing = f"looking for unfinished uploads to {self._location}/{key}"
        try:
            for name in self._ids(key, doing, time.time() - least_age):
                if not count_only:
                    self._ask(partial(_abort, self._bucket, key, name), doing)
                found += 1
        except (*FAILURES, StoreError) as error:
            self._say_that_they_stay(error, doing)
        return found

    def _say_that_they_stay(self, error: BaseException, doing: str) -> None:
        is_refused = status_of(error) in _REFUSED and not self._has_said_refusal
        self._has_said_refusal |= is_refused
        level = logging.WARNING if is_refused else logging.DEBUG
        logger.log(level, "%s; what uploads left unfinished stays, and costs space", translate(error, doing))

    def _ids(self, key: str, doing: str, latest: float) -> Iterator[str]:
        for page in self._pages(key, doing):
            uploads = [upload for upload in page.get("Uploads", []) if upload.get("Key") == key]
            yield from [each["UploadId"] for each in uploads if "UploadId" in each and begun(each) <= latest]

    def _pages(self, prefix: str, doing: str) -> Iterator[Any]:
        more: dict[str, Any] = {}
        for _ in range(_MOST_PAGES):
            page = self._ask(partial(list_uploads, self._bucket, prefix, more), doing)
            yield page
            more = {"KeyMarker": page.get("NextKeyMarker"), "UploadIdMarker": page.get("NextUploadIdMarker")}
            if not page.get("IsTruncated") or not more["KeyMarker"]:
                return
            more = {name: value for name, value in more.items() if value}


def _abort(bucket: str, key: str, upload: str, client: S3Client) -> Any:
    return client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
