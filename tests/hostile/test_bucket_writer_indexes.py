"""Indexes that tell of what is not in their archives, and archives of all kinds that are entered by an index.

Whatever an index says, a restore brings what the archive holds, or fails, and nothing outside of WHERE changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from tests.hostile.archives import BLOCK, file, folder, hard_link, link
from tests.hostile.attacks import UP, Attacks, W, full
from tests.hostile.attacks_by_disagreement import DISAGREEMENTS
from tests.hostile.attacks_by_fields import FIELDS
from tests.hostile.attacks_by_links import LINKS, SINGLE_LINKS, honest_chain
from tests.hostile.attacks_by_records import RECORDS, RENAMES
from tests.hostile.indexes import Forgery, Told, honest, id_of, segments_of, text_of, told
from tests.hostile.restoring import EVERY, SHAPES, Restorer
from tests.hostile.test_bucket_writer_memory import OURSELVES
from tests.hostile.world import SOURCE

pytestmark = pytest.mark.long(30)

WHOLE = "read whole"
IN_PARTS = [(shape, who) for shape, who in EVERY if shape.startswith("PATH")]
CONTENT = full(
    file(f"{W}/first", b"first\n" * 300),
    link(f"{W}/out", UP),
    hard_link(f"{W}/second", f"{W}/good"),
    folder(f"{W}/inner"),
    file(f"{W}/inner/last", b"last\n"),
    file(f"{SOURCE}/other", b"other\n"),
)
"""An honest archive."""
STORED = honest(CONTENT).segments


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """All attacks in all ways take minutes: most are left to ``--every-user``."""
    if "family" not in metafunc.fixturenames:
        return
    every = metafunc.config.getoption("--every-user")
    families = (*LINKS, *SINGLE_LINKS, *DISAGREEMENTS, *FIELDS, *RECORDS, *RENAMES) if every else LINKS
    names = [(family, name) for family in families for name in family("/out")]
    ways = {number: IN_PARTS if every else [IN_PARTS[number % len(IN_PARTS)]] for number in range(len(names))}
    values = [(*names[number], *way) for number in ways for way in ways[number]]
    ids = ["-".join(each[1:]) for each in values]
    metafunc.parametrize(("family", "name", "shape", "who"), values, ids=ids)


def test_nothing_outside_is_reached(restores: Restorer, family: Attacks, name: str, shape: str, who: str) -> None:
    chain = family(str(restores.world(who).outside))[name]
    ended, harm = restores.attempt_by_indexes(
        who, SHAPES[shape], chain, lambda slot, content: honest(content, slot).data()
    )
    assert not harm, ended.stderr


@pytest.mark.parametrize(("shape", "who"), IN_PARTS)
def test_an_honest_chain_is_restored_in_parts(restores: Restorer, shape: str, who: str) -> None:
    chain = honest_chain(str(restores.world(who).outside))
    ended, harm = restores.attempt_by_indexes(
        who, SHAPES[shape], chain, lambda slot, content: honest(content, slot).data()
    )
    assert (ended.code, harm) == (0, []), ended.stderr
    assert WHOLE not in ended.stderr


Change = Callable[[list[Told]], Sequence[Told]]


def one(which: str, **fields: object) -> Change:
    """The line of one member says something else."""
    asked = f"{W}/{which}".encode()
    return lambda members: [replace(each, **fields) if each.name == asked else each for each in members]  # type: ignore[arg-type]


def swapped(members: list[Told]) -> Sequence[Told]:
    """Two members of one size have each other's names."""
    names = {f"{W}/good".encode(): f"{W}/inner/last".encode(), f"{W}/inner/last".encode(): f"{W}/good".encode()}
    return [replace(each, name=names.get(each.name, each.name)) for each in members]


def at_its_neighbour(members: list[Told]) -> Sequence[Told]:
    """One member is said to be where another one is, which is told of as well."""
    return [members[0], members[1], replace(members[3], start=members[2].start), *members[2:]]


def again(members: list[Told]) -> Sequence[Told]:
    return [*members, *members]


FORGED: dict[str, Change] = {
    "names of other members": swapped,
    "a name upwards": one("first", name=f"{W}/{UP}/new".encode()),
    "a name upwards, that ends where it is wanted": one("first", name=f"{W}/../../../{W}/first".encode()),
    "a name from the root": one("first", name=b"/" + f"{W}/first".encode()),
    "a name below a link": one("first", name=f"{W}/out/new".encode()),
    "a name with a slash at its end": one("first", name=f"{W}/first/".encode()),
    "a name that has a null in it": one("first", name=f"{W}/fir\0st".encode()),
    "a file that is a link": one("first", kind=b"symlink", size=0, more=b"/etc"),
    "a file that is a hard link": one("first", kind=b"link", size=0, more=f"{W}/good".encode()),
    "a file that is a folder": one("first", kind=b"folder"),
    "a file that is a device": one("first", kind=b"char", size=0, more=b"1 3"),
    "a link that is a file": one("out", kind=b"file", more=b""),
    "a link that is a hard one": one("out", kind=b"link", more=f"{W}/good".encode()),
    "a link that is a pipe": one("out", kind=b"pipe", more=b""),
    "a link that leads elsewhere": one("out", more=b"inner"),
    "a hard link that is a symbolic one": one("second", kind=b"symlink"),
    "a hard link that is a pipe": one("second", kind=b"pipe", more=b""),
    "a hard link that leads elsewhere": one("second", more=f"{W}/first".encode()),
    "a hard link that leads out": one("second", more=b"../../../etc/passwd"),
    "a hard link that leads to itself": one("second", more=f"{W}/second".encode()),
    "a folder that is a file": one("inner", kind=b"file"),
    "a size of nothing": one("first", size=0),
    "a size that is smaller": one("first", size=512),
    "a size that is larger": one("first", size=4096),
    "a size beyond the end": one("first", size=1 << 30),
    "a size without measure": one("first", size=10**18),
    "a sparse file of less": one("first", more=b"512"),
    "a sparse file of more digits than are read": one("first", more=b"9" * 5000),
    "headers of more blocks": one("first", headers=2),
    "headers without measure": one("first", headers=999_999_999),
    "no headers": one("first", headers=0),
    "a place in another member": one("first", start=4),
    "a place beyond the end": one("first", start=1 << 30),
    "a place without measure": one("first", start=10**15),
    "a place at the beginning": one("first", start=0),
    "a member at its neighbour's place": at_its_neighbour,
    "all members twice": again,
}


def restored(restores: Restorer, who: str, shape: str, index: bytes | None) -> str:
    """An honest archive comes back from behind an index that tells lies, and nothing else does."""
    ended, harm = restores.attempt_by_indexes(who, SHAPES[shape], [CONTENT], lambda _slot, _content: index)
    assert (ended.code, harm) == (0, []), ended.stderr
    assert WHOLE in ended.stderr
    wing = restores.world(who).where / W
    assert (wing / "good").read_text() == "good\n"
    assert (wing / "first").read_text() == "first\n" * 300
    assert str((wing / "out").readlink()) == UP
    assert (wing / "second").samefile(wing / "good")
    assert (wing / "inner/last").read_text() == "last\n"
    return ended.stderr


@pytest.mark.parametrize("name", FORGED)
def test_what_a_member_is_not_is_not_believed(restores: Restorer, name: str) -> None:
    """Whoever made the index knows the secret of the archive."""
    number = list(FORGED).index(name)
    shape, who = IN_PARTS[number % len(IN_PARTS)]
    lines = text_of(FORGED[name](told(CONTENT)))
    assert lines != text_of(told(CONTENT))
    restored(restores, who, shape, replace(honest(CONTENT), lines=lines).data())


def of(*changes: Callable[[Forgery], Forgery]) -> bytes:
    """The index of the honest archive, changed."""
    made = honest(CONTENT)
    for change in changes:
        made = change(made)
    return made.data()


LARGER = len(CONTENT) + (1 << 21) + 2 * BLOCK
PIECE = segments_of(bytes(64))
DOCUMENTS: dict[str, bytes] = {
    "another secret": of(lambda made: replace(made, secret=b"t" * 32)),
    "another archive's name": of(lambda made: replace(made, id=id_of(1))),
    "no segments": of(lambda made: replace(made, segments=b"")),
    "a segment more": of(lambda made: replace(made, segments=made.segments + PIECE)),
    "a segment of nothing first": of(lambda made: replace(made, segments=segments_of(b" ")[:8] + b"0 " + PIECE)),
    "a shorter segment": of(lambda made: replace(made, segments=PIECE)),
    "a segment of another sum": of(lambda made: replace(made, segments=made.segments.replace(b"a", b"b"))),
    "a segment of a negative length": of(lambda made: replace(made, segments=b"segment -1 " + b"0" * 64 + b"\n")),
    "a key that makes sums": of(lambda made: replace(made, segments=b"segment-key %s\n" % (b"0" * 64) + made.segments)),
    "two lists of members": of(lambda made: replace(made, segments=made.segments + b"members 0 " + b"0" * 64 + b"\n")),
    "something behind it": of(lambda made: replace(made, tail=b"x")),
    "another one behind it": of(lambda made: replace(made, tail=made.data())),
    "a name of the file that never ends": b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * LARGER,
    "half of it": of()[: len(of()) // 2],
    "the first part alone": of()[: of().index(b"\x1f\x8b", 2)],
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_an_index_that_is_not_of_the_archive_is_not_believed(restores: Restorer, name: str) -> None:
    said = restored(restores, OURSELVES, "PATH", DOCUMENTS[name])
    assert ("larger than the archive" in said) == (name == "a name of the file that never ends")


@pytest.mark.parametrize("count", [1, 2, 40])
def test_links_that_lead_to_links_are_not_followed_for_ever(restores: Restorer, count: int) -> None:
    """Each reading of the index tells of one more."""
    chain = [hard_link(f"{SOURCE}/{number}", f"{SOURCE}/{number + 1}") for number in range(count)]
    content = full(*chain, hard_link(f"{W}/last", f"{SOURCE}/0"))
    ended, harm = restores.attempt_by_indexes(
        OURSELVES, SHAPES["PATH"], [content], lambda slot, content: honest(content, slot).data()
    )
    assert not harm, ended.stderr
    assert ("lead to hard links" in ended.stderr) == (count > 1)
