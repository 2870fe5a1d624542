"""Archives that say one thing to whoever checks them and another to tar."""

from __future__ import annotations

import pytest

from tests.hostile.attacks import Attacks
from tests.hostile.attacks_by_disagreement import DISAGREEMENTS
from tests.hostile.restoring import EVERY, SHAPES, Restorer
from tests.hostile.test_bucket_writer_archives import cases

pytestmark = pytest.mark.long(30)


@pytest.mark.crossed
@pytest.mark.parametrize(("shape", "who"), EVERY)
@pytest.mark.parametrize(("family", "name"), cases(DISAGREEMENTS))
def test_readers_that_disagree_let_nothing_out(
    restores: Restorer, family: Attacks, name: str, shape: str, who: str
) -> None:
    chain = family(str(restores.world(who).outside))[name]
    ended, harm = restores.attempt(who, SHAPES[shape], chain)
    assert not harm, ended.stderr
