"""What stays of a remembered chain when the next archive is made."""

from __future__ import annotations

from s3napback.chains import base_for_slot
from s3napback.rotation import ArchiveType, SimpleCycle
from tests.deciding.facts import link

WEEKLY_FULL = SimpleCycle(diffs=6, fulls=3)


def test_the_part_of_a_chain_that_stays() -> None:
    chain = (link(0, ArchiveType.FULL, WEEKLY_FULL), link(1, ArchiveType.DIFF, WEEKLY_FULL))
    assert base_for_slot(chain, chain[-1].slot, period_is_newest=True) == chain[:-1]
    assert base_for_slot(chain, chain[-1].slot, period_is_newest=False) == chain
    assert base_for_slot(chain, chain[-1].slot + 1, period_is_newest=True) == chain
    assert base_for_slot((), 0, period_is_newest=True) == ()
