"""Fixtures for tests of single commands through the real command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers import S3Server
from tests.site import Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A machine with a directory store."""
    return Site(tmp_path / "site")


@pytest.fixture(params=["directory", "rclone"])
def any_site(request: pytest.FixtureRequest, tmp_path: Path, rclone: S3Server) -> Site:
    """A machine with a directory store, and one with an S3 server."""
    return Site(tmp_path / "site", rclone if request.param == "rclone" else None)
