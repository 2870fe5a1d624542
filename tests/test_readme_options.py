"""What README says of options and of the environment of programs is what the code does."""

from __future__ import annotations

import re

import pytest

from s3napback.config.program_options import RULES, refused_options
from s3napback.environment import Family, child_environment
from tests import manual


def section(start: str, end: str) -> str:
    (text,) = (page.text for page in manual.pages() if start in page.text)
    return text.partition(start)[2].partition(end)[0]


def options_in_code_marks(text: str) -> list[str]:
    return re.findall(r"`(--?[^`]+)`", text)


@pytest.mark.parametrize("name", RULES)
def test_the_table_of_accepted_options_is_that_of_the_code(name: str) -> None:
    words = options_in_code_marks(section(f"<!-- options: {name} -->", "\n\n"))
    rules = RULES[name]
    shown = [word.partition("=")[0] for word in words]
    assert sorted(shown) == sorted(rules.flags | rules.values)
    for word in words:
        # The table writes values in capitals, or as the one that is meant.
        with_value = word if word.startswith("--") or word in rules.flags else f"{word}x"
        example = with_value.replace("=FILE", "=/file")
        assert refused_options(name, [example]) == [], word


def test_what_the_manual_calls_refused_is_refused_for_a_reason_of_its_own() -> None:
    words = options_in_code_marks(section("Refused is what\n", "\n## "))
    reasons = {**RULES["MySQLOptions"].reasons, **RULES["PostgreSQLOptions"].reasons}
    assert {word for word in words if word not in reasons} == {"--ignore-table", "--exclude-table"}
    assert len(words) > 15


def test_the_table_of_variables_is_that_of_the_code() -> None:
    table = section("| Program | Variables |\n", "\n\n")
    named = {"all": Family.PLAIN, "gpg": Family.GPG, "MySQL's": Family.MYSQL, "PostgreSQL's": Family.POSTGRESQL}
    for line in table.splitlines()[1:]:
        program, text = (cell.strip() for cell in line.strip("|").split("|"))
        variables = set(re.findall(r"`([A-Z_]{3,}|TZ)`", text)) - {"LC_ALL"}
        assert variables
        assert child_environment(dict.fromkeys(variables, "x"), named[program]).keys() - {"LC_ALL"} == variables
