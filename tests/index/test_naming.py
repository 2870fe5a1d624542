"""Members and names together tell what every folder held on every night, whatever happened to it."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from s3napback.config.settings import JobSettings
from s3napback.index.lines import FOLDER, read_entries, read_names
from s3napback.index.naming import GONE, told
from tests.sources.chains import directory_source
from tests.sources.indexed_chain import BLIND, IndexedChain
from tests.sources.quiet_edits import QuietTree


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        ([b"Sa", b"Yb", b"Nc", b"Dd"], None, [b"Yb", b"Nc"]),
        ([b"Sa", b"Yb", b"Nc", b"Dd"], [b"Sa", b"Yb", b"Nc", b"Dd"], []),
        ([b"Ab"], [b"Yb"], []),
        ([], [b"Sa", b"Db"], [b"-a", b"-b"]),
        ([b"Sa", b"Db", b"Yc", b"Nd", b"Se"], [], [b"Db", b"Yc", b"Nd"]),
        ([b"Da", b"Sb", b"Yc"], [b"Sa", b"Db", b"Sc"], [b"Da", b"Yc"]),
        ([b"Sb"], [b"Sa", b"Sb", b"Sc"], [b"-a", b"-c"]),
    ],
)
def test_what_members_do_not_tell_is_told(new: list[bytes], old: list[bytes] | None, expected: list[bytes]) -> None:
    assert list(told(iter(new), None if old is None else iter(old))) == expected


@dataclass
class Names:
    """What the lines of one archive after the other tell of the names in each folder.

    Attributes:
        folders: their names, without those of folders, by path relative to the source.
    """

    top: bytes
    folders: dict[bytes, set[bytes]] = field(default_factory=dict)

    def take(self, text: bytes, *, is_full: bool) -> None:
        members = list(read_entries([text]))
        present = {self._below(entry.path) for entry in members if entry.type == FOLDER}
        before = {} if is_full else self.folders
        self.folders = {path: before.get(path, set()) for path in present}
        for folder, letter, name in read_names([text]):
            # Of a folder that is gone, names may be told as well.
            held = self.folders.get(folder, set())
            if letter in (GONE, b"D"):
                held.discard(name)
            else:
                held.add(name)
        for entry in members:
            if entry.type != FOLDER:
                path, _, name = entry.path.rpartition(b"/")
                self.folders[self._below(path)].add(name)

    def _below(self, path: bytes) -> bytes:
        return path[len(self.top) :].lstrip(b"/")


def names_in(root: Path) -> dict[bytes, set[bytes]]:
    top = os.fsencode(root)
    return {
        path[len(top) :].lstrip(b"/"): {
            *files, *(name for name in folders if os.path.islink(path + b"/" + name))  # noqa: PTH114
        }
        for path, folders, files in os.walk(top)
    }  # fmt: skip


def without_excluded(folders: dict[bytes, set[bytes]]) -> dict[bytes, set[bytes]]:
    """What is left out stays so whatever it becomes, a folder as well."""
    return {path: {name for name in held if not name.startswith(b"quiet-1")} for path, held in folders.items()}


@pytest.mark.parametrize("seed", range(3))
def test_the_names_of_every_night_are_those_of_the_tree(tmp_path: Path, seed: int) -> None:
    tree = QuietTree(tmp_path / "tree", seed)
    source = directory_source(tree.root, replace(JobSettings(exclude=("quiet-1*",))), margin=BLIND)
    chain = IndexedChain(source, tmp_path / "work")
    names = Names(os.fsencode(tree.root).lstrip(b"/"))
    for night in range(5):
        chain.back_up()
        assert chain.lines is not None
        names.take(zlib.decompress(chain.lines, 31), is_full=night == 0)
        expected = {path: held for path, held in names_in(tree.root).items() if b"/quiet-1" not in b"/" + path}
        assert without_excluded(names.folders) == without_excluded(expected)
        tree.edit(15)
