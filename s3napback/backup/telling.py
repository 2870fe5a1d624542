"""Whom a run tells that it begins and how it went: a web address, a file of metrics, commands.

Nothing of it can fail a backup, or keep it for long: what goes wrong is a warning.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import stat
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from s3napback.config.settings import Notices
from s3napback.crews import TookTooLong, within
from s3napback.durable import create_private
from s3napback.environment import Family, child_environment
from s3napback.errors import ChangeableByOthers
from s3napback.formatting import printable, readable
from s3napback.ownership import require_own
from s3napback.watch.metrics import Restorable, labels_in, metrics_text
from s3napback.watch.word import Word

logger = logging.getLogger("s3napback.notices")

PING_SECONDS = 10.0
COMMAND_SECONDS = 60.0
HURRIED_SECONDS = 2.0
"""Of each, after a signal, if there is as much."""

_LAST_SECONDS = 1.0  # for the very end

_MOST_LOOKED_AT = 1 << 16  # bytes of a file of metrics

_OUTCOMES = ("done", "skipped", "failed")
_MOST_FAILED = 20
_MOST_LINES = 200
_LONGEST_VALUE = 64 << 10
"""Bytes of a variable's value; the kernel takes 128 KiB, name and all (execve(2)), and starts nothing with more."""


class Telling:
    """One run's notices."""

    def __init__(self, notices: Notices) -> None:
        self._notices = notices
        self._run_id = str(uuid.uuid4())
        self.warnings = 0

    def begin(self) -> None:
        """The run begins."""
        self._ping("/start", PING_SECONDS)

    @property
    def wants_metrics(self) -> bool:
        """Whether anybody reads numbers."""
        return self._notices.metrics_file is not None

    def write_metrics(self, word: Word, restorable: Mapping[str, Restorable]) -> None:
        """Write the numbers of a run.

        Args:
            restorable: what the store holds, by the names of sources, as far as it was looked at.
        """
        if self._notices.metrics_file is not None:
            self._write_file(self._notices.metrics_file, metrics_text(word, restorable))

    def end(
        self,
        exit_code: int,
        word: Word | None,
        configuration: Path,
        deadline: float | None = None,
        body_of: Callable[[Sequence[str]], bytes] | None = None,
        warnings: int = 0,
    ) -> None:
        """The run has ended.

        Args:
            word: what it says of itself; None if it came to none.
            body_of: from what is said first to what the ping carries; None carries nothing.
            deadline: by the monotonic clock, when a signal has ended it: the process is ended by force then.
            warnings: of the whole run, if it came to its end.
        """
        is_good = exit_code == 0
        self._ping(
            "" if is_good else "/fail",
            _limited(PING_SECONDS, deadline),
            (lambda: body_of(_summary(exit_code, word))) if body_of else None,
        )
        command = self._notices.on_success if is_good else self._notices.on_failure
        if command:
            told = _told(exit_code, word, configuration, warnings)
            self._run(command, told, _limited(COMMAND_SECONDS, deadline))

    def end_drill(
        self,
        text: str,
        failed: Sequence[str],
        host: str,
        configuration: Path,
        exit_code: int,
        deadline: float | None = None,
    ) -> None:
        """A drill has ended. That it went well is no reason to tell anybody that the nights do.

        Args:
            text: its metrics; empty if it came to none.
            failed: the sources that were not proven.
            host: HostName.
            configuration: its path.
            deadline: see ``end``.
        """
        path = self._notices.metrics_file
        if path is not None and text:
            self._write_file(path.with_name(f"{path.stem}-drill{path.suffix}"), text)
        if not exit_code:
            return
        lines = "".join(f"not proven: {printable(each)}\n" for each in failed[:_MOST_FAILED])
        self._ping("/fail", _limited(PING_SECONDS, deadline), lines.encode)
        if self._notices.on_failure:
            told = {
                "S3NAPBACK_EXIT": f"{exit_code}",
                "S3NAPBACK_CONFIGURATION": str(configuration),
                "S3NAPBACK_HOST": host,
                "S3NAPBACK_NOT_PROVEN": _within_room(list(failed)),
            }
            self._run(self._notices.on_failure, told, _limited(COMMAND_SECONDS, deadline))

    def _warn(self, text: str, *values: object) -> None:
        self.warnings += 1
        logger.warning(text, *values)

    def _ping(self, end: str, seconds: float, body: Callable[[], bytes] | None = None) -> None:
        url = self._notices.ping_url
        if not url:
            return

        # With what speaks to the web comes half of Python's library; most runs tell nobody.
        from s3napback.backup.pinging import failure  # noqa: PLC0415

        def ask() -> str:
            carried = body() if body and self._notices.ping_log else None
            return failure(f"{url}{end}?rid={self._run_id}", seconds, carried)

        try:
            why = within(seconds, ask, "ping")
        except TookTooLong:
            why = f"no answer within {seconds:g} seconds"
        if why:
            self._warn("the ping%s to %s failed: %s", end, _public(url), why)

    def _write_file(self, path: Path, text: str) -> None:
        try:
            before = within(COMMAND_SECONDS, lambda: _replace(path, text.encode()), "metrics")
        except (OSError, TookTooLong) as error:
            why = error.strerror if isinstance(error, OSError) else f"no answer within {COMMAND_SECONDS:g} seconds"
            self._warn("MetricsFile %s could not be written: %s", path, why)
            return
        ours = labels_in(text.encode())
        if before and ours and before != ours:
            self._warn(
                "MetricsFile %s held the metrics of another configuration, which are gone now: %s. Give each "
                "configuration a file of its own",
                *(path, printable(before.decode(errors="replace"))),
            )

    def _run(self, command: Sequence[str], more: Mapping[str, str], seconds: float) -> None:
        name = printable(command[0])
        try:
            if "/" in command[0]:
                require_own(Path(command[0]))
            with tempfile.TemporaryFile() as output:
                status = _status(command, more, output, seconds)
                _log(output, name)
        except (OSError, ChangeableByOthers) as error:
            why = error.strerror if isinstance(error, OSError) else error
            self._warn("%s could not be run: %s", name, why)
            return
        if status is None:
            self._warn("%s did not end within %g seconds, and was ended", name, seconds)
        elif status:
            self._warn("%s ended with exit status %d", name, status)


def _replace(path: Path, content: bytes) -> bytes:
    """Write a file of metrics in one step.

    Returns:
        The labels of what was there before; empty if there was nothing.

    Raises:
        OSError: also if something else is there.
    """
    before = _labels(path)
    new = path.with_name(f".{path.name}.new")
    try:
        new.unlink(missing_ok=True)
        descriptor = create_private(new)
        with os.fdopen(descriptor, "wb") as file:
            # Another user reads it: the node exporter's.
            os.fchmod(descriptor, 0o644)
            file.write(content)
            file.flush()
            # After a crash an empty file would silence every alarm.
            os.fsync(descriptor)
        new.replace(path)
    except OSError:
        with suppress(OSError):
            new.unlink(missing_ok=True)
        raise
    return before


def _labels(path: Path) -> bytes:
    """Whose metrics a file holds; empty if it is empty, or not there."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(_MOST_LOOKED_AT) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b"\0"
    if (labels := labels_in(content)) is None:
        raise FileExistsError(errno.EEXIST, "something else lies there, and is left alone")
    return labels


def _limited(seconds: float, deadline: float | None) -> float:
    """How long something may take; hardly at all when the time that a signal has left is over."""
    return seconds if deadline is None else max(0.1, min(HURRIED_SECONDS, deadline - _LAST_SECONDS - time.monotonic()))


def _public(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}/…"


def _summary(exit_code: int, word: Word | None) -> list[str]:
    """What the body of a ping begins with."""
    sources = () if word is None else word.sources
    counts = (f"{sum(each.outcome == outcome for each in sources)} {outcome}" for outcome in _OUTCOMES)
    failed = [f"failed: {printable(each.source)}" for each in sources if each.outcome == "failed"]
    return [f"exit code {exit_code}: {', '.join(counts)}", *failed[:_MOST_FAILED]]


def _told(exit_code: int, word: Word | None, configuration: Path, warnings: int) -> dict[str, str]:
    """What a command gets to know, beside what every program gets."""
    sources = () if word is None else word.sources
    of_sources = sum(each.warnings for each in sources if each.outcome == "done")
    counts = {outcome: sum(each.outcome == outcome for each in sources) for outcome in _OUTCOMES}
    return {
        "S3NAPBACK_EXIT": f"{exit_code}",
        "S3NAPBACK_CONFIGURATION": str(configuration),
        "S3NAPBACK_HOST": "" if word is None else word.host,
        **{f"S3NAPBACK_{outcome.upper()}": f"{count}" for outcome, count in counts.items()},
        "S3NAPBACK_WARNINGS": f"{max(warnings, of_sources)}",
        "S3NAPBACK_FAILED_SOURCES": _within_room([each.source for each in sources if each.outcome == "failed"]),
    }


def _within_room(lines: Sequence[str]) -> str:
    """Lines as the value of a variable: of more than it can hold the first ones, and how many there are besides."""
    value = "\n".join(lines)
    if len(value.encode("utf-8", "surrogateescape")) <= _LONGEST_VALUE:
        return value
    kept, size = 0, 0
    while (size := size + len(lines[kept].encode("utf-8", "surrogateescape")) + 1) <= _LONGEST_VALUE:
        kept += 1
    return "\n".join((*lines[:kept], f"… and {len(lines) - kept} more"))


def _status(command: Sequence[str], more: Mapping[str, str], output: IO[bytes], seconds: float) -> int | None:
    """The exit status of a command; None if it had to be ended, with all of its process group."""
    environment = {**child_environment(os.environ, Family.PLAIN), **more}
    process = subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        env=environment,
        cwd="/",
        start_new_session=True,
    )
    try:
        return process.wait(seconds)
    except BaseException as error:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(1)
        if isinstance(error, subprocess.TimeoutExpired):
            return None
        raise


def _log(output: IO[bytes], name: str) -> None:
    output.seek(0)
    for number, line in enumerate(output.read(100_000).splitlines()):
        if number == _MOST_LINES:
            logger.info("%s says more", name)
            return
        if line.strip():
            logger.info("%s: %s", name, readable(line))
