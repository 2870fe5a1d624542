"""A chain of archives made as a night makes it, index and all, in this process; replayed by plain tar."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from s3napback.chains import Memory
from s3napback.config.settings import JobSettings
from s3napback.rotation import ArchiveType
from s3napback.sources.directory import DirectorySource
from s3napback.streams.compression import make_compression
from s3napback.streams.pipeline import Pipeline
from s3napback.streams.transformations import composed
from tests.sources.chains import directory_source, replay

BLIND = -(10**11)
"""A margin with which tar believes that the last archive is of the far future: it takes nothing that it knows by name,
as if no time ever told that something changed."""


def _nothing() -> None:
    """Nothing happens."""


@dataclass
class IndexedChain:
    """Backs a directory up night after night; each archive but the first is a DIFF.

    Attributes:
        source: what is backed up.
        folder: for archives and state.
        archives: made so far, oldest first.
        warnings: of the last one.
        lines: that tell of its members, deflated; None if there are none.
    """

    source: DirectorySource
    folder: Path
    archives: list[Path] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    lines: bytes | None = None

    @property
    def memory(self) -> Memory:
        """What the next DIFF builds on."""
        return Memory(snapshot="kept.snapshot", index="kept.index" if (self.folder / "kept.index").exists() else "")

    def back_up(self, between: Callable[[], object] = _nothing) -> list[str]:
        """Make the next archive.

        Args:
            between: is called once the first tar has written its first bytes.

        Returns:
            The names in it of all that are no directories, relative to the source.
        """
        self.folder.mkdir(exist_ok=True)
        is_diff = bool(self.archives)
        dump = self.source.dump(
            ArchiveType.DIFF if is_diff else ArchiveType.FULL, self.memory if is_diff else None, self.folder
        )
        made = self.folder / f"{len(self.archives)}.tar"
        buffer = memoryview(bytearray(1 << 16))
        with (
            Pipeline([dump.stage, composed(dump.guard, make_compression("none"))]) as pipeline,
            made.open("wb") as output,
        ):
            output.write(buffer[: pipeline.readinto(buffer)])
            between()
            while count := pipeline.readinto(buffer):
                output.write(buffer[:count])
        self.warnings = [*pipeline.warnings, *dump.conclude().warnings]
        listed = dump.listing() if dump.listing else None
        self.lines = listed.path.read_bytes() if listed else None
        for working, name in ((dump.snapshot, "kept.snapshot"), (dump.index, "kept.index")):
            if working is not None and working.exists():
                working.replace(self.folder / name)
        for rubbish in self.folder.glob("working.*"):
            rubbish.unlink()
        self.archives.append(made)
        return self._files(made)

    def _files(self, archive: Path) -> list[str]:
        start = self.source.job.target.lstrip("/") + "/"
        with tarfile.open(archive, errors="surrogateescape") as opened:
            members = [member.name.replace("/./", "/") for member in opened if not member.isdir()]
        return [name.removeprefix(start) for name in members]

    def replay(self, target: Path, *, busy: int = 0) -> Path:
        """Extract the whole chain into an empty folder, as one would by hand, and return the source's folder there."""
        return replay(self.archives, target, busy=busy) / self.source.job.target.lstrip("/")


def blind_chain(root: Path, tmp_path: Path, *options: str, **settings: object) -> IndexedChain:
    """One in which tar takes nothing that it knows by name, so that all depends on the index."""
    chosen = replace(JobSettings(tar_options=options), **settings)  # type: ignore[arg-type]
    return IndexedChain(directory_source(root, chosen, margin=BLIND), tmp_path / "work")
