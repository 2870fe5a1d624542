"""Files that TarOptions name, and whose content shapes archives."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping, Sequence

from s3napback.config.tar_options import READ_FILES
from s3napback.errors import SourceError

_BLOCK = 1 << 20  # bytes


def named_files(options: Sequence[str]) -> tuple[str, ...]:
    """The paths of the files that tar would read for ``options``, in their order. Pure."""
    pairs = (option.partition("=") for option in options)
    return tuple(path for name, _, path in pairs if name in READ_FILES)


def digests(options: Sequence[str]) -> Mapping[str, str]:
    """SHA-256 in hexadecimal of each file that tar would read for ``options``, by its path.

    Raises:
        SourceError: one cannot be read, or is no file: tar would wait for a pipe, or read a device for ever.
    """
    return {path: _digest(path) for path in named_files(options)}


def _digest(path: str) -> str:
    try:
        # A pipe without a writer must not stop us here either.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise SourceError(f"TarOptions name {path}, which is not a regular file: tar might never see its end")
            digest = hashlib.sha256()
            while block := file.read(_BLOCK):
                digest.update(block)
            return digest.hexdigest()
    except OSError as error:
        raise SourceError(f"TarOptions name {path}, which cannot be read: {error.strerror}") from error
