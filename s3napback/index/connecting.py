"""SQLite's connections to the files of indexes, and what comes of a file that cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from s3napback.errors import SourceError
from s3napback.index.records import DamagedIndex

if TYPE_CHECKING:
    from sqlite3 import Connection

_CACHE_KIB = 1024


def connect(path: Path, *, read_only: bool = False) -> Connection:
    """Open a file of SQLite's that is there.

    Args:
        path: where.
        read_only: nobody changes it.

    Raises:
        sqlite3.Error: it cannot be opened.
    """
    import sqlite3  # noqa: PLC0415 - loaded only where it is used

    # Names of files may hold what is special in an address; those of state do not.
    address = f"{path.absolute().as_uri()}?{'mode=ro&immutable=1' if read_only else 'mode=rw'}"
    connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
    with closed_on_failure(connection):
        connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
    return connection


@contextmanager
def closed_on_failure(connection: Connection) -> Iterator[None]:
    """What fails in this context leaves no connection open."""
    try:
        yield
    except BaseException:
        connection.close()
        raise


class Failing:
    """A context in which what goes wrong with a file fails the source. Entered so often that it has to be lean."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            return
        import sqlite3  # noqa: PLC0415 - loaded only where it is used

        if isinstance(error, (sqlite3.Error, DamagedIndex, OSError)):
            raise SourceError(f"the index {self._path} cannot be used: {error}") from error


def opened(connection: Connection | None) -> Connection:
    """What is open; nothing is outside of the context of an index."""
    if connection is None:
        raise ValueError("the index is used outside of its context")
    return connection
