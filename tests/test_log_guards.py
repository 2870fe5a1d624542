"""What stands around a log handler: it switches off what holds a run up."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import pytest

from s3napback import log_handlers
from s3napback.crews import NoThread
from s3napback.log_guards import Guard
from s3napback.log_handlers import ConsoleHandler


class Odd(logging.Handler):
    """Does with an entry what it is made with."""

    def __init__(self, action: Callable[[], object]) -> None:
        super().__init__()
        self._action = action
        self.count = 0

    def emit(self, _record: logging.LogRecord) -> None:
        self.count += 1
        self._action()


@pytest.fixture(autouse=True)
def losses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(log_handlers, "_losses", found)
    return found


def give(handler: logging.Handler, count: int) -> None:
    for _ in range(count):
        handler.handle(logging.LogRecord("s3napback", logging.ERROR, __file__, 0, "text", (), None))


def fail() -> None:
    raise OSError(28, "No space left on device")


def test_one_that_fails_where_no_thread_can_begin_is_switched_off_all_the_same(
    monkeypatch: pytest.MonkeyPatch, losses: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    def within(*_: object) -> None:
        raise NoThread

    monkeypatch.setattr("s3napback.log_guards.within", within)
    handler = Odd(fail)
    Guard(handler)
    give(handler, 3)
    assert handler.count == len(losses) == 1
    assert "cannot write: OSError: [Errno 28] No space left on device; the run goes on without it" in caplog.text


def test_one_that_takes_long_for_many_entries_is_switched_off_though_it_is_in_time_for_each(
    monkeypatch: pytest.MonkeyPatch, losses: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("s3napback.log_guards.ALL_SECONDS", 0.5)
    handler = Odd(lambda: time.sleep(0.2))
    Guard(handler)
    give(handler, 2)
    assert not losses
    give(handler, 3)
    assert (handler.count, losses) == (3, ["Odd"])
    assert "Odd has taken more than 0.5 seconds for what it was given until now; the run goes on" in caplog.text


@pytest.mark.parametrize(("level", "is_told"), [(logging.WARNING, False), (logging.ERROR, True)])
def test_what_is_switched_off_is_told_on_standard_error_where_the_terminal_takes_no_warnings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], level: int, is_told: bool
) -> None:
    console = ConsoleHandler()
    console.setLevel(level)
    console.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    monkeypatch.setattr(logging.root, "handlers", [console])
    handler = Odd(fail)
    Guard(handler)
    give(handler, 1)
    told = capsys.readouterr().err
    assert told.startswith("the log handler Odd cannot write") is is_told
    assert told.count("the log handler Odd cannot write") == 1
