"""What commands say to whoever called them, and what they ask: standard output and the terminal."""

from __future__ import annotations

import os
import sys

import click

from s3napback.errors import S3napbackError
from s3napback.formatting import printable
from s3napback.screen import above


def confirm(question: str) -> bool | None:
    """Ask the person at the terminal; None if there is none."""
    if not sys.stdin.isatty():
        return None
    try:
        with above():
            return click.confirm(printable(question), err=True)
    except click.Abort:
        return False  # the person closed the terminal's input


def say(*lines: str) -> None:
    """Print lines to standard output, whatever its encoding, with escapes in place of what a terminal would obey.

    Everything that commands print goes through here, apart from the tables of ``list`` and what is restored. A reader
    that has had enough, such as ``head``, is no error.
    """
    encoding = sys.stdout.encoding
    text = "\n".join(map(printable, lines))
    try:
        with above():
            click.echo(text.encode(encoding, "backslashreplace").decode(encoding))
    except BrokenPipeError:
        _drop_output()
    except OSError as error:
        raise cannot_be_written(error) from error


def say_bytes(data: bytes) -> None:
    """Write bytes to standard output as they are: names that a program reads."""
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        _drop_output()
    except OSError as error:
        raise cannot_be_written(error) from error


def cannot_be_written(error: OSError) -> S3napbackError:
    """What is to be said if standard output takes nothing, of which what is still held back is dropped."""
    # It would fail once more when Python ends.
    _drop_output()
    return S3napbackError(f"standard output cannot be written to: {error.strerror}")


def _drop_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
