"""Fixtures for tests of hostile archives."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hostile.restoring import CROSSED, Restorer, restorer


@pytest.fixture(scope="session")
def restores() -> Iterator[Restorer]:
    """Worlds to be harmed, and what restores in them."""
    with restorer() as made:
        yield made


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave to ``--every-user`` that each attack meets each way of restoring as each user; else it is one of them."""
    if config.getoption("--every-user"):
        return
    left_out = [item for item in items if item.get_closest_marker("crossed") and not _is_crossed(item)]
    config.hook.pytest_deselected(items=left_out)
    gone = set(map(id, left_out))
    items[:] = [item for item in items if id(item) not in gone]


def _is_crossed(item: pytest.Item) -> bool:
    values = item.callspec.params if isinstance(item, pytest.Function) else {}
    return (values["shape"], values["who"]) in CROSSED
