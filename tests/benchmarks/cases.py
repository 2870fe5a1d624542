"""The cases: what is measured against what, and which goals there are."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks import contenders, datasets
from tests.benchmarks.contenders import Borg, Contender, Restic
from tests.benchmarks.growth_cases import GROWTH_CASES
from tests.benchmarks.index_cases import INDEX_CASES
from tests.benchmarks.laboratory import Laboratory
from tests.benchmarks.measuring import Run, Usage, measure
from tests.benchmarks.slow_store import slow_store
from tests.benchmarks.store_cases import STORE_CASES
from tests.benchmarks.trials import Case, Trial, full
from tests.site import Site

MEMORY_GOAL = 220_000_000
"""Bytes that our process may take at ChunkSize 25000000 with 4 threads."""

_MANY_DIFFS = "Diffs 1000"
_LONGEST_BLOCK = 64 << 20


def _full_to_folder(laboratory: Laboratory) -> Trial:
    tree = laboratory.mixed_tree
    return Trial(
        Contender("s3napback", full(laboratory, tree)),
        [
            Contender("the original's pipeline", contenders.original_to_file(laboratory, tree), 0.09),
            Contender("borg", Borg(laboratory, tree).full),
            Contender("restic", Restic(laboratory, tree).full),
        ],
    )


def _full_against_hand_made(laboratory: Laboratory) -> Trial:
    tree = laboratory.mixed_tree
    incremental = contenders.hand_made_incremental_to_file(laboratory, tree)
    return Trial(
        Contender("s3napback", full(laboratory, tree)),
        [
            Contender("hand-made pipeline (isal)", contenders.hand_made_to_file(laboratory, tree), 0.8),
            Contender("hand-made pipeline, tar incremental", incremental),
        ],
    )


def _full_to_s3(laboratory: Laboratory) -> Trial:
    tree = laboratory.mixed_tree
    return Trial(
        Contender("s3napback", full(laboratory, tree, s3=True)),
        [
            Contender("restic", Restic(laboratory, tree, s3=True).full, 0.5),
            Contender("duplicity", contenders.duplicity_to_s3(laboratory, tree), 0.12),
            Contender("the original's pipeline, aws s3 cp", contenders.original_to_s3(laboratory, tree)),
        ],
    )


def _compressions(laboratory: Laboratory) -> Trial:
    tree = laboratory.mixed_tree
    others = ["gzip 2", "gzip 6", "zstd 1", "zstd 3", "zstd 9", "none 0"]
    return Trial(
        Contender("gzip, level 1 (default)", full(laboratory, tree)),
        [
            Contender(f"{name}, level {level}".removesuffix(", level 0"), full(laboratory, tree, general=general))
            for name, level in map(str.split, others)
            for general in [f"Compression {name}" + (f"\nCompressionLevel {level}" if level != "0" else "")]
        ],
    )


def _incompressible(laboratory: Laboratory) -> Trial:
    tree = laboratory.random_file
    return Trial(
        Contender("s3napback", full(laboratory, tree)),
        [Contender("hand-made pipeline (isal)", contenders.hand_made_to_file(laboratory, tree))],
    )


def _diff(laboratory: Laboratory, goal: float, *, changed: float = 0.0) -> Trial:
    tree = laboratory.small_files
    site = laboratory.site("diffs", tree, cycle=_MANY_DIFFS)
    restic, borg = Restic(laboratory, tree), Borg(laboratory, tree)
    laboratory.settle(time.time())
    laboratory.back_up(site)
    others = []
    for name, contender, its_goal in (("restic", restic, goal), ("borg", borg, None)):
        others.append(Contender(name, _after_first(contender), its_goal))

    def change(turn: int) -> None:
        if changed:
            datasets.change_small_files(tree, laboratory.scale.small_files, changed, turn)
            time.sleep(1.1)  # what changes while it is backed up is looked at once more

    def ours(turn: int) -> Usage:
        laboratory.warm_up(tree)
        return laboratory.back_up(site, day=turn + 1)

    return Trial(Contender("s3napback", ours), others, before_round=change)


def _after_first(contender: Restic | Borg) -> Callable[[int], Usage]:
    """Measure backups after the first one, which is made in the first round."""

    def run(turn: int) -> Usage:
        if turn == 0:
            contender.begin()
            contender.back_up()
        return contender.another(turn)

    return run


def _restore(laboratory: Laboratory) -> Trial:
    tree = laboratory.mixed_tree
    site = laboratory.site("restore", tree)
    laboratory.back_up(site)

    def ours(turn: int) -> Usage:
        # What is restored stays: ext4 takes seconds to find inodes where many have just been freed.
        target = laboratory.fresh(f"restored-{turn}")
        laboratory.warm_up(site.vault)
        return laboratory.back_up(site, "restore", str(tree), "--to", str(target), day=None)

    (archive,) = site.vault.glob(f"{site.name(tree)}-*-FULL")
    by_hand = contenders.restore_by_hand(laboratory, archive)
    return Trial(Contender("s3napback", ours), [Contender("cat, gpg -d, tar xz", by_hand, 0.9)])


def _restore_folders(laboratory: Laboratory) -> Trial:
    """How the time of a chain of three grows with the number of folders, with one file in each."""

    def restoring(count: int) -> Callable[[int], Usage]:
        tree = datasets.make_many_folders(laboratory.folder / f"folders-{count}", count)
        time.sleep(laboratory.scale.margin)  # what is archived once more would be all that DIFFs hold
        site = laboratory.site(f"folders-of-{count}", tree, cycle=_MANY_DIFFS)
        for day in range(3):
            laboratory.back_up(site, day=day)
        return _restoring(laboratory, site, tree, f"restored-{count}-folders")

    count = laboratory.scale.folders
    half = Contender(f"{count // 2:,} folders", restoring(count // 2), 2.2)
    return Trial(Contender(f"{count:,} folders", restoring(count)), [half])


def _restore_late_day(laboratory: Laboratory) -> Trial:
    """How the time grows with the number of DIFFs in which hardly anything has changed."""
    tree = datasets.make_small_files(laboratory.folder / "late", laboratory.scale.late_files)
    time.sleep(laboratory.scale.margin)
    site = laboratory.site("late-day", tree, cycle=_MANY_DIFFS)
    days = laboratory.scale.days
    for day in range(days):
        datasets.change_small_files(tree, 1, 1.0, day)
        laboratory.back_up(site, day=day)
    late = _restoring(laboratory, site, tree, "late")
    first = _restoring(laboratory, site, tree, "first", "--at", site.archive_keys()[0])
    return Trial(Contender(f"day {days}", late), [Contender("a FULL", first)])


def _restoring(laboratory: Laboratory, site: Site, tree: Path, name: str, *options: str) -> Callable[[int], Usage]:
    def run(turn: int) -> Usage:
        target = laboratory.fresh(f"{name}-{turn}")
        return laboratory.back_up(site, "restore", str(tree), *options, "--to", str(target), day=None)

    return run


def _slow_store(laboratory: Laboratory) -> Trial:
    tree = laboratory.random_file

    def with_threads(count: int) -> Callable[[int], Usage]:
        def run(_round: int) -> Usage:
            # What does not compress is not compressed, so that the store is what is waited for.
            general = f"ChunkSize {laboratory.scale.part}\nUploadThreads {count}\nCompression none"
            laboratory.warm_up(tree)
            with slow_store(laboratory.scale.delay) as server:
                site = laboratory.site("slow", tree, general=general, server=server)
                return laboratory.back_up(site)

        return run

    return Trial(Contender("4 threads", with_threads(4)), [Contender("1 thread", with_threads(1), 0.3)])


def _memory_of_stream(laboratory: Laboratory) -> Trial:
    block = laboratory.folder / "block"
    command = contenders.tar_command(laboratory.mixed_tree)
    measure(Run([command], laboratory.folder, laboratory.environment, target=block))
    os.truncate(block, min(_LONGEST_BLOCK, block.stat().st_size))

    def stream(size: int) -> Callable[[int], Usage]:
        programs = datasets.make_endless_tar(laboratory.folder / f"tar-of-{size}", block, size)

        def run(_round: int) -> Usage:
            # A store slower than the source, so that every buffer is in use, however short the stream.
            with slow_store(laboratory.scale.long_delay) as server:
                site = laboratory.site("stream", laboratory.mixed_tree, cycle="Diffs 0", server=server)
                return laboratory.back_up(site, path=programs)

        return run

    short, long = laboratory.scale.streams
    return Trial(
        Contender(f"{long / 1e9:g} GB", stream(long)),
        [Contender(f"{short / 1e9:g} GB", stream(short), 1.1)],
        quantity="peak",
        limit=MEMORY_GOAL,
    )


def _find(laboratory: Laboratory) -> Trial:
    """As on the second day that somebody looks: indexes are kept in a cache folder of the laboratory's."""
    tree = laboratory.small_files
    site = laboratory.site("find", tree, server=laboratory.server)
    site.environment["XDG_CACHE_HOME"] = laboratory.environment["XDG_CACHE_HOME"] = str(laboratory.folder / "cache")
    laboratory.settle(time.time())
    for night in range(laboratory.scale.nights):
        laboratory.back_up(site, day=night)

    def run(_round: int) -> Usage:
        return laboratory.back_up(site, "find", tree.name, day=None)

    run(0)
    return Trial(Contender(f"find, {laboratory.scale.nights} archives", run), limit=3.0)


def _memory_of_names(laboratory: Laboratory) -> Trial:
    few, many = laboratory.scale.file_counts

    def list_of(count: int) -> Callable[[int], Usage]:
        tree = datasets.make_empty_files(laboratory.folder / f"names-{count}", count)
        site = laboratory.site(f"names-{count}-site", tree)
        laboratory.back_up(site)
        return lambda _round: laboratory.back_up(site, "ls", "-R", str(tree), day=None)

    return Trial(
        Contender(f"{many:,} files", list_of(many)), [Contender(f"{few:,} files", list_of(few), 1.7)], quantity="peak"
    )


def _help(laboratory: Laboratory) -> Trial:
    command = laboratory.site("help", laboratory.folder).command("--help", day=None)

    def run(_round: int) -> Usage:
        return measure(Run([command], laboratory.folder, laboratory.environment))

    return Trial(Contender("s3napback --help", run), limit=0.15)


def _dry_run(laboratory: Laboratory) -> Trial:
    count = laboratory.scale.sources
    sources = [laboratory.fresh(f"sources/number-{number}") for number in range(count)]
    for source in sources:
        (source / "file").write_text("content")
    site = laboratory.site("dry-run", sources[0])
    listed = "\n".join(f"Directory {source}" for source in sources)
    site.configuration.write_text(site.configuration.read_text().replace(f"Directory {sources[0]}", listed))
    laboratory.back_up(site)

    def run(_round: int) -> Usage:
        return laboratory.back_up(site, "-t", day=1)

    return Trial(Contender(f"s3napback -t, {count} sources", run), limit=0.6)


def _many_small_sources(laboratory: Laboratory) -> Trial:
    count = laboratory.scale.sources
    sources = [laboratory.fresh(f"small-sources/number-{number}") for number in range(count)]
    for source in sources:
        (source / "file").write_text("content")
    directives = "\n".join(f"Directory {source}" for source in sources)

    def nights(jobs: int) -> Callable[[int], Usage]:
        def run(_round: int) -> Usage:
            with slow_store(laboratory.scale.short_delay) as server:
                site = laboratory.site(f"jobs-{jobs}", sources[0], cycle=_MANY_DIFFS, server=server)
                text = site.configuration.read_text().replace(f"Directory {sources[0]}", directives)
                site.configuration.write_text(f"Jobs {jobs}\n{text}")
                laboratory.back_up(site)
                return laboratory.back_up(site, day=1)

        return run

    # One after the other, the two requests of each that have to wait for each other: its archive and the look at it.
    limit = 2 * count * laboratory.scale.short_delay + 0.12 * count + 1
    title = f"{count} sources"
    one = Contender(f"{title}, Jobs 1", nights(1), 0.4)
    return Trial(Contender(f"{title}, Jobs 4", nights(4)), [one], limit=limit)


_FULL_TO_FOLDER = "FULL of the mixed tree, encrypted, to a directory store"

CASES = (
    Case("full", _FULL_TO_FOLDER, _full_to_folder),
    Case("full-hand-made", _FULL_TO_FOLDER, _full_against_hand_made, rounds=3),
    Case("full-s3", "FULL of the mixed tree, encrypted, to an S3 server", _full_to_s3),
    Case("diff-unchanged", "DIFF of small files, nothing changed", lambda laboratory: _diff(laboratory, 0.25)),
    Case("diff-changed", "DIFF of small files, 1 % changed", lambda laboratory: _diff(laboratory, 0.3, changed=0.01)),
    Case("restore", "Restore of the mixed tree", _restore),
    Case("restore-folders", "Restore of a chain of three, as many files as folders", _restore_folders),
    Case("restore-late-day", "Restore of a late day of a long chain", _restore_late_day),
    Case("slow-store", "Upload in parts of 5 MiB to a store that answers each request 100 ms late", _slow_store),
    Case(
        "many-sources", "A night of DIFFs of small directories, each request answered 50 ms late", _many_small_sources
    ),
    Case("memory-stream", "Peak memory against the length of a stream", _memory_of_stream),
    Case("find", "A look for a name in archives of small files, a second time", _find),
    Case("memory-names", "Peak memory of a listing against the number of files", _memory_of_names),
    Case("help", "Start-up", _help),
    Case("dry-run", "Dry run with a directory store", _dry_run),
    Case("incompressible", "FULL of one large file that does not compress", _incompressible),
    Case("compression", "FULL of the mixed tree by compression", _compressions),
    *INDEX_CASES,
    *GROWTH_CASES,
    *STORE_CASES,
)
