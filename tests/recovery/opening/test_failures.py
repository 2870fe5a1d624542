"""A failure's heading says at what it failed: fetching, trusting, decoding, or what was done with the content."""

from __future__ import annotations

import errno
import gzip
import hashlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from s3napback.archives import Transfer
from s3napback.catalogue.contents import CataloguedArchive
from s3napback.catalogue.reading import read_catalogue
from s3napback.catalogue.sums import SumNote, format_sum, sum_key
from s3napback.errors import PipelineError, S3napbackError, StoreError
from s3napback.recovery.databases import dump_check
from s3napback.recovery.members import Gate
from s3napback.recovery.opening.decoder import Decoder
from s3napback.recovery.opening.decrypting import Decryption
from s3napback.recovery.opening.failures import Unable, explained
from s3napback.recovery.opening.fetching import Transport
from s3napback.recovery.paths import whole_reading
from s3napback.stores.directory import DirectoryStore
from s3napback.streams.culprits import Culprit, ElementsFailed
from s3napback.streams.pipeline import Pipeline
from s3napback.streams.processes import Stage
from s3napback.streams.transformations import Block, Transformation
from tests import manual
from tests.recovery.helpers import file_member, put_archive, tar_of
from tests.site import Site
from tests.stores.sources import BytesSource

GOOD = tar_of((file_member("etc/x"), b"content" * 50_000))
Consumer = Stage | Transformation


def shell(script: str) -> Stage:
    return Stage(("sh", "-c", script))


def of_etc() -> Transformation:
    return whole_reading(Gate("etc")).transformation


def broken(_blocks: Iterator[memoryview]) -> Iterator[Block]:
    raise KeyError("a bug")
    yield b""


USES: dict[str, tuple[bytes, Callable[[], tuple[Consumer, ...]], str]] = {
    "a program that fails at once": (
        GOOD,
        lambda: (of_etc(), shell("echo why >&2; exit 3")),
        "was decoded, but cannot be extracted",
    ),
    "a program that fails at the end": (
        GOOD,
        lambda: (of_etc(), shell("cat; exit 3")),
        "was decoded, but cannot be extracted",
    ),
    "a full disk": (
        GOOD,
        lambda: (of_etc(), shell("cat; echo 'tar: x: Cannot write: No space left on device' >&2; exit 2")),
        "was decoded, but cannot be extracted: there is not enough room for what is restored",
    ),
    "a program that quotes what gpg might say": (
        GOOD,
        lambda: (of_etc(), shell("cat; echo 'tar: gpg failed: Bad passphrase: Cannot open' >&2; exit 2")),
        "was decoded, but cannot be extracted",
    ),
    "a program that is missing": (
        GOOD,
        lambda: (Stage(("/no/such/program",)),),
        "was decoded, but cannot be extracted",
    ),
    "a bug of ours": (
        GOOD,
        lambda: (Transformation("the look", broken), shell("cat")),
        "was decoded, but cannot be extracted",
    ),
    "members of another source": (
        tar_of((file_member("srv/x"), b"")),
        lambda: (of_etc(), shell("cat")),
        "does not hold what it should",
    ),
    "a tar archive without its end": (
        GOOD[:5000],
        lambda: (of_etc(), shell("cat; exit 2")),
        "does not hold what it should",
    ),
    "a dump without its end": (
        b"-- MySQL dump\nhalf",
        lambda: (dump_check([b"-- Dump completed"]),),
        "does not hold what it should",
    ),
}


def stored(store: DirectoryStore, data: bytes) -> CataloguedArchive:
    store.put("etc-0-FULL", BytesSource(data), {"s3napback-id": "one"})
    found = store.head("etc-0-FULL")
    assert found is not None
    return CataloguedArchive(found, "etc", None)


def why(archive: CataloguedArchive, store: DirectoryStore, *consumers: Consumer, sums: bool = False) -> tuple[str, ...]:
    decoder = Decoder(Transport(store, 1), Decryption(), frozenset({sum_key(archive.key)} if sums else ()))
    with pytest.raises(S3napbackError) as caught:
        decoder.run(archive, *consumers, use="extracted")
    return caught.value.lines


@pytest.mark.parametrize("case", USES)
def test_what_follows_decoding_is_not_told_as_decoding(tmp_path: Path, case: str) -> None:
    content, consumers, heading = USES[case]
    store = DirectoryStore(tmp_path)
    first, *others = why(stored(store, gzip.compress(content, 1)), store, *consumers())
    assert first == f"file://{tmp_path}/etc-0-FULL {heading}"
    assert others
    assert all(line.startswith("  ") for line in others)


class FailingStore(DirectoryStore):
    """A store that gives an archive's first bytes, and breaks off when all are wanted."""

    def read(self, key: str, **options: Any) -> Iterator[bytes]:
        if options.get("end"):
            yield from super().read(key, **options)
            return
        yield from super().read(key, end=100)
        raise StoreError("reading etc-0-FULL failed: the connection was closed")


def test_a_store_that_fails_is_not_told_as_decoding(tmp_path: Path) -> None:
    store = FailingStore(tmp_path)
    archive = stored(store, gzip.compress(GOOD, 1))
    first, second, *_others = why(archive, store, of_etc(), shell("cat; exit 2"))
    assert first == f"file://{tmp_path}/etc-0-FULL cannot be fetched"
    assert second == "  reading etc-0-FULL failed: the connection was closed"


def test_an_object_without_a_byte_is_said_to_be_empty(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    assert why(stored(store, b""), store, shell("cat")) == (
        f"file://{tmp_path}/etc-0-FULL: it is empty, which no archive is",
    )


@pytest.mark.parametrize("harm", [lambda data: data[:-5], lambda data: data + b"x"], ids=["cut", "longer"])
def test_a_broken_end_is_told_as_decoding(tmp_path: Path, harm: Callable[[bytes], bytes]) -> None:
    """Whatever tar says about what it got."""
    store = DirectoryStore(tmp_path)
    tar = shell("cat; echo 'tar: No secret key: Unexpected EOF' >&2; exit 2")
    first, *_others = why(stored(store, harm(gzip.compress(GOOD, 1))), store, tar)
    meaning = "its bytes are damaged, or it is not an archive of s3napback"
    assert first == f"file://{tmp_path}/etc-0-FULL cannot be decoded: {meaning}"


def test_other_bytes_than_the_checksum_tells_are_damage(site: Site) -> None:
    """Also where they can be decoded."""
    site.configure("")
    key = put_archive(site, 0, GOOD)
    store = site.store()
    assert isinstance(store, DirectoryStore)
    (archive,) = read_catalogue(store, "").archives
    assert archive.record
    transfer = Transfer(hashlib.sha256(b"other").hexdigest(), archive.stored.size, len(GOOD), 1.0)
    store.put(sum_key(key), BytesSource(format_sum(SumNote.of(archive.record, key, transfer))), {})
    first, *_others = why(archive, store, of_etc(), shell("cat"), sums=True)
    assert first == f"{store.location}/{key} is damaged: its bytes have been changed since it was made"


def test_the_message_of_a_failure_is_that_of_a_pipeline(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    archive = stored(store, gzip.compress(GOOD, 1))
    with pytest.raises(PipelineError, match="cannot be checked"):
        Decoder(Transport(store, 1), Decryption()).run(archive, shell("exit 3"))


def test_the_manual_explains_every_heading() -> None:
    told = " ".join(manual.topic("recovery").split())
    headings = {heading.partition(":")[0] for _content, _consumers, heading in USES.values()}
    for heading in {*headings, "cannot be fetched", "is damaged", "is not trusted", "cannot be decoded"}:
        assert f'It "{heading}"' in told


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.EMFILE, "Too many open files")])
def test_what_this_process_lacks_is_no_damage(error: Exception) -> None:
    def fails(_blocks: Iterator[memoryview]) -> Iterator[Block]:
        raise error

    decompression = Transformation("decompression", fails)
    with pytest.raises(ElementsFailed) as caught, Pipeline([shell("echo x"), decompression]) as pipeline:
        pipeline.readinto(memoryview(bytearray(9)))
    told = explained("s3://bucket/etc-0-FULL", caught.value, [], "extracted")
    assert isinstance(told, Unable)
    assert told.lines[0] == (
        "s3://bucket/etc-0-FULL cannot be decoded: this process lacks what that takes, which says nothing of its bytes"
    )
    assert "can be had: look at the limits" in told.lines[1]


def test_what_failed_because_of_the_cause_does_not_hide_it(caplog: pytest.LogCaptureFixture) -> None:
    gpg, tar = shell("exit 2"), shell("exit 3")
    error = ElementsFailed(
        Culprit(gpg, ["gpg failed with exit status 2:", "  gpg: decryption failed: No secret key"]),
        Culprit(tar, ["tar failed with exit status 2:", "  tar: This does not look like a tar archive"]),
    )
    with caplog.at_level(logging.DEBUG, logger="s3napback"):
        told = explained("s3://bucket/etc-0-FULL", error, [tar], "extracted")
    assert told.lines[0].startswith(
        "s3://bucket/etc-0-FULL cannot be decoded: it is encrypted to a key that is not here"
    )
    assert told.lines[1:] == ("  gpg failed with exit status 2:", "    gpg: decryption failed: No secret key")
    assert "besides: tar failed with exit status 2:" in caplog.text


def test_an_agent_that_cannot_be_reached_is_not_told_as_a_key_that_is_missing() -> None:
    """The words are those of gpg 2.2 with a home on a read-only disk."""
    gpg = shell("exit 2")
    words = [
        "gpg failed with exit status 2:",
        "  gpg: failed to create temporary file '/rescue/gnupg/.#lk0x0.host.1': Read-only file system",
        "  gpg: can't connect to the agent: Read-only file system",
        "  gpg: decryption failed: No secret key",
    ]
    told = explained("s3://bucket/etc-0-FULL", ElementsFailed(Culprit(gpg, words)), [], "extracted")
    assert told.lines[0].startswith(
        "s3://bucket/etc-0-FULL cannot be decoded: gpg's agent, which works with secret keys"
    )
    assert "set GpgHome to the copy" in told.lines[0]


@pytest.mark.parametrize("daemon", ["gpg-agent", "keyboxd"])
def test_a_daemon_that_gpg_may_not_start_is_not_told_as_a_key_that_is_missing(daemon: str) -> None:
    """The words are those of gpg 2.2 and 2.4 with ``no-autostart``."""
    words = [
        "gpg failed with exit status 2:",
        f"  gpg: no {daemon} running in this session",
        "  gpg: decryption failed: No secret key",
    ]
    told = explained("s3://bucket/etc-0-FULL", ElementsFailed(Culprit(shell("exit 2"), words)), [], "extracted")
    assert "cannot be decoded: gpg's settings say no-autostart" in told.lines[0]
