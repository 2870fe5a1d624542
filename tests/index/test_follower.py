"""What is told of members of very many kinds: whoever reads the lines forgets the oldest."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from pathlib import Path

from s3napback.index.follower import Follower
from s3napback.index.gathering import Gatherer
from s3napback.index.lines import LineWriter, read_entries
from s3napback.streams.tar_stream import END_MARK

_FILE = b"%s\0%s0000644\0%07o\0%07o\0%011o\0%011o\0" + b" " * 8 + b"0" + bytes(100) + b"ustar\x0000" + bytes(247)


def test_the_owners_of_as_many_files_as_there_are_owners_are_told_rightly(tmp_path: Path) -> None:
    choice = random.Random(1)
    owners: list[int] = []
    for number in range(30_000):
        # Some come again soon, and some after longer than anybody remembers.
        owners.append(number)
        if number % 4 == 0:
            owners.append(max(0, number - choice.choice((1, 1_900, 4_900, 6_900, 9_900, 15_000))))

    def blocks() -> Iterator[memoryview]:
        for start in range(0, len(owners), 200):
            names = ((b"t/%06d" % count, owners[count]) for count in range(start, min(start + 200, len(owners))))
            yield memoryview(b"".join(_FILE % (name, bytes(91), owner, 0, 0, 0) for name, owner in names))
        yield memoryview(END_MARK)

    with LineWriter(tmp_path / "lines") as writer:
        follower = Follower(Gatherer(None, b"t", writer), None, b"t", lambda _name: None)
        for _piece in follower.followed(blocks()):
            pass
        lines = writer.finish(b"")
    assert not follower.flaw
    assert lines is not None
    text = zlib.decompress(lines.path.read_bytes(), 31)
    assert [entry.owner for entry in read_entries([text])] == owners
