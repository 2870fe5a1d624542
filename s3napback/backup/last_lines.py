"""The last lines of a run's log, for a ping that carries them: kept in memory, without what must not leave the machine.

A log holds no credentials. But what programs say that we start is logged, and one of them may say its own password. So
whatever the configuration and the environment have of secrets is blotted out here once more.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from s3napback.config.key_file import read_key_file
from s3napback.config.settings import Configuration
from s3napback.errors import S3napbackError
from s3napback.formatting import printable
from s3napback.log_handlers import LINES
from s3napback.regexes import regex

MOST_LINES = 100
LONGEST_BODY = 10_000
"""Bytes; monitors keep no more of a ping (healthchecks.io, "Attaching Logs": at least the first 10 kB)."""

_BLOT = "…"
_OF_ADDRESSES = regex(r"(?<=//)[^/\s@]*:[^/\s]*(?=@)")
"""User and password in a URL, as of a proxy (RFC 3986, section 3.2.1)."""
_LEAST_SECRET = 4
"""Characters; what is shorter would blot out half of all words."""
_SECRET_NAMES = ("PASS", "PWD", "SECRET", "TOKEN", "ACCESS_KEY", "API_KEY", "CREDENTIAL")
"""In names of environment variables."""
_NO_SECRETS = ("PWD", "OLDPWD")


class LastLines(logging.Handler):
    """Keeps the newest lines of the log, as a terminal shows them."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._lines: deque[str] = deque(maxlen=MOST_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep an entry, each of its lines by itself."""
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
        topic = record.name.removeprefix("s3napback.")
        for line in getattr(record, LINES, None) or (record.getMessage(),):
            self._lines.append(printable(f"{moment} {record.levelname} {topic}: {line}"))

    def lines(self) -> Sequence[str]:
        """Those that are kept, the oldest first."""
        return list(self._lines)


@contextmanager
def keeping_last_lines(*, is_wanted: bool) -> Iterator[LastLines]:
    """While the context lasts, the last lines of the log are kept, if anybody wants them."""
    kept = LastLines()
    # A logger that passes nothing on has its lines somewhere of its own.
    names = [name for name in logging.root.manager.loggerDict if name.startswith("s3napback.")]
    loggers = [each for each in map(logging.getLogger, names) if not each.propagate] if is_wanted else []
    if is_wanted:
        loggers.append(logging.getLogger("s3napback"))
    for each in loggers:
        each.addHandler(kept)
    try:
        yield kept
    finally:
        for each in loggers:
            each.removeHandler(kept)


def body_of(summary: Sequence[str], lines: Sequence[str], secrets: Sequence[str]) -> bytes:
    """What a ping carries: lines that are always there, then as many of the newest others as there is room for.

    Returns:
        UTF-8, of ``LONGEST_BODY`` bytes at most.
    """
    first = [_clean(line, secrets) for line in summary]
    size, kept = sum(map(len, first)), deque[bytes]()
    for line in reversed(lines):
        cleaned = _clean(line, secrets)
        size += len(cleaned)
        if size > LONGEST_BODY:
            break
        kept.appendleft(cleaned)
    return b"".join((*first, *kept))[:LONGEST_BODY]


def _clean(line: str, secrets: Sequence[str]) -> bytes:
    for secret in secrets:
        line = line.replace(secret, _BLOT)
    line = _OF_ADDRESSES.sub(_BLOT, line)
    return f"{line}\n".encode("utf-8", "backslashreplace")


def secrets_of(configuration: Configuration, environment: Mapping[str, str] = os.environ) -> list[str]:
    """All that this configuration and the environment have of secrets, the longest first."""
    ping_url = configuration.notices.ping_url.rstrip("/")
    found = {ping_url, ping_url.rpartition("/")[2]}
    if configuration.store.key_file is not None:
        with suppress(S3napbackError):
            credentials = read_key_file(configuration.store.key_file).credentials
            found |= {credentials.secret, credentials.token}
    for job in configuration.jobs:
        found.update(value for _, value in job.settings.environment)
    found.update(
        value
        for name, value in environment.items()
        if name not in _NO_SECRETS and any(part in name.upper() for part in _SECRET_NAMES)
    )
    # As they are shown: what is not printable is shown in another way.
    lines = {line.strip() for each in found for line in (each, *each.splitlines())}
    return sorted({printable(each) for each in lines if len(each) >= _LEAST_SECRET}, key=len, reverse=True)
