"""Archives that are whole by every sum, and whose content is not what it was."""

from __future__ import annotations

import gzip
import hashlib
import io
from collections.abc import Callable

from tests.site import Site


def spoil(site: Site, key: str, change: Callable[[bytes], bytes]) -> None:
    """Change what an archive without encryption holds, and make its checksum that of what is there then."""
    before = site.fetch(key)
    content = gzip.decompress(before)
    changed = change(content)
    assert changed != content, "nothing was changed"
    data = gzip.compress(changed, 1)
    store = site.store()
    store.put(key, io.BytesIO(data), dict(site.metadata(key)))
    old, new = (hashlib.sha256(each).hexdigest().encode() for each in (before, data))
    note = site.fetch(f"{key}.sha256")
    assert old in note
    store.put(f"{key}.sha256", io.BytesIO(note.replace(old, new)), dict(site.metadata(f"{key}.sha256")))


def replacing(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """A change of one place."""
    return lambda content: content.replace(old, new, 1)
