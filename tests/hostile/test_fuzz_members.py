"""Whatever a random archive holds, nothing outside of WHERE changes, and no staging is left.

``pytest tests/hostile/test_fuzz_members.py --fuzz-members 3600 --fuzz-seed SEED`` is the long form.
"""

from __future__ import annotations

import pytest

from tests.faults.runner import Ended
from tests.hostile.fuzzing import Case, fuzzer
from tests.hostile.grammar import call
from tests.hostile.restoring import USERS, Shape
from tests.hostile.world import PART, SOURCE, World


@pytest.mark.timeout(86_400)
def test_random_archives_harm_nothing(request: pytest.FixtureRequest) -> None:
    seed = request.config.getoption("--fuzz-seed")
    counted = [0]
    with fuzzer(seed) as fuzz:
        reports = list(fuzz.failures(request.config.getoption("--fuzz-members"), counted))
    assert not reports, "\n\n".join([f"of {counted[0]} cases of --fuzz-seed {seed}:", *reports])


def test_a_seed_and_a_number_always_give_the_same_archives() -> None:
    with fuzzer("7") as fuzz:
        first, again, other = fuzz.case(3), fuzz.case(3), fuzz.case(4)
    assert first == again
    assert first.chain != other.chain


def test_harm_is_seen_and_its_recipe_made_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a restore that does harm where an archive holds a certain file."""
    names = (f"{PART}/f", f"{PART}/g", f"{PART}/h")
    chain = ((call("folder", SOURCE), call("folder", PART), *(call("file", name, mode=0o600) for name in names)),)
    with fuzzer("1") as fuzz:
        restore = fuzz.restorer.restore

        def harmful(world: World, shape: Shape) -> Ended:
            ended = restore(world, shape)
            if (world.where / PART / "g").exists():
                (world.outside / "precious").chmod(0o644)
            return ended

        case = Case("by hand", next(iter(USERS)), "whole", chain)
        assert fuzz.harm(case) == []
        monkeypatch.setattr(fuzz.restorer, "restore", harmful)
        (line, *_rest) = fuzz.harm(case)
        assert line.startswith("outside/folder/second: was")
        assert [str(each) for each in fuzz.shortened(case).chain[0]] == ["file('estate/wing/g', mode=384)"]
