"""What did not get into an archive: by path, as many as memory should hold, and how many more there were."""

from __future__ import annotations

import os
from collections.abc import Collection

from s3napback.formatting import counted, printable, shortened

_SHOWN = 50
_REMEMBERED = 10_000

KEPT_OUT = (
    "was kept out of this archive: what tar read there is not what lies there. Its folder was exchanged for a link, or "
    "it was just being changed"
)
"""Of a member that is not what lies there, behind its path."""


class KeptOut:
    """Paths, normalised, as in the archive, each with what is to be said of it.

    Attributes:
        forgotten: how many others there were, of which neither is remembered.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self.forgotten = 0
        self._reasons: dict[bytes, str] = {}

    def add(self, path: bytes, reason: str) -> None:
        """Remember one, and what is said behind its path: what is said last."""
        if path in self._reasons or len(self._reasons) < _REMEMBERED:
            self._reasons[path] = reason
        else:
            self.forgotten += 1

    def __contains__(self, path: bytes) -> bool:
        """Whether it is remembered."""
        return path in self._reasons

    @property
    def paths(self) -> Collection[bytes]:
        """Those that are remembered."""
        return self._reasons.keys()

    @property
    def is_complete(self) -> bool:
        """All are remembered."""
        return not self.forgotten

    @property
    def warnings(self) -> list[str]:
        """A line each, but for very many."""
        lines = [
            f"/{shortened(printable(os.fsdecode(path)))} {self._reasons[path]}"
            for path in sorted(self._reasons)[:_SHOWN]
        ]
        if more := len(self._reasons) + self.forgotten - len(lines):
            lines.append(f"{counted(more, 'other path')} were kept out likewise")
        return lines
