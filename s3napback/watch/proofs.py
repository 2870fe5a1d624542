"""The objects beside an archive that tell that it was read back, and what came of that.

A drill leaves ``KEY.proven`` or ``KEY.disproven``, and ``KEY.sampled`` after a sample that went well: it says little,
and what a whole drill has found comes before it. verify leaves ``KEY.verified`` (everything was decoded),
``KEY.intact`` (its stored bytes are those of its checksum, where the secret key is not), or ``KEY.damaged``. Each but
the last stands for all that a restore to this archive needs, and not for the archive alone.

What it was is told by the key alone, and when by the store's clock, so that a listing is enough to show it. Whoever may
write to the store can write it, so it is shown, and nothing is decided by it but which source is drilled next. An
object that is older than its archive was of another one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import Enum

from s3napback.archives import format_time, split_key
from s3napback.records import dataclass


class ReadBack(Enum):
    """What came of reading an archive; the value is the end of the object's key."""

    PROVEN = ".proven"
    SAMPLED = ".sampled"
    DISPROVEN = ".disproven"
    VERIFIED = ".verified"
    INTACT = ".intact"
    DAMAGED = ".damaged"

    @property
    def is_good(self) -> bool:
        """Whether it was what it should be."""
        return self not in (ReadBack.DISPROVEN, ReadBack.DAMAGED)

    @property
    def outdated(self) -> frozenset[ReadBack]:
        """What the same command may have said before, and takes back by saying this.

        A sample that went well leaves all that is known already.
        """
        if self is ReadBack.SAMPLED:
            return frozenset()
        return (_DRILLED if self in _DRILLED else _VERIFIED) - {self}


_DRILLED = frozenset({ReadBack.PROVEN, ReadBack.SAMPLED, ReadBack.DISPROVEN})
_VERIFIED = frozenset({ReadBack.VERIFIED, ReadBack.INTACT, ReadBack.DAMAGED})


@dataclass(frozen=True)
class Proof:
    """What a drill, or verify, found.

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
    """What a listing tells of the newest time that something was read.

    Attributes:
        key: of the archive.
        moment: when that ended, by the store's clock.
        mark: what came of it.
    """

    key: str
    moment: datetime
    mark: ReadBack

    @property
    def is_good(self) -> bool:
        """Whether it went well."""
        return self.mark.is_good

    @property
    def is_sample(self) -> bool:
        """Whether only some files were looked at, and nothing was wrong with them."""
        return self.mark is ReadBack.SAMPLED


@dataclass(frozen=True)
class Known:
    """What is known of something by its having been read.

    Attributes:
        drill: the newest drill; None if there was none.
        verified: the newest time that verify read it, or found a part of it damaged; None if there was none.
        damaged: the archives that verify has found damaged, and not good since.
    """

    drill: Seen | None = None
    verified: Seen | None = None
    damaged: tuple[Seen, ...] = ()


NOTHING_KNOWN = Known()


def proof_key(key: str, mark: ReadBack) -> str:
    """The key of what tells of the archive with this key."""
    return key + mark.value


def proof_keys(key: str) -> frozenset[str]:
    """The keys of all that can tell of the archive with this key."""
    return frozenset(proof_key(key, mark) for mark in ReadBack)


def is_proof_key(key: str) -> bool:
    """Whether what lies under a key can tell of an archive: it is beside the key of one."""
    return _mark(key) is not None and split_key(proven_key(key)) is not None


def proven_key(key: str) -> str:
    """The key that a proof's key was made of: the inverse of ``proof_key``."""
    mark = _mark(key)
    return key if mark is None else key.removesuffix(mark.value)


def known_of(listed: Mapping[str, datetime]) -> dict[str, Known]:
    """What is known of each archive that was read, by its key.

    Args:
        listed: when the store took which object, by its key.
    """
    found: dict[str, list[Seen]] = {}
    for key, moment in listed.items():
        mark = _mark(key)
        archive = proven_key(key)
        if mark is None or not is_proof_key(key) or archive not in listed or moment < listed[archive]:
            continue
        found.setdefault(archive, []).append(Seen(archive, moment, mark))
    return {key: _newest(seen) for key, seen in found.items()}


def known_together(each: Iterable[Known]) -> Known:
    """What is known of several archives, as of the one source that they are of."""
    found = list(each)
    drills = [known.drill for known in found if known.drill]
    damaged = tuple(sorted((seen for known in found for seen in known.damaged), key=lambda seen: seen.key))
    # What is good must not hide what is not.
    verified = damaged or [known.verified for known in found if known.verified]
    return Known(max(drills, key=_rank, default=None), max(verified, key=_when, default=None), damaged)


def newest_of(keys: Iterable[str], drills: Mapping[str, Seen]) -> Seen | None:
    """The newest drill of some archives, a sample only where there is no other; None if there is none."""
    return max((drills[key] for key in keys if key in drills), key=_rank, default=None)


def _newest(seen: Iterable[Seen]) -> Known:
    """Of one archive. Of what was written in the same second what is bad counts."""
    ordered = sorted(seen, key=lambda each: (each.moment, not each.is_good))
    drill = max((each for each in reversed(ordered) if each.mark in _DRILLED), key=_rank, default=None)
    verified = next((each for each in reversed(ordered) if each.mark in _VERIFIED), None)
    return Known(drill, verified, (verified,) if verified and not verified.is_good else ())


def _rank(seen: Seen) -> tuple[bool, datetime]:
    return not seen.is_sample, seen.moment


def _when(seen: Seen) -> datetime:
    return seen.moment


def _mark(key: str) -> ReadBack | None:
    # ``.disproven`` does not end with ``.proven``, nor any other with another one.
    return next((mark for mark in ReadBack if key.endswith(mark.value)), None)
