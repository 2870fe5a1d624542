"""Pipes with room for a mebibyte, whose waiting can be called off by another thread."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import time

from s3napback.ending import slices

PIPE_SIZE = 1 << 20  # bytes; the most that Linux allows an ordinary user
_GATHERING_TIME = 0.00025  # seconds; gpg writes 8 KiB at a time, taking each by itself would cost more than waiting


class CalledOff(Exception):
    """Waiting ended because the pipeline is being closed."""


class Silence(Exception):
    """Nothing moved within the time allowed."""


class StopSignal:
    """Set once; threads that wait on a pipe notice at once."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        self.is_set = False

    def fileno(self) -> int:
        """Hangs up when the signal is set."""
        return self._reader

    def set(self) -> None:
        """Call off all waiting, now and later."""
        if not self.is_set:
            self.is_set = True
            os.close(self._writer)

    def close(self) -> None:
        """Give the descriptors back. No thread may wait any more."""
        self.set()
        if self._reader >= 0:
            os.close(self._reader)
            self._reader = -1


class PipeEnd:
    """One end of a pipe, closed exactly once.

    Attributes:
        bytes_written: by this process, so far.
    """

    def __init__(self, descriptor: int) -> None:
        self.bytes_written = 0
        self._descriptor = descriptor

    def fileno(self) -> int:
        """The descriptor; -1 once closed."""
        return self._descriptor

    def close(self) -> None:
        """Close it if it is open."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def keep(self) -> PipeEnd:
        """Prepare it for use in this process, where every wait is watched; a child expects one that blocks."""
        os.set_blocking(self._descriptor, False)
        return self

    def read_into(self, buffer: memoryview, stop: StopSignal, timeout: float | None = None) -> int:
        """Read once, waiting for the first byte.

        Args:
            buffer: filled from its start with what is there; not empty.
            stop: ends the waiting.
            timeout: in seconds; None waits for ever.

        Returns:
            Bytes read; 0 when every writer has closed its end.

        Raises:
            CalledOff: ``stop`` was set.
            Silence: nothing came within ``timeout``.
        """
        while True:
            if stop.is_set:
                raise CalledOff
            try:
                return os.readv(self._descriptor, [buffer])
            except BlockingIOError:
                self._wait(select.POLLIN, stop, timeout)
                time.sleep(_GATHERING_TIME)

    def write_all(self, data: bytes | memoryview, stop: StopSignal) -> None:
        """Write everything, waiting for room.

        Raises:
            CalledOff: ``stop`` was set.
            BrokenPipeError: the reader has closed its end.
        """
        rest = memoryview(data)
        while rest:
            rest = rest[self.write_some(rest, stop) :]

    def write_some(self, data: memoryview, stop: StopSignal, timeout: float | None = None) -> int:
        """Write once, waiting for room.

        Args:
            data: not empty.
            stop: ends the waiting.
            timeout: in seconds; None waits for ever.

        Returns:
            Bytes written.

        Raises:
            CalledOff: ``stop`` was set.
            Silence: there was no room within ``timeout``.
            BrokenPipeError: the reader has closed its end.
        """
        while True:
            if stop.is_set:
                raise CalledOff
            try:
                count = os.write(self._descriptor, data)
            except BlockingIOError:
                self._wait(select.POLLOUT, stop, timeout)
            else:
                self.bytes_written += count
                return count

    def _wait(self, event: int, stop: StopSignal, timeout: float | None) -> None:
        poll = select.poll()
        poll.register(self._descriptor, event)
        poll.register(stop.fileno(), select.POLLIN)
        if not any(poll.poll(None if piece is None else piece * 1000) for piece in slices(timeout)):
            raise Silence


def open_pipe() -> tuple[PipeEnd, PipeEnd]:
    """A new pipe of ``PIPE_SIZE`` where the system grants it: its reading and its writing end."""
    reader, writer = os.pipe()
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        # A user whose budget for pipes is used up keeps the small one.
        with contextlib.suppress(PermissionError):
            fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    return PipeEnd(reader), PipeEnd(writer)
