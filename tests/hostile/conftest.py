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
    """Leave to ``--every-user`` that each attack meets each way of restoring as each user; else each user has one."""
    if config.getoption("--every-user"):
        return
    crossed = [item for item in items if isinstance(item, pytest.Function) and item.get_closest_marker("crossed")]
    left_out = set(map(id, _left_out(crossed)))
    config.hook.pytest_deselected(items=[item for item in items if id(item) in left_out])
    items[:] = [item for item in items if id(item) not in left_out]


def _left_out(crossed: list[pytest.Function]) -> Iterator[pytest.Function]:
    """The ways of restoring that an attack does without; the next one meets others."""
    numbers: dict[str, int] = {}
    for item in crossed:
        values = item.callspec.params
        attack = ", ".join(str(value) for name, value in sorted(values.items()) if name not in ("shape", "who"))
        number = numbers.setdefault(f"{item.originalname}, {attack}", len(numbers))
        if (values["shape"], values["who"]) not in CROSSED[number % len(CROSSED)]:
            yield item
