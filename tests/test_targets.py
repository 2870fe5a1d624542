from __future__ import annotations

import pytest

from s3napback.targets import InvalidNameError, normalised_path


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
