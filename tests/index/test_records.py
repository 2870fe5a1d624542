"""What is kept of names comes back as it was; what is none of ours is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3napback.index.records import (
    ASKED,
    DIRECTORY,
    LEFT_OUT,
    STORED,
    UNREAD,
    DamagedIndex,
    Part,
    Record,
    decode,
    encode,
)

KINDS = st.tuples(st.integers(0, 0o177777), st.integers(0, 2**32), st.integers(0, 2**32))
RECORDS: st.SearchStrategy[Record] = st.tuples(
    KINDS, st.integers(0, 2**63 - 1), st.integers(-(2**40), 2**40), st.integers(0, 999_999_999)
)
NAMES = st.binary(min_size=1, max_size=30).filter(lambda name: b"\0" not in name)


@st.composite
def parts(draw: st.DrawFn) -> Part:
    names = sorted(draw(st.sets(NAMES, max_size=40)))
    letters = [draw(st.sampled_from((STORED, UNREAD, LEFT_OUT, DIRECTORY, ASKED))) for _ in names]
    records = [draw(RECORDS) for letter in letters if letter == STORED]
    return Part([letter + name for letter, name in zip(letters, names, strict=True)], records)


@given(parts())
def test_a_part_comes_back_as_it_was(part: Part) -> None:
    found = decode(encode(part))
    assert (list(found.entries), list(found.records)) == (list(part.entries), list(part.records))


@given(parts(), st.data())
def test_changes_change_what_they_name_and_nothing_else(part: Part, data: st.DataObject) -> None:
    names = [entry[1:] for entry in part.entries]
    chosen = data.draw(st.lists(st.sampled_from(names), unique=True)) if names else []
    changes: dict[bytes, Record | bytes] = {name: data.draw(RECORDS | st.just(LEFT_OUT)) for name in chosen}
    found = part.with_changes({**changes, b"not \0 there": UNREAD})
    assert [entry[1:] for entry in found.entries] == names
    for name in names:
        before, after, change = part.look_up(name), found.look_up(name), changes.get(name)
        if isinstance(change, tuple):
            assert after == (STORED, change)
        else:
            assert after == ((LEFT_OUT, None) if change is not None and before[0] == ASKED else before)
    assert found.look_up(b"not \0 there") == (b"", None)


@pytest.mark.parametrize("length", [10, 5000])
def test_what_lost_its_end_is_damaged(length: int) -> None:
    data = encode(Part([STORED + b"x" * length], [((0o100644, 0, 0), 1, 2, 3)]))
    for cut in {data[:0], data[:-1], data[:5], b"z" + data, b"=" + data[1:20]}:
        with pytest.raises(DamagedIndex):
            decode(cut)
