"""Pages in place of a store's answers: a proxy's, a service's that was put up instead, well-formed or not.

At first they show that something other than a store is asked. Once a store has been understood they are an outage.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from botocore.parsers import ResponseParserError

from s3napback.stores.network import WorkedBefore
from s3napback.stores.s3_errors import is_marked, note_page

_OF_A_LISTING = frozenset({"Name", "Prefix", "KeyCount", "MaxKeys", "IsTruncated", "Contents", "Versions"})
_OF_AN_OBJECT = frozenset({"ETag"})
_TELLING: Mapping[str, Collection[str]] = {
    "ListObjectsV2": _OF_A_LISTING,
    "ListObjectVersions": _OF_A_LISTING,
    "ListMultipartUploads": {"Bucket", "Prefix", "KeyMarker", "MaxUploads", "IsTruncated", "Uploads"},
    "CreateMultipartUpload": {"UploadId"},
    "CompleteMultipartUpload": {"ETag", "Key", "Bucket", "Location"},
    **dict.fromkeys(("GetObject", "HeadObject", "PutObject", "UploadPart"), _OF_AN_OBJECT),
}
"""By operation, what every store's answer has at least one of, one to an empty bucket as well."""
_NO_UPLOADS = b"<ListMultipartUploadsResult"
"""What all of a listing may be that has none."""
_MUTE = frozenset({"AbortMultipartUpload", "DeleteObject", "PutObjectRetention"})
"""Operations to which a store answers without a word."""


class Acquaintance:
    """Whether there is a store at all, as far as answers have told."""

    def __init__(self) -> None:
        """Nothing has been said yet."""
        self._is_made = False

    def look(self, model: Any, parsed: dict[str, Any], http_response: Any, **_others: object) -> None:
        """Look at one answer, as botocore has read it.

        Raises:
            ResponseParserError: it is a page.
            WorkedBefore: likewise, and there is a store, or was.
        """
        if "Error" in parsed:
            if self._is_made:
                note_page(model.name, parsed)
        elif _is_page(model.name, parsed, http_response):
            if "Body" in parsed:
                parsed["Body"].close()
            page = ResponseParserError()
            raise WorkedBefore(error=page) if self._is_made else page
        elif model.name in _TELLING:
            self._is_made = True


def _is_page(operation: str, parsed: dict[str, Any], http_response: Any) -> bool:
    """Whether an answer has nothing of what every store says, be it well-formed: it would pass for an empty one."""
    if operation in _MUTE:
        return not is_marked(parsed) and bool(http_response.content.strip())
    telling = _TELLING.get(operation, ())
    if telling is _OF_AN_OBJECT and is_marked(parsed):
        return False
    if operation == "ListMultipartUploads" and _NO_UPLOADS in http_response.content:
        return False
    return bool(telling) and parsed.keys().isdisjoint(telling)
