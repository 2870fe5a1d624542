"""What tests of commands share that look into a bucket of the original tool."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """An empty directory, to be backed up."""
    folder = tmp_path / "src/etc"
    folder.mkdir(parents=True)
    return folder
