"""Archives that try to lead a restore out of WHERE by links, restored in all ways there are."""

from __future__ import annotations

import pytest

from tests.hostile.attacks_by_links import LINKS
from tests.hostile.restoring import SHAPES, USERS, Restorer

CASES = [(family, name) for family in LINKS for name in family("/out")]


@pytest.mark.parametrize("who", USERS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("family", "name"), CASES, ids=[name for _family, name in CASES])
def test_no_link_leads_out(restores: Restorer, family, name: str, shape: str, who: str) -> None:
    chain = family(str(restores.world(who).outside))[name]
    ended, harm = restores.attempt(who, SHAPES[shape], chain)
    assert not harm, ended.stderr
