"""The index object beside an archive, ``KEY.index``: its key, and what its metadata say.

It is a help and never a hindrance: one that is absent, broken or of an older archive is as good as none.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, unquote

from s3napback.archives import METADATA_PREFIX, ArchiveRecord, Owner, format_time, parse_time, split_key
from s3napback.catalogue.sums import SumNote
from s3napback.kinds import SourceName

_ID = f"{METADATA_PREFIX}index-of"
_HOST, _SOURCE, _STARTED = (f"{METADATA_PREFIX}{word}" for word in ("host", "source", "started"))

_SUFFIX = ".index"


def index_key(key: str) -> str:
    """The key of the index object of the archive with this key."""
    return key + _SUFFIX


def is_index_key(key: str) -> bool:
    """Whether what lies under a key can be an index object: it is beside the key of an archive."""
    return key.endswith(_SUFFIX) and split_key(indexed_key(key)) is not None


def indexed_key(key: str) -> str:
    """The key that an index object's key was made of: the inverse of ``index_key``."""
    return key.removesuffix(_SUFFIX)


def index_metadata(record: ArchiveRecord) -> dict[str, str]:
    """Metadata of the index object of an archive: whose it is, which nobody can read in it without a key."""
    values = {
        _ID: record.id,
        _HOST: record.owner.host,
        _SOURCE: str(record.owner.source),
        _STARTED: format_time(record.started),
    }
    return {name: quote(value, safe="/:,+@=") for name, value in values.items()}


def index_note(metadata: Mapping[str, str]) -> SumNote | None:
    """What the metadata of an index object say of its archive; None if they are not ours."""
    said = {name.lower(): unquote(value) for name, value in metadata.items()}
    try:
        owner = Owner(said[_HOST], SourceName.parse(said[_SOURCE]))
        return SumNote(digest="", name="", id=said[_ID], owner=owner, started=parse_time(said[_STARTED]))
    except (KeyError, ValueError):
        return None
