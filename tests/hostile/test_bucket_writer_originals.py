"""The same attacks by archives that say they are of the original tool, and by what only these can hold: renames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.hostile.archives import archive, link, moved_folder
from tests.hostile.attacks import START, Attacks, full
from tests.hostile.attacks_by_disagreement import DISAGREEMENTS
from tests.hostile.attacks_by_fields import FIELDS
from tests.hostile.attacks_by_links import LINKS, honest_chain
from tests.hostile.attacks_by_records import RECORDS, RENAMES
from tests.hostile.restoring import SHAPES, USERS, Restorer
from tests.hostile.world import PART, SOURCE

WAYS = [("whole", next(iter(USERS))), ("PATH in place", list(USERS)[-1])]
FAMILIES = (*LINKS, *RECORDS, *FIELDS, *RENAMES, *DISAGREEMENTS)
ATTACKS = [(family, name) for family in FAMILIES for name in family("/out")][::8]
"""Each eighth: it is the same gate that they meet, and all of them are tried where archives are ours."""


@pytest.mark.parametrize(
    ("family", "name", "shape", "who"),
    [
        pytest.param(*attack, *WAYS[number % 2], id=f"{attack[1]}-{WAYS[number % 2][0]}")
        for number, attack in enumerate(ATTACKS)
    ],
)
def test_nothing_outside_is_reached(restores: Restorer, family: Attacks, name: str, shape: str, who: str) -> None:
    chain = family(str(restores.world(who).outside))[name]
    ended, harm = restores.attempt_original(who, SHAPES[shape], chain)
    assert not harm, ended.stderr


def moves(out: str) -> Mapping[str, Sequence[bytes]]:
    """What a restore that believed the records would move."""
    start = full(link(f"{SOURCE}/out", out), link(f"{SOURCE}/up", "../../../../../beside"))
    entries = (b"Dwing", b"Nout", b"Nup")

    def chain(*records: bytes) -> Sequence[bytes]:
        return [start, archive(moved_folder(SOURCE, *entries, *records))]

    wing, source = PART.encode(), SOURCE.encode()
    return {
        "through a link": chain(b"R" + wing, b"T" + source + b"/out/evil"),
        "through a link that goes up": chain(b"R" + wing, b"T" + source + b"/up/evil"),
        "from behind a link": chain(b"R" + source + b"/out/file", b"T" + source + b"/stolen"),
        "up": chain(b"R" + wing, b"T" + source + b"/../../evil"),
        "to the root": chain(b"R" + wing, b"T" + out.encode() + b"/evil"),
        "out of the source": chain(b"R" + wing, b"Telsewhere/evil"),
        "from outside of the source": chain(b"Relsewhere", b"T" + source + b"/evil"),
        "the source itself": chain(b"R" + source, b"Tevil"),
        "into itself": chain(b"R" + wing, b"T" + wing + b"/evil"),
        "what is not there": chain(b"R" + source + b"/none", b"T" + source + b"/evil"),
        "onto a link": chain(b"R" + wing, b"T" + source + b"/out"),
        "a place for what waits": chain(b"X" + out.encode(), b"R" + wing, b"T", b"R", b"T" + source + b"/evil"),
        "half of it": chain(b"R" + wing),
    }


HARMLESS = ("a place for what waits",)
"""It is a move within the source, by way of nowhere."""


@pytest.mark.parametrize(("shape", "who"), WAYS)
@pytest.mark.parametrize("name", moves("/out"))
def test_nothing_is_moved_out_or_in(restores: Restorer, name: str, shape: str, who: str) -> None:
    world = restores.world(who)
    ended, harm = restores.attempt_original(who, SHAPES[shape], moves(str(world.outside))[name])
    assert not [line for line in harm if not (name in HARMLESS and "no estate/wing" in line)], ended.stderr
    assert ended.code == 1 or name in HARMLESS, ended.stderr


@pytest.mark.parametrize(("shape", "who"), WAYS)
def test_an_honest_chain_is_restored(restores: Restorer, shape: str, who: str) -> None:
    """So that a refusal of everything does not pass."""
    world = restores.world(who)
    ended, harm = restores.attempt_original(who, SHAPES[shape], honest_chain(str(world.outside)))
    assert (ended.code, harm) == (0, []), ended.stderr
    wing = Path(world.where / PART)
    assert (wing / "good").read_text() == "good\n"
    assert (wing / "later").read_text() == "later\n"
    assert not (wing / "gone").exists()


def test_a_move_within_the_source_is_made(restores: Restorer) -> None:
    who = WAYS[0][1]
    world = restores.world(who)
    move = archive(
        moved_folder(SOURCE, b"Dnest", b"R" + PART.encode(), b"T" + SOURCE.encode() + b"/nest"),
        moved_folder(f"{SOURCE}/nest", b"Ngood"),
    )
    ended, harm = restores.attempt_original(who, SHAPES["whole"], [archive(START), move])
    assert (ended.code, harm) == (0, []), ended.stderr
    assert (world.where / SOURCE / "nest/good").read_text() == "good\n"
    assert not (world.where / PART).exists()
