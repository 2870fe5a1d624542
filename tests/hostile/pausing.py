"""A backup of a directory that is held up in its midst, so that what a user does meanwhile comes at a known moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from s3napback.chains import Memory
from s3napback.index.head import HEAD_LENGTH
from s3napback.rotation import ArchiveType
from s3napback.sources import WORKING, WORKING_INDEX
from s3napback.sources.directory import DirectorySource
from s3napback.streams.compression import make_compression
from s3napback.streams.pipeline import Pipeline
from s3napback.streams.transformations import composed
from tests.sources.chains import member_names, replay
from tests.sources.trees import assert_same_tree

HOLDING_UP = 4 << 20
"""Bytes of a file whose reading does not end before the archive is read on: more than all pipes and buffers hold."""


@dataclass
class PausingNights:
    """Night after night, each with a snapshot and an index kept for the next one's DIFF.

    Attributes:
        archives: made so far, oldest first.
        warnings: of the last one.
        stall_timeout: in seconds; None is for ever.
    """

    source: DirectorySource
    folder: Path
    archives: list[Path] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    stall_timeout: float | None = None

    def back_up(self, meanwhile: Callable[[], object] = lambda: None) -> Path:
        """Make the next archive; ``meanwhile`` is called once tar has scanned all, and has written its first bytes."""
        self.folder.mkdir(exist_ok=True)
        kept = self.folder / "kept.snapshot"
        memory = Memory(snapshot=kept.name, index="kept.index") if self.archives else None
        dump = self.source.dump(ArchiveType.DIFF if memory else ArchiveType.FULL, memory, self.folder)
        made = self.folder / f"{len(self.archives)}.tar"
        buffer = memoryview(bytearray(1 << 16))
        with (
            Pipeline(
                [dump.stage, composed(dump.guard, make_compression("none"))], stall_timeout=self.stall_timeout
            ) as pipeline,
            made.open("wb") as output,
        ):
            while output.tell() <= HEAD_LENGTH:
                output.write(buffer[: pipeline.readinto(buffer)])
            meanwhile()
            while count := pipeline.readinto(buffer):
                output.write(buffer[:count])
        self.warnings = [*pipeline.warnings, *dump.conclude().warnings]
        (self.folder / WORKING).replace(kept)
        (self.folder / WORKING_INDEX).replace(self.folder / "kept.index")
        for rubbish in self.folder.glob("working.*"):
            rubbish.unlink()
        self.archives.append(made)
        return made


def assert_restorable(nights: PausingNights, home: Path, tmp_path: Path) -> None:
    assert_same_tree(home, replay(nights.archives, tmp_path / "out") / str(home).lstrip("/"))


def names(archive: Path, home: Path) -> list[str]:
    start = str(home).lstrip("/") + "/"
    return [name.removeprefix(start) for name in member_names(archive)]
