"""The proof object beside an archive: ``KEY.proven`` after a drill that went well, ``KEY.disproven`` after another.

A sample that went well leaves ``KEY.sampled``. It says little: what a whole drill has found comes before it.

That an archive was read back is told by the key alone, and when by the store's clock, so that a listing is enough to
show it. Whoever may write to the store can write it, so it is shown, and nothing is decided by it but which source is
drilled next. An object that is older than its archive was of another one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from s3napback.archives import format_time, split_key

_GOOD, _SAMPLE, _BAD = _ENDS = (".proven", ".sampled", ".disproven")


@dataclass(frozen=True)
class Proof:
    """What a drill found.

    Attributes:
        archive_id: of the newest archive of the chain that was read.
        host: that read it.
        moment: when, UTC.
        is_good: it was what it should be.
        said: what was counted, or what failed, in words that hold no name of a file or table.
        sample: files that were looked at; 0 is all.
    """

    archive_id: str
    host: str
    moment: datetime
    is_good: bool
    said: str
    sample: int = 0

    def written(self) -> bytes:
        """The object's content, for people: JSON in UTF-8."""
        document = {
            "schema": 1,
            "id": self.archive_id,
            "host": self.host,
            "moment": format_time(self.moment),
            "good": self.is_good,
            "sample": self.sample,
            "said": self.said,
        }
        return (json.dumps(document, indent=1) + "\n").encode()


@dataclass(frozen=True)
class Seen:
    """What a listing tells of the newest drill of something.

    Attributes:
        key: of the archive.
        moment: when it ended, by the store's clock.
        is_good: whether it went well.
        is_sample: only some files were looked at.
    """

    key: str
    moment: datetime
    is_good: bool
    is_sample: bool = False


def proof_key(key: str, *, is_good: bool, is_sample: bool = False) -> str:
    """The key of a proof of the archive with this key. What a sample finds wrong is wrong with all of it."""
    return key + (_BAD if not is_good else _SAMPLE if is_sample else _GOOD)


def proof_keys(key: str) -> tuple[str, ...]:
    """All keys of proofs that an archive with this key can have."""
    return tuple(key + end for end in _ENDS)


def is_proof_key(key: str) -> bool:
    """Whether what lies under a key can be a proof: it is beside the key of an archive."""
    return key.endswith(_ENDS) and split_key(proven_key(key)) is not None


def proven_key(key: str) -> str:
    """The key that a proof's key was made of: the inverse of ``proof_key``."""
    return next((key.removesuffix(end) for end in _ENDS if key.endswith(end)), key)


def newest_proofs(listed: Mapping[str, datetime]) -> dict[str, Seen]:
    """Of each archive the newest proof, by its key.

    Args:
        listed: when the store took which object, by its key.
    """
    found: dict[str, Seen] = {}
    for key, moment in listed.items():
        archive = proven_key(key)
        if not is_proof_key(key) or archive not in listed or moment < listed[archive]:
            continue
        seen = Seen(archive, moment, not key.endswith(_BAD), key.endswith(_SAMPLE))
        if archive not in found or _rank(seen) > _rank(found[archive]):
            found[archive] = seen
    return found


def _rank(seen: Seen) -> tuple[bool, datetime]:
    return not seen.is_sample, seen.moment


def newest_of(keys: Iterable[str], proofs: Mapping[str, Seen]) -> Seen | None:
    """The newest proof of some archives, those by a sample only where there is no other; None if there is none."""
    found: Sequence[Seen] = [proofs[key] for key in keys if key in proofs]
    return max(found, key=_rank, default=None)
