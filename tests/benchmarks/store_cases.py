"""What grows with what a store holds: archives, versions of them, and the links of a chain."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal

from tests.benchmarks.contenders import Contender
from tests.benchmarks.laboratory import Laboratory
from tests.benchmarks.measuring import Usage
from tests.benchmarks.slow_store import Pace, slow_store
from tests.benchmarks.trials import Case, Trial
from tests.past import written
from tests.site import Site

_IN_PROPORTION = 11.0
"""Times as much processor time that ten times as many versions may take."""

_OF_A_SOURCE = 10  # archives, where there are many
_AN_ARCHIVE = 3_300
"""Bytes of memory that one more in the store may take: 30 MB for 9,000."""

_PUTS = 16  # at a time
_METADATA_SUM = re.compile(r"^# metadata .*\n", re.MULTILINE)


@dataclass(frozen=True)
class _Object:
    key: str
    body: bytes
    metadata: dict[str, str]


def _objects_of(site: Site) -> list[_Object]:
    """What a bucket holds."""
    assert site.server is not None
    client, found = site.server.client(), []
    for listed in client.list_objects_v2(Bucket=site.bucket).get("Contents", []):
        answer = client.get_object(Bucket=site.bucket, Key=listed["Key"])
        found.append(_Object(listed["Key"], answer["Body"].read(), answer["Metadata"]))
    return found


def _put_all(site: Site, objects: Iterable[_Object]) -> None:
    assert site.server is not None
    client = site.server.client()
    with ThreadPoolExecutor(_PUTS) as pool:
        for _ in pool.map(
            lambda each: client.put_object(Bucket=site.bucket, Key=each.key, Body=each.body, Metadata=each.metadata),
            objects,
        ):
            pass


def _site(laboratory: Laboratory, name: str) -> Site:
    """A site of a few small files, in a bucket of a server that keeps versions."""
    site = Site(laboratory.fresh(name), laboratory.versions_server)
    for number in range(20):
        (site.source / f"file-{number}").write_text(f"content {number}\n" * 50)
    site.configure_cycle("Diffs 6\nFulls 2")
    # Of root it would be the machine's own.
    laboratory.environment["XDG_CACHE_HOME"] = str(laboratory.folder / "cache")
    return site


def _with_archives(laboratory: Laboratory, count: int) -> Site:
    """A store with so many archives, ten of each source; made once for all cases."""
    if count in laboratory.planted:
        return laboratory.planted[count]
    site = _site(laboratory, f"archives-{count}")
    laboratory.back_up(site)
    patterns = [each for each in _objects_of(site) if site.name() in each.key]
    _put_all(site, _planted(site, patterns, count))
    names = "\n".join(f"Directory {site.source}-{number:05}" for number in range(count // _OF_A_SOURCE))
    text = site.configuration.read_text()
    site.configuration.write_text(text.replace(f"Directory {site.source}\n", f"Directory {site.source}\n{names}\n"))
    laboratory.planted[count] = site
    return site


def _planted(site: Site, patterns: list[_Object], count: int) -> Iterator[_Object]:
    """The archive of one night with what lies beside it, as if of other sources and days."""
    (identity,) = {value for each in patterns for name, value in each.metadata.items() if name.lower().endswith("-id")}
    for number in range(count):
        source, slot = f"{site.source}-{number // _OF_A_SOURCE:05}", number % _OF_A_SOURCE
        changes = {
            identity: f"{number:032x}",
            str(site.source): source,
            f"{site.name()}-0-": f"{source.lstrip('/')}-{slot}-",
            f"{site.source.name}-0-": f"{site.source.name}-{number // _OF_A_SOURCE:05}-{slot}-",
        }
        for each in patterns:
            metadata = {name: _changed(value, changes) for name, value in each.metadata.items()}
            metadata.update({name: str(slot) for name in metadata if name.lower().endswith("-slot")})
            is_text = each.key.endswith(".sha256")
            body = _changed(_METADATA_SUM.sub("", each.body.decode()), changes).encode() if is_text else each.body
            yield _Object(_changed(each.key, changes), body, metadata)


def _changed(text: str, changes: dict[str, str]) -> str:
    for old, new in changes.items():
        text = text.replace(old, new)
    return text


def _by_archives(*options: str, of_one: Literal["planted", "read", ""] = "") -> Callable[[Laboratory], Trial]:
    """Memory of a command, by the number of archives.

    Args:
        options: of it.
        of_one: it is about one source, which follows: a planted one, or the one whose archive can be read.
    """

    def run(laboratory: Laboratory, count: int) -> Callable[[int], Usage]:
        site = _with_archives(laboratory, count)
        source = {"planted": [f"{site.source}-00000"], "read": [f"{site.source}"], "": []}[of_one]
        return lambda _round: laboratory.back_up(site, *options, *source, day=None)

    def prepare(laboratory: Laboratory) -> Trial:
        few, many = laboratory.scale.archive_counts
        small = run(laboratory, few)
        limit = small(0).peak + max(_AN_ARCHIVE * (many - few), 5_000_000)
        return Trial(Contender(f"{many:,} archives", run(laboratory, many)), quantity="peak", limit=limit)

    return prepare


def _by_versions(*options: str, restores: bool = False) -> Callable[[Laboratory], Trial]:
    """Processor time of a command that looks at a moment half of the versions ago."""

    def run(laboratory: Laboratory, count: int) -> Callable[[int], Usage]:
        site = _site(laboratory, f"versions-{count}-{options[0]}")
        assert site.server is not None
        versioning: Any = {"Status": "Enabled"}
        site.server.client().put_bucket_versioning(Bucket=site.bucket, VersioningConfiguration=versioning)
        for night in range(laboratory.scale.version_nights):
            laboratory.back_up(site, day=night)
        objects = _objects_of(site)
        _put_all(site, objects * (count // 2 // len(objects)))
        time.sleep(1.1)
        moment = written(datetime.now(timezone.utc))
        time.sleep(1.1)
        _put_all(site, objects * (count // 2 // len(objects)))

        def measured(_round: int) -> Usage:
            target = site.root / "restored"
            shutil.rmtree(target, ignore_errors=True)
            more = [str(site.source), "--to", str(target)] if restores else []
            usage = laboratory.back_up(site, *options, "--as-of", moment, *more, day=None)
            if restores and len(list((target / site.name()).iterdir())) != len(list(site.source.iterdir())):
                raise RuntimeError(f"not all was restored: {usage.said}")
            return usage

        return measured

    def prepare(laboratory: Laboratory) -> Trial:
        few, many = laboratory.scale.version_counts
        others = [Contender(f"{few:,} versions", run(laboratory, few), _IN_PROPORTION)]
        return Trial(Contender(f"{many:,} versions", run(laboratory, many)), others, quantity="processor")

    return prepare


def _middle_of_chain(laboratory: Laboratory) -> Trial:
    """A night of many small sources, whose chains have many links, against the second night of such chains."""
    count, nights, delay = laboratory.scale.chain_sources, laboratory.scale.chain_nights, laboratory.scale.short_delay
    sources = [laboratory.fresh(f"chain-sources/number-{number}") for number in range(count)]
    for source in sources:
        (source / "file").write_text("content")
    listed = "\n".join(f"Directory {source}" for source in sources)
    pace = Pace()
    server = laboratory.closing.enter_context(slow_store(pace))

    def begun(name: str, links: int) -> Site:
        directives = f"Prefix {name}\nJobs 4"
        site = laboratory.site(name, sources[0], general=directives, cycle="Diffs 29\nFulls 2", server=server)
        site.configuration.write_text(site.configuration.read_text().replace(f"Directory {sources[0]}", listed))
        for day in range(links):
            laboratory.back_up(site, day=day)
        return site

    def night(site: Site, day: int) -> Usage:
        pace.seconds = delay
        usage = laboratory.back_up(site, day=day)
        pace.seconds = 0.0
        return usage

    long = begun("long-chains", nights)
    second = Contender("their second night", lambda turn: night(begun(f"chains-{turn}", 1), 1), 1.2)
    title = f"{count:,} sources, {nights} links and more"
    return Trial(Contender(title, lambda turn: night(long, nights + turn)), [second])


_MEMORY = "Peak memory of {} against the number of archives, 3.3 kB for each"

STORE_CASES = (
    Case("memory-list", _MEMORY.format("list"), _by_archives("list")),
    Case("memory-list-json", _MEMORY.format("list --json"), _by_archives("list", "--json")),
    Case("memory-list-one", _MEMORY.format("list of one source"), _by_archives("list", of_one="planted")),
    Case("memory-status", _MEMORY.format("status"), _by_archives("status")),
    Case("memory-report", _MEMORY.format("report"), _by_archives("report", "--html", "-")),
    Case("memory-schedule", _MEMORY.format("schedule"), _by_archives("schedule")),
    Case("memory-ls", _MEMORY.format("ls of one source"), _by_archives("ls", of_one="read")),
    Case("memory-drill", _MEMORY.format("drill of one source"), _by_archives("drill", of_one="read")),
    Case(
        "memory-dry-restore",
        _MEMORY.format("restore -t of one source"),
        _by_archives("restore", "-t", "--to", "restored", of_one="planted"),
    ),
    Case("memory-keyless", _MEMORY.format("verify --keyless"), _by_archives("verify", "--keyless")),
    Case("memory-prune", _MEMORY.format("prune -t"), _by_archives("prune", "-t")),
    Case("as-of-list", "list --as-of, by the number of versions in the bucket", _by_versions("list")),
    Case("as-of-restore", "restore --as-of, by the number of versions", _by_versions("restore", restores=True)),
    Case("sources-chain", "A night within long chains, each request answered 50 ms late", _middle_of_chain),
)
