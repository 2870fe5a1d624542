"""What grows with the work, and is not to grow faster: many sources, many patterns, and one path out of a stream."""

from __future__ import annotations

from collections.abc import Callable

from s3napback.catalogue.indexes import is_index_key
from tests.benchmarks import datasets
from tests.benchmarks.contenders import Contender, extract_by_hand
from tests.benchmarks.laboratory import Laboratory
from tests.benchmarks.measuring import Usage
from tests.benchmarks.trials import Case, Trial
from tests.site import Site

_IN_PROPORTION = 11.0
"""Times as long that ten times as much may take: what is paid once makes up for what is not quite linear."""

_MOST_OF_A_STREAM = 1.5
_LOADING = 1.3
"""Seconds for starting, and for 80,000 patterns; a second of these is for the patterns."""

_A_FILE = 20_000  # patterns
_NIGHTS = "Diffs 6\nFulls 2"


def _path_of_stream(laboratory: Laboratory) -> Trial:
    """Of archives without an index, as the first version made them, every member passes by."""
    tree = datasets.make_small_files(laboratory.folder / "streamed", laboratory.scale.late_files * 5)
    path = sorted(tree.rglob("*.txt"))[laboratory.scale.late_files]
    site = laboratory.site("streamed-site", tree)
    laboratory.back_up(site)
    store = site.store()
    for found in list(store.list("")):
        if is_index_key(found.key):
            store.delete(found.key)

    def ours(turn: int) -> Usage:
        target = laboratory.fresh(f"streamed-{turn}")
        usage = laboratory.back_up(site, "restore", str(tree), str(path), "--to", str(target), day=None)
        if (target / path.relative_to("/")).read_bytes() != path.read_bytes():
            raise RuntimeError(f"{path} was not restored: {usage.said}")
        return usage

    (archive,) = site.vault.glob(f"{site.name(tree)}-*-FULL")
    by_hand = extract_by_hand(laboratory, archive, path)
    return Trial(Contender("s3napback", ours), [Contender("gpg -d, tar xz PATH", by_hand, _MOST_OF_A_STREAM)])


def _patterns(laboratory: Laboratory) -> Trial:
    """In several files, since none may be larger than a mebibyte."""
    count = laboratory.scale.patterns
    site = laboratory.site("patterns", laboratory.fresh("patterns-source"))
    for begin in range(0, count, _A_FILE):
        lines = (f"Exclude /nowhere/number-{number}\n" for number in range(begin, min(begin + _A_FILE, count)))
        (site.root / f"patterns-{begin}.inc").write_text("".join(lines))
    site.configuration.write_text(f"Include {site.root}/patterns-*.inc\n{site.configuration.read_text()}")
    run = Contender(f"schedule, {count:,} patterns", lambda _round: laboratory.back_up(site, "schedule"))
    return Trial(run, limit=_LOADING)


def _site_of(laboratory: Laboratory, name: str, count: int) -> Site:
    """A configuration with so many small directories."""
    folders = [laboratory.folder / f"one-of-{count}" / f"number-{number:05}" for number in range(count)]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "file").write_text("content")
    site = laboratory.site(f"{name}-{count}", folders[0], cycle=_NIGHTS)
    listed = "\n".join(f"Directory {folder}" for folder in folders)
    site.configuration.write_text(site.configuration.read_text().replace(f"Directory {folders[0]}", listed))
    return site


def _first_night(laboratory: Laboratory, count: int) -> Callable[[int], Usage]:
    return lambda turn: laboratory.back_up(_site_of(laboratory, f"first-{turn}", count))


def _later(
    *options: str, day: int | None = 0, moves_on: bool = False
) -> Callable[[Laboratory, int], Callable[[int], Usage]]:
    """What comes after a first night: a command, or a night; on a day of its own each time if it ``moves_on``."""

    def prepare(laboratory: Laboratory, count: int) -> Callable[[int], Usage]:
        site = _site_of(laboratory, f"later-{'-'.join(options)}{day}{moves_on}".replace("/", ""), count)
        laboratory.back_up(site)
        return lambda turn: laboratory.back_up(site, *options, day=turn + 1 if moves_on else day)

    return prepare


def _ten_times(prepare: Callable[[Laboratory, int], Callable[[int], Usage]]) -> Callable[[Laboratory], Trial]:
    def trial(laboratory: Laboratory) -> Trial:
        few, many = laboratory.scale.source_counts
        others = [Contender(f"{few:,} sources", prepare(laboratory, few), _IN_PROPORTION)]
        return Trial(Contender(f"{many:,} sources", prepare(laboratory, many)), others)

    return trial


GROWTH_CASES = (
    Case("path-streamed", "One path out of an archive without an index", _path_of_stream),
    Case("patterns", "A configuration with very many patterns is read", _patterns),
    Case("sources-first-night", "A first night of small directories, by their number", _ten_times(_first_night)),
    Case("sources-diffs", "A night of DIFFs, by the number of sources", _ten_times(_later(moves_on=True))),
    Case("sources-again", "A second run on a day, by the number of sources", _ten_times(_later())),
    Case("sources-verify", "verify, by the number of sources", _ten_times(_later("verify", day=None))),
    Case(
        "sources-keyless",
        "verify --keyless, by the number of sources",
        _ten_times(_later("verify", "--keyless", day=None)),
    ),
    Case("sources-prune", "prune, by the number of sources", _ten_times(_later("prune"))),
    Case("sources-list", "list, by the number of sources", _ten_times(_later("list", day=None))),
)
