"""By what a store can tell that the bytes of a request have arrived as they were sent. Pure.

A bucket with Object Lock and a default retention refuses every request without it (Amazon's manual, "Object Lock
considerations"). Amazon stores a CRC-32 beside the object. Other servers need not know of it, and Backblaze's refuses
it; ``Content-MD5`` is as old as S3, and all take it.
"""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64encode


def integrity_of(data: memoryview, *, is_amazon: bool) -> dict[str, str]:
    """The argument of PutObject or UploadPart that names the digest of a body, base64 as in RFC 1864."""
    if is_amazon:
        return {"ChecksumCRC32": b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()}
    return {"ContentMD5": b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()}


def kept_with_part(arguments: dict[str, str]) -> dict[str, str]:
    """Those of the arguments that the completion repeats for each part."""
    return {name: value for name, value in arguments.items() if name.startswith("Checksum")}
