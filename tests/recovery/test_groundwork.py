"""What is done for tar while an archive passes, and what is left for its further runs."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

from s3napback.recovery import clearing, groundwork, staging
from s3napback.recovery.members import Gate
from s3napback.recovery.replaying import extract_stage
from s3napback.recovery.staging import Staging, staging_in
from tests.hostile.archives import archive as archive_of
from tests.hostile.archives import file, folder, hard_link, link
from tests.sources.trees import assert_same_tree, describe_tree


def night(tree: Path, snapshot: Path, *options: str) -> bytes:
    command = ["tar", "-c", "-f-", "--format=posix", f"-g{snapshot}", "--no-check-device", *options]
    archive = subprocess.run([*command, "-C", str(tree), "."], check=True, capture_output=True).stdout
    time.sleep(0.02)  # the clock of file systems lags behind the one by which tar remembers when it began
    return archive


def names(blocks: bytes) -> list[str]:
    if not blocks:
        return []
    with tarfile.open(fileobj=io.BytesIO(blocks)) as archive:
        return [os.path.normpath(member.name) for member in archive]


def extract(blocks: bytes, tree: int) -> None:
    if blocks:
        command = extract_stage("tar", tree).command
        subprocess.run(command, input=blocks, check=True, cwd=f"/proc/self/fd/{tree}", pass_fds=[tree])


def replayed(place: Staging, *archives: bytes) -> list[tuple[bytes, bytes, bytes]]:
    """Extract them, and return what went to each run of tar."""
    runs = []
    for archive in archives:
        with place.extracting() as work:
            passed = b"".join(map(bytes, Gate("", groundwork=work).whole(iter([memoryview(archive)]))))
            extract(passed, place.tree)
            extract(links := b"".join(work.links()), place.tree)
            extract(folders := b"".join(work.folders()), place.tree)
            runs.append((passed, links, folders))
    place.finish()
    return runs


@contextmanager
def place_in(where: Path) -> Iterator[Staging]:
    with staging_in(where) as place:
        yield place


def tree_of(place: Staging) -> Path:
    return Path(f"/proc/self/fd/{place.tree}").readlink()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "tree"
    for name in ("a/b/c", "a/d", "locked"):
        (top / name).mkdir(parents=True)
    (top / "a/b/file").write_text("content")
    (top / "a/up").symlink_to("../elsewhere")
    os.link(top / "a/up", top / "a/d/up again", follow_symlinks=False)
    (top / "a/near").symlink_to("b")
    (top / "locked/file").write_text("content")
    (top / "a/b").chmod(0o1751)
    (top / "locked").chmod(0o500)
    return top


def test_folders_and_links_out_of_them_come_by_runs_of_their_own_without_lists(tree: Path, tmp_path: Path) -> None:
    archive = night(tree, tmp_path / "snapshot")
    with place_in(tmp_path / "out") as place:
        ((passed, links, folders),) = replayed(place, archive)
        assert_same_tree(tree, tree_of(place))
    assert b"GNU.dumpdir" in archive
    assert b"GNU.dumpdir" not in passed + links + folders
    assert sorted(names(passed)) == ["a/b/file", "locked/file"]
    assert sorted(names(links)) == ["a/d/up again", "a/near", "a/up"]
    found = names(folders)
    assert sorted(found) == [".", "a", "a/b", "a/b/c", "a/d", "locked"]
    # whoever may not go everywhere gets to each
    assert all(
        found.index(name) > found.index(below) for name in found for below in found if below.startswith(f"{name}/")
    )


def test_of_what_has_not_changed_nothing_is_set_again(tree: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "snapshot"
    archives = [night(tree, snapshot), night(tree, snapshot)]
    (tree / "a/d/new").write_text("content")
    archives.append(night(tree, snapshot))
    with (tree / "locked/file").open("a") as file:
        file.write(" of the file, and its folder does not show it")
    os.utime(tree / "a/d", ns=(10**18, 10**18))
    archives.append(night(tree, snapshot))
    between = tmp_path / "between"
    subprocess.run(["cp", "-a", tree, between], check=True)
    (tree / "a/b/file").unlink()
    (tree / "a/b/c").rmdir()
    (tree / "locked").chmod(0o700)
    archives.append(night(tree, snapshot))
    with place_in(tmp_path / "out") as place:
        runs = replayed(place, *archives[:4])
        assert_same_tree(between, tree_of(place), hard_links=False)
        runs += replayed(place, *archives[4:])
        assert_same_tree(tree, tree_of(place), hard_links=False)
    assert runs[1][2] == b""
    assert "a/d" in names(runs[2][2])
    assert "a/b" not in names(runs[2][2])
    assert {"a/d", "locked"} <= {*names(runs[3][2])}
    assert {"a/b", "locked"} <= {*names(runs[4][2])}


def test_what_became_another_kind_is_replaced(tree: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "snapshot"
    archives = [night(tree, snapshot)]
    (tree / "a/b/file").unlink()
    (tree / "a/b/file").mkdir()
    # Before folders go, whose numbers new ones would have: without our cure of its snapshot tar sees a rename there.
    (tree / "a/near").unlink()
    (tree / "a/near").mkdir()
    (tree / "a/near/inner").write_text("not in b")
    (tree / "a/b/c").rmdir()
    (tree / "a/b/c").write_text("no folder any more")
    (tree / "locked/file").rename(tree / "a/file")
    (tree / "a/d/up again").unlink()
    (tree / "a/d").rmdir()
    (tree / "a/d").write_text("nor this one, which was not empty")
    archives.append(night(tree, snapshot))
    with place_in(tmp_path / "out") as place:
        replayed(place, *archives)
        assert_same_tree(tree, tree_of(place), hard_links=False)


@pytest.mark.parametrize("target", ["/out of it", "inner"])
def test_what_was_a_link_when_tar_came_by_and_a_folder_when_it_came_again_is_a_folder(
    tmp_path: Path, target: str
) -> None:
    changed = archive_of(
        folder("."),
        link("other", "/before"),
        link("now", target),
        link("last", "/behind"),
        folder("now"),
        file("now/file"),
    )
    with place_in(tmp_path / "out") as place:
        ((_, links, _),) = replayed(place, changed)
        assert (tree_of(place) / "now/file").is_file()
        assert {path.name for path in tree_of(place).iterdir() if path.is_symlink()} == {"other", "last"}
    assert names(links) == ["other", "last"]


def test_a_link_below_a_link_is_not_made_and_told(tmp_path: Path) -> None:
    strange = archive_of(
        folder("."),
        link("here", "."),
        link("here/up", "../.."),
        hard_link("again", "here", mode=0o777),
        link("again/up", "../.."),
    )
    with place_in(tmp_path / "out") as place:
        with place.extracting() as work:
            passed = b"".join(map(bytes, Gate("", groundwork=work).whole(iter([memoryview(strange)]))))
            assert names(b"".join(work.links())) == ["here", "again"]
        assert names(passed) == []
    assert work.astray == ["here/up", "again/up"]


def test_a_folder_whose_place_a_link_has_taken_is_not_set_right(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    swapped = archive_of(folder("."), folder("a"), folder("a/b", mode=0o777), folder(".", []), link("a", str(outside)))
    with place_in(tmp_path / "out") as place:
        ((_, links, folders),) = replayed(place, swapped)
    assert names(links) == ["a"]
    assert names(folders) == ["."]
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_what_is_gone_is_found_however_many_names_are_looked_at_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(clearing, "_AT_ONCE", at_once)
    monkeypatch.setattr(clearing, "_WINDOW", 20)
    tree, snapshot = tmp_path / "tree", tmp_path / "snapshot"
    for number in range(7):
        (tree / f"folder {number}").mkdir(parents=True)
        (tree / f"file {number}").write_text("content")
    archives = [night(tree, snapshot)]
    for number in range(0, 7, 3):
        (tree / f"folder {number}").rmdir()
        (tree / f"file {number}").unlink()
    archives.append(night(tree, snapshot))
    with place_in(tmp_path / "out") as place:
        replayed(place, *archives)
        assert_same_tree(tree, tree_of(place))


def test_what_was_held_against_a_list_once_is_not_looked_into_again(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[bytes] = []

    def noting(descriptor: int, dumpdir: bytes, *_others: object, **_more: object) -> list[tuple[str, bool]]:
        looked.append(dumpdir)
        return clearing.gone(descriptor, dumpdir)

    monkeypatch.setattr(groundwork, "gone", noting)
    snapshot = tmp_path / "snapshot"
    archives = [night(tree, snapshot) for _ in range(4)]
    (tree / "a/d/new").mkdir()
    (tree / "a/b/file").unlink()
    archives.append(night(tree, snapshot))
    counts = []
    with place_in(tmp_path / "out") as place:
        for archive in archives:
            looked.clear()
            replayed(place, archive)
            counts.append(len(looked))
        assert_same_tree(tree, tree_of(place), hard_links=False)
    # at first the top alone is there already, and at last two lists are others
    assert counts == [1, 6, 0, 0, 2]


def test_what_no_list_named_goes_with_the_next_one(tmp_path: Path) -> None:
    """As tar has it: a later archive's list is all that stays, be it the same as that of the archive before."""

    def listing(name: str, entries: bytes, *others: bytes) -> bytes:
        return archive_of(folder(name, records=[("GNU.dumpdir", entries)]), *others)

    archives = [
        listing("f", b"Ya\0\0", file("f/a", b"content")),
        listing("f", b"Na\0\0"),
        listing("f", b"Na\0\0", file("f/unlisted", b"content")),
        listing("f", b"Na\0\0"),
    ]
    with place_in(tmp_path / "out") as place:
        replayed(place, *archives[:3])

        def inside() -> list[str]:
            return sorted(path.name for path in (tree_of(place) / "f").iterdir())

        assert inside() == ["a", "unlisted"]
        replayed(place, archives[3])
        assert inside() == ["a"]
        # nor does anything stay that has another letter now
        replayed(place, listing("f", b"Da\0\0"))
        assert inside() == []


@pytest.mark.parametrize("before", [file("f/x", b"older"), link("f/x", "a")], ids=["file", "link"])
def test_what_became_a_folder_while_it_was_archived_takes_the_place_of_what_it_was(
    tmp_path: Path, before: bytes
) -> None:
    """tar has it among the files, with the list of the folder that it lies in."""
    records = [("GNU.dumpdir", b"Ya\0Yx\0Yz\0\0")]
    first, second = (file(f"f/{name}", name.encode()) for name in "az")
    with place_in(tmp_path / "out") as place:
        replayed(place, archive_of(folder("f", records=records), first, before, second))
        replayed(place, archive_of(folder("f", records=records), first, folder("f/x", records=records), second))
        found = {path.name: path.is_dir() for path in (tree_of(place) / "f").iterdir()}
    assert found == {"a": False, "x": True, "z": False}


def test_no_more_is_remembered_of_folders_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clearing, "_MOST_KNOWN", 300)
    known = clearing.Cleared()
    for name in ("first", "second", "third"):
        known.note(name, b"Na\0\0")
    assert [known.holds_only(name, b"Na\0\0") for name in ("first", "second", "third")] == [True, True, False]
    assert not known.holds_only("first", b"Ya\0\0")
    known.forget("first")
    known.note("third", b"Na\0\0")
    assert [known.holds_only(name, b"Na\0\0") for name in ("first", "second", "third")] == [False, True, True]
    known.forget_all()
    assert not known.holds_only("second", b"Na\0\0")


@pytest.mark.parametrize("full", [groundwork, staging, None], ids=["too many of one", "too many", "remembered"])
def test_no_link_is_live_while_a_later_archive_is_extracted(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: ModuleType | None
) -> None:
    if full is not None:
        monkeypatch.setattr(full, "MOST_LINKS", 0)
    archive = night(tree, tmp_path / "snapshot")
    with place_in(tmp_path / "out") as place:
        replayed(place, archive)
        before = describe_tree(tree_of(place))
        with place.extracting():
            live = [path for path in tree_of(place).rglob("*") if path.is_symlink()]
        place.finish()
        assert describe_tree(tree_of(place), hard_links=False) == describe_tree(tree, hard_links=False)
    assert not live
    assert before


def test_lists_of_the_older_format_are_known_as_well(tree: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "snapshot"
    archives = [night(tree, snapshot, "--format=gnu")]
    (tree / "a/b/file").unlink()
    (tree / "a" / ("long " * 30)).mkdir()
    archives.append(night(tree, snapshot, "--format=gnu"))
    with place_in(tmp_path / "out") as place:
        runs = replayed(place, *archives)
        found = describe_tree(tree_of(place), hard_links=False)
    expected = describe_tree(tree, hard_links=False)
    assert found.keys() == expected.keys()
    # whole seconds are all that this format holds
    assert {name: (entry.mode, entry.modified // 10**9) for name, entry in found.items()} == {
        name: (entry.mode, entry.modified // 10**9) for name, entry in expected.items()
    }
    assert not any("a" in names(passed) for passed, _links, _folders in runs)
