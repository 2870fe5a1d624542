"""Log handlers of our own, and what those of a logging.ini are opened with: the terminal, the journal, files.

What keeps them from holding a run up is ``log_guards``.
"""

from __future__ import annotations

import logging
import os
import select
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TextIO

from s3napback import ending
from s3napback.formatting import printable
from s3napback.ownership import open_log
from s3napback.screen import above

if TYPE_CHECKING:
    import logging.handlers

LONGEST_SECONDS = 10.0
"""For one record, or one letter."""
LAST_WORDS_SECONDS = 2.0
"""The same once a signal has come."""

UNREAD_SECONDS = 600.0
"""That a pipe, or the journal, may take nothing before it is given up: somebody may be reading there, page by page."""

LINES = "s3napback_lines"
"""Attribute of a record whose message has several lines; a line end within any of them is data."""

_losses: list[str] = []


def note_loss(name: str) -> None:
    """Remember that a log lacks something."""
    _losses.append(name)


def are_whole() -> bool:
    """Whether all logs have taken what they were given, as far as is known."""
    return not _losses


def is_console(handler: logging.Handler) -> bool:
    """Whether a handler writes to the terminal, or what stands for it."""
    return isinstance(handler, ConsoleHandler) or (
        isinstance(handler, logging.StreamHandler) and handler.stream in (sys.stderr, sys.stdout)
    )


class ConsoleHandler(logging.Handler):
    """Writes to what standard error is at that moment; to the journal with priorities (sd-daemon(3))."""

    _PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.NOTSET, 7))

    def __init__(self, *, begins_with_failure: bool = False) -> None:
        """Begin.

        Args:
            begins_with_failure: what is no error is kept until there is one, which then comes first, or until the end.
        """
        super().__init__()
        self._kept: list[logging.LogRecord] | None = [] if begins_with_failure else None
        self._output = PatientOutput(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one entry, a line or several, or keep it."""
        if self._kept is not None and record.levelno < logging.ERROR:
            self._kept.append(record)
            return
        self._write(record)
        self.flush()

    def flush(self) -> None:
        """Write what was kept; from now on nothing is."""
        kept, self._kept = self._kept or [], None
        for record in kept:
            self._write(record)

    def _write(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
            if is_journal():
                priority = next(number for level, number in self._PRIORITIES if record.levelno >= level)
                text = "\n".join(f"<{priority}>{line}" for line in text.split("\n"))
            with above():
                self._output.write(sys.stderr, f"{text}\n")
        except Exception:  # noqa: BLE001 - handleError is where logging sends whatever goes wrong in a handler
            self.handleError(record)


class PatientOutput:
    """Writes to standard error or output, and no more once nobody has read there for ``UNREAD_SECONDS``.

    Whoever holds the lock must not wait for ever, as for cron whose mail program hangs.
    """

    def __init__(self, handler: logging.Handler) -> None:
        """Begin; ``handler`` is whose lines are written."""
        self._handler = handler
        self._is_unread = False

    def write(self, stream: TextIO, text: str) -> None:
        """Write a text to its end, or give it up."""
        if self._is_unread:
            return
        stream.flush()
        mode = _mode_of(stream)
        if not stat.S_ISFIFO(mode) and not stat.S_ISSOCK(mode):
            stream.write(text)
            stream.flush()
            return
        data = text.encode(stream.encoding, stream.errors or "strict")
        while data and not self._is_unread:
            if _takes_more(stream):
                # As much as is taken without waiting.
                data = data[os.write(stream.fileno(), data[: select.PIPE_BUF]) :]
            else:
                self._is_unread = True
                note_loss(name_of(self._handler))

    def emit(self, record: logging.LogRecord) -> None:
        """Take the place of the method of a ``logging.StreamHandler``."""
        handler: Any = self._handler
        try:
            with above():
                self.write(handler.stream, handler.format(record) + handler.terminator)
        except Exception:  # noqa: BLE001 - as above
            handler.handleError(record)


def _takes_more(stream: TextIO) -> bool:
    poll = select.poll()
    poll.register(stream, select.POLLOUT)
    seconds = LAST_WORDS_SECONDS if ending.has_begun() else UNREAD_SECONDS
    return any(poll.poll((piece or 0) * 1000) for piece in ending.slices(seconds))


@contextmanager
def opened_safely() -> Iterator[None]:
    """While it is entered, handlers that are made open their files by ``open_log``, and follow nobody's links.

    One for syslog, which asks its host already when it is made, is silent where that host is away.
    """
    import logging.handlers  # noqa: PLC0415 - whoever reads settings has imported it, and needs sockets

    usual, syslog = logging.FileHandler._open, logging.handlers.SysLogHandler
    setattr(logging.FileHandler, "_open", _opened)  # noqa: B010
    setattr(logging.handlers, "SysLogHandler", _in_time(syslog))  # noqa: B010
    try:
        yield
    finally:
        setattr(logging.FileHandler, "_open", usual)  # noqa: B010
        setattr(logging.handlers, "SysLogHandler", syslog)  # noqa: B010


def _in_time(usual: type[logging.Handler]) -> type[logging.Handler]:
    """A class in the place of another one: what it makes is one of that, unless its other end is away."""
    import socket  # noqa: PLC0415 - as above

    def make(_class: type, *arguments: Any, **options: Any) -> Any:
        # Not in a thread, as elsewhere: whoever reads settings holds the lock that a handler needs to be made.
        before = socket.getdefaulttimeout()
        socket.setdefaulttimeout(LONGEST_SECONDS)
        try:
            return usual(*arguments, **options)
        except OSError as error:
            return AwayHandler(error)
        finally:
            socket.setdefaulttimeout(before)

    # Whoever reads settings takes nothing but a class.
    return type(usual.__name__, (usual,), {"__new__": make})


class AwayHandler(logging.Handler):
    """In the place of one whose other end is away."""

    def __init__(self, error: OSError) -> None:
        """Begin; ``error`` says why."""
        super().__init__()
        self._error = error

    def emit(self, _record: logging.LogRecord) -> None:
        """Say why, which has it be switched off."""
        raise self._error


def open_safely_from_now(handler: logging.Handler) -> None:
    """Let a handler that writes to a file open it so whenever it is turned over."""
    if isinstance(handler, logging.FileHandler):
        vars(handler)["_open"] = partial(_opened, handler)


def _opened(handler: logging.FileHandler) -> IO[Any]:
    def opener(path: str, flags: int) -> int:
        try:
            return open_log(Path(path), flags)
        except OSError as error:
            error.filename = path
            raise

    return open(handler.baseFilename, handler.mode, encoding=handler.encoding, errors=handler.errors, opener=opener)


def is_pipe() -> bool:
    """Whether standard error is a pipe, as cron's is, of which a mail is made afterwards."""
    return stat.S_ISFIFO(_mode_of(sys.stderr))


def _mode_of(stream: TextIO) -> int:
    with suppress(OSError, ValueError, AttributeError):
        return os.fstat(stream.fileno()).st_mode
    return 0


def is_journal() -> bool:
    """Whether standard error is a stream of systemd's journal, which adds the time itself (systemd.exec(5))."""
    with suppress(OSError, ValueError, AttributeError):
        status = os.fstat(sys.stderr.fileno())
        return os.environ.get("JOURNAL_STREAM", "") == f"{status.st_dev}:{status.st_ino}"
    return False


class FailureReport:
    """Says once that a console cannot be written to, where ``logging`` would print a traceback for every line."""

    def __init__(self, handler: logging.Handler) -> None:
        self._name = name_of(handler)
        self._said = False

    def __call__(self, _record: logging.LogRecord) -> None:
        """Take the place of ``handleError``."""
        if self._said:
            return
        self._said = True
        note_loss(self._name)
        error = sys.exc_info()[1]
        tell_error_stream(
            f"the log handler {self._name} cannot write: {type(error).__name__}: {error}; the run goes on without it"
        )


def is_of_python(handler: logging.Handler, kind: str) -> bool:
    """Whether it is one of ``logging.handlers``, which is loaded only where something in it is asked for."""
    handlers = sys.modules.get("logging.handlers")
    return handlers is not None and isinstance(handler, vars(handlers)[kind])


def name_of(handler: logging.Handler) -> str:
    """The name that ``logging.ini`` gives it, or that of its class."""
    return handler.get_name() or type(handler).__name__


def nothing(*_arguments: object) -> None:
    """Take the place of what could hang."""


def tell_error_stream(line: str) -> None:
    """Write a line to standard error past all logs, if that can be."""
    try:
        sys.stderr.write(f"{printable(line)}\n")
    except (OSError, ValueError, AttributeError):
        # Standard error is closed, or full as well, and there is nobody left to tell.
        return
