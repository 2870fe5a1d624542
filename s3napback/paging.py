"""CommonMark as it can be read where it is shown: on a terminal laid out and in a pager, elsewhere as it is."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial

from s3napback.regexes import regex
from s3napback.speaking import say

_FOR_PAGERS = (
    *("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TERM", "TERMINFO", "TERMINFO_DIRS", "COLUMNS", "LINES"),
    *("LANG", "LC_ALL", "LC_CTYPE", "LESS", "LESSCHARSET", "LESS_COLUMNS", "LESS_LINES", "MORE", "LV", "NO_COLOR"),
)
_TABLE = regex(r"(?:^\|.*\|\n)+", re.MULTILINE)
_CELL_END = regex(r"(?<!\\)\|")
_LEAST_WIDTH = 20
_WIDEST = 100
"""Columns: longer lines are hard to read."""


def show_text(text: str, *, is_plain: bool = False) -> None:
    """Show CommonMark; if a pager is needed, it takes the place of this process.

    Args:
        text: without what a terminal would obey.
        is_plain: as it is, on a terminal, too.
    """
    if is_plain or not _can_be_laid_out():
        say(*text.rstrip("\n").split("\n"))
        return
    size = shutil.get_terminal_size()
    shown = _laid_out(text, min(max(size.columns, _LEAST_WIDTH), _WIDEST))
    if shown.count("\n") >= size.lines:
        _into_pager(shown)
    sys.stdout.write(shown)
    sys.stdout.flush()


def _can_be_laid_out() -> bool:
    encoding = sys.stdout.encoding.lower().replace("-", "")
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "") and encoding == "utf8"


def _laid_out(text: str, width: int) -> str:
    # rich takes a while to import, and a pipe can do without
    from rich.console import Console, ConsoleOptions, RenderResult  # noqa: PLC0415
    from rich.markdown import CodeBlock, Markdown  # noqa: PLC0415
    from rich.segment import Segment  # noqa: PLC0415
    from rich.theme import Theme  # noqa: PLC0415

    class Code(CodeBlock):
        """Lines that are too long are left to the terminal: two halves of a command would be pasted as two commands."""

        def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
            lines = str(self.text).rstrip().split("\n")
            if all(len(line) < options.max_width - 1 for line in lines):
                yield from super().__rich_console__(console, options)
            else:
                yield from (Segment(f"{line}\n") for line in ("", *(f" {line}" for line in lines), ""))

    class Whole(Markdown):
        """CommonMark with such code."""

        elements = {**Markdown.elements, "fence": Code, "code_block": Code}  # noqa: RUF012

    # A background of its own is unreadable on some terminals.
    plain = Theme({"markdown.code": "bold", "markdown.h1": "bold", "markdown.item.number": "bold"})
    console = Console(theme=plain, width=width, force_terminal=True)
    with console.capture() as capture:
        console.print(Whole(without_wide_tables(text, width), code_theme="bw", hyperlinks=False), crop=False)
    return capture.get()


def without_wide_tables(text: str, width: int) -> str:
    """Tables that do not fit as lists, since a narrow column would cut off the names that are looked for.

    Args:
        text: CommonMark.
        width: columns.
    """
    return _TABLE.sub(lambda found: _listed(found[0], width), text)


def _listed(table: str, width: int) -> str:
    rows = [[cell.strip() for cell in _CELL_END.split(line.strip()[1:-1])] for line in table.splitlines()]
    headings, _line, *others = rows
    widest = [max(len(row[column]) for row in (headings, *others)) for column in range(len(headings))]
    if sum(widest) + 3 * len(widest) <= width:
        return table
    return "".join(map(partial(_list_item, headings), others)).replace(r"\|", "|")


def _list_item(headings: Sequence[str], row: Sequence[str]) -> str:
    first, *others = row
    told = [
        f"{heading}: {cell}" if heading else cell for heading, cell in zip(headings[1:], others, strict=True) if cell
    ]
    if len(headings) == 2:
        return f"- {first}: {others[0]}\n"
    return "".join((f"- {first}\n", *(f"  - {each}\n" for each in told)))


def _into_pager(text: str) -> None:
    """Become the pager, which reads the text from an unnamed file; return if there is none."""
    command = _pager(os.environ)
    if command is None:
        return
    with suppress(OSError), tempfile.TemporaryFile() as file:
        file.write(text.encode())
        file.seek(0)
        os.dup2(file.fileno(), sys.stdin.fileno())
        os.execve(command[0], command, environment_for(os.environ))  # noqa: S606 - no shell, and no wish to come back


def _pager(environment: Mapping[str, str]) -> list[str] | None:
    """The command of whatever PAGER names, else less, else more."""
    with suppress(ValueError):
        wanted = shlex.split(environment.get("PAGER", ""))
        for words in (wanted, ["less"], ["more"]):
            path = shutil.which(words[0], path=environment.get("PATH")) if words else None
            if path:
                return [path, *words[1:]]
    return None


def environment_for(environment: Mapping[str, str]) -> dict[str, str]:
    """What a pager gets of the environment: how the terminal is to be driven, and no secret."""
    given = {name: environment[name] for name in _FOR_PAGERS if name in environment}
    # Else less runs what the settings in HOME say, which may be another user's, and writes its history there.
    return {"LESS": "FRX", **given, "LESSSECURE": "1"}
