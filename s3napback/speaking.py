"""What commands say to whoever called them, and what they ask: standard output and the terminal."""

from __future__ import annotations

import getpass
import os
import sys
from contextlib import suppress
from typing import TextIO

import click

from s3napback.errors import NoAnswer, S3napbackError
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


class AtTerminal:
    """The person at the terminal, who is asked on standard error, so that standard output is the result alone."""

    def ask(self, question: str) -> str:
        """A line that the person writes, without its end.

        Raises:
            S3napbackError: there is none, because the person closed the terminal's input.
        """
        with above():
            click.echo(f"{printable(question)} ", nl=False, err=True)
            line = sys.stdin.buffer.readline()
        if not line:
            click.echo(err=True)
            raise NoAnswer("no answer came; nothing was made")
        # Whoever judges it says what is wrong with bytes that are no text.
        return line.decode("utf-8", "surrogateescape").removesuffix("\n")

    def ask_secretly(self, question: str) -> str:
        """The same, not shown."""
        with above():
            try:
                return getpass.getpass(f"{printable(question)} ", sys.stderr)
            except EOFError as error:
                raise NoAnswer("no answer came; nothing was made") from error

    def tell(self, text: str) -> None:
        """Show a line."""
        with above():
            click.echo(printable(text), err=True)


def at_terminal() -> AtTerminal | None:
    """Whoever can be asked; None if there is no terminal."""
    return AtTerminal() if sys.stdin.isatty() and sys.stderr.isatty() else None


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


def say_file(text: str) -> None:
    """Print what is to be kept as a file: as it is, in UTF-8. A terminal is shown it as by ``say``, tabs as blanks."""
    if sys.stdout.isatty():
        say(*(line.expandtabs() for line in text.removesuffix("\n").split("\n")))
    else:
        say_bytes(text.encode())


def cannot_be_written(error: OSError) -> S3napbackError:
    """What is to be said if standard output takes nothing, of which what is still held back is dropped."""
    # It would fail once more when Python ends.
    _drop_output()
    return S3napbackError(f"standard output cannot be written to: {error.strerror}")


def drop_unwritten_errors() -> None:
    """Drop what standard error has not taken, as on a full disk: Python would end with a code of its own, 120."""
    try:
        sys.stderr.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            _drop(sys.stderr)


def _drop_output() -> None:
    _drop(sys.stdout)


def _drop(stream: TextIO) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
