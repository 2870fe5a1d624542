"""Taking archives out of a site's store, and what every failed backup must leave as it was."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.site import Site


def dump_of(site: Site, key: str) -> bytes:
    """An archive's content, compressed by nothing but gzip."""
    return gzip.decompress(site.fetch(key))


def state_of(site: Site, source: str) -> dict[str, bytes]:
    """The state files of one source, ``MySQL shop``, with their bytes."""
    files = site.diff_dir_contents()
    folders = {
        folder
        for folder, _, name in (path.rpartition("/") for path in files)
        if name == "state.json" and json.loads(files[f"{folder}/{name}"])["source"] == source
    }
    return {path: content for path, content in files.items() if path.rpartition("/")[0] in folders}


class Failure:
    """What the command line said of a run that failed."""

    def __init__(self) -> None:
        self.run = subprocess.CompletedProcess[str]([], 0)

    @property
    def words(self) -> str:
        """Everything on standard error."""
        return self.run.stderr


@contextmanager
def unharmed(site: Site, source: str, key: str) -> Iterator[Failure]:
    """The block sets ``run``; source and slot are then as before, although other sources were backed up.

    The configuration names the site's directory as well, whose slot 0 every night fills anew.
    """
    other = f"{site.name()}-0-FULL"
    archive, about, state = site.fetch(key), site.metadata(key), state_of(site, source)
    keys, others_id = site.archive_keys(sums=True), site.metadata(other)["s3napback-id"]
    assert state
    failure = Failure()
    yield failure
    assert failure.run.returncode == 1
    assert f"{source} FAILED" in failure.words
    assert site.fetch(key) == archive
    assert site.metadata(key) == about
    assert state_of(site, source) == state
    assert site.archive_keys(sums=True) == keys
    assert site.metadata(other)["s3napback-id"] != others_id
    assert not list(site.temp_dir.iterdir())
