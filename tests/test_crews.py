"""Crews: threads like any other's, but for what hangs."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from s3napback.crews import Crew, TookTooLong, within
from tests.waiting import becomes


def test_work_is_done_by_several_at_once_and_comes_back_in_order() -> None:
    together = threading.Barrier(3, timeout=10)

    def work(number: int) -> int:
        together.wait()
        return number * number

    with Crew(3, "work") as crew:
        assert list(crew.map(work, range(6))) == [0, 1, 4, 9, 16, 25]
    assert not any(thread.name.startswith("work") for thread in threading.enumerate())


def test_no_more_threads_are_made_than_are_needed() -> None:
    with Crew(5, "work") as crew:
        names = {crew.submit(threading.current_thread).result().name}
        # The result comes a moment before the thread is free again.
        assert becomes(lambda: crew._idle._value == 1)
        names |= {crew.submit(threading.current_thread).result().name}
    assert names == {"work-0"}


def test_a_failure_is_raised_where_the_result_is_wanted() -> None:
    with Crew(1, "work") as crew:
        future = crew.submit(int, "x")
        with pytest.raises(ValueError, match="invalid literal"):
            future.result()
        assert crew.submit(int, "7").result() == 7


def test_what_has_not_begun_never_does() -> None:
    hang = threading.Event()
    begun: list[object] = []
    crew = Crew(1, "work")
    busy = crew.submit(hang.wait, 60)
    waiting = crew.submit(begun.append, 1)
    began = time.monotonic()
    assert not crew.close(0.2)
    assert time.monotonic() - began < 30
    hang.set()
    assert busy.result(10)
    assert waiting.cancelled()
    assert crew.close(None)
    assert begun == []


def test_leaving_by_an_exception_does_not_wait_for_what_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s3napback.crews.PATIENCE", 0.2)
    hang = threading.Event()
    began = time.monotonic()
    with pytest.raises(KeyError):
        with Crew(2, "work") as crew:
            crew.submit(hang.wait, 60)
            raise KeyError
    assert time.monotonic() - began < 30
    hang.set()


def test_a_call_that_does_not_come_back_is_given_up() -> None:
    hang = threading.Event()
    with pytest.raises(TookTooLong):
        within(0.1, lambda: hang.wait(60))
    hang.set()
    assert within(10, lambda: 7) == 7
    assert within(None, lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        within(10, lambda: 1 // 0)


def test_the_interpreter_ends_whatever_hangs() -> None:
    program = """
import time
from s3napback.crews import *
Crew(1, "work").submit(time.sleep, 60)
begin(lambda: time.sleep(60))
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=20)


def test_of_very_many_calls_only_some_are_begun_before_results_are_taken() -> None:
    begun: list[int] = []

    def call(number: int) -> int:
        begun.append(number)
        return number

    with Crew(2, "few") as crew:
        results = crew.map(call, range(1000))
        assert next(results) == 0
        time.sleep(0.05)
        assert len(begun) < 50
        assert list(results) == list(range(1, 1000))
    assert sorted(begun) == list(range(1000))


@pytest.mark.parametrize("most", [0, 1, 2])
def test_where_no_more_threads_can_begin_fewer_do_the_work(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    start = threading.Thread.start
    begun: list[threading.Thread] = []

    def limited(thread: threading.Thread) -> None:
        if len(begun) == most:
            raise RuntimeError("can't start new thread")
        begun.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    if most:
        with Crew(4, "few") as crew:
            assert list(crew.map(str, range(9))) == list("012345678")
        assert len(begun) == most
        return
    with pytest.raises(RuntimeError, match="can't start new thread"), Crew(4, "none") as crew:
        list(crew.map(str, range(9)))
