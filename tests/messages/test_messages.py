"""What the program says has been read by a person, and names what there is."""

from __future__ import annotations

import re

import click

from s3napback.cli import command_line
from s3napback.config.naming import all_directives
from s3napback.kinds import KINDS
from tests.messages.collecting import collected, listed

TEXTS = sorted({text for texts in collected().values() for text in texts})

NAMES_OF_OTHERS = {
    *("InnoDB", "MyISAM"),
    *("MariaDB", "OpenPGP", "GnuPG", "SimpleCycle", "HanoiCycle", "MiB", "SQLCipher", "AppArmor", "ConfigMap"),
    *("ReadWritePaths", "CapabilityBoundingSet", "GetObject", "GetObjectVersion", "ListBucket"),
    *("ObjectLockEnabled", "PutObject", "PutObjectRetention", "NoncurrentDays"),
    *("LogFile", "LogLevel", "NotifyEmail", "ConfigMap", "MemoryMax", "LimitNOFILE", "TasksMax"),
    *("LimitFSIZE", "LimitCPU"),
}
"""Names with a capital in their midst that are no directives: programs, units, systemd's settings, rights of S3."""

WORDS_OF_SERVERS = ("errno: 28", "errno: 140")
"""What MariaDB says, by which its failures are told from each other; nobody is shown it by us."""

OPTIONS_OF_OTHERS = {
    *(
        "--armor",
        "--delete-secret-keys",
        "--edit-key",
        "--export",
        "--export-secret-keys",
        "--hard-dereference",
        "--import",
        "--kill",
        "--passwd",
        "--quick-add-key",
        "--quick-lsign-key",
        "--quick-set-expire",
    ),
    *("--bucket", "--endpoint-url", "--key", "--restore-request", "--print-defaults", "--single-transaction"),
    *("--versioning-configuration", "--version-id", "--object-lock-configuration", "--object-lock-enabled-for-bucket"),
    *("--now",),
    *("--dereference", "--exclude-caches", "--exclude-database", "--exclude-tag", "--no-subscriptions", "--owner"),
    *("--default-character-set", "--ignore-table", "--skip-no-data-med"),
}
"""Options of gpg, aws, tar, and the dump programs, which messages tell to use."""

WORDS_OF_PROGRAMMERS = re.compile(
    r"(?<![-_])\b(?:stdout|stderr|stdin|argv|errno|regexp?|boolean|integer|payload|null|traceback|parse[dr]?|illegal|fatal|"
    r"please|sorry|oops|whitelist|blacklist|config|filesystem|he|she|his|her)\b",
    re.IGNORECASE,
)


def _lacking(some: dict[str, list[str]], others: dict[str, list[str]]) -> list[str]:
    return [f"{room}: {text}" for room, texts in some.items() for text in texts if text not in others.get(room, [])]


def test_every_text_has_been_read_as_a_new_user_would() -> None:
    """Whoever adds one reads it: what failed, where, what to do; and then writes the lists anew."""
    new = _lacking(collected(), listed())
    assert not new, "read these, then run `python -m tests.messages` and commit what it writes:\n" + "\n".join(new)


def test_no_list_holds_what_is_no_longer_said() -> None:
    gone = _lacking(listed(), collected())
    assert not gone, "run `python -m tests.messages` and commit what it writes:\n" + "\n".join(gone)


def _own_options() -> set[str]:
    assert isinstance(command_line, click.Group)
    every = [command_line, *command_line.every().values()]
    return {name for each in every for option in each.params for name in option.opts} | {"--help"}


def test_each_option_that_a_text_names_is_there() -> None:
    named = {(found, text) for text in TEXTS for found in re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)}
    assert not [each for each in named if each[0] not in _own_options() | OPTIONS_OF_OTHERS]


def test_each_directive_that_a_text_names_is_there() -> None:
    known = {each.name for each in all_directives()} | set(KINDS) | NAMES_OF_OTHERS
    named = {(found, text) for text in TEXTS for found in re.findall(r"\b[A-Z][a-z]+[A-Z]+\w*\b", text)}
    assert not [each for each in named if each[0].removesuffix("s") not in known and each[0] not in known]


def test_no_text_has_words_of_programmers() -> None:
    assert not [text for text in TEXTS if WORDS_OF_PROGRAMMERS.search(text) and text not in WORDS_OF_SERVERS]
