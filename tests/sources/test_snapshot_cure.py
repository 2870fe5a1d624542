"""The promise of the cure: whatever directories are moved or swapped, plain tar replays the chain."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.sources.chains import NightlyChain, directory_source, member_names
from tests.sources.trees import RandomTree, assert_same_tree, swap_directories

CHAINS = 24
NIGHTS = 5


def replays(chain: NightlyChain, source: Path, target: Path) -> bool:
    try:
        assert_same_tree(source, chain.replay(target), hard_links=False)
    except (subprocess.CalledProcessError, AssertionError):
        return False
    return True


def live_through_nights(folder: Path, seed: int) -> tuple[bool, bool]:
    """Whether every night's chain could be replayed: with the cure, and without."""
    source = folder / f"source-{seed}"
    tree = RandomTree(source, seed)
    cured = NightlyChain(directory_source(source), folder / f"cured-{seed}")
    plain = NightlyChain(directory_source(source), folder / f"plain-{seed}", cured=False)
    target = folder / f"target-{seed}"
    cured_is_good = plain_is_good = True
    for night in range(NIGHTS):
        if night:
            tree.move_directories(3)
            tree.edit(4)
        cured.backup()
        cured_is_good = cured_is_good and replays(cured, source, target)
        if plain_is_good:
            plain.backup()
            plain_is_good = replays(plain, source, target)
    return cured_is_good, plain_is_good


def test_chains_over_nights_of_moves_and_swaps_all_replay_and_without_the_cure_most_do_not(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        outcomes = list(threads.map(partial(live_through_nights, tmp_path), range(CHAINS)))
    assert [seed for seed, (cured, _) in enumerate(outcomes) if not cured] == []
    assert sum(not plain for _, plain in outcomes) > CHAINS // 2


def make_app(root: Path) -> None:
    for name in ("app", "app/v1", "app/v2", "other"):
        (root / name).mkdir(parents=True)
        (root / name / "file").write_text(f"in {name}")


def move_release_into_the_place_of_its_folder(root: Path) -> None:
    """``mv app/v2 t; rm -r app; mv t app``"""
    (root / "app/v2").rename(root / "t")
    subprocess.run(["rm", "-r", str(root / "app")], check=True)
    (root / "t").rename(root / "app")


def chains_before_and_after_change(tmp_path: Path, *, swap: bool) -> tuple[Path, NightlyChain, NightlyChain]:
    source = tmp_path / "source"
    make_app(source)
    cured = NightlyChain(directory_source(source), tmp_path / "cured")
    plain = NightlyChain(directory_source(source), tmp_path / "plain", cured=False)
    for chain in (cured, plain):
        chain.backup()
    if swap:
        swap_directories(source / "app", source / "other")
    else:
        move_release_into_the_place_of_its_folder(source)
    for chain in (cured, plain):
        chain.backup()
    return source, cured, plain


def test_a_folder_moved_into_the_place_of_its_parent_is_replayed(tmp_path: Path) -> None:
    source, cured, plain = chains_before_and_after_change(tmp_path, swap=False)
    assert_same_tree(source, cured.replay(tmp_path / "target"))
    assert not replays(plain, source, tmp_path / "target")


def test_two_folders_that_changed_places_are_replayed(tmp_path: Path) -> None:
    source, cured, plain = chains_before_and_after_change(tmp_path, swap=True)
    assert_same_tree(source, cured.replay(tmp_path / "target"))
    assert not replays(plain, source, tmp_path / "target")


def test_what_did_not_move_is_not_archived_again(tmp_path: Path) -> None:
    source, cured, _ = chains_before_and_after_change(tmp_path, swap=False)
    base = str(source).lstrip("/")
    assert sorted(member_names(cured.archives[1])) == [base, f"{base}/app", f"{base}/app/file", f"{base}/other"]
