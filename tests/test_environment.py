from __future__ import annotations

import pytest

from s3napback.environment import NOBODY, Family, User, child_environment, user_of

OURS = {
    "PATH": "/bin",
    "HOME": "/root",
    "LC_ALL": "de_DE.UTF-8",
    "LANG": "de_DE.UTF-8",
    "TMPDIR": "/root/tmp",
    "USER": "root",
    "AWS_SECRET_ACCESS_KEY": "SEKRIT",
    "MYSQL_PWD": "of-mysql",
    "PGPASSWORD": "of-postgresql",
    "GNUPGHOME": "/root/gpg",
    "TAR_OPTIONS": "--exclude=*",
    "TAPE": "/dev/x",
    "POSIXLY_CORRECT": "1",
    "LD_PRELOAD": "/x.so",
    "LD_LIBRARY_PATH": "/x",
    "PERL5OPT": "-Mx",
    "LIBMYSQL_PLUGINS": "x",
    "SSH_AUTH_SOCK": "/x",
}


@pytest.mark.parametrize(
    ("family", "more"),
    [
        (Family.PLAIN, set()),
        (Family.SUBVERSION, set()),
        (Family.GPG, {"GNUPGHOME"}),
        (Family.MYSQL, {"MYSQL_PWD"}),
        (Family.POSTGRESQL, {"PGPASSWORD"}),
    ],
)
def test_a_child_gets_what_its_kind_of_program_needs_and_nothing_else(family: Family, more: set[str]) -> None:
    given = child_environment(OURS, family)
    assert given.keys() == {"PATH", "HOME", "TMPDIR", "USER", "LC_ALL"} | more
    assert given["LC_ALL"] == ("C.UTF-8" if family is Family.SUBVERSION else "C")


@pytest.mark.parametrize("family", Family)
def test_what_is_not_set_with_us_is_not_set_with_a_child(family: Family) -> None:
    assert child_environment({}, family).keys() == {"LC_ALL"}


def test_a_child_of_another_user_does_not_know_where_our_files_are() -> None:
    user = User(1234, name="bob", home="/home/bob")
    given = child_environment(OURS, Family.SUBVERSION, user)
    expected = {"PATH": "/bin", "HOME": "/home/bob", "USER": "bob", "LOGNAME": "bob", "LC_ALL": "C.UTF-8"}
    assert given == expected
    assert child_environment(OURS, Family.SUBVERSION, User(1234)) == {"PATH": "/bin", "HOME": "/", "LC_ALL": "C.UTF-8"}


def test_a_user_whom_the_machine_does_not_know_has_no_groups() -> None:
    assert user_of(54_321) == User(54_321, NOBODY, (), "", "/")
    assert str(user_of(54_321)) == "user number 54321"
    assert str(user_of(0)) == "root"
