"""Archives that try to reach out of WHERE by names, kinds of members, numbers, headers, and what DIFFs tell."""

from __future__ import annotations

import pytest

from tests.hostile.attacks import Attacks
from tests.hostile.attacks_by_fields import FIELDS
from tests.hostile.attacks_by_links import honest_chain
from tests.hostile.attacks_by_records import RECORDS, RENAMES
from tests.hostile.restoring import EVERY, SHAPES, Restorer
from tests.hostile.world import SOURCE

pytestmark = pytest.mark.long(40)


def cases(families: tuple[Attacks, ...]) -> list[object]:
    return [pytest.param(family, name, id=name) for family in families for name in family("/out")]


@pytest.mark.crossed
@pytest.mark.parametrize(("shape", "who"), EVERY)
@pytest.mark.parametrize(("family", "name"), cases(RENAMES))
def test_a_rename_that_an_archive_tells_of_is_refused(
    restores: Restorer, family: Attacks, name: str, shape: str, who: str
) -> None:
    chain = family(str(restores.world(who).outside))[name]
    ended, harm = restores.attempt(who, SHAPES[shape], chain)
    assert not harm, ended.stderr
    assert ended.code == 1, ended.stderr


@pytest.mark.crossed
@pytest.mark.parametrize(("shape", "who"), EVERY)
@pytest.mark.parametrize(("family", "name"), cases((*RECORDS, *FIELDS)))
def test_nothing_outside_is_reached(restores: Restorer, family: Attacks, name: str, shape: str, who: str) -> None:
    chain = family(str(restores.world(who).outside))[name]
    ended, harm = restores.attempt(who, SHAPES[shape], chain)
    assert not harm, ended.stderr


@pytest.mark.parametrize(("shape", "who"), EVERY)
def test_an_honest_chain_is_restored(restores: Restorer, shape: str, who: str) -> None:
    """So that a refusal of everything does not pass."""
    world = restores.world(who)
    ended, harm = restores.attempt(who, SHAPES[shape], honest_chain(str(world.outside)))
    assert (ended.code, harm) == (0, []), ended.stderr
    wing = world.where / SOURCE / "wing"
    assert (wing / "good").read_text() == "good\n"
    assert (wing / "later").read_text() == "later\n"
    assert (wing / "out").readlink() == world.outside
    assert (wing / "second").samefile(wing / "good")
    assert not (wing / "gone").exists()
