"""What a run has begun around a block and not undone: a file in DiffDir, written before Before and removed after After.

A run that is killed leaves it behind, and the next one knows by it what is still to be undone.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from s3napback.config.settings import Job
from s3napback.durable import sync_folder, write_private
from s3napback.errors import ChangeableByOthers, StateError
from s3napback.formatting import shell_command
from s3napback.ownership import read_own_file
from s3napback.records import dataclass

_BEGINNING = "after-"
_LONGEST = 1_000_000  # bytes


@dataclass(frozen=True)
class Mark:
    """One such file.

    Attributes:
        path: of it.
        block: tells the block within the configuration; empty if the file makes no sense.
        source: as people call it.
        after: the command as it was then, for a shell.
    """

    path: Path
    block: str = ""
    source: str = ""
    after: str = ""

    def remove(self) -> None:
        """It is undone.

        Raises:
            StateError: the file cannot be removed.
        """
        try:
            self.path.unlink(missing_ok=True)
            sync_folder(self.path.parent)
        except OSError as error:
            raise StateError(f"cannot remove {self.path}: {error.strerror}") from error


def block_of(job: Job) -> str:
    """What tells a block of a configuration from its others, wherever it is written."""
    return f"{job.cycle}\0{job.kind}\0{job.target}"


def put_mark(folder: Path, configuration: Path, job: Job) -> Mark:
    """Note that something is begun around a block, so that it stays noted whatever happens.

    Args:
        folder: DiffDir.

    Raises:
        StateError: it cannot be written; then nothing may be begun.
    """
    block, after = block_of(job), shell_command(job.settings.after)
    path = folder / f"{_prefix(configuration)}{_digest(block)}"
    document = {
        "configuration": str(configuration.absolute()),
        "block": block,
        "source": str(job.source),
        "after": after,
        "since": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    try:
        path.unlink(missing_ok=True)
        write_private(path, json.dumps(document).encode())
        sync_folder(folder)
    except OSError as error:
        raise StateError(
            f"cannot write {path}, by which a killed run's After is not forgotten: {error.strerror}"
        ) from (error)
    return Mark(path, block, str(job.source), after)


def marks_of(folder: Path, configuration: Path) -> Iterator[Mark]:
    """What earlier runs of a configuration have left; those of others in the same DiffDir are left to them.

    Args:
        folder: DiffDir; it need not exist.
    """
    for path in sorted(folder.glob(f"{_prefix(configuration)}*")):
        try:
            document = json.loads(read_own_file(path, _LONGEST)[0])
            yield Mark(path, *(str(document[name]) for name in ("block", "source", "after")))
        except (OSError, ValueError, KeyError, TypeError, ChangeableByOthers):
            yield Mark(path)


def _prefix(configuration: Path) -> str:
    return f"{_BEGINNING}{_digest(os.fspath(configuration.absolute()))}-"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:12]
