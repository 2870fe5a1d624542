"""What the system makes of TZ is what its C library makes of it, here and now."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from s3napback.zones import zone_warning


@pytest.fixture(autouse=True)
def _own_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context():
        yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("zone", ["Europe/Berln", "Berlin", "CEST", ":Asia/kolkata", "Europe/Berlin ", "Nowhere\x1b[m"])
def test_a_zone_that_the_machine_does_not_know_is_told(monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    assert time.strftime("%z") == "+0000"
    assert "is a time zone that this machine does not know" in zone_warning()
    assert "\x1b" not in zone_warning()


@pytest.mark.parametrize(
    "zone",
    [
        *("", "UTC", "GMT", "Etc/UTC", "UTC0", "Europe/London", "Africa/Abidjan", ":Europe/Berlin", "Zulu"),
        *("<+03>-3", "MEZ-1MESZ,M3.5.0,M10.5.0/3", "EST5EDT", "/usr/share/zoneinfo/Asia/Tokyo", "WET"),
    ],
)
def test_a_zone_that_the_machine_knows_is_no_matter(monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    assert zone_warning() == ""


def test_that_no_zone_is_told_is_no_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TZ", raising=False)
    time.tzset()
    assert zone_warning() == ""
