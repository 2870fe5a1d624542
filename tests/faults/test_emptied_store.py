"""A store that has lost what was in it is not filled anew in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers import S3Server
from tests.site import Site


@pytest.mark.parametrize("kind", ["Diffs 0\nFulls 1", "Diffs 0\nFulls 3", "Diffs 1\nFulls 2"])
@pytest.mark.parametrize("is_distant", [False, True])
def test_archives_that_are_gone_on_the_night_of_a_full_are_told(
    tmp_path: Path, moto: S3Server, kind: str, is_distant: bool
) -> None:
    site = Site(tmp_path / "site", moto if is_distant else None)
    (site.source / "file").write_text("x")
    site.configure_cycle(kind)
    for night in range(4):
        assert "WARNING" not in site.run("--strict", day=night).stderr
    for key in site.archive_keys():
        site.store().delete(key)
    (warning,) = [line for line in site.run("--strict", day=4, expect=3).stderr.splitlines() if "WARNING" in line]
    assert "of 2026-01-04, is no longer in the store: somebody, or a rule of the bucket, has deleted it" in warning
    assert "WARNING" not in site.run("--strict", day=5).stderr
