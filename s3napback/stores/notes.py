"""The files in which a directory store keeps objects' metadata, each with the data that it belongs to."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from s3napback.durable import write_private
from s3napback.stores.folders import open_file

_LONGEST_METADATA = 64 * 1024


def write_metadata(folder: Path, status: os.stat_result, metadata: Mapping[str, str]) -> None:
    """Write a file for the data described by ``status``."""
    content = {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "metadata": dict(metadata)}
    write_private(folder / f"{secrets.token_hex(16)}.json", json.dumps(content, indent=1).encode("ascii"))


def read_metadata(path: Path, status: os.stat_result) -> dict[str, str] | None:
    """What a metadata file says of the data described by ``status``; None if it belongs to other data."""
    content = parsed(path)
    if content is None or (content["size"], content["mtime_ns"]) != (status.st_size, status.st_mtime_ns):
        return None
    return {str(name): str(value) for name, value in content["metadata"].items()}


def parsed(path: Path) -> dict[str, Any] | None:
    """The content of a metadata file; None if it was not written to its end, has gone, or is something else."""
    if path.suffix != ".json":
        return None
    try:
        with os.fdopen(open_file(path), "rb") as file:
            content = json.loads(file.read(_LONGEST_METADATA))
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or not isinstance(content.get("metadata"), dict):
        return None
    return content if all(isinstance(content.get(name), int) for name in ("size", "mtime_ns")) else None
