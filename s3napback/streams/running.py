"""The life of what runs processes: pipes, threads and processes that begin together, and of which nothing stays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import TypeVar

from s3napback.crews import Crew
from s3napback.ending import deferred_signals
from s3napback.streams.pipes import PipeEnd, StopSignal, open_pipe
from s3napback.streams.processes import Process, end_processes

_Running = TypeVar("_Running", bound="Running")


class Running(ABC):
    """A context manager, used once: leaving it ends every process that still runs, and closes every pipe."""

    def __init__(self, threads: int, name: str) -> None:
        """Start nothing yet.

        Args:
            threads: at most so many are needed.
            name: of them.
        """
        self._most_threads = threads
        self._name = name
        self._ends: list[PipeEnd] = []
        self._processes: list[Process] = []

    def __enter__(self: _Running) -> _Running:
        self._stop = StopSignal()
        self._threads = Crew(self._most_threads, self._name)
        try:
            with deferred_signals():
                self._start()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close()

    @abstractmethod
    def _start(self) -> None:
        """Open pipes with ``_open_pipe``, start threads, and note every process in ``_processes``."""

    def _open_pipe(self) -> tuple[PipeEnd, PipeEnd]:
        ends = open_pipe()
        self._ends += ends
        return ends

    def _close(self) -> None:
        with deferred_signals():
            self._stop.set()
            end_processes(self._processes)
            self._threads.close()
            for end in self._ends:
                end.close()
            self._stop.close()
