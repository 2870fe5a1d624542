"""A thief who leaves archives alone, and poisons one kind of what lies beside them: nobody restores anything else."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.past import FIRST, Past, Thief, past_server, written
from tests.servers import S3Server
from tests.site import Site, files

NIGHTS = 2
BEFORE = ("--as-of", written(FIRST + timedelta(days=NIGHTS - 1, hours=12)))
THEFT = FIRST + timedelta(days=NIGHTS, hours=12)


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with past_server() as running:
        yield running


@dataclass(frozen=True)
class Poisoned:
    """A site of two nights, a FULL in parts and a DIFF, and what its source holds."""

    site: Site
    past: Past
    content: dict[str, bytes]

    def put(self, key: str, data: bytes) -> None:
        """Put other bytes in the place of an object, with its metadata."""
        client = self.past.server.client()
        metadata = client.head_object(Bucket=self.past.bucket, Key=key)["Metadata"]
        client.put_object(Bucket=self.past.bucket, Key=key, Body=data, Metadata=metadata)

    def keys(self, end: str) -> list[str]:
        there = self.past.keys()
        return [key for key in there if key.endswith(end)]

    def run(self, *options: str, expect: int | None = 0) -> str:
        done = self.site.run(*options, day=NIGHTS - 1, expect=expect)
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def honest(server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Poisoned:
    past = Past.begin(server)
    site = Site(tmp_path_factory.mktemp("site"), server, past.bucket)
    site.configure_cycle("Diffs 1\nFulls 1", general="ChunkSize 5242880")
    (site.source / "noise").write_bytes(os.urandom(5_500_000))
    for night in range(NIGHTS):
        (site.source / f"night-{night}").write_text(f"{night}")
        site.run(day=night)
        past.date_night(night)
    return Poisoned(site, past, files(site.source))


@pytest.fixture
def poisoned(honest: Poisoned) -> Iterator[Poisoned]:
    """Whatever a test does to the bucket is undone after it."""
    past = honest.past
    before = {each.version_id for each in past.versions()}
    yield honest
    for each in past.versions():
        if each.version_id not in before:
            past.server.client().delete_object(Bucket=past.bucket, Key=each.name, VersionId=each.version_id)


def garbage(poisoned: Poisoned, end: str) -> None:
    Thief(poisoned.past).spoil(poisoned.keys(end))


def exchanged(poisoned: Poisoned, end: str) -> None:
    """Each holds what is true of another one."""
    keys = poisoned.keys(end)
    contents = [poisoned.site.fetch(key) for key in keys]
    for key, data in zip(keys, [*contents[1:], contents[0]], strict=True):
        poisoned.put(key, data)


def deleted(poisoned: Poisoned, end: str) -> None:
    Thief(poisoned.past).delete(poisoned.keys(end))


def restored(poisoned: Poisoned, target: Path, *options: str) -> dict[str, bytes]:
    poisoned.run("restore", str(poisoned.site.source), *options, "--to", str(target))
    return files(target / poisoned.site.name())


@pytest.mark.parametrize(
    ("end", "poison"),
    [*itertools.product((".index", ".sha256"), (garbage, exchanged, deleted)), (".json", garbage)],
    ids=lambda each: each if isinstance(each, str) else each.__name__,
)
def test_what_is_restored_is_what_was_there_now_and_as_of_before(
    poisoned: Poisoned, tmp_path: Path, end: str, poison: Callable[[Poisoned, str], None]
) -> None:
    assert poisoned.keys(end)
    poison(poisoned, end)
    poisoned.past.date(THEFT)
    path = str(poisoned.site.source / "night-1")
    assert restored(poisoned, tmp_path / "now") == poisoned.content
    for then in ((), BEFORE):
        assert restored(poisoned, tmp_path / f"part-{len(then)}", path, *then) == {"night-1": b"1"}
        listed = poisoned.run("ls", str(poisoned.site.source), *then)
        assert all(name in listed for name in poisoned.content)
    assert poisoned.run("verify", "--all", *BEFORE).count(": good") == NIGHTS


@pytest.mark.parametrize(
    ("end", "poison", "options", "code", "said"),
    [
        (".index", garbage, ("verify", "--all"), 0, "FULL.index is of no use"),
        (".index", exchanged, ("verify", "--all"), 0, "FULL.index is of no use"),
        (".sha256", garbage, ("verify", "--all", "--keyless"), 1, "checksum"),
        (".sha256", exchanged, ("verify", "--all", "--keyless"), 1, "checksum"),
        (".sha256", deleted, ("verify", "--all", "--keyless"), 1, "checksum"),
        (".json", garbage, ("status", "--check"), 3, "cannot be read"),
        (".json", deleted, ("status", "--check"), 3, "no run of it has left its word yet"),
    ],
)
def test_what_is_poisoned_is_told(
    poisoned: Poisoned,
    end: str,
    poison: Callable[[Poisoned, str], None],
    options: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    poison(poisoned, end)
    assert said in poisoned.run(*options, expect=code)


def test_a_word_that_praises_what_is_not_there_is_not_believed(poisoned: Poisoned) -> None:
    (key,) = poisoned.keys(".json")
    word: dict[str, Any] = json.loads(poisoned.site.fetch(key))
    word["sources"][0] |= {"key": f"{poisoned.site.name()}-7-FULL", "expected_by": "2999-01-01T00:00:00Z"}
    poisoned.put(key, json.dumps(word).encode())
    assert "is not in the store" in poisoned.run("status", "--check", expect=2)
