"""Whether a file system answers is found out without waiting for one that does not."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from s3napback.answering import real_path, require_answer, require_answers
from s3napback.errors import SourceSilent
from tests.hostile.mounts import never_answering


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s3napback.answering.PATIENCE", 0.5)


def test_one_that_does_not_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    place = tmp_path / "mount"
    place.mkdir()
    (tmp_path / "link").symlink_to("mount/below")
    said = rf"has not answered for 0.1 seconds \(StallTimeout\): its file system hangs \(the file system at {place}"
    with never_answering(place):
        for path in (place, place / "below"):
            with pytest.raises(SourceSilent, match=said):
                require_answer(str(path), 0.1)
        with pytest.raises(SourceSilent, match=r"link has not answered"):
            require_answer(str(tmp_path / "link"), 0.1)
        assert not caplog.messages
        assert real_path(str(tmp_path / "link")) == str(tmp_path / "link")
    assert real_path(str(tmp_path / "link")) == str(place / "below")


def test_all_are_asked_at_once(tmp_path: Path) -> None:
    answering, place = tmp_path / "answering", tmp_path / "mount"
    place.mkdir()
    names = [str(answering), *(f"{place}/{number}" for number in range(5))]
    begin = time.monotonic()
    with never_answering(place), pytest.raises(SourceSilent) as caught:
        require_answers(names, 1)
    assert caught.value.path == names[1]
    assert time.monotonic() - begin < 4  # five times one second would not do


def test_what_is_waited_for_longer_than_usual_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with never_answering(tmp_path), pytest.raises(SourceSilent):
        require_answer(str(tmp_path), 1.5)
    told = f"{tmp_path} does not answer: waiting for it, at most for 1.5 seconds (StallTimeout)"
    assert caplog.messages == [told]


def test_what_answers_is_not_blamed(tmp_path: Path) -> None:
    require_answer(str(tmp_path), 5)
    require_answer(str(tmp_path / "missing"), 5)
