"""Nights committed to a DiffDir."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from s3napback.chains import History, Link, Memory, SourceState, extended_chain
from s3napback.kinds import SourceName
from s3napback.rotation import ArchiveType
from s3napback.sources import WORKING, WORKING_INDEX
from s3napback.state import StoreState

STORE = "https://s3.example/bucket"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def index_of(snapshot: bytes) -> bytes:
    return b"index beside " + snapshot


def link(number: int, snapshot: bytes) -> Link:
    archive_type = ArchiveType.DIFF if number else ArchiveType.FULL
    index = sha256(index_of(snapshot))
    memory = Memory(f"id{number}.snapshot", sha256(snapshot), {"revision": "7"}, f"id{number}.index", index)
    return Link(f"id{number}", f"etc-{number}-{archive_type.value}", number, archive_type, 20_000 + number, 99, memory)


def state_of(*links: Link, name: str = "etc") -> SourceState:
    return SourceState(
        name=name,
        source=SourceName("Directory", f"/{name}"),
        cycle="daily",
        history=History(links, "SimpleCycle …", {"Exclude": ["*.o", "ä"], "OneFileSystem": False}),
        had_content=True,
        taken_over=("Directory /etc of host old",),
        expected_sizes={"FULL": 10_000_000_000},
    )


def commit(state: StoreState, new: SourceState, snapshot: bytes) -> None:
    with state.workplace(new.name) as folder:
        (folder / WORKING).write_bytes(snapshot)
        (folder / WORKING_INDEX).write_bytes(index_of(snapshot))
        state.commit(new, folder / WORKING, folder / WORKING_INDEX)


def commit_nights(state: StoreState, count: int) -> SourceState:
    """One after the other; the last state."""
    new = state_of()
    for number in range(count):
        snapshot = f"snapshot {number}".encode()
        chain = extended_chain(new.history.chain, link(number, snapshot))
        new = replace(new, history=replace(new.history, chain=chain))
        commit(state, new, snapshot)
    return new


def next_night(folder: Path) -> tuple[SourceState, Path, Path]:
    """A third night's state with working snapshot and index, for committing on top of two others."""
    links = [link(number, f"snapshot {number}".encode()) for number in range(3)]
    (folder / WORKING).write_bytes(b"snapshot 2")
    (folder / WORKING_INDEX).write_bytes(index_of(b"snapshot 2"))
    new = state_of(*extended_chain((links[0], links[1]), links[2]))
    return new, folder / WORKING, folder / WORKING_INDEX
