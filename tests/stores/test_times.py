"""What lies in a store may bear any time that a file system keeps."""

from __future__ import annotations

import os
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from s3napback.stores import StoredObject, directory
from s3napback.stores.directory import DirectoryStore
from tests.stores.sources import BytesSource


@pytest.mark.parametrize("seconds", [10**14, -(10**14), 253_402_300_799, -62_135_596_800])
def test_a_time_that_no_calendar_has_does_not_stop_a_listing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    """XFS and tmpfs keep any; ext4 ends in 2446."""
    store = DirectoryStore(tmp_path)
    store.put("k", BytesSource(b"archive"), {})
    (tmp_path / "mark").touch()
    real = os.lstat

    def describe(key: str, status: os.stat_result, *more: Any, **others: Any) -> StoredObject:
        fields = os.stat_result((*real(tmp_path / key)[:8], seconds, 0)) if key == "mark" else status
        return described(key, fields, *more, **others)

    described = directory._describe
    monkeypatch.setattr(directory, "_describe", describe)
    found = {each.key: each.modified for each in store.list("")}
    assert found.keys() == {"k", "mark"}
    for hours in (-24, 24):
        found["mark"].astimezone(timezone(timedelta(hours=hours, minutes=-hours // 24)))
