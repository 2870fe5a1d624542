"""What the first version left behind on a machine, at another place.

Archives, snapshots, metadata and state name the source and the store by their paths. The other path has as many bytes,
so that what tar wrote stays as it is but for names and the sums over them.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FIXTURE = Path(__file__).with_name("fixtures") / "first_version.tar.gz"
_BEFORE = "s3napback-before"
_BLOCK = 512


@contextmanager
def first_machine() -> Iterator[Path]:
    """The machine as the first version left it: ``vault``, ``diffs``, ``source`` and ``before.conf`` in a folder."""
    with tempfile.TemporaryDirectory(prefix="first-v-", dir="/tmp") as folder:
        root = Path(folder)
        assert len(root.name) == len(_BEFORE)
        subprocess.run(
            ["tar", "-C", root, "--strip-components=1", "-xzpf", FIXTURE, "--no-same-owner"], check=True, timeout=60
        )
        root.chmod(0o755)
        _move(root)
        yield root


def _move(root: Path) -> None:
    store, source = _named("file:///tmp/{}/vault\0", root), _named("tmp/{}/source", root)
    for holder, (before, after) in ((root / "diffs", store), (root / "diffs", source)):
        for folder in holder.rglob(f"*-{before}"):
            name = folder.name.replace(_BEFORE, root.name).replace(before, after)
            folder.rename(folder.with_name(name))
    for folder in sorted(root.rglob(_BEFORE), reverse=True):
        folder.rename(folder.with_name(root.name))
    changed: dict[bytes, bytes] = {_BEFORE.encode(): root.name.encode()}
    for archive in sorted((root / "vault/tmp" / root.name).glob("source-?-????")):
        changed |= _renamed_in_archive(archive, root.name)
    for snapshot in root.rglob("*.snapshot"):
        changed |= _rewritten(snapshot, changed)
    for pattern in ("before.conf", "*.sha256", "state.json", "*.json"):
        for path in root.rglob(pattern):
            if path.is_file():
                _rewritten(path, changed)


def _named(identity: str, root: Path) -> tuple[str, str]:
    """What the name of a folder of DiffDir ends with, before and after."""
    both = (hashlib.sha256(identity.format(name).encode()).hexdigest()[:12] for name in (_BEFORE, root.name))
    return next(both), next(both)


def _renamed_in_archive(path: Path, name: str) -> dict[bytes, bytes]:
    """Gives tar's members other names; what is written elsewhere of the archive, before and after."""
    before = path.read_bytes()
    data = bytearray(gzip.decompress(before))
    place = 0
    while any(header := data[place : place + _BLOCK]):
        size = int(header[124:135], 8)
        end = place + _BLOCK + -(-size // _BLOCK) * _BLOCK
        data[place:end] = data[place:end].replace(_BEFORE.encode(), name.encode())
        data[place + 148 : place + 156] = b" " * 8
        data[place + 148 : place + 156] = b"%06o\0 " % sum(data[place : place + _BLOCK])
        place = end
    after = gzip.compress(bytes(data), mtime=0)
    _put(path, after)
    return {
        _sum(before): _sum(after),
        b"bytes stored %d\n" % len(before): b"bytes stored %d\n" % len(after),
        b'"size": %d,' % len(before): b'"size": %d,' % len(after),
    }


def _rewritten(path: Path, changed: dict[bytes, bytes]) -> dict[bytes, bytes]:
    before = after = path.read_bytes()
    for old, new in changed.items():
        after = after.replace(old, new)
    _put(path, after)
    return {_sum(before): _sum(after)}


def _put(path: Path, data: bytes) -> None:
    """Changes no time: metadata of a folder store belongs to data of its size and time."""
    status = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _sum(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()
