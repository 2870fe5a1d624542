from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from s3napback.original.chains import OriginalArchive, OriginalChain, chain_by_hand, chain_to
from s3napback.original.contents import original_archives
from s3napback.original.keys import parse_base
from s3napback.stores import StoredObject
from tests.original.vectors import Bucket, bucket_of_six_nights


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("src") / "etc"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory, source: Path) -> Bucket:
    return bucket_of_six_nights(tmp_path_factory.mktemp("snapshots"), source)


def chains(listing: list[StoredObject], path: str) -> dict[str, OriginalChain]:
    """Of each archive of a directory, by slot and type."""
    archives = original_archives(listing)
    return {
        each.base.removeprefix(f"{path}-"): chain_to(each, archives) for each in archives if each.name.series == path
    }


def bases(chain: OriginalChain) -> list[str]:
    return [f"{archive.name.slot}-{archive.name.type.value}" for archive in chain.archives]


@pytest.mark.parametrize("is_changed", [False, True], ids=["as it was", "no leading slashes, 13 digits"])
def test_the_six_nights_give_the_chains_that_were_restored_by_hand(
    bucket: Bucket, source: Path, is_changed: bool
) -> None:
    path = str(source)
    if is_changed:
        bucket = bucket.renamed(lambda key: f"{key.lstrip('/')[:-20]}{key[-13:]}")
        path = path.lstrip("/")
    found = chains(bucket.listing(), path)
    assert {name: bases(chain) for name, chain in found.items()} == {
        "0-FULL": ["0-FULL"],
        "1-DIFF": [],
        "2-DIFF": [],
        "3-FULL": ["3-FULL"],
        "4-DIFF": ["3-FULL", "4-DIFF"],
    }
    assert found["1-DIFF"].problem == "its FULL was overwritten: there is none as old as it is"
    assert all("within minutes" in chain.doubts[-1] for chain in found.values() if chain.archives)


def test_without_a_chunk_its_archive_and_what_builds_on_it_are_lost(bucket: Bucket, source: Path) -> None:
    gone = f"{source}-3-FULL:{1:020d}"
    found = chains([each for each in bucket.listing() if each.key != gone], str(source))
    assert found["3-FULL"].problem == "chunk 1 is missing"
    assert found["4-DIFF"].problem == f"it builds on {source}-3-FULL, which cannot be restored: chunk 1 is missing"
    assert bases(found["0-FULL"]) == ["0-FULL"]


def test_the_last_chunk_is_missed_as_well(bucket: Bucket, source: Path) -> None:
    listing = bucket.listing()
    last = [each.key for each in listing if each.key.startswith(f"{source}-3-FULL:")][-1]
    found = chains([each for each in listing if each.key != last], str(source))
    assert found["3-FULL"].problem.endswith("is missing")


def test_what_is_exact_has_an_empty_chunk_behind_it_and_what_is_empty_is_nothing(bucket: Bucket) -> None:
    archives = {each.base: each for each in original_archives(bucket.listing())}
    exact, empty = archives["/exact-0-FULL"], archives["/empty-0-FULL"]
    assert (exact.size, exact.chunks, exact.problem) == (8192, 2, "")
    assert (empty.size, empty.chunks, empty.problem) == (0, 1, "it is empty: that night nothing was dumped")


def archive(base: str, day: float, problem: str = "") -> OriginalArchive:
    name = parse_base(base)
    assert name is not None
    return OriginalArchive(name, 1, 1, datetime(2009, 3, 1, tzinfo=timezone.utc) + timedelta(days=day), problem)


def test_every_diff_since_the_full_counts_whatever_its_slot() -> None:
    archives = [archive("/a-0-FULL", 0), archive("/a-5-DIFF", 1), archive("/a-2-DIFF", 2), archive("/a-3-DIFF", 3)]
    chain = chain_to(archives[-1], archives)
    assert bases(chain) == ["0-FULL", "5-DIFF", "2-DIFF", "3-DIFF"]
    assert [doubt.partition(":")[0] for doubt in chain.doubts] == [
        "/a-5-DIFF follows /a-0-FULL",
        "/a-2-DIFF follows /a-5-DIFF",
    ]


def test_diffs_after_the_target_do_not_count() -> None:
    archives = [archive("/a-0-FULL", 0), archive("/a-1-DIFF", 1), archive("/a-2-DIFF", 2)]
    assert bases(chain_to(archives[1], archives)) == ["0-FULL", "1-DIFF"]
    assert chain_to(archives[1], archives).doubts == ()


def test_two_spellings_of_a_path_are_never_one_chain() -> None:
    archives = [archive("/a-0-FULL", 0), archive("/a/-1-DIFF", 1), archive("/a-1-DIFF", 2)]
    assert chain_to(archives[1], archives).problem.startswith("its FULL was overwritten")
    assert bases(chain_to(archives[2], archives)) == ["0-FULL", "1-DIFF"]


def test_a_broken_full_is_not_passed_over_for_an_older_one() -> None:
    archives = [archive("/a-0-FULL", 0), archive("/a-2-FULL", 2, "chunk 3 is missing"), archive("/a-3-DIFF", 3)]
    assert (
        chain_to(archives[2], archives).problem
        == "it builds on /a-2-FULL, which cannot be restored: chunk 3 is missing"
    )


def test_archives_of_one_second_have_no_order() -> None:
    archives = [archive("/a-0-FULL", 1), archive("/a-1-DIFF", 1)]
    assert "/a-0-FULL and /a-1-DIFF are of the same second" in chain_to(archives[1], archives).problem
    archives = [archive("/a-0-FULL", 0), archive("/a-3-FULL", 0), archive("/a-4-DIFF", 1)]
    assert "/a-0-FULL and /a-3-FULL are of the same second" in chain_to(archives[2], archives).problem


def test_a_person_can_name_the_order() -> None:
    full, diff, late = archive("/a-0-FULL", 3), archive("/a-1-DIFF", 2), archive("/a-3-DIFF", 1)
    chain = chain_by_hand([full, diff, late])
    assert bases(chain) == ["0-FULL", "1-DIFF", "3-DIFF"]
    assert len(chain.doubts) == 1
    assert "out of place" in chain_by_hand([diff, late]).problem
    assert "out of place" in chain_by_hand([full, full]).problem
    assert "their names differ" in chain_by_hand([full, archive("/a/-1-DIFF", 2)]).problem
    assert chain_by_hand([archive("/a-0-FULL", 0, "chunk 0 is missing")]).problem == "/a-0-FULL: chunk 0 is missing"


def chunk(key: str, size: int = 10) -> StoredObject:
    return StoredObject(key, size, datetime(2009, 3, 1, tzinfo=timezone.utc))


@pytest.mark.parametrize(
    ("numbers", "problem"),
    [
        (["1"], "chunk 0 is missing"),
        (["0", "2"], "chunk 1 is missing"),
        (["0", "00"], "chunk 0 is there twice"),
        (["0", "9" * 20], "chunk 1 is missing"),
        (["0", "1", "10"], "chunk 2 is missing"),
        (["0", "1"], "chunk 2 is missing"),
        (["0"], ""),
    ],
)
def test_an_archive_is_whole_only_with_every_number_once(numbers: list[str], problem: str) -> None:
    (found,) = original_archives([chunk(f"/a-0-FULL:{number}") for number in numbers])
    assert found.problem == problem


def test_what_is_not_the_original_s_is_passed_over() -> None:
    assert original_archives([chunk("etc-0-FULL"), chunk("photo:1"), chunk("a/b:00"), chunk("etc-0-FULL.sha256")]) == []


def test_cold_storage_of_any_chunk_is_that_of_the_archive() -> None:
    warm = StoredObject("/a-0-FULL:0", 10, datetime(2009, 3, 1, tzinfo=timezone.utc), storage_class="STANDARD")
    cold = StoredObject("/a-0-FULL:1", 1, datetime(2009, 3, 1, tzinfo=timezone.utc), storage_class="GLACIER")
    for listing in ([warm, cold], [cold, warm]):
        assert original_archives(listing)[0].storage_class == "GLACIER"
