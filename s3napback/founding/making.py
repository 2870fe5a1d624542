"""Makes the folders and files of a new configuration: all of them, or none."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType

from s3napback.durable import sync_folder, write_private
from s3napback.errors import UnusableConfiguration


class Making:
    """What is made while the context lasts; if that ends by an exception, it is gone again.

    Attributes:
        made: what was made, a path each, in order.
    """

    def __init__(self) -> None:
        self.made: list[Path] = []
        self._undoing = ExitStack()

    def __enter__(self) -> Making:
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        if kind is None:
            self._undoing.pop_all()
        else:
            self._undoing.close()

    def undo_by(self, action: Callable[[], object]) -> None:
        """What undoes something else that was made."""
        self._undoing.callback(action)

    def folder(self, path: Path, mode: int = 0o700) -> None:
        """Have a folder, and those above it; one that is there stays as it is.

        Raises:
            UnusableConfiguration: it cannot be made.
        """
        lacking = [each for each in (path, *path.parents) if not os.path.lexists(each)]
        for each in reversed(lacking):
            try:
                # Those above are for everybody to pass through, as usual.
                each.mkdir(mode if each == path else 0o755)
            except OSError as error:
                raise UnusableConfiguration(f"{each} cannot be made: {error.strerror}") from error
            self._note(each, each.rmdir)
        if not path.is_dir():
            raise UnusableConfiguration(f"{path} is no folder")

    def file(self, path: Path, text: str, mode: int = 0o600) -> None:
        """Write a file that is not there.

        Raises:
            UnusableConfiguration: it is, or cannot be written.
        """
        try:
            write_private(path, text.encode())
        except FileExistsError as error:
            raise UnusableConfiguration(f"{path} exists already; it was left as it is") from error
        except OSError as error:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            raise UnusableConfiguration(f"{path} cannot be written: {error.strerror}") from error
        self._note(path, path.unlink)
        path.chmod(mode)
        sync_folder(path.parent)

    def _note(self, path: Path, undo: Callable[[], object]) -> None:
        self.made.append(path)

        def quietly() -> None:
            with suppress(OSError):
                undo()

        self._undoing.callback(quietly)
