"""A configuration of the original's, written anew in today's words: comments and order stay, changes are explained."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from s3napback.config.lines import BROKEN_WORD, Line, Shape, has_comment, is_broken_word, split_lines
from s3napback.config.loading import Examined
from s3napback.config.problems import Change, Problems
from s3napback.config.settings import Position
from s3napback.formatting import shown
from s3napback.records import dataclass

_WIDTH = 110
_COMMENT_NOTE = "what stands behind # is a comment; the original took it for values"


@dataclass(frozen=True)
class Migration:
    """The old files, and what is to be said of them.

    Attributes:
        examined: the old configuration.
        notes: what should be known of what stands somewhere and stays as it is.
        folder: where the new file will be.
        read: gives a file's text.
    """

    examined: Examined
    notes: Mapping[Position, Sequence[str]]
    folder: Path
    read: Callable[[Path], str]

    def text(self) -> str:
        """The whole of the new file."""
        path = self.examined.configuration.path
        heading = (
            f"# Written by s3napback migrate from {shown(str(path))}",
            "# Where a comment names a line, it is one of that file.",
        )
        written = "\n".join(self._file(path)) + "\n"
        return written if written == self.read(path) else "\n".join([*heading, written])

    def _file(self, path: Path) -> list[str]:
        text = self.read(path).replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")
        physical = text.split("\n")
        logical = {line.position.line: line for line in split_lines(text, str(path), Problems())}
        written: list[str] = []
        number = 1
        while number <= len(physical):
            line = logical.get(number)
            last = max(line.last, number) if line else number
            old = physical[number - 1 : last]
            written += self._line(line, old, path) if line else old
            number = last + 1
        for change in self.examined.changes:
            if change.is_at_end and change.position.file == str(path):
                written += [*_comment("", change.message), change.text]
        return written

    def _line(self, line: Line, old: Sequence[str], path: Path) -> list[str]:
        indentation = old[0][: len(old[0]) - len(old[0].lstrip())]
        change = self._change_at(line.position)
        said = [*self.notes.get(line.position, ())]
        if line.shape is Shape.DIRECTIVE and change is None and line.values and has_comment("\n".join(old)):
            said.append(_COMMENT_NOTE)
        if is_broken_word("\n".join(old)):
            said.append(BROKEN_WORD)
        notes = [part for note in said for part in _comment(indentation, note)]
        included = self.examined.includes.get(line.position)
        if included is not None:
            return [*notes, *self._include(line, included, old, path)]
        if change is None:
            return [*notes, *old]
        new = [f"{indentation}{change.text}"] if change.text else []
        return [*notes, *_comment(indentation, change.message), *_former(old), *new]

    def _change_at(self, position: Position) -> Change | None:
        found = [each for each in self.examined.changes if each.position == position and not each.is_at_end]
        # What has no effect is left out, whatever else is to be said of it.
        return min(found, key=lambda each: bool(each.text), default=None)

    def _include(self, line: Line, included: Sequence[Path], old: Sequence[str], path: Path) -> list[str]:
        """An Include as it is, unless one of the files must change, or would not be found any more."""
        if any(self._must_change(file) for file in included):
            written = [
                *_comment("", "What was included stands here itself, because some of it is changed."),
                *_former(old),
            ]
            for file in included:
                written += [f"# from {file}:", *self._file(file), f"# end of {file}"]
            return written
        if path.parent == self.folder or all(value.startswith("/") for value in line.values):
            return list(old)
        values = " ".join(_quoted(str(path.parent.absolute() / value)) for value in line.values)
        return [*_comment("", "Relative to another folder than before."), *_former(old), f"{line.name} {values}"]

    def _must_change(self, file: Path) -> bool:
        if any(change.position.file == str(file) for change in self.examined.changes):
            return True
        within = [each for position, each in self.examined.includes.items() if position.file == str(file)]
        return any(self._must_change(other) for files in within for other in files)


def _comment(indentation: str, text: str) -> list[str]:
    start = f"{indentation}# "
    return textwrap.wrap(
        text, _WIDTH, initial_indent=start, subsequent_indent=start, break_long_words=False, break_on_hyphens=False
    )


def _former(old: Sequence[str]) -> list[str]:
    return [f"# was: {line}" for line in old]


def _quoted(path: str) -> str:
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'
