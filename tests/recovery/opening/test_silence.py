"""StallTimeout while an archive is decoded: whom it counts for, and whom it does not."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from s3napback.catalogue.contents import CataloguedArchive
from s3napback.errors import PipelineError, StoreUnreachable
from s3napback.recovery.opening import decrypting
from s3napback.recovery.opening.decoder import Decoder
from s3napback.recovery.opening.decrypting import Decryption
from s3napback.recovery.opening.fetching import Transport
from s3napback.stores import Store
from s3napback.stores.directory import DirectoryStore
from s3napback.streams.processes import Stage
from tests.gpg_keys import gpg_home
from tests.stores.sources import BytesSource
from tests.streams.helpers import working


class DrippingStore(DirectoryStore):
    """A store that gives a byte at a time, from the fifth on with a pause before each."""

    def read(self, key: str, **options: Any) -> Iterator[bytes]:
        data = b"".join(super().read(key, **options))
        yield data[:4]
        for position in range(4, len(data)):
            time.sleep(0.2)  # much longer than anybody works on a byte, whatever else the machine does
            yield data[position : position + 1]


def archive_in(store: Store, data: bytes = gzip.compress(b"content")) -> CataloguedArchive:
    store.put("etc-0-FULL", BytesSource(data), {"s3napback-id": "one"})
    found = store.head("etc-0-FULL")
    assert found is not None
    return CataloguedArchive(found, "etc", None)


def decoder(store: Store, stall_timeout: float) -> Decoder:
    return Decoder(Transport(store, 1, stall_timeout=stall_timeout), Decryption())


def test_a_store_that_drips_is_given_up(tmp_path: Path) -> None:
    store = DrippingStore(tmp_path)
    archive = archive_in(store)
    said = rf"file://{tmp_path}/etc-0-FULL has been as good as silent for 1 seconds? \(StallTimeout\)"
    with pytest.raises(PipelineError, match=said):
        decoder(store, 1).run(archive, write=lambda _block: None)


def test_a_program_that_works_on_what_it_has_got_is_not_given_up_and_one_that_hangs_is(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    archive = archive_in(store)
    works = "cat >/dev/null; " + working(1.4, 'print("done")')
    written: list[bytes] = []
    decoder(store, 0.8).run(archive, Stage(("sh", "-c", works)), write=lambda block: written.append(bytes(block)))
    assert written == [b"done\n"]
    with pytest.raises(PipelineError, match=r"sh has been (as good as )?silent for 0\.8 seconds"):
        decoder(store, 0.8).run(archive, Stage(("sh", "-c", "cat >/dev/null; sleep 60")), write=lambda _block: None)


SURROUNDINGS = [({}, False), ({"GPG_TTY": "/dev/pts/7"}, True), ({"DISPLAY": ":0"}, True)]


@pytest.mark.parametrize(("surroundings", "may_ask"), SURROUNDINGS)
def test_gpg_may_wait_where_there_is_somebody_to_ask(
    monkeypatch: pytest.MonkeyPatch, surroundings: dict[str, str], may_ask: bool
) -> None:
    for name in ("GPG_TTY", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.stdin", None)
    monkeypatch.setattr("sys.stderr", None)
    for name, value in surroundings.items():
        monkeypatch.setenv(name, value)
    assert Decryption().stage().may_ask == may_ask
    assert not Decryption(passphrase_file=Path("/passphrase")).stage().may_ask


class HangingStore(DirectoryStore):
    """A store whose objects nobody ever gets to read."""

    def read(self, key: str, **options: Any) -> Iterator[bytes]:
        time.sleep(60)
        yield from super().read(key, **options)


def test_a_store_that_does_not_give_the_first_bytes_is_given_up(tmp_path: Path) -> None:
    archive = archive_in(DirectoryStore(tmp_path))
    began = time.monotonic()
    with pytest.raises(
        StoreUnreachable, match=r"etc-0-FULL failed: the store has been silent for 0\.3 seconds \(StallTimeout\)"
    ):
        decoder(HangingStore(tmp_path), 0.3).open(archive)
    assert time.monotonic() - began < 30


def test_an_agent_that_does_not_answer_is_not_waited_for_where_nobody_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GPG_TTY", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.stdin", None)
    monkeypatch.setattr("sys.stderr", None)
    monkeypatch.setattr(decrypting, "ANSWER_TIMEOUT", 1.0)
    monkeypatch.setattr(decrypting, "_ANOTHER_TIMEOUT", 0.2)
    store = DirectoryStore(tmp_path)
    with gpg_home() as home:
        key = home.make_key("one@example.org")
        message = home.run("--recipient", key, "--trust-model", "always", "--encrypt", stdin=gzip.compress(b"content"))
        archive = archive_in(store, message)
        decoder = Decoder(Transport(store, 1, stall_timeout=60), Decryption(home.path))
        written: list[bytes] = []
        decoder.run(archive, write=lambda block: written.append(bytes(block)))
        assert written == [b"content"]
        asked = ("gpg-connect-agent", "--homedir", str(home.path), "getinfo pid", "/bye")
        told = subprocess.run(asked, capture_output=True, check=True, text=True).stdout
        agent = int(told.split()[1])
        os.kill(agent, signal.SIGSTOP)
        while any("(stopped)" not in task.read_text() for task in Path(f"/proc/{agent}/task").glob("*/status")):
            time.sleep(0.01)
        try:
            with pytest.raises(PipelineError, match=r"gpg has written nothing for 1 seconds: .*gpgconf --kill"):
                decoder.run(archive, write=lambda _block: None)
            again = Decoder(decoder.transport, Decryption(home.path))
            with pytest.raises(PipelineError, match=r"nothing for 0\.2 seconds: .*gpgconf --kill"):
                again.run(archive, write=lambda _block: None)
        finally:
            os.kill(agent, signal.SIGKILL)  # going on, it may hang over those who have gone meanwhile
