"""Archives that try to lead a restore out of WHERE by links."""

from __future__ import annotations

import pytest

from tests.hostile.attacks import Attacks
from tests.hostile.attacks_by_links import LINKS, SINGLE_LINKS
from tests.hostile.restoring import EVERY, SHAPES, Restorer
from tests.hostile.test_bucket_writer_archives import cases

pytestmark = pytest.mark.long(30)


@pytest.mark.crossed
@pytest.mark.parametrize(("shape", "who"), EVERY)
@pytest.mark.parametrize(("family", "name"), cases(LINKS))
def test_no_link_leads_out(restores: Restorer, family: Attacks, name: str, shape: str, who: str) -> None:
    chain = family(str(restores.world(who).outside))[name]
    ended, harm = restores.attempt(who, SHAPES[shape], chain)
    assert not harm, ended.stderr


@pytest.mark.crossed
@pytest.mark.parametrize(("shape", "who"), EVERY)
@pytest.mark.parametrize(("family", "name"), cases(SINGLE_LINKS))
def test_no_link_of_one_archive_leads_out(restores: Restorer, family: Attacks, name: str, shape: str, who: str) -> None:
    chain = family(str(restores.world(who).outside))[name]
    ended, harm = restores.attempt(who, SHAPES[shape], chain)
    assert not harm, ended.stderr
