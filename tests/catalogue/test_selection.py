from __future__ import annotations

import pytest

from s3napback.catalogue.selection import matches, matching_archives, meant
from s3napback.errors import SourceError
from tests.catalogues import archive, catalogue, group, keys, nameless

ARCHIVES = {
    "directory": archive("etc", 0, 10),
    "qualified": archive("daily/etc", 0, 10, cycle="daily"),
    "root": archive("", 0, 10, source="Directory /"),
    "blanks": archive("srv/my files", 0, 10, source="Directory /srv/my files"),
    "mysql": archive("MySQL/all", 3, 10, source="MySQL all"),
    "socket": archive("MySQL/run/my.sock/db", 3, 10, source="MySQL /run/my.sock:db"),
    "postgresql": archive("PostgreSQL/mydb", 3, 10, source="PostgreSQL joe@mydb"),
    "repository": archive("srv/svn/repo", 0, 10, source="Subversion /srv/svn/repo"),
    "nameless": nameless("old/etc-0-FULL", "old/etc"),
}


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("/etc", {"directory", "qualified"}),
        ("/etc/", {"directory", "qualified"}),
        ("//etc/./x/..", {"directory", "qualified"}),
        ("Directory /etc", {"directory", "qualified"}),
        ("directory /etc/", {"directory", "qualified"}),
        ("etc", {"directory", "qualified"}),
        ("daily/etc", {"qualified"}),
        ("/", {"root"}),
        ("/srv/my files", {"blanks"}),
        ("MySQL/all", {"mysql"}),
        ("mysql/all", {"mysql"}),
        ("MySQL all", {"mysql"}),
        ("MySQL//run/my.sock:db", {"socket"}),
        ("MySQL/run/my.sock:db", {"socket"}),
        ("MySQL/run/my.sock/db", {"socket"}),
        ("PostgreSQL/mydb", {"postgresql"}),
        ("PostgreSQL/joe@mydb", {"postgresql"}),
        ("PostgreSQL joe@mydb", {"postgresql"}),
        ("/srv/svn/repo", {"repository"}),
        ("Subversion /srv/svn/repo", {"repository"}),
        ("Subversion/srv/svn/repo", {"repository"}),
        ("old/etc", {"nameless"}),
        ("Subversion /etc", set()),
        ("/et", set()),
        ("all", set()),
        ("mydb", set()),
        ("", set()),
        ("~", set()),
        ("/etc\0", set()),
        (" ", set()),
        ("MySQL", set()),
        ("MySQL/", set()),
    ],
)
def test_a_word_means(word: str, meant: set[str]) -> None:
    assert {name for name, each in ARCHIVES.items() if matches(word, each)} == meant


def test_matching_archives_come_newest_first_and_can_be_narrowed() -> None:
    found = catalogue([*group("etc", 0, 10, 2), archive("daily/etc", 5, 12, cycle="daily"), *ARCHIVES.values()])
    assert keys(matching_archives(found, "/etc"))[:2] == ["daily/etc-5-FULL", "etc-1-DIFF"]
    assert {each.base for each in matching_archives(found, "/etc", cycle_or_name="daily")} == {"daily/etc"}
    assert {each.base for each in matching_archives(found, "/etc", cycle_or_name="etc")} == {"etc"}


def test_a_wrong_cycle_is_answered_with_those_that_are_there() -> None:
    with pytest.raises(SourceError, match="'weekly'; there is: etc, nightly") as failure:
        matching_archives(catalogue(group("etc", 0, 10, 2)), "/etc", cycle_or_name="weekly")
    assert failure.value.exit_code == 1


def test_a_typing_error_is_answered_with_what_comes_near() -> None:
    with pytest.raises(SourceError, match=r"no archives of /ect; near it are: Directory /etc$"):
        matching_archives(catalogue([ARCHIVES["directory"], ARCHIVES["mysql"]]), "/ect")
    with pytest.raises(SourceError, match="near it are: MySQL all"):
        matching_archives(catalogue(ARCHIVES.values()), "MySQL/al")


def test_what_is_like_nothing_is_answered_with_what_there_is() -> None:
    with pytest.raises(SourceError, match=r"the store holds: Directory /, Directory /etc, .*, and 3 more"):
        matching_archives(catalogue([*ARCHIVES.values()]), "xyzzy")
    with pytest.raises(SourceError, match="none at all"):
        matching_archives(catalogue([]), "/etc")


@pytest.mark.parametrize(
    "word", ["", "/etc", "etc", "daily/etc", "Directory /etc", "MySQL/all", "/", "old/etc", "my files"]
)
def test_what_is_found_of_many_is_what_a_look_at_each_finds(word: str) -> None:
    everything = catalogue(ARCHIVES.values())
    assert meant(word, everything) == [each for each in everything.archives if matches(word, each)]
