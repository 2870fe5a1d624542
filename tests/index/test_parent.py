"""The index that a DIFF builds on says the same in whatever order it is asked, and is read in large steps."""

from __future__ import annotations

from pathlib import Path
from random import Random
from sqlite3 import Connection

import pytest

from s3napback.index import parent as parents
from s3napback.index.connecting import connect
from s3napback.index.database import NewIndex
from s3napback.index.parent import ParentIndex
from s3napback.index.records import STORED, Part, Record

RECORD: Record = ((0o100644, 0, 0), 1, 2, 3)
Parts = dict[bytes, list[list[bytes]]]


def some_parts(random: Random) -> Parts:
    """Directories, of which some have several parts, one is above all others, and some are not there."""
    names = [b"%02d" % number for number in range(0, 60, 2)]
    parts: Parts = {}
    for path in (b"", *(b"d%02d" % number for number in range(0, 80, 2)), b"d10/below", b"d10-beside"):
        held = sorted(random.sample(names, random.randint(1, 6)))
        cuts = sorted(random.sample(range(1, len(held)), random.choice([0, 0, 0, 1, 2]) if len(held) > 2 else 0))
        parts[path] = [held[a:b] for a, b in zip([0, *cuts], [*cuts, None], strict=True)]
    return parts


def make(path: Path, parts: Parts) -> Path:
    with NewIndex(path, path.with_suffix(".links")) as new:
        for folder, pieces in parts.items():
            for piece in pieces:
                new.add(folder, Part([STORED + name for name in piece], [RECORD] * len(piece)))
        new.finish()
    return path


def expected(parts: Parts, path: bytes, name: bytes) -> tuple[list[bytes], bytes | None]:
    pieces = parts.get(path, [])
    here = [piece for piece in pieces if piece[0] <= name]
    beyond = [piece[0] for piece in pieces if piece[0] > name]
    return (here[-1] if here else []), (beyond[0] if beyond else None)


@pytest.mark.parametrize("size", [0, 100, parents.AHEAD_BYTES])
@pytest.mark.parametrize("order", ["in order", "backwards", "shuffled"])
def test_the_same_is_said_in_every_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str, size: int
) -> None:
    monkeypatch.setattr(parents, "AHEAD_BYTES", size)
    random = Random(f"{order} {size}")
    parts = some_parts(random)
    asked = [
        (path, b"%02d" % number)
        for path in sorted({*parts, *(b"d%02d" % number for number in range(81))})
        for number in range(0, 61, 3)
    ]
    if order == "backwards":
        asked.reverse()
    elif order == "shuffled":
        random.shuffle(asked)
    with ParentIndex(make(tmp_path / "x.index", parts)) as parent:
        for path, name in asked:
            part, beyond = parent.part(path, name)
            found = [entry.removeprefix(STORED) for entry in part.entries]
            assert (found, beyond) == expected(parts, path, name), (path, name)


def test_directories_with_one_part_are_read_several_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts: Parts = {b"%03d" % number: [[b"a", b"b"]] for number in range(300)}
    statements: list[str] = []

    def traced(path: Path, *, read_only: bool) -> Connection:
        connection = connect(path, read_only=read_only)
        connection.set_trace_callback(statements.append)
        return connection

    monkeypatch.setattr("s3napback.index.parent.connect", traced)
    with ParentIndex(make(tmp_path / "x.index", parts)) as parent:
        for path in parts:
            assert len(parent.part(path, b"a")[0].entries) == 2
    assert len(statements) <= 30
