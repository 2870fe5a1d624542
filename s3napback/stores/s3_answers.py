"""Whether what a bucket's server answers is about the object that is meant."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from s3napback.errors import StoreError
from s3napback.stores import StoredObject

IDENTITY = "s3napback-id"
"""Name of the metadata that tells an archive from every other one."""


def tag_of(answer: Mapping[str, Any]) -> str:
    """The ETag of an object, be it listed, looked at or read: empty if none is told.

    A proxy that may compress answers marks it as weak, ``W/"…"``, some of them and not others; it says of the stored
    bytes what it said before.
    """
    return str(answer.get("ETag") or "").removeprefix("W/").strip('"')


def problem_of_answer(answer: Any, address: str, start: int, end: int | None, version: str) -> StoreError | None:
    """Look whether the answer is about another object, or a server has answered something else than was asked for.

    The versions are compared here and not by the server (``If-Match``), because not every one does that.
    """
    is_strange = end is not None and answer.get("ContentLength") != end - start
    if not tag_of(answer) and (version or is_strange):
        return StoreError(
            f"reading {address} failed: the store's answer lacks ETag; check Endpoint, and proxies on the way to it"
        )
    if version and tag_of(answer) != version:
        return StoreError(f"reading {address} failed: it has been replaced by another object meanwhile")
    told = str(answer.get("ContentRange") or "")
    is_elsewhere = bool(start or told) and not told.startswith(f"bytes {start}-")
    is_longer = end is not None and answer.get("ContentLength", 0) > end - start
    if is_strange and (encoding := answer.get("ContentEncoding")):
        return StoreError(
            f"reading {address} failed: a proxy on the way has encoded it ({encoding}): have it pass answers on as "
            "they are"
        )
    if is_elsewhere or is_longer:
        return StoreError(f"reading {address} failed: the store does not give parts of objects")
    if is_strange:
        return StoreError(f"reading {address} failed: it ends before byte {end}")
    return None


def is_ours(found: StoredObject | None, metadata: Mapping[str, str]) -> bool:
    """Whether an object bears the identity that was sent, or as little as was sent."""
    return found is not None and found.metadata.get(IDENTITY) == metadata.get(IDENTITY)


def difference(found: StoredObject | None, size: int, metadata: Mapping[str, str]) -> str:
    """What tells the object in the store from the one sent, as the end of a sentence; empty if nothing does."""
    if found is None:
        return "is absent"
    if found.size != size:
        return f"has {found.size} bytes in place of {size}"
    if not is_ours(found, metadata):
        return f"bears another {IDENTITY}: {found.metadata.get(IDENTITY, 'none')} in place of {metadata.get(IDENTITY)}"
    wrong = [name for name, value in metadata.items() if found.metadata and found.metadata.get(name, "") != value]
    return f"has other metadata: {', '.join(wrong)}" if wrong else ""


def as_sent(key: str, size: int, metadata: Mapping[str, str], version: str = "") -> StoredObject:
    """An object that the store was not asked for: it has taken it, with a digest."""
    return StoredObject(key, size, datetime.now(timezone.utc), metadata, version_id=version)


def begun(upload: Mapping[str, Any]) -> float:
    """When an upload was begun, in seconds since 1970; one whose time the store does not tell counts as old."""
    initiated = upload.get("Initiated")
    return initiated.timestamp() if isinstance(initiated, datetime) else 0.0
