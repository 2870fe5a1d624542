"""The commands that make an archive, as text for a shell: as they stand they count its bytes and leave nothing. Pure.

What a run has in private folders (tar's snapshot, gpg's home with the keyring's keys) is made anew in a folder of the
shell's own. The archive goes nowhere: in the store, without its metadata, it would be a stranger in the slot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

from s3napback.formatting import shell_word
from s3napback.records import dataclass

_WORK = '"$work"'


@dataclass(frozen=True)
class Pasted:
    """What the text is made of.

    Attributes:
        stages: commands whose standard output is the next one's input.
        places: paths that only a run has, and the names in the shell's folder that stand for them.
        preparations: commands before the stages, word by word; ``places`` count in them as well.
        files: lines of files in the shell's folder, by name. A shell's own printf has no longest command line.
    """

    stages: Sequence[Sequence[str]]
    places: Mapping[str, str] = field(default_factory=dict)
    preparations: Sequence[Sequence[str]] = ()
    files: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """The text, for any POSIX shell."""
        stages = [self._line(stage) for stage in self.stages]
        pipeline = [stages[0], *(f"| {stage}" for stage in stages[1:]), "| wc -c"]
        if not self.places:
            return [*(f"{line} \\" for line in pipeline[:-1]), pipeline[-1]]
        return [
            "(work=$(mktemp -d) && trap 'rm -rf \"$work\"' EXIT \\",
            *(f"&& {self._line(each)} \\" for each in self.preparations),
            *(f"&& {self._printed(lines)} >{_WORK}/{name} \\" for name, lines in self.files.items()),
            f"&& {pipeline[0]} \\",
            *(f"{line} \\" for line in pipeline[1:-1]),
            f"{pipeline[-1]})",
        ]

    def _printed(self, lines: Sequence[str]) -> str:
        return self._line(("printf", "%s\\n", *lines))

    def _line(self, command: Sequence[str]) -> str:
        return " ".join(map(self._word, command))

    def _word(self, word: str) -> str:
        for path, name in self.places.items():
            before, found, after = word.partition(path)
            if found and (not after or after.startswith("/")):
                return f"{_quoted(before)}{_WORK}/{name}{_quoted(after)}"
        return shell_word(word)


def _quoted(part: str) -> str:
    return shell_word(part) if part else ""
