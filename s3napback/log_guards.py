"""What stands around every log handler: no log, whatever it does, holds a run up for long, or fails it.

A handler that fails, or takes longer than ``LONGEST_SECONDS``, or than ``ALL_SECONDS`` for all it is given, is switched
off for the run, and the others tell that.
What goes by mail is ``letters``.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from s3napback import ending
from s3napback.crews import NoThread, TookTooLong, within
from s3napback.errors import Interrupted
from s3napback.log_handlers import (
    LAST_WORDS_SECONDS,
    LONGEST_SECONDS,
    is_console,
    is_of_python,
    name_of,
    note_loss,
    nothing,
    tell_error_stream,
)

ALL_SECONDS = 300.0
"""For all that a handler is given in a run."""


class Unwritten(Exception):
    """A handler knows why it has not written; the text follows upon its name."""


class Guard:
    """Takes the place of a handler's methods ``handle`` and ``handleError``.

    Attributes:
        consequence: what follows if the handler fails, and what to do about it.
    """

    def __init__(self, handler: logging.Handler) -> None:
        self._handler = handler
        self._handle: Callable[[logging.LogRecord], Any] = handler.handle
        self._failure = ""
        self._is_off = False
        self._taken = 0.0
        self.consequence = "the run goes on without it"
        # An instance attribute shadows the method: handlers of a logging.ini can be of any class.
        vars(handler).update(handle=self, handleError=self.note_failure)
        _look_at_answers(handler)

    def note_failure(self, _record: logging.LogRecord) -> None:
        """Take the place of ``handleError``, which is called where the exception is handled."""
        self._failure = _told(sys.exc_info()[1])

    def __call__(self, record: logging.LogRecord) -> Any:
        """Take the place of ``handle``."""
        return self.attempt(partial(self._write, record))

    def _write(self, record: logging.LogRecord) -> Any:
        was_written = self._handle(record)
        if was_written and _is_cut_off(self._handler):
            raise Unwritten("cannot write: its host does not take a connection, or has closed it")
        return was_written

    def attempt(self, action: Callable[[], Any]) -> Any:
        """Let the handler do something, unless it is off; False if it failed or has not come back."""
        if self._is_off:
            return False
        seconds = LAST_WORDS_SECONDS if ending.has_begun() else LONGEST_SECONDS
        result: Any = False
        began = time.monotonic()
        try:
            result = _carried_out(seconds, action)
        except TookTooLong:
            self._failure = f"has not come back within {seconds:g} seconds"
        except BaseException as error:  # noqa: BLE001 - not all of them pass what goes wrong to handleError
            pass_signal_on(error)
            self._failure = _told(error)
        self._taken += time.monotonic() - began
        if not self._failure and self._taken > ALL_SECONDS:
            self._failure = f"has taken more than {ALL_SECONDS:g} seconds for what it was given until now"
        if not self._failure:
            return result
        self._switch_off()
        return False

    def _switch_off(self) -> None:
        self._is_off = True
        note_loss(name_of(self._handler))
        # A thread that hangs may hold its lock, which the end of logging waits for.
        vars(self._handler).update(dict.fromkeys(("acquire", "release", "flush", "close"), nothing))
        line = f"the log handler {name_of(self._handler)} {self._failure}; {self.consequence}"
        logger = logging.getLogger("s3napback")
        others = (other for other in (*logger.handlers, *logging.root.handlers) if other is not self._handler)
        takers = (other for other in others if logger.isEnabledFor(logging.WARNING) and other.level <= logging.WARNING)
        if not any(map(is_console, takers)):
            tell_error_stream(line)
        if not ending.has_begun():
            logger.warning("%s", line)


def _carried_out(seconds: float, action: Callable[[], Any]) -> Any:
    try:
        return within(seconds, action, "log")
    except NoThread:
        return action()


def pass_signal_on(error: BaseException) -> None:
    """Of what a handler, which can be of any class, lets through, only a signal that has reached us is for others.

    Raises:
        Interrupted: it is that.
    """
    if isinstance(error, Interrupted):
        raise error


def _told(error: BaseException | None) -> str:
    if isinstance(error, Unwritten):
        return str(error)
    return f"cannot write: {described(error)}"


def described(error: BaseException | None) -> str:
    """What an exception of any class is, and what it says, if anything."""
    return f"{type(error).__name__}: {error}".removesuffix(": ")


def _is_cut_off(handler: logging.Handler) -> bool:
    """Whether it is one that drops in silence what its host does not take: Python's for pickled records by TCP."""
    return is_of_python(handler, "SocketHandler") and vars(handler).get("sock") is None


def _look_at_answers(handler: Any) -> None:
    """Have one that sends records by HTTP look at what it is answered: Python's takes a refusal for good."""
    if not is_of_python(handler, "HTTPHandler"):
        return
    connect = handler.getConnection

    def connected(*host: Any) -> Any:
        connection = connect(*host)
        vars(connection)["getresponse"] = partial(_taken, connection.getresponse)
        return connection

    vars(handler)["getConnection"] = connected


def _taken(answered: Callable[[], Any]) -> Any:
    answer = answered()
    if answer.status >= 300:
        raise Unwritten(f"cannot write: its host answers {answer.status} {answer.reason}")
    return answer
