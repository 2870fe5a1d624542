"""How shells ask what a word may go on with, where click's own scripts mistake names: blanks, quotes, colons, commas.

bash is handed words as they are to be typed, since it inserts what it gets; fish quotes by itself. What bash has of the
line is read here, in its own way, because its array of words is cut at every colon and equals sign.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from importlib.resources import files

from click.shell_completion import BashComplete, CompletionItem, FishComplete, ZshComplete, add_completion_class

from s3napback.records import dataclass
from s3napback.regexes import regex

_SAFE = regex(r"[^A-Za-z0-9_/.,:@%+=\-]", re.ASCII)
_BREAKS = " \t\n\"'><=;|&(:"


@dataclass(frozen=True)
class LastWord:
    """The word that is being typed.

    Attributes:
        value: what it says.
        quote: that is open at its end: a single or double one; empty if none is.
        kept: so many characters of ``value`` that bash leaves as they are, and does not want to be told again.
    """

    value: str
    quote: str = ""
    kept: int = 0


def split_line(line: str, breaks: Collection[str] = _BREAKS) -> tuple[list[str], LastWord]:
    """Cut a line, up to the cursor, into words as bash does; the last one may be empty, or not at its end.

    Args:
        breaks: characters at which readline begins what it replaces (``COMP_WORDBREAKS``).
    """
    words: list[str] = []
    value, quote, kept, is_word = "", "", 0, False
    characters = iter(line)
    for character in characters:
        if quote:
            if character == quote:
                quote = ""
            elif character == "\\" and quote == '"':
                value += _escaped(next(characters, ""))
            else:
                value += character
        elif character.isspace():
            if is_word:
                words.append(value)
            value, kept, is_word = "", 0, False
        else:
            is_word = True
            if character == "\\":
                value += next(characters, "")
            elif character in "\"'":
                quote, kept = character, len(value)
            else:
                value += character
                kept = len(value) if character in breaks else kept
    return words, LastWord(value, quote, kept)


def _escaped(character: str) -> str:
    """What a backslash and a character stand for within double quotes."""
    return character if character in '"\\$`' else f"\\{character}"


def typed(value: str, word: LastWord) -> str:
    """What bash is to put in the place of the word that is being typed, so that it says ``value``."""
    rest = value[word.kept :]
    if word.quote == "'":
        return rest.replace("'", "'\\''")
    if word.quote:
        return re.sub(r'(["\\$`])', r"\\\1", rest)
    return _SAFE.sub(lambda match: match[0] if match[0] > "\x7f" else f"\\{match[0]}", rest)


def _script(shell: str) -> str:
    return files(__package__).joinpath(f"completion.{shell}").read_text("utf-8")


class _WithValues:
    """Has a value behind ``--option=`` be shown with what stands in front of it."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        found: list[CompletionItem[str]] = super().get_completions(args, incomplete)  # type: ignore[misc]
        name, equals, _ = incomplete.partition("=")
        if equals and name.startswith("--"):
            for item in found:
                item.value = f"{name}={item.value}" if item.type == "plain" else item.value
        return [item for item in found if str(item.value).isprintable()]


class Bash(_WithValues, BashComplete):
    """For bash, from 4.4 on."""

    source_template = _script("bash")

    def get_completion_args(self) -> tuple[list[str], str]:
        """See ``click``."""
        words, self._word = split_line(os.environ.get("COMP_LINE", ""), os.environ.get("COMP_WORDBREAKS") or _BREAKS)
        return words[1:], self._word.value

    def format_completion(self, item: CompletionItem[str]) -> str:
        """See ``click``."""
        return f"{item.type}\t{typed(item.value, self._word) if item.type == 'plain' else item.value}"


class Zsh(_WithValues, ZshComplete):
    """For zsh, with click's script."""

    def format_completion(self, item: CompletionItem[str]) -> str:
        """See ``click``. Where there is a description, a colon stands in front of it, and a backslash for itself."""
        if not item.help:
            return f"{item.type}\n{item.value}\n_"
        value = item.value.replace("\\", "\\\\").replace(":", "\\:")
        return f"{item.type}\n{value}\n{' '.join(item.help.split())}"


class Fish(_WithValues, FishComplete):
    """For fish."""

    source_template = _script("fish")

    def get_completion_args(self) -> tuple[list[str], str]:
        """See ``click``, whose 8.2.0 leaves the word that is being typed as it is typed."""
        words, word = split_line(os.environ.get("COMP_WORDS", ""))
        return words[1:], word.value


def register() -> None:
    """Have click use these."""
    for shell in (Bash, Zsh, Fish):
        add_completion_class(shell)
