"""What a store that is broken, or means harm, may answer: actions for the rules of ``tests.faulty_s3``."""

from __future__ import annotations

import itertools
from dataclasses import replace

from tests.faulty_s3 import Action, Answer, Forward, Request


def drip(pause: float) -> Action:
    """Answer well, a byte at a time, with a pause in seconds before each."""

    def act(request: Request, forward: Forward) -> Answer:
        return replace(forward(request), pause=pause)

    return act


def endless_answer(text: bytes, *, status: int = 200, begin: bytes = b"") -> Action:
    """An answer that never ends."""

    def act(request: Request, _forward: Forward) -> Answer:
        return Answer(status, {"Content-Type": "application/xml"}, begin, endless=text)

    return act


def endless_listing(*, keys: bool = True) -> Action:
    """Pages of ListObjectsV2 with ever new tokens, and ever new keys, or none."""
    numbers = itertools.count(1)

    def act(_request: Request, _forward: Forward) -> Answer:
        number = next(numbers)
        about = "<LastModified>2026-01-01T00:00:00Z</LastModified><Size>1</Size>"
        entry = f"<Contents><Key>etc-{number}-FULL</Key>{about}</Contents>"
        text = (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><IsTruncated>true</IsTruncated>'
            f"<NextContinuationToken>token-{number}</NextContinuationToken>"
            f"{entry if keys else ''}</ListBucketResult>"
        )
        return Answer(200, {"Content-Type": "application/xml"}, text.encode())

    return act
