from __future__ import annotations

import pytest

from s3napback.config.names import (
    Claim,
    InvalidNameError,
    check_cycle_name,
    key_base,
    key_problem,
    normalised_path,
    normalised_prefix,
    normalised_target,
    qualified_names,
)


@pytest.mark.parametrize(
    ("written", "meant"),
    [("/etc", "/etc"), ("/etc/", "/etc"), ("//etc//x/.", "/etc/x"), ("/a/../b", "/b"), ("/", "/"), ("/..", "/")],
)
def test_paths_are_brought_to_their_shortest_form(written: str, meant: str) -> None:
    assert normalised_path(written) == meant


@pytest.mark.parametrize("path", ["", "etc", "./etc", "~", "~/x", "~root/x", "$HOME/x", "/a\tb", "/a\x85b"])
def test_paths_that_are_not_absolute_or_hold_control_characters_are_refused(path: str) -> None:
    with pytest.raises(InvalidNameError):
        normalised_path(path)


@pytest.mark.parametrize(
    ("kind", "written", "target", "base"),
    [
        ("Directory", "/etc/", "/etc", "etc"),
        ("Directory", "/", "/", ""),
        ("Directory", "/Straße/a b", "/Straße/a b", "Straße/a b"),
        ("Subversion", "/srv/svn/x", "/srv/svn/x", "srv/svn/x"),
        ("SubversionDir", "/srv/svn/", "/srv/svn", "srv/svn"),
        ("MySQL", "all", "all", "MySQL/all"),
        ("MySQL", "shop", "shop", "MySQL/shop"),
        ("MySQL", "/run//my.sock:shop", "/run/my.sock:shop", "MySQL/run/my.sock/shop"),
        ("PostgreSQL", "all", "all", "PostgreSQL/all"),
        ("PostgreSQL", "bob@shop", "bob@shop", "PostgreSQL/shop"),
        ("PostgreSQL", "bob@host@shop", "bob@host@shop", "PostgreSQL/shop"),
        ("PostgreSQL", "a:b", "a:b", "PostgreSQL/a:b"),
        ("MySQL", "-x", "-x", "MySQL/-x"),
    ],
)
def test_each_kind_of_source_has_its_key_base(kind: str, written: str, target: str, base: str) -> None:
    assert normalised_target(kind, written) == target
    assert key_base(kind, target) == base


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("MySQL", ""),
        ("MySQL", ".."),
        ("MySQL", "../x"),
        ("MySQL", "a//b"),
        ("MySQL", "a\tb"),
        ("MySQL", "host:db"),
        ("MySQL", ":db"),
        ("MySQL", "/sock:"),
        ("PostgreSQL", "@db"),
        ("PostgreSQL", "bob@"),
        ("PostgreSQL", "bob@."),
        ("PostgreSQL", "postgresql://bob:secret@host/db"),
        ("PostgreSQL", "dbname=x password = secret"),
    ],
)
def test_databases_that_would_leave_the_store_or_hold_a_password_are_refused(kind: str, target: str) -> None:
    with pytest.raises(InvalidNameError) as raised:
        normalised_target(kind, target)
    assert "secret" not in str(raised.value)


def test_a_name_that_several_blocks_claim_is_qualified_by_its_cycle() -> None:
    claims = [
        Claim("etc", "daily"),
        Claim("etc", "weekly"),
        Claim("etc", ""),
        Claim("usr", "daily"),
        Claim("", "daily"),
    ]
    assert qualified_names(claims) == ["daily/etc", "weekly/etc", "etc", "usr", ""]


@pytest.mark.parametrize("name", ["", " ", ".", "..", "a/b", "a\tb"])
def test_cycle_names_that_cannot_begin_a_key_are_refused(name: str) -> None:
    with pytest.raises(InvalidNameError):
        check_cycle_name(name)


@pytest.mark.parametrize(("written", "meant"), [("", ""), ("/", ""), ("/a/b/", "a/b"), ("a", "a")])
def test_a_prefix_loses_the_slashes_at_its_ends(written: str, meant: str) -> None:
    assert normalised_prefix(written) == meant


@pytest.mark.parametrize("prefix", ["a//b", "../x", "a/.", "a\tb"])
def test_a_prefix_that_would_leave_the_store_is_refused(prefix: str) -> None:
    with pytest.raises(InvalidNameError):
        normalised_prefix(prefix)


def test_keys_have_room_for_their_longest_suffix_in_1024_bytes_and_255_a_component() -> None:
    room = len("-99999-FULL.sha256")
    assert key_problem("", "a" * (255 - room)) == ""
    assert "component" in key_problem("", "a" * (256 - room))
    assert "component" in key_problem("", "ü" * 127)
    assert "component" in key_problem("b" * 256, "a")
    folders = "/".join(["d" * 99] * 10)
    assert key_problem("", f"{folders}/{'a' * (24 - room)}") == ""
    assert "1,024" in key_problem("", f"{folders}/{'a' * (25 - room)}")
    assert "1,024" in key_problem("p", f"{folders}/{'a' * (24 - room)}")
