"""What a comparison knows of names, on disk: the same as sets would tell, in memory that does not grow."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3napback.recovery import known_names, new_names
from s3napback.recovery.archived_facts import ArchivedFacts
from s3napback.recovery.known_names import Flag, KnownNames, NoRoom

NAMES = ("", "a", "b", "a/a", "a/b", "a/b/c", "\udcff", "a/\udcff")
STEPS: st.SearchStrategy[tuple[str, str, list[str]]] = st.one_of(
    st.tuples(st.just("list"), st.sampled_from(NAMES), st.lists(st.sampled_from(["a", "b", "\udcff"]), max_size=3)),
    st.tuples(st.just("met"), st.sampled_from(NAMES), st.just([])),
    st.tuples(st.just("want"), st.sampled_from(NAMES), st.just([])),
    st.tuples(st.just("differ"), st.sampled_from(NAMES), st.just([])),
)


@given(st.lists(STEPS, max_size=25), st.sampled_from([1, 3, 1_000]))
def test_it_tells_what_sets_would(steps: list[tuple[str, str, list[str]]], pending: int) -> None:
    known: set[str] = set()
    wanted: set[str] = set()
    met_late: set[str] = set()
    differing: set[str] = set()
    with pytest.MonkeyPatch.context() as patch, KnownNames(None) as names:
        patch.setattr(known_names, "_PENDING", pending)
        for what, name, entries in steps:
            if what == "list":
                inner = {f"{name}/{entry}" if name else entry for entry in entries}
                known |= inner
                wanted |= inner
                names.list_folder(name, entries)
            elif what == "met":
                known.add(name)
                wanted.discard(name)
                names.note_met(name, is_folder=False)
            elif what == "want":
                assert names.is_wanted(name, 3) == (name in wanted | met_late)
                met_late |= {name} & wanted
                wanted.discard(name)
            else:
                differing.add(name)
                names.note_difference(name)
        for place in range(5):
            met = known - met_late if place == 0 else met_late if place == 3 else set()
            assert {name for name in NAMES if names.was_met_at(name, place)} == met & {*NAMES}
        assert [bool(flags & Flag.WANTED) for flags in names.in_folder("a", ["a", "b"])] == [
            "a/a" in wanted,
            "a/b" in wanted,
        ]
        assert names.differences() == len(differing)


def test_what_older_archives_have_under_a_name_that_was_gone_is_not_wanted() -> None:
    with KnownNames(None) as names:
        for folder, dumpdir in (("top", b"Da\0Db\0Dc\0Nd\0\0"), ("top/a", b"Nx\0\0"), ("top/a/deep", b"Nx\0\0")):
            names.list_folder(folder, [entry[1:] for entry in dumpdir.decode().split("\0") if entry])
            names.keep_list(folder, dumpdir)
        for folder in ("b", "c"):
            names.list_folder(f"top/{folder}", ["x", "y"])
        for folder in ("a", "b", "c"):
            names.note_met(f"top/{folder}", is_folder=True)
        names.give_up_unlisted("top", b"Yb\0Nc\0\0")
        names.give_up_unlisted("top/gone", b"Yx\0\0")
        assert not any(names.is_wanted(f"top/{name}", 2) for name in ("a/x", "a/deep/x", "b/x", "d"))
        assert names.is_wanted("top/c/x", 2)
        names.give_up_unlisted("top", b"Db\0Yd\0\0")
        assert not names.is_wanted("top/c/y", 3)


def test_memory_does_not_grow_with_the_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_names, "_PENDING", 1_000)

    def peak(count: int) -> int:
        with KnownNames(None) as names:
            tracemalloc.start()
            names.list_folder("folder", (f"file-{number}" for number in range(count)))
            for number in range(count):
                names.note_met(f"folder/file-{number}", is_folder=False)
            found = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return found

    assert peak(30_000) < peak(3_000) + 300_000  # in sets they take 3 MB


def test_nothing_of_it_is_left_and_no_name_is_ever_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_names, "_CACHE", 1)
    with KnownNames(tmp_path) as names:
        names.list_folder("folder", [f"secret-{number}" for number in range(50_000)])
        names.differences()
        assert list(tmp_path.iterdir()) == []
        opened = [each for each in Path("/proc/self/fd").iterdir() if str(tmp_path) in os.path.realpath(each)]
        (place,) = [each for each in opened if os.path.realpath(each).endswith("names (deleted)")]
        content = place.read_bytes()
        assert len(content) > 100_000
        assert b"secret" not in content
    with pytest.raises(NoRoom, match="temporary file"):
        KnownNames(tmp_path / "missing")


@pytest.mark.parametrize("held", [3, 50_000])
def test_what_is_new_is_told_however_many_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int) -> None:
    monkeypatch.setattr(new_names, "_PIECE", 5)
    monkeypatch.setattr(new_names, "_MOST_HELD", held)
    for name in (*map(str, range(12)), "folder/known", "folder/new", "folder/inner/new", "left out/x", "other/x"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    start = str(tmp_path)[1:]
    with KnownNames(None) as names:
        names.list_folder(start, ["folder", "left out", "0", "1"])
        for name in ("", "/0", "/1"):
            names.note_met(f"{start}{name}", is_folder=not name)
        names.list_folder(f"{start}/folder", ["known", "inner"])
        for name in ("folder", "folder/known", "folder/inner"):
            names.note_met(f"{start}/{name}", is_folder="known" not in name)
        top = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
        found = list(new_names.new_names(top, str(tmp_path), names, ArchivedFacts()))
        os.close(top)
    told = [path.removeprefix(f"{tmp_path}/") for path in found]
    assert sorted(told) == sorted([*map(str, range(2, 12)), "other", "folder/new", "folder/inner/new"])
