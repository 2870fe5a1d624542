"""Where the data of a sparse file lie, as GNU tar tells it (tar's manual, "Storing Sparse Files").

A tar that took a file for sparse where we do not, or the other way round, would see other headers than we do.
"""

from __future__ import annotations

from s3napback.streams.dumpdirs import MalformedArchive
from s3napback.streams.tar_headers import BLOCK_SIZE, NUMBER, OLD_SPARSE, PAIRED, Records

ODD_SPARSE = "it holds a sparse file of a form that tar never writes"


def has_map_in_content(records: Records, size: int) -> bool:
    """Whether a sparse file's map stands at the beginning of its content (version 1.0), and not in the records.

    Args:
        records: of the member.
        size: bytes of its content in the archive.

    Raises:
        MalformedArchive: the records contradict each other.
    """
    if not any(keyword.startswith(b"GNU.sparse.") for keyword in records):
        return False
    if b"GNU.sparse.major" in records:
        version = (records[b"GNU.sparse.major"], records.get(b"GNU.sparse.minor"))
        if version != (b"1", b"0") or OLD_SPARSE & records.keys() or not _is_number(records, b"GNU.sparse.realsize"):
            raise MalformedArchive(ODD_SPARSE)
        return True
    numbers = _map_in_records(records)
    is_known = bool(numbers) and _is_number(records, b"GNU.sparse.size") and b"GNU.sparse.realsize" not in records
    if not is_known or records.get(b"GNU.sparse.numblocks") != b"%d" % (len(numbers) // 2):
        raise MalformedArchive(ODD_SPARSE)
    regions = Regions()
    for number in numbers:
        regions.add(number)
    if regions.size != size:
        raise MalformedArchive(ODD_SPARSE)
    return False


def _map_in_records(records: Records) -> list[bytes]:
    paired = [records[keyword].split(b",") for keyword in PAIRED if keyword in records]
    if b"GNU.sparse.map" in records:
        numbers = [] if paired else records[b"GNU.sparse.map"].split(b",")
        return [] if len(numbers) % 2 else numbers
    if len(paired) != 2 or len(paired[0]) != len(paired[1]):
        return []
    return [number for pair in zip(*paired, strict=True) for number in pair]


class Regions:
    """What a sparse file's map says of its data, number by number: places and lengths in turn.

    Attributes:
        size: bytes of the data in the archive so far.
        count: numbers so far.
    """

    def __init__(self) -> None:
        self.size = 0
        self.count = 0

    def add(self, number: bytes) -> None:
        """Take the next number.

        Raises:
            MalformedArchive: it is none, or a region begins within a block, so that readers would not agree where.
        """
        if not NUMBER.fullmatch(number):
            raise MalformedArchive(ODD_SPARSE)
        self.count += 1
        if self.count % 2 == 0 and (length := int(number)):
            if self.size % BLOCK_SIZE:
                raise MalformedArchive(ODD_SPARSE)
            self.size += length


def _is_number(records: Records, keyword: bytes) -> bool:
    return keyword in records and NUMBER.fullmatch(records[keyword]) is not None
