"""Where in DiffDir the state of a store lies: below a name made of its identity.

Earlier versions did not know which server the environment had chosen for a bucket's name, so that what they left may
belong to any of several. It is taken over, by renaming it, only if it bears no note that it is somebody's, and the
store itself holds what it speaks of.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from pathlib import Path

from s3napback.durable import sync_folder, write_private

_NOTE = "server"
"""A file beside the folders of names that says whose they are: the identity of the store."""


class StatePlace:
    """The folder that belongs to one store and prefix. Creates nothing unless it is asked to.

    Attributes:
        folder: where the state is.
    """

    def __init__(self, diff_dir: Path, identity: str, prefix: str, former: str = "") -> None:
        """Look where it is.

        Args:
            identity: the store's.
            former: what earlier versions took for it, if that was another one.
        """
        self._identity = identity
        self._own = diff_dir / _folder_of_store(identity, prefix)
        self._former = diff_dir / _folder_of_store(former, prefix) if former else None
        self.folder = self._own
        # Whoever may not look into DiffDir cannot run a night with it, and may look at everything else.
        with suppress(PermissionError):
            is_left = self._former is not None and self._former.is_dir() and not (self._former / _NOTE).exists()
            self.folder = self._former if self._former and is_left and not self._own.exists() else self._own
        self._is_decided = self.folder == self._own

    @property
    def is_in_question(self) -> bool:
        """Whether it may be another store's: an earlier version left it, and nobody has looked whose it is."""
        return not self._is_decided

    def decide(self, *, is_ours: bool) -> None:
        """Know whose it is from now on. It changes nothing on disk."""
        self._is_decided = True
        if not is_ours:
            self.folder = self._own

    def settle(self) -> None:
        """Have what was decided last: move what is ours to where it belongs, and begin anew where it was not.

        Raises:
            OSError: it cannot be done.
        """
        if self._former is None or self.is_in_question or (self._own / _NOTE).exists():
            return
        if self.folder == self._former:
            self.folder.rename(self._own)
            sync_folder(self._own.parent)
            self.folder = self._own
        self._own.mkdir(mode=0o700, exist_ok=True)
        self.note()

    def note(self) -> None:
        """Say whose it is, so that nobody else takes it; nothing is said where that is not known.

        Raises:
            OSError: it cannot be written.
        """
        if self.folder == self._own:
            with suppress(FileExistsError):
                write_private(self._own / _NOTE, f"{self._identity}\n".encode("utf-8", "surrogateescape"))


def folder_name(label: str, identity: str) -> str:
    """A readable abbreviation of ``label``, made unique by a hash of ``identity``."""
    readable = re.sub(r"[^A-Za-z0-9._]+", "-", label).strip("-.")[:80]
    return f"{readable}-{hashlib.sha256(identity.encode(errors='surrogateescape')).hexdigest()[:12]}"


def _folder_of_store(identity: str, prefix: str) -> str:
    return folder_name(f"{identity}-{prefix}".strip("-"), f"{identity}\0{prefix}")
