"""What the index costs, and what one file costs with it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from s3napback.catalogue.indexes import is_index_key
from tests.benchmarks import datasets
from tests.benchmarks.contenders import Contender, Restic
from tests.benchmarks.datasets import make_empty_files, make_one_folder
from tests.benchmarks.laboratory import Laboratory
from tests.benchmarks.measuring import Usage
from tests.benchmarks.trials import Case, Trial, full
from tests.site import Site

_FETCHED = re.compile(r"([0-9.]+) (bytes|kB|MB|GB) fetched")
_UNITS = {"bytes": 1, "kB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000}
_NIGHTS = 6
_AS_BEFORE = 1.03
_MORE_MEMORY = 30_000_000
"""Bytes that so many files may take besides."""


def _against_former(tree: Callable[[Laboratory], Path], goal: float) -> Callable[[Laboratory], Trial]:
    def prepare(laboratory: Laboratory) -> Trial:
        source = tree(laboratory)
        former = full(laboratory, source, former=True)
        return Trial(Contender("s3napback", full(laboratory, source)), [Contender("the former version", former, goal)])

    return prepare


def _diff_against_former(laboratory: Laboratory) -> Trial:
    """A night on which nothing has changed, each version with a chain of its own."""
    tree = laboratory.small_files
    laboratory.settle(time.time())

    def diffs(name: str, *, former: bool) -> Callable[[int], Usage]:
        site = laboratory.site(name, tree, cycle="Diffs 1000")
        laboratory.back_up(site, former=former)

        def run(turn: int) -> Usage:
            laboratory.warm_up(tree)
            return laboratory.back_up(site, day=turn + 1, former=former)

        return run

    former = Contender("the former version", diffs("former-diffs", former=True), _AS_BEFORE)
    return Trial(Contender("s3napback", diffs("diffs", former=False)), [former])


def _restore_against_former(laboratory: Laboratory) -> Trial:
    """Each version restores what it has archived."""
    tree = laboratory.mixed_tree

    def restores(name: str, *, former: bool) -> Callable[[int], Usage]:
        site = laboratory.site(name, tree)
        laboratory.back_up(site, former=former)

        def run(turn: int) -> Usage:
            # What is restored stays: ext4 takes seconds to find inodes where many have just been freed.
            target = laboratory.fresh(f"{name}-{turn}")
            laboratory.warm_up(site.vault)
            return laboratory.back_up(site, "restore", str(tree), "--to", str(target), day=None, former=former)

        return run

    former = Contender("the former version", restores("former-restores", former=True), _AS_BEFORE)
    return Trial(Contender("s3napback", restores("restores", former=False)), [former])


def _size(laboratory: Laboratory) -> Trial:
    trial = _against_former(lambda each: each.mixed_tree, 1.001)(laboratory)
    return replace(trial, quantity="stored")


def _index_size(laboratory: Laboratory) -> Trial:
    tree = laboratory.small_files
    site = laboratory.site("index", tree)
    count = sum(1 for _ in tree.rglob("*"))

    def run(_round: int) -> Usage:
        usage = laboratory.back_up(site, "--force", "--full")
        (size,) = [found.size for found in site.store().list("") if is_index_key(found.key)]
        return replace(usage, stored=-(-size // count))

    return Trial(Contender("index, a member", run), quantity="stored", limit=20)


def _one_file(
    laboratory: Laboratory, site: Site, tree: Path, path: Path, *, counts: bool = False
) -> Callable[[int], Usage]:
    """Restore a file, and tell what was fetched for it if that ``counts``."""

    def run(_round: int) -> Usage:
        target = laboratory.fresh("one-file")
        usage = laboratory.back_up(site, "restore", str(tree), str(path), "--to", str(target), day=None)
        found = _FETCHED.search(usage.said)
        if found is None or (target / path.relative_to("/")).read_bytes() != path.read_bytes():
            raise RuntimeError(f"{path} was not restored: {usage.said}")
        return replace(usage, stored=int(float(found[1]) * _UNITS[found[2]])) if counts else usage

    return run


def _file_of_full(laboratory: Laboratory) -> Trial:
    tree = laboratory.many_files
    path = sorted(tree.rglob("small-*"))[laboratory.scale.many // 2]
    site = laboratory.site("one-file-full", tree, server=laboratory.server)
    laboratory.back_up(site)
    restic = Restic(laboratory, tree, s3=True)
    restic.prepare(restic.begin)
    restic.prepare(restic.back_up)
    other = Contender("restic", lambda _round: restic.one_file(path), 1.0)
    return Trial(Contender("s3napback", _one_file(laboratory, site, tree, path)), [other])


def _bytes_of_file(laboratory: Laboratory) -> Trial:
    tree = laboratory.many_files
    path = sorted(tree.rglob("small-*"))[laboratory.scale.many // 2]
    site = laboratory.site("one-file-bytes", tree)
    laboratory.back_up(site)
    ours = Contender("s3napback, fetched", _one_file(laboratory, site, tree, path, counts=True))
    return Trial(ours, quantity="stored", limit=10_000_000)


def _file_of_chain(laboratory: Laboratory) -> Trial:
    tree = laboratory.small_files
    site = laboratory.site("one-file-chain", tree, server=laboratory.server)
    restic = Restic(laboratory, tree, s3=True)
    restic.prepare(restic.begin)
    for night in range(_NIGHTS + 1):
        datasets.change_small_files(tree, laboratory.scale.small_files, 0.01, night)
        laboratory.settle(time.time())
        laboratory.back_up(site, day=night)
        restic.prepare(restic.back_up)
    # The first of all was changed in the first night alone.
    path = sorted(tree.rglob("*.txt"))[1]
    other = Contender("restic", lambda _round: restic.one_file(path), 1.5)
    return Trial(Contender("s3napback", _one_file(laboratory, site, tree, path)), [other])


def _memory_of_diffs(make: Callable[[Path, int], Path]) -> Callable[[Laboratory], Trial]:
    """A night on which nothing has changed, of many files and of few."""

    def prepare(laboratory: Laboratory) -> Trial:
        counts = laboratory.scale.file_counts
        trees = [make(laboratory.folder / f"{make.__name__}-{count}", count) for count in counts]
        laboratory.settle(time.time())
        small, large = (_diffs_of(laboratory, tree) for tree in trees)
        limit = small(-1).peak + _MORE_MEMORY
        few, many = (f"{count:,} files" for count in counts)
        return Trial(Contender(many, large), [Contender(few, small)], quantity="peak", limit=limit)

    return prepare


def _diffs_of(laboratory: Laboratory, tree: Path) -> Callable[[int], Usage]:
    site = laboratory.site(f"{tree.name}-site", tree, cycle="Diffs 1000", server=laboratory.server)
    laboratory.back_up(site)
    return lambda turn: laboratory.back_up(site, day=turn + 2)


INDEX_CASES = (
    Case("full-former", "FULL of the mixed tree", _against_former(lambda each: each.mixed_tree, _AS_BEFORE)),
    Case("full-small-former", "FULL of small files", _against_former(lambda each: each.small_files, 1.15)),
    Case("diff-former", "DIFF of small files, nothing changed, against before", _diff_against_former),
    Case("restore-former", "Restore of the mixed tree against before", _restore_against_former),
    Case("size-former", "Size of an archive of the mixed tree", _size),
    Case("index-size", "Bytes of the index a member of a FULL of small files", _index_size),
    Case("one-file", "One small file out of a large FULL, from an S3 server", _file_of_full),
    Case("one-file-bytes", "Bytes fetched for one small file out of a large FULL", _bytes_of_file),
    Case("one-file-chain", "One file from the last of six DIFFs, from an S3 server", _file_of_chain),
    Case("memory-files", "Peak memory of a DIFF, 30 MB above that of a small one", _memory_of_diffs(make_empty_files)),
    Case("memory-folder", "The same, all files in one folder", _memory_of_diffs(make_one_folder)),
)
