"""Fixtures for tests of sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sources.chains import FILES


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for name in FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


@pytest.fixture
def linked(tree: Path) -> Path:
    """A symbolic link to the tree."""
    link = tree.parent / "link"
    link.symlink_to("tree")
    return link
