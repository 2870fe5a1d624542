"""The families of failures that a person may meet, and the exit code that each leads to.

What can fail in one place only is defined there, as one of these families: whoever catches it knows that place.

The message of an exception is written for the administrator who reads it at night: it names what failed, and where the
cause does not say so by itself, what to do. Only ``s3napback.cli`` prints it.

A message of several lines carries them as data. A line break within one of them belongs to a name or to somebody else's
words, and never begins a new line of a log.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from pathlib import Path

EXIT_WARNINGS = 3
"""Exit code of what was done with warnings, with ``--strict``."""
EXIT_BUG = 70
"""Exit code of a failure that nobody foresaw (sysexits.h: EX_SOFTWARE)."""


class S3napbackError(Exception):
    """Base of all expected failures.

    Args:
        lines: the message. Those after the first may be indented; ``str()`` puts them all on one line.

    Attributes:
        exit_code: what the process returns when this failure ends a configuration's run.
    """

    exit_code = 1

    def __init__(self, *lines: str) -> None:
        super().__init__(*lines)

    @property
    def lines(self) -> tuple[str, ...]:
        """The message's lines, without line ends of their own."""
        return tuple(map(str, self.args))

    def under(self, title: str) -> tuple[str, ...]:
        """The message as part of a report: its first line behind ``title`` and a colon, the others indented."""
        first, *others = self.lines or ("",)
        first = without_subject(first, title.removesuffix(" FAILED"))
        return (f"{title}: {first}", *(f"  {line}" for line in others))

    def __str__(self) -> str:
        text = ""
        for line in self.lines:
            separator = "" if not text else " " if text.endswith(":") else "; "
            text += separator + line.strip(" ")
        return text


def without_subject(text: str, subject: str) -> str:
    """What is said of a subject that stands before it already, which a text may begin with."""
    for mark in (": ", " "):
        if text.startswith(subject + mark):
            return text[len(subject + mark) :]
    return text


class NoAnswer(S3napbackError):
    """Somebody who was asked has gone."""


class SourceError(S3napbackError):
    """A source is missing, unreadable or suddenly empty, or must not be backed up now."""


class SourceSilent(SourceError):
    """The file system of a source or a target does not answer: whoever asks it for anything would wait for ever.

    Attributes:
        path: what it was asked for.
    """

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.path = path


class SourceRefused(SourceError):
    """A source must not be backed up until somebody has looked.

    Attributes:
        about: what is wrong, in one word: ``owner``, ``clock``, ``store`` or ``key``.
    """

    def __init__(self, message: str, about: str) -> None:
        super().__init__(message)
        self.about = about


class UnknownKind(SourceError):
    """Something is asked of a kind of source that is not known here."""


class PipelineError(S3napbackError):
    """A process or filter between the source and the store failed."""


class StoreError(S3napbackError):
    """A request to the store failed, or its answer could not be trusted."""


class StoreUnreachable(StoreError):
    """The store did not answer at all."""


class Unconfirmed(StoreError):
    """The store has taken an object, and what has become of it cannot be seen: it may be there, or may come yet."""


class OutOfParts(StoreError):
    """An archive did not fit into the parts that one upload may have; a next attempt must choose larger ones.

    Attributes:
        sent: bytes that were read from the source until then; the archive is larger than that.
    """

    def __init__(self, message: str, sent: int) -> None:
        super().__init__(message)
        self.sent = sent


class StateError(S3napbackError):
    """DiffDir could not be read or written."""


class DamagedState(StateError):
    """A state file is there but does not make sense; a FULL can do without it."""


class UnusableConfiguration(S3napbackError):
    """Nothing of this configuration may start: base of all failures with exit code 2."""

    exit_code = 2


class ConfigurationError(UnusableConfiguration):
    """The configuration's text is wrong.

    Attributes:
        problems: one line each, in the form ``file:line: what is wrong``.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(*problems)
        self.problems = tuple(problems)


class ChangeableByOthers(UnusableConfiguration):
    """Other users can change, or swap, a file or folder that decides over us.

    Attributes:
        reason: who can, and what to do, as the end of a sentence that begins with the path.
    """

    def __init__(self, path: Path, reason: str) -> None:
        self.reason = f"is not used: {reason}"
        super().__init__(f"{path} {self.reason}")


class UnusableKey(UnusableConfiguration):
    """A gpg key is missing, ambiguous, expired, untrusted or not able to encrypt."""


class UnusableStore(UnusableConfiguration):
    """The bucket or folder does not exist, or the credentials are refused."""


class UnusableTool(UnusableConfiguration):
    """A program that the configuration needs is missing or of the wrong kind."""


class UnusableDiffDir(StateError, UnusableConfiguration):
    """DiffDir cannot be made or written to."""


class LockHeld(S3napbackError):
    """Another run works with the same DiffDir."""

    exit_code = 4


class Interrupted(BaseException):
    """A signal asked the run to end. Not an ``Exception``, so that nothing but clean-up code catches it.

    Attributes:
        exit_code: 128 plus the signal's number, as shells count it.
        moment: at which it came, by the monotonic clock.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(signal_number).name}")
        self.exit_code = 128 + signal_number
        self.moment = time.monotonic()
