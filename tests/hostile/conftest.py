"""Fixtures for tests of hostile archives."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hostile.restoring import Restorer, restorer


@pytest.fixture(scope="session")
def restores() -> Iterator[Restorer]:
    """Worlds to be harmed, and what restores in them."""
    with restorer() as made:
        yield made
