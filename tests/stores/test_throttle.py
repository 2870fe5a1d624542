"""Bytes pass no faster than they may, and hardly slower, whoever waits for them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from s3napback.config.bandwidth import Bandwidth, parse_bandwidth
from s3napback.config.settings import StoreSettings
from s3napback.stores import Store
from s3napback.stores.opening import open_store
from s3napback.stores.part_body import PartBody
from s3napback.stores.throttle import Throttle
from tests.servers import S3Server
from tests.stores.sources import BytesSource, EndlessSource

RATE = 2_000_000


class Clock:
    """Goes on when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def limited(text: str, clock: Clock, minute: int = 0) -> Throttle:
    return Throttle(parse_bandwidth(text), clock, lambda: minute + int(clock.now - 1000) // 60, clock.sleep)


@pytest.mark.parametrize("rate", [16_000, 123_456, RATE, 10**9])
def test_over_a_minute_it_is_the_rate_within_two_percent(rate: int) -> None:
    clock = Clock()
    throttle = limited(str(rate), clock)
    passed = 0
    while clock.now < 1060:
        piece = throttle.piece(256 * 1024) if rate < 10**9 else 10**7
        throttle.take(piece)
        passed += piece
    assert passed == pytest.approx(60 * rate, rel=0.02)


def test_what_nobody_asked_for_is_not_made_up_for() -> None:
    clock = Clock()
    throttle = limited("1M", clock)
    throttle.take(1000)
    clock.now += 3600
    began = clock.now
    for _ in range(100):
        throttle.take(100_000)
    assert clock.now - began == pytest.approx(9, abs=0.5)


def test_the_rate_changes_with_the_time_of_day() -> None:
    clock = Clock()
    throttle = limited("08:00-08:01 1M, 08:01-08:02 2M, else unlimited", clock, 8 * 60)
    passed = []
    for end in (1060, 1120):
        count = 0
        while clock.now < end:
            throttle.take(throttle.piece(256 * 1024))
            count += throttle.piece(256 * 1024)
        passed.append(count)
    assert passed == [pytest.approx(60e6, rel=0.03), pytest.approx(120e6, rel=0.03)]
    before = clock.now
    throttle.take(10**12)
    assert clock.now == before
    assert throttle.piece(5 * 10**6) == 5 * 10**6


def test_pieces_are_small_enough_for_many_to_share_the_least_rate() -> None:
    assert limited("16k", Clock()).piece(1 << 20) == 1024
    assert limited("2M", Clock()).piece(1 << 20) == 125_000
    assert limited("1G", Clock()).piece(1 << 20) == 1 << 20


def test_threads_share_one_rate_evenly() -> None:
    throttle = Throttle(Bandwidth(otherwise=RATE))
    throttle.take(RATE)  # what may come at once
    counts = [0] * 8
    end = time.monotonic() + 1.5

    def work(number: int) -> None:
        while time.monotonic() < end:
            throttle.take(20_000)
            counts[number] += 20_000

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) <= 2.7 * RATE
    assert min(counts) > max(counts) / 3


def test_whoever_waits_and_is_not_wanted_any_more_waits_no_longer() -> None:
    throttle = Throttle(Bandwidth(otherwise=16_000))
    throttle.take(16_000_000)
    cancelled = threading.Event()
    body = PartBody(bytearray(10_000), 10_000, cancelled, throttle)
    body.begin_sending()
    threading.Timer(0.2, cancelled.set).start()
    began = time.monotonic()
    with pytest.raises(Exception, match="given up"):
        body.read()
    assert time.monotonic() - began < 5


@pytest.fixture(params=["directory", "rclone"])
def store(request: pytest.FixtureRequest, tmp_path: Path, rclone: S3Server) -> Store:
    limit = Bandwidth(otherwise=6_000_000)
    if request.param == "directory":
        return open_store(StoreSettings(folder=tmp_path, bandwidth=limit))
    made = rclone.settings(rclone.make_bucket(), bandwidth=limit, chunk_size=5 << 20, upload_threads=3)
    return open_store(made, rclone.credentials)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes for which a throttle was asked: how long a limit takes, apart from how busy the machine is."""
    asked: list[int] = []
    take = Throttle.take

    def note(self: Throttle, count: int, *others: Callable[[], bool]) -> None:
        asked.append(count)
        take(self, count, *others)

    monkeypatch.setattr(Throttle, "take", note)
    return asked


def test_a_store_takes_and_gives_at_the_rate(store: Store, counted: list[int]) -> None:
    # Over plain HTTP a part is read twice, of which one counts; threads share the rate.
    data = os.urandom(18_000_000)
    began = time.monotonic()
    store.put("k", BytesSource(data), {})
    taken = time.monotonic() - began
    assert sum(counted) == len(data)
    began = time.monotonic()
    assert b"".join(store.read("k")) == data
    given = time.monotonic() - began
    assert sum(counted) == 2 * len(data)
    assert taken > 1.8
    assert given > 1.8


def test_two_uploads_at_a_time_share_it(rclone: S3Server, counted: list[int]) -> None:
    made = rclone.settings(rclone.make_bucket(), bandwidth=Bandwidth(otherwise=6_000_000), chunk_size=5 << 20)
    store = open_store(made, rclone.credentials)
    began = time.monotonic()
    threads = [threading.Thread(target=store.put, args=(name, EndlessSource(6_000_000), {})) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - began > 1.0
    assert sum(counted) == 2 * 6_000_000
