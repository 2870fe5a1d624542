"""Facts of stores that never were: hosts in every state, for pages of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from importlib.resources import files
from random import Random

from s3napback.page.facts import ArchiveView, PageFacts, Past, StoreView
from s3napback.rotation import ArchiveType, day_number
from s3napback.watch.keys import Place
from s3napback.watch.overview import StoreContents, Wordless, standings
from s3napback.watch.proofs import Known, ReadBack, Seen
from s3napback.watch.states import Heard
from s3napback.watch.word import Dropped, SourceWord, Word

TODAY = date(2026, 11, 26)
NOW = datetime(2026, 11, 26, 9, 30, tzinfo=timezone.utc)
STYLE = files("s3napback.page").joinpath("style.css").read_text(encoding="utf-8")
DAY = timedelta(days=1)


def past(
    name: str, source: str, host: str = "atlas", *, count: int = 48, group: int = 7, gaps: Sequence[int] = (),
    broken: Sequence[int] = (), cycle: str = "daily", size: int = 4_200_000_000,
) -> Past:  # fmt: skip
    """Archives of the last days, the newest of today; ``gaps`` and ``broken`` are ages in days."""
    random, newest = Random(len(name)), day_number(TODAY)
    nights = []
    for age in range(count):
        if age in gaps:
            continue
        is_full = (newest - age) % group == 0
        bytes_ = int(size * (1 - age / 300) * (1 if is_full else 0.04) * random.uniform(0.9, 1.15))
        nights.append(
            ArchiveView(
                key=f"{name}-{(newest - age) % 56}-{'FULL' if is_full else 'DIFF'}",
                day=newest - age,
                type=ArchiveType.FULL if is_full else ArchiveType.DIFF,
                size=bytes_,
                problem="the archive it builds on is no longer in the store" if age in broken else "",
                seconds=bytes_ / 4e7 + random.uniform(1, 9),
            )
        )
    return Past(host, source, cycle, name, tuple(nights))


def said(found: Past, **others: object) -> SourceWord:
    """What its run has said of it."""
    newest = found.nights[0]
    word = SourceWord(
        name=found.name,
        source=found.source,
        cycle=found.cycle,
        outcome="done",
        key=newest.key,
        size=newest.size,
        size_before=next((night.size for night in found.nights[1:] if night.type is newest.type), None),
        read=newest.size * 3,
        seconds=newest.seconds,
        last_good=TODAY,
        expected_by=NOW + DAY,
        critical_by=NOW + 2 * DAY,
    )
    return replace(word, **others)  # type: ignore[arg-type]


def view(host: str, sources: Sequence[tuple[Past, SourceWord]], *, proofs: Sequence[Seen] = (), **others: object) -> (
    StoreView
):  # fmt: skip
    """One host's store, judged as ``status`` judges it."""
    usual: dict[str, object] = {
        "program": "1.1.0",
        "host": host,
        "configuration": "nightly",
        "instance": "ab",
        "started": NOW - 6 * timedelta(hours=1),
        "ended": NOW - 5 * timedelta(hours=1),
        "utc_offset": 3600,
        "ran": True,
        "exit": 0,
        "sources": tuple(word for _, word in sources),
    }
    word = Word(**{**usual, **others})  # type: ignore[arg-type]
    pasts = [found for found, _ in sources]
    sizes = {night.key: night.size for found in pasts for night in found.nights}
    moments = {key: NOW - 5 * timedelta(hours=1) for key in sizes}
    moments |= {seen.key + seen.mark.value: seen.moment for seen in proofs}
    heard = Heard(Place("", host, "nightly"), word.ended, word)
    found = standings(StoreContents(sizes, [heard], moments), [], NOW)
    by_key = {seen.key: Known(verified=seen) for seen in proofs if seen.mark in (ReadBack.VERIFIED, ReadBack.INTACT)}
    pasts = [replace(each, nights=tuple(replace(night, known=by_key.get(night.key, Known())) for night in each.nights))
             for each in pasts]  # fmt: skip
    return StoreView("s3://example-backups", "/etc/s3napback/all.conf", found, pasts)


def every_state() -> PageFacts:
    """A store of four hosts, with something of everything."""
    etc, home = past("etc", "Directory /etc", size=31_000_000), past("home", "Directory /home", gaps=[3, 4], size=2**37)
    sql = past("MySQL/all", "MySQL all", group=1, count=14, size=640_000_000)
    svn = past("srv/svn", "Subversion /srv/svn", count=40, broken=range(9, 14))
    atlas = view("atlas", [
        (etc, said(etc)),
        (home, said(home, outcome="failed", error="tool", expected_by=NOW + DAY)),
        (sql, said(sql, warnings=2)),
        (svn, said(svn)),
    ], proofs=[
        Seen(etc.nights[0].key, NOW - DAY / 24, ReadBack.VERIFIED),
        Seen(sql.nights[0].key, NOW, ReadBack.PROVEN),
        Seen(svn.nights[2].key, NOW, ReadBack.DAMAGED),
    ])  # fmt: skip
    late = past("etc", "Directory /etc", "borea", gaps=range(9), count=40, size=28_000_000)
    gone = past("srv", "Directory /srv", "borea", count=30)
    borea = view("borea", [
        (late, said(late, last_good=TODAY - 9 * DAY, expected_by=NOW - 8 * DAY, critical_by=NOW - 7 * DAY)),
        (gone, said(gone, key="srv-9-DIFF")),
    ], dropped=(Dropped("opt", TODAY - 2 * DAY, TODAY),))  # fmt: skip
    former = past("var/www", "Directory /var/www", "castor", count=20, gaps=range(5))
    silent = standings(StoreContents(), [Wordless("castor", "", ("var/www",))], NOW)
    stores = [replace(borea, standings=[*borea.standings, *atlas.standings, *silent],
                      pasts=[*borea.pasts, *atlas.pasts, former])]  # fmt: skip
    return PageFacts(NOW, TODAY, stores, STYLE)
