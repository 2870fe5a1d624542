from __future__ import annotations

import pytest

from s3napback.config.names import WantedName, check_cycle_name, key_problem, normalised_prefix, qualified_names
from s3napback.targets import InvalidNameError


def test_a_name_that_several_blocks_claim_is_qualified_by_its_cycle() -> None:
    claims = [
        WantedName("etc", "daily"),
        WantedName("etc", "weekly"),
        WantedName("etc", ""),
        WantedName("usr", "daily"),
        WantedName("", "daily"),
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
