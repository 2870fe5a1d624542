"""An index that cannot be read or written fails the source, with words."""

from __future__ import annotations

import os
from itertools import product
from pathlib import Path

import pytest

from s3napback.errors import SourceError
from s3napback.index import database, records
from s3napback.index.database import NewIndex
from s3napback.index.parent import ParentIndex
from s3napback.index.records import STORED, UNREAD, Part

RECORD = ((0o100644, 0, 0), 1, 2, 3)


def make(path: Path) -> Path:
    with NewIndex(path, path.with_suffix(".links")) as new:
        new.add(b"etc", Part([UNREAD + b"passwd", UNREAD + b"shadow"]))
        new.change(b"etc", {b"passwd": RECORD})
        assert new.record(b"etc", b"passwd") == RECORD
        assert new.record(b"etc", b"shadow") is None
        assert new.record(b"nowhere", b"passwd") is None
        new.finish()
    return path


def test_what_was_written_is_read(tmp_path: Path) -> None:
    with ParentIndex(make(tmp_path / "50% #?.index")) as parent:
        part, beyond = parent.part(b"etc", b"shadow")
        assert part.look_up(b"passwd") == (STORED, RECORD)
        assert part.look_up(b"shadow") == (UNREAD, None)
        assert beyond is None
        assert parent.part(b"other", b"x")[0].entries == ()


def test_names_of_which_nothing_more_becomes_known_are_read_as_they_were_written(tmp_path: Path) -> None:
    folders = {b"%d" % number: (b"D%d" % number, b"Nb", b"Ob") for number in range(2 * database._BATCH + 1)}
    with NewIndex(tmp_path / "index", tmp_path / "links") as new:
        for path, entries in folders.items():
            new.add_names(path, b"\0".join(entries))
        new.finish()
        assert {path: tuple(now) for path, now, _ in new.differing(None)} == folders
    with ParentIndex(tmp_path / "index") as parent:
        for path, entries in folders.items():
            assert tuple(parent.part(path, entries[0][1:])[0].entries) == entries


KINDS_OF_PARTS = ("settled", "open", "names")


@pytest.mark.parametrize("held", [0, 500, database.HELD])
@pytest.mark.parametrize("kinds", [*product(KINDS_OF_PARTS, repeat=3)], ids="-".join)
def test_a_change_reaches_every_part_of_a_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kinds: tuple[str, ...], held: int
) -> None:
    monkeypatch.setattr(database, "HELD", held)
    path, changed = tmp_path / "x.index", ((0o100600, 0, 0), 4, 5, 6)
    with NewIndex(path, path.with_suffix(".links")) as new:
        for number, kind in enumerate(kinds):
            names = [b"%d%d" % (number, each) for each in range(3)]
            if kind == "names":
                new.add_names(b"etc", b"\0".join(UNREAD + name for name in names))
            else:
                last = STORED if kind == "settled" else UNREAD
                entries = [STORED + names[0], STORED + names[1], last + names[2]]
                new.add(b"etc", Part(entries, [RECORD] * sum(entry[:1] == STORED for entry in entries)))
        new.change(b"etc", {b"01": changed, b"10": changed, b"22": changed})
        new.change(b"etc", {b"02": UNREAD, b"20": changed})
        new.finish()
    others = {kind: (UNREAD, None) if kind == "names" else (STORED, RECORD) for kind in KINDS_OF_PARTS}
    third = {**others, "open": (UNREAD, None)}
    expected = {b"%d%d" % (part, each): others[kinds[part]] for part in range(3) for each in range(2)}
    expected |= {b"12": third[kinds[1]], b"02": (UNREAD, None)}
    expected |= dict.fromkeys((b"01", b"10", b"22", b"20"), (STORED, changed))
    with ParentIndex(path) as parent:
        assert {name: parent.part(b"etc", name)[0].look_up(name) for name in expected} == expected


def test_names_of_one_file_are_told_if_it_is_taken(tmp_path: Path) -> None:
    with NewIndex(tmp_path / "index", tmp_path / "links") as new:
        for number in range(3):
            new.note_name((1, 2**64 - 1 - number), b"d/", b"%d" % number, is_kept=True)
        new.note_name((1, 2**64 - 1), b"e/", b"another", is_kept=True)
        new.note_taken((1, 2**64 - 1))
        assert sorted(new.names_of_taken()) == [b"d/0", b"e/another"]


@pytest.mark.parametrize("content", [b"", b"rubbish" * 1000])
def test_what_is_no_index_fails_the_source(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.index").write_bytes(content)
    with pytest.raises(SourceError, match=r"x\.index cannot be used"), ParentIndex(tmp_path / "x.index") as parent:
        parent.part(b"etc", b"passwd")


def test_what_is_no_index_is_closed_as_soon_as_that_is_known(tmp_path: Path) -> None:
    (tmp_path / "x.index").write_bytes(b"rubbish" * 1000)
    with pytest.raises(SourceError) as caught, ParentIndex(tmp_path / "x.index"):
        pass
    # The error holds all that was open where it was raised.
    assert caught.value
    assert str(tmp_path / "x.index") not in {os.path.realpath(each) for each in Path("/proc/self/fd").iterdir()}


def test_one_that_cannot_be_made_fails_the_source(tmp_path: Path) -> None:
    make(tmp_path / "x.index")
    with pytest.raises(SourceError, match=r"x\.index cannot be used: .*exists"):
        make(tmp_path / "x.index")


def test_names_of_one_file_are_told_if_this_archive_has_one_and_an_older_one_another(tmp_path: Path) -> None:
    with NewIndex(tmp_path / "index", tmp_path / "links") as new:
        for inode, kept in enumerate([(True, False), (True, True), (False, False)]):
            for number, is_kept in enumerate(kept):
                new.note_name((1, inode), b"d/", b"%d %d" % (inode, number), is_kept=is_kept)
        assert sorted(new.names_of_taken()) == [b"d/0 0", b"d/0 1"]


def test_a_part_to_which_many_hard_links_lead_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[bytes] = []

    def decode(data: bytes) -> Part:
        decoded.append(data)
        return records.decode(data)

    monkeypatch.setattr(database, "decode", decode)
    with NewIndex(tmp_path / "index", tmp_path / "links") as new:
        new.add(b"etc", Part([STORED + b"passwd", STORED + b"shadow"], [RECORD, RECORD]))
        for name in (b"passwd", b"shadow") * 9:
            assert new.record(b"etc", name) == RECORD
        assert len(decoded) == 1
        new.change(b"etc", {b"shadow": UNREAD})
        assert new.record(b"etc", b"shadow") is None
