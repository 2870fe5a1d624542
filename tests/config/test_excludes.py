"""Patterns that cannot mean what they seem to are told, and those that can are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.helpers import all_warnings_of, in_block, problem_of, warnings_of


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("$HOME/.cache", "variables are not expanded"),
        ("/home/${USER}/x", "variables are not expanded"),
        ("~/x", "~ is not expanded"),
        ("~user/x", "~ is not expanded"),
        ("./.cache", "names have no such beginning"),
        ("../x", "names have no such beginning"),
        ("*.{o,a}", "braces are not expanded"),
        ("foo,", "patterns are separated by blanks alone"),
        ("foo;", "patterns are separated by blanks alone"),
        ("!keep", "there are no exceptions"),
        ("-", "signs have no meaning"),
        ("sh:**/x", "patterns have no such beginning"),
        ("re:x", "patterns have no such beginning"),
        ("^/etc/x", "no regular expression"),
        ("tmp$", "no regular expression"),
        ("/Downloads", "lies in no Directory"),
        ("/etcetera", "lies in no Directory"),
        ("/home/*/x", "lies in no Directory"),
    ],
)
def test_what_cannot_match_is_a_warning_at_its_line(tmp_path: Path, pattern: str, words: str) -> None:
    (warning,) = warnings_of(tmp_path, in_block(f'Exclude "{pattern}"'))
    assert warning.startswith(f"test.conf:3: Exclude {pattern}")
    assert words in warning


@pytest.mark.parametrize(
    "pattern",
    ["/etc/x", "/etc//x/", "/etc", "/*/x", "/e*", "/etc/*", "*.bak", "a,b", "a$b", "$RECYCLE.BIN", r"a\$", "{a}",
     ".cache", "x/./y", "-x", "...", "http:", "/[de]tc/x"],
)  # fmt: skip
def test_what_can_match_is_not(tmp_path: Path, pattern: str) -> None:
    assert warnings_of(tmp_path, in_block(f'Exclude "{pattern}"')) == []


@pytest.mark.parametrize(
    ("pattern", "clause"),
    [("/nowhere/{}", "patterns lie in no Directory"), ("re:{}", "patterns look like another program's")],
)
def test_of_a_list_of_thousands_the_first_are_told_and_where_the_others_are(
    tmp_path: Path, pattern: str, clause: str
) -> None:
    lines = "\n".join(f"Exclude {pattern.format(number)}" for number in range(5_000))
    *told, last = warnings_of(tmp_path, in_block(lines))
    assert [warning.split(" ")[0] for warning in told] == [f"test.conf:{line}:" for line in range(3, 13)]
    assert last == f"test.conf:13: {clause}, here and in 4,989 more places, up to test.conf:5002"


def test_a_pattern_for_another_source_of_the_configuration_is_none_too_many(tmp_path: Path) -> None:
    assert warnings_of(tmp_path, f"Exclude /srv/x /etc/y\n{in_block('')}\n<Directory /srv>\n</Directory>") == []
    assert warnings_of(tmp_path, "Exclude /srv/x\n<MySQL all>\n</MySQL>") == []
    assert warnings_of(tmp_path, f"Exclude /srv/x\n{in_block('')}")


def test_what_leaves_out_everything_stays_an_error(tmp_path: Path) -> None:
    assert "would leave out everything" in problem_of(tmp_path, in_block("Exclude //"))


def test_no_encryption_is_on_purpose_or_a_warning(tmp_path: Path) -> None:
    (warning,) = all_warnings_of(tmp_path, in_block(""))
    assert warning.startswith("test.conf:1: archives are not encrypted: whoever can read the store reads them")
    assert all_warnings_of(tmp_path, f"Encryption Off\n{in_block('')}") == []
    assert all_warnings_of(tmp_path, f"GpgRecipient a@b.example\n{in_block('')}") == []
    assert all_warnings_of(tmp_path, f"Encryption on\nGpgRecipient a@b.example\n{in_block('')}") == []


def test_what_is_said_of_encryption_must_fit(tmp_path: Path) -> None:
    assert "test.conf:2: Encryption is Off, and there is" in problem_of(tmp_path, "Encryption Off\nGpgRecipient a@b")
    assert "test.conf:2: Encryption is On, and there is no" in problem_of(tmp_path, "Encryption On")
