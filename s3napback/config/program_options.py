"""TarOptions, MySQLOptions and PostgreSQLOptions: which are refused, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from s3napback.config.mysql_options import MYSQL_RULES
from s3napback.config.option_rules import Rules
from s3napback.config.postgresql_options import POSTGRESQL_RULES
from s3napback.config.tar_options import SHORT_FLAGS, TAR_RULES
from s3napback.formatting import shown

RULES: Mapping[str, Rules] = {
    "TarOptions": TAR_RULES,
    "MySQLOptions": MYSQL_RULES,
    "PostgreSQLOptions": POSTGRESQL_RULES,
}


def refused_options(name: str, words: Sequence[str]) -> list[str]:
    """What is wrong with the words of one of these directives, one message each.

    Of an option no more than its name is shown, because its value may be a secret.
    """
    problems = _tar_problems(words) if name == "TarOptions" else RULES[name].problems(words)
    return [f"{name} {shown(option)}: {reason}" for option, reason in problems]


def _tar_problems(words: Sequence[str]) -> list[tuple[str, str]]:
    found = []
    for word in words:
        if word.startswith("-") and not word.startswith("--") and word != "-":
            # tar's short options that are let through have no values, so that several may be one word.
            letter = next((letter for letter in word[1:] if letter not in SHORT_FLAGS), "")
            found += [(f"-{letter}", TAR_RULES.reason_for(f"-{letter}"))] if letter else []
        elif not word.startswith("-") or word in ("-", "--"):
            found.append((word, "this is not an option; attach an option's value with “=”, as in --owner=root"))
        else:
            found += TAR_RULES.problems([word])
    return found
