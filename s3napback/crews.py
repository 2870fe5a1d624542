"""Threads that nobody has to wait for: work that hangs is given up, and holds up neither its caller nor the end."""

from __future__ import annotations

import concurrent.futures
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from itertools import islice
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from s3napback.ending import slices

PATIENCE = 3.0
"""Seconds that threads have to come back from what they are doing once their work is not wanted any more."""

_AHEAD = 8
"""Calls that are waiting for each thread of a crew, at most, or have come back; each takes two kilobytes."""

_Arguments = ParamSpec("_Arguments")
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class TookTooLong(Exception):
    """A call did not come back in time. The thread that makes it is given up."""


class NoThread(RuntimeError):
    """No thread can begin: a limit of the machine (ulimit, TasksMax, memory), or the end of the interpreter."""


class Crew:
    """A pool of threads like that of ``concurrent.futures``, whose threads the interpreter does not join at its end.

    A context manager; leaving it by an exception waits for no longer than ``PATIENCE``.
    """

    def __init__(self, size: int, name: str) -> None:
        """Start nothing yet.

        Args:
            size: threads at most.
            name: which the threads' names begin with.
        """
        self._size = size
        self._name = name
        self._tasks: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close(PATIENCE if kind else None)

    def submit(
        self, function: Callable[_Arguments, _Result], /, *args: _Arguments.args, **kwargs: _Arguments.kwargs
    ) -> Future[_Result]:
        """Have a thread call the function as soon as one is free."""
        future: Future[_Result] = Future()
        self._tasks.put((future, partial(function, *args, **kwargs)))
        if not self._idle.acquire(blocking=False) and len(self._threads) < self._size:
            thread = threading.Thread(target=self._work, name=f"{self._name}-{len(self._threads)}", daemon=True)
            self._start(thread)
        return future

    def _start(self, thread: threading.Thread) -> None:
        try:
            _start(thread)
        except NoThread:
            # Those that are there do the work, later.
            if not self._threads:
                raise
            return
        self._threads.append(thread)

    def map(self, function: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
        """Call the function with every item, several at a time; results come in the items' order.

        No more are begun than a few for each thread beyond the last result that was taken.
        """
        left = iter(items)
        begun = deque(self.submit(function, item) for item in islice(left, _AHEAD * self._size))
        return self._results(function, left, begun)

    def _results(
        self, function: Callable[[_Item], _Result], left: Iterator[_Item], begun: deque[Future[_Result]]
    ) -> Iterator[_Result]:
        while begun:
            result = result_of(begun.popleft())
            begun.extend(self.submit(function, item) for item in islice(left, 1))
            yield result

    def close(self, patience: float | None = PATIENCE) -> bool:
        """Begin nothing any more, and wait for what is under way.

        Args:
            patience: in seconds; None waits for ever.

        Returns:
            Whether all threads have ended. Those that have not are given up.
        """
        with suppress(Empty):
            while task := self._tasks.get_nowait():
                task[0].cancel()
        for _ in self._threads:
            self._tasks.put(None)
        deadline = None if patience is None else time.monotonic() + patience
        for thread in self._threads:
            thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            carry_out(*task)
            # A result may be large, and is the caller's alone.
            del task
            self._idle.release()


def within(seconds: float | None, call: Callable[[], _Result], name: str = "call") -> _Result:
    """Make a call that may hang, in a thread of its own, and return what it returns, or raise what it raises.

    Args:
        seconds: None waits for ever, but where a signal reaches us.
        call: may run on when we have given it up.
        name: of the thread.

    Raises:
        NoThread: it was not made.
        TookTooLong: it has not come back.
    """
    future = begin(call, name)
    if not has_come(future, seconds):
        raise TookTooLong
    return future.result()


def result_of(future: Future[_Result]) -> _Result:
    """Wait for a call to come back, for ever but where a signal reaches us; return what it returns, or raise."""
    if not future.done():
        has_come(future, None)
    return future.result()


def begin(call: Callable[[], _Result], name: str = "call") -> Future[_Result]:
    """Make a call in a thread of its own, which nobody waits for at the end.

    Raises:
        NoThread: it was not made.
    """
    future: Future[_Result] = Future()
    _start(threading.Thread(target=carry_out, args=(future, call), name=name, daemon=True))
    return future


def _start(thread: threading.Thread) -> None:
    try:
        thread.start()
    except RuntimeError as error:
        raise NoThread(str(error)) from error


def has_come(future: Future[Any], seconds: float | None) -> bool:
    """Wait until a call has come back, but no longer than so many seconds; None is for ever."""
    return any(concurrent.futures.wait([future], piece).done for piece in slices(seconds))


def carry_out(future: Future[Any], call: Callable[[], Any]) -> None:
    """Make a call, and have a future tell what came of it; no call is made if nobody wants to know any more."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001 - raised again by whoever waits for the result
        future.set_exception(error)
