"""A store's state lies below a name of its own, and what was left under a shared one moves there whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from s3napback.places import StatePlace, folder_name

SHARED, OWN = "s3:/backups", "http://one.example/backups"


def test_the_names_of_folders_are_those_of_the_first_version(tmp_path: Path) -> None:
    assert StatePlace(tmp_path, SHARED, "").folder.name == "s3-backups-1d8ace05cff6"
    assert folder_name("a b/ü", "x") == "a-b-2d711642b726"


@pytest.mark.parametrize("is_ours", [True, False])
def test_what_was_left_is_in_question_until_it_is_decided(tmp_path: Path, is_ours: bool) -> None:
    left = StatePlace(tmp_path, SHARED, "").folder
    left.mkdir()
    place = StatePlace(tmp_path, OWN, "", SHARED)
    assert place.folder == left
    assert place.is_in_question
    place.settle()
    place.note()
    assert [each.name for each in tmp_path.rglob("*")] == [left.name]
    place.decide(is_ours=is_ours)
    assert (place.folder == left) is is_ours
    place.settle()
    own = StatePlace(tmp_path, OWN, "").folder
    assert place.folder == own
    assert (own / "server").read_text() == f"{OWN}\n"
    assert left.exists() is not is_ours
    assert not StatePlace(tmp_path, OWN, "", SHARED).is_in_question


def test_nothing_is_made_where_nothing_was_left(tmp_path: Path) -> None:
    place = StatePlace(tmp_path, OWN, "", SHARED)
    assert not place.is_in_question
    place.settle()
    assert list(tmp_path.iterdir()) == [place.folder]
    plain = tmp_path / "plain"
    StatePlace(plain, SHARED, "").settle()
    assert not plain.exists()
