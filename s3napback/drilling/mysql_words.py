"""What a client of MySQL or MariaDB says while it loads a dump, with ``--show-warnings``."""

from __future__ import annotations

from s3napback.drilling.complaints import ClientWords
from s3napback.formatting import readable
from s3napback.records import dataclass
from s3napback.regexes import regex

_ERROR = regex(r"ERROR(?: (?P<code>\d+))?(?: \(\w+\))?(?: at line \d+)?: (?P<words>.*)")
_WARNING = regex(r"(?:Warning|Error) \(Code (?P<code>\d+)\): (?P<words>.*)")
_ENGINE = regex(r"Unknown storage engine '(?P<name>[^']*)'")

# "Error Reference" in the manuals of both
_SPOILING = frozenset({1048, 1264, 1265, 1292, 1300, 1364, 1366, 1411, 1416, 1690, 1977})
"""Warnings of a value that was changed, cut or left out: dumps are loaded without strict mode."""

_LOST = frozenset({1053, 1927, 2002, 2003, 2006, 2013, 2026})
_MACHINE = frozenset({5, 1021, 1037, 1038, 1041, 1114, 1126, 1127, 1286, 1478, 1524})
"""Memory, room, and what plugins do: storage engines, encryption, ways to log in, functions of libraries."""

_UNKNOWN_ENGINE = 1286
_CANNOT_CREATE, _WRONG_OPTIONS = 1005, "errno: 140"


@dataclass
class MySQLWords(ClientWords):
    """See ``ClientWords``."""

    def read(self, line: bytes) -> None:
        """See ``Review``."""
        text = readable(line)
        if found := _ERROR.match(text):
            self._fail(int(found["code"] or 0), found["words"])
        elif found := _WARNING.match(text):
            if int(found["code"]) == _UNKNOWN_ENGINE and (engine := _ENGINE.search(found["words"])):
                self.note_lack(f"the storage engine {engine['name']}")
            elif int(found["code"]) in _SPOILING:
                self.note(self.flaws, found["words"])

    def _fail(self, code: int, words: str) -> None:
        if code in _LOST:
            self.has_died = True
        elif code in _MACHINE or (code == _CANNOT_CREATE and _WRONG_OPTIONS in words):
            self.note(self.not_here, words)
        else:
            self.note(self.flaws, words)
