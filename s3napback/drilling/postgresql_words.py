"""What psql says while it loads a dump, with ``VERBOSITY=verbose`` and ``ECHO=errors``."""

from __future__ import annotations

import re
from dataclasses import field

from s3napback.drilling.complaints import ClientWords
from s3napback.formatting import readable
from s3napback.records import dataclass
from s3napback.regexes import regex

_ERROR = regex(r"(?:ERROR|FATAL|PANIC):  (?P<code>[0-9A-Z]{5}): (?P<words>.*)")
_STATEMENT = regex(r"(?:^|: )STATEMENT:  (?P<text>.*)")
_LOST = ("server closed the connection unexpectedly", "connection to server was lost")

_ROLE = regex(r'role "[^"]*"(?= does not exist)')
_TABLESPACE = regex(r'(?:^tablespace |^invalid value for parameter "default_tablespace": )(?P<name>"[^"]*")')
_LOCALE = regex(r"invalid (?:LC_\w+ )?locale name|could not create locale|ICU is not supported|open collator")
_OF_NEWER_PROGRAMS = regex(r'unrecognized configuration parameter "\w+_timeout"')
"""``pg_dump`` begins a dump by turning off limits that older servers do not have."""

_OF_THE_MACHINE = ("CREATE EXTENSION ", "CREATE TABLESPACE ")
"""What fails for want of a file or a folder."""

# "PostgreSQL Error Codes" in its manual
_EXISTS, _UNDEFINED_FILE, _UNDEFINED = "42710", "58P01", "42704"
_RESOURCES, _SHUTDOWN = "53", "57P0"


@dataclass
class PostgreSQLWords(ClientWords):
    """See ``ClientWords``.

    Attributes:
        policies: that could not be made, since they speak of roles that are missing.
        folders: tablespaces that the dump makes, whose folders must be there.
        first: the role that is there before the dump makes it.
    """

    policies: int = 0
    folders: dict[str, None] = field(default_factory=dict)
    first: str = ""
    _error: re.Match[str] | None = None

    def read(self, line: bytes) -> None:
        """See ``Review``."""
        text = readable(line)
        if found := _ERROR.search(text):
            self.settle()
            self._error = found
        elif found := _STATEMENT.search(text):
            self.settle(found["text"])
        elif any(sign in text for sign in _LOST):
            self.has_died = True

    def settle(self, statement: str = "") -> None:
        """Judge the last error.

        Args:
            statement: how the one begins that failed; empty if that is not known.
        """
        error, self._error = self._error, None
        if error is None or self._is_excused(error["code"], error["words"], statement):
            return
        code, words = error["code"], error["words"]
        if code.startswith(_SHUTDOWN):
            self.has_died = True
        elif code.startswith(_RESOURCES) or code == _UNDEFINED_FILE or statement.startswith(_OF_THE_MACHINE):
            self.note(self.not_here, words)
        elif _LOCALE.search(words):
            self.note(self.not_here, f"{words}; where locales are missing, make them (locale-gen)")
        else:
            self.note(self.flaws, words)

    def _is_excused(self, code: str, words: str, statement: str) -> bool:
        """Whether something is only missing here that the dump need not hold; takes note of it."""
        if code == _UNDEFINED and (role := _ROLE.match(words)):
            self.note_lack(f"the {role[0]}")
            self.policies += statement.startswith("CREATE POLICY ")
            return True
        if code == _EXISTS and words == f'role "{readable(self.first.encode())}" already exists':
            return True
        if found := _TABLESPACE.match(words):
            if code == _EXISTS:
                self.folders[found["name"]] = None
            else:
                self.note_lack(f"the tablespace {found['name']}")
            return True
        return code == _UNDEFINED and _OF_NEWER_PROGRAMS.match(words) is not None
