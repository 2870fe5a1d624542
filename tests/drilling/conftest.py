"""A machine whose programs find no settings of the user's."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.site import Site


@pytest.fixture
def site(site: Site) -> Site:
    """The same with an empty home folder."""
    home = site.root / "home"
    home.mkdir()
    site.environment["HOME"] = str(home)
    return site


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder that everybody can enter, with a short name."""
    folder = Path(tempfile.mkdtemp(prefix="s3n-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)
