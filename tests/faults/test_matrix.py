"""Whatever befalls a run on the machine itself: nothing is lost, and the next night works."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults.cells import Cell
from tests.faults.harm import assert_harmless
from tests.faults.machine import Machine
from tests.faults.matrix import MATRIX

pytestmark = pytest.mark.long(80)


@pytest.mark.parametrize("cell", [cell for cell in MATRIX if cell.where != "S3"], ids=lambda cell: cell.title)
def test_a_fault_loses_nothing_and_the_next_night_works(cell: Cell, machine_at: Callable[[str], Machine]) -> None:
    assert_harmless(cell, machine_at(cell.where))
