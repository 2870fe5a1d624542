"""A machine whose programs find no settings of the user's."""

from __future__ import annotations

import pytest

from tests.site import Site


@pytest.fixture
def site(site: Site) -> Site:
    """The same with an empty home folder."""
    home = site.root / "home"
    home.mkdir()
    site.environment["HOME"] = str(home)
    return site
