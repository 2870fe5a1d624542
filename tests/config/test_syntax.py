from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest
from apacheconfig.parser import yacc
from hypothesis import given
from hypothesis import strategies as st

from s3napback.config import lines, syntax
from s3napback.config.lines import Line, split_lines
from s3napback.config.loading import load_configuration
from s3napback.config.problems import Problems
from s3napback.config.settings import Position
from s3napback.config.syntax import Block, Directive, Entry
from tests.config.helpers import parse, syntax_problems
from tests.peaks import peak_of


def values(text: str) -> tuple[str, ...]:
    (entry,) = parse(text)
    assert isinstance(entry, Directive)
    return entry.values


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("/home/#x", ["/home/#x"]),
        ("#x", []),
        ("/a # /b", ["/a"]),
        ("/a\t#b", ["/a"]),
        ('"/a #b"', ["/a #b"]),
        ("'#b' '# c'", ["#b", "# c"]),
        (r"\#b", ["#b"]),
        ('""#x', ["#x"]),
        ('"/a b" "/c d"', ["/a b", "/c d"]),
        (r"/a\ b", ["/a b"]),
        (r"C:\x *.o\~ /a\*b", ["C:\\x", "*.o\\~", r"/a\*b"]),
        (r"a\\b '\\' '\' ", ["a\\b", "\\\\", "\\"]),
        (r'"\"quoted\" \x \\"', [r'"quoted" \x ' + "\\"]),
        ("it''s", ["its"]),
        ('""', [""]),
        ("<<EOF", ["<<EOF"]),
        ("'<<EOF'", ["<<EOF"]),
        ('"=x" a=b', ["=x", "a=b"]),
        ("/* c */ // x", ["/*", "c", "*/", "//", "x"]),
        ("%41 %", ["%41", "%"]),
        ("/Straße/日本\u3000語", ["/Straße/日本\u3000語"]),
        ("/x>", ["/x>"]),
        ("$HOME `id` $(id) ~", ["$HOME", "`id`", "$(id)", "~"]),
    ],
)
def test_a_value_is_split_like_a_shell_would_without_expansion(written: str, meant: list[str]) -> None:
    assert list(values(f"Exclude {written}\n")) == meant


@given(st.lists(st.text(st.characters(exclude_categories=("Cc", "Cs")))))
def test_whatever_is_quoted_arrives_unchanged(words: list[str]) -> None:
    # shlex leaves safe words as they are, and one of them may begin with an equals sign
    quoted = [f"'{word}'" if shlex.quote(word) == word else shlex.quote(word) for word in words]
    assert list(values(f"Exclude {' '.join(quoted)}")) == words


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_and_a_missing_last_one_are_understood(newline: str) -> None:
    text = newline.join(["", "Frequency 1 # one", "", "<Cycle a>", "  Directory \\", "    /etc", "</Cycle>"])
    first, cycle = parse(text)
    assert (first.name, first.values, first.position.line) == ("Frequency", ("1",), 2)
    assert isinstance(cycle, Block)
    assert (cycle.values, cycle.position.line) == (("a",), 4)
    (directory,) = cycle.entries
    assert (directory.values, directory.position.line) == (("/etc",), 5)


def test_a_backslash_continues_a_directive_but_never_a_comment() -> None:
    entries = parse(
        "Exclude /a \\\n  /b\\\n/c # and so on \\\nFrequency 2\n# comment \\\nDiffs 3\nFulls 2 \\\n\nPhase 0\\"
    )
    assert [(entry.name, entry.values, entry.position.line) for entry in entries] == [
        ("Exclude", ("/a", "/b", "/c"), 1),
        ("Frequency", ("2",), 4),
        ("Diffs", ("3",), 6),
        ("Fulls", ("2",), 7),
        ("Phase", ("0",), 9),
    ]


def test_a_continued_line_inside_double_quotes_is_joined() -> None:
    assert values('Exclude "/a\\\n b"\n') == ("/a b",)


def test_tags_keep_their_values() -> None:
    entries = parse('<Directory />\n</DIRECTORY>\n<Cycle "a > b"> # x > y\n</cycle>\n<MySQL>\n</MySQL>\n<A /x/ >\n</A>')
    assert [(entry.name, entry.values) for entry in entries] == [
        ("Directory", ("/",)),
        ("Cycle", ("a > b",)),
        ("MySQL", ()),
        ("A", ("/x/",)),
    ]


@pytest.mark.parametrize("text", ["", "\n", "# nothing", "  \n\t\n#\n", "\\\n"])
def test_a_text_without_directives_is_empty(text: str) -> None:
    assert parse(text) == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('\nExclude "/a\nFrequency 1', 'f:2: a quote " is opened and not closed on this line'),
        ("Exclude it's", "f:1: a quote ' is opened and not closed on this line"),
        ("Exclude 'a\\\nb'", "f:1: a quote ' is opened and not closed on this line"),
        ("Exclude /a \\ \n", "f:1: white space follows the backslash"),
        ("Exclude /a\x01b", "f:1: the line holds a control character: /a\\x01b"),
        ("Exclude /a\x85b", "f:1: the line holds a control character"),
        ("Frequency = 1", "f:1: write “Frequency VALUE” without “=”"),
        ("Frequency=1", "f:1: write “Frequency VALUE” without “=”"),
        ("Frequency =1", "f:1: write “Frequency VALUE” without “=”"),
        ("Exclude /a \u201c*.b\u201d", 'f:1: \u201c (U+201C), as text processors write it, is no quote here: write "'),
        ("HostName \u2018atlas\u2019", "f:1: \u2018 (U+2018), as text processors write it, is no quote here"),
        ("Exclude *.o\u00a0", "f:1: a value holds an unusual blank (U+00A0): *.o"),
        ("<Cycle a\u200b>\n</Cycle>", "f:1: a value holds an unusual blank (U+200B): a"),
        ("Exclude\u00a0/x", "f:1: the directive's name holds an unusual blank (U+00A0)"),
        ("Exclude /a \n\n  /b", "f:3: this line begins with no directive's name"),
        ("<Cycle x> Directory /etc </Cycle>", "f:1: each tag needs a line of its own"),
        ("<Cycle x\n", "f:1: a tag ends with “>”"),
        ("<Cycle 'x>'\n", "f:1: a tag ends with “>”"),
        ("<<include x>>\n", "f:1: “<<include” is not a block's tag"),
        ("<Cycle/>\n", "f:1: “<Cycle/>” is not a block's tag"),
        ("<Cycle a>\n</Cycle a>", "f:2: a closing tag has no value; write </Cycle>"),
        ("<Cycle x>\n</Cicle>\n", "f:2: </Cicle> does not close <Cycle x>, opened in line 1; write </Cycle>"),
        ("\n</Cycle>\n", "f:2: </Cycle> closes nothing: no block is open here"),
        ("<Cycle x>\n<MySQL a>\n</Cycle>", "f:2: <MySQL a> is not closed before the </Cycle> in line 3"),
        ("<A>\n" * 1500 + "</A>\n" * 1500, "f:17: blocks are nested more than 16 deep"),
        ("A\n" * 100_001, "f:100001: more than 100,000 directives in one file"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(text: str, problem: str) -> None:
    found = syntax_problems(text)
    assert found[0].startswith(problem)


def test_what_looks_like_a_quote_is_a_letter_within_a_word_and_in_quotes() -> None:
    assert [line.values for line in parse('Exclude /\u201ca\u201d "\u201cb\u201d"')] == [
        ("/\u201ca\u201d", "\u201cb\u201d")
    ]


def test_all_mistakes_are_told_and_what_remains_is_read() -> None:
    text = "<Cycle a>\nExclude 'x\nFulls=2\n</Cicle>\n</Cycle>\n<MySQL all>\nFulls 3\n"
    assert [problem.split(":")[1] for problem in syntax_problems(text)] == ["2", "3", "4", "5"]
    problems = Problems()
    _, mysql = syntax.parse_text(text, "f", problems)
    assert isinstance(mysql, Block)
    assert [entry.name for entry in mysql.entries] == ["Fulls"]


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("<Cycle x", "</Cycle>"),
        ('<Cycle "x>', "</Cycle>"),
        ("<Cycle x> Fulls 2", "</Cycle>"),
        ("<Cycle x>", "</Cycle x>"),
    ],
)
def test_a_wrong_tag_is_told_once_and_still_opens_or_closes_its_block(opening: str, closing: str) -> None:
    assert len(syntax_problems(f"{opening}\nFulls 2\n{closing}\nDiffs 1\n")) == 1


def _hand_over(monkeypatch: pytest.MonkeyPatch, change: Callable[[str], str]) -> None:
    """Have the loader handed something else than what it should read."""
    loader = syntax.loader()
    real = loader.loads
    monkeypatch.setattr(loader, "loads", lambda text: real(change(text)))


def test_a_loader_that_loses_something_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    _hand_over(monkeypatch, lambda text: text.replace("Fulls 2\n", ""))
    assert syntax_problems("Diffs 1\n\nFulls 2\nPhase 0\n") == [
        "f:3: this line cannot be read as Apache-style configuration"
    ]


def test_a_loader_that_gives_up_is_a_clean_error(monkeypatch: pytest.MonkeyPatch) -> None:
    _hand_over(monkeypatch, lambda text: text + "<never closed>\n")
    (problem,) = syntax_problems("\nDiffs 1\n")
    assert problem.startswith("f:2: the file cannot be read as Apache-style configuration")
    # The next text meets another loader, whatever this one has stopped in.
    assert parse("Diffs 1") == (Directive("Diffs", ("1",), Position("f", 1)),)


ORDINARY_OR_NOT = (
    "Exclude",
    " a",
    "\t*.o",
    " =x",
    "=x",
    "\n",
    "\n\n",
    " ",
    '"q r"',
    "\\",
    "#",
    " #c",
    "%41",
    "\u00a0",
    "é",
    "<",
    ">",
    "\x7f",
)


@given(lines_of_pieces=st.lists(st.lists(st.sampled_from(ORDINARY_OR_NOT), max_size=5), max_size=4))
def test_lines_in_which_no_sign_has_a_meaning_are_read_as_all_others_are(lines_of_pieces: list[list[str]]) -> None:
    text = "".join(f"A{''.join(pieces)}\n" for pieces in lines_of_pieces)

    def found() -> tuple[list[Line], object]:
        problems = Problems()
        return split_lines(text, "f", problems), (problems._errors, problems.warnings)

    at_once = found()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "_ORDINARY", re.compile(r"(?!)"))
        assert found() == at_once


def test_a_long_list_takes_as_much_longer_as_it_is(tmp_path: Path) -> None:
    def seconds(count: int) -> float:
        parts = [range(begin, begin + 5_000) for begin in range(0, count, 5_000)]
        for number, part in enumerate(parts):
            (tmp_path / f"{number:02}.inc").write_text("".join(f"Exclude /etc/{each}\n" for each in part))
        (tmp_path / "c.conf").write_text("Bucket example\nEncryption Off\nDirectory /etc\nInclude *.inc\n")
        begun = time.process_time()
        (job,) = load_configuration(tmp_path / "c.conf").jobs
        took = time.process_time() - begun
        assert len(job.settings.exclude) == count
        return took

    few, many = (min(seconds(count) for _ in range(3)) for count in (5_000, 40_000))
    # Quadratic, as it was, it would be 64 times as long.
    assert many < 20 * few


@pytest.mark.parametrize("separator", ["\nExclude ", " \\\n  "], ids=["lines", "one line"])
def test_a_long_list_needs_little_more_memory_than_it_is_long(separator: str) -> None:
    patterns = [f"/nowhere/number-{number}" for number in range(4_000)]
    text = f"Exclude {separator.join(patterns)}\n"
    found: list[Entry] = []

    peak = peak_of(lambda: found.extend(parse(text)))

    assert [value for each in found if isinstance(each, Directive) for value in each.values] == patterns
    assert len({str(each.position) for each in found}) == len(found) == text.count("Exclude")
    # Handed to the loader on one line it would be 50 MB, for a list of 100 kB.
    assert peak < 8_000_000


def test_the_grammar_is_worked_out_once_for_all_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Mock(wraps=yacc.yacc)
    monkeypatch.setattr(yacc, "yacc", counted)
    syntax.loader.cache_clear()
    for number in range(3):
        assert parse(f"Diffs {number}") == (Directive("Diffs", (f"{number}",), Position("f", 1)),)
    assert counted.call_count == 1
