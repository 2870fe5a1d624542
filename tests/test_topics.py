"""What the manual has under a word: topics, sections of commands, directives; and text without what is for others."""

from __future__ import annotations

import re

import pytest

from s3napback.cli import command_line
from s3napback.config.naming import all_directives
from s3napback.topics import passage, readable, topics, words
from tests import manual


def test_the_topics_are_those_of_the_manual() -> None:
    assert list(topics()) == [page.path.stem for page in manual.topics()]


@pytest.mark.parametrize("name", topics())
def test_a_topic_is_shown_whole_without_links_and_marks(name: str) -> None:
    shown = passage(name.upper()) or ""
    assert shown.startswith(f"# {manual.Page(manual.TOPICS / f'{name}.md').headings[0]}\n")
    assert not re.search(r"\]\((?!http)", re.sub(r"^```.*?^```$", "", shown, flags=re.MULTILINE | re.DOTALL))
    assert "<!--" not in shown
    for block in re.findall(r"^```.*?^```$", manual.topic(name), re.MULTILINE | re.DOTALL):
        assert block in shown


@pytest.mark.parametrize("name", command_line.every())
def test_a_command_is_a_word_with_its_own_section_and_the_topic_that_it_is_in(name: str) -> None:
    shown = passage(name) or ""
    assert re.match(rf"##+ (?:.*: )?{name}\n", shown)
    assert re.search(r"\n\nThe whole topic: `s3napback help \w+`\n", shown)
    assert shown.count("| Option |") == 1 or name == "restore"


@pytest.mark.parametrize("name", [each.name for each in all_directives() if each.name not in ("SQLite", "Subversion")])
def test_a_directive_is_a_word_with_what_the_table_says_of_it(name: str) -> None:
    shown = passage(name.lower()) or ""
    assert name in shown
    if name.casefold() not in {word.casefold() for word in words()[: -len(all_directives())]}:
        assert "\n- Takes: " in shown


def test_a_directive_tells_where_else_it_is_spoken_of() -> None:
    shown = passage("LongestRun") or ""
    assert "- Default: 0\n" in shown
    assert re.search(r"^- Also in: .*`help nights`", shown, re.MULTILINE)


def test_every_word_leads_somewhere_and_others_nowhere() -> None:
    assert [word for word in words() if not passage(word)] == []
    assert passage("nobody's word") is None


def test_links_become_names_of_topics() -> None:
    text = "[a](gpg.md#signatures), [b\nc](#here), [d](https://e), [f](../../README.md)\n```\n[a](gpg.md)\n```\n"
    assert readable(f"<!-- tested: x -->\n{text}") == "a (`help gpg`), b\nc, [d](https://e), f\n```\n[a](gpg.md)\n```\n"
