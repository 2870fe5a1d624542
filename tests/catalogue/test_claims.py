from __future__ import annotations

import time
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3napback.catalogue.claims import Claim, Claims, is_stray, keeps, sources_of
from s3napback.catalogue.contents import CataloguedArchive
from s3napback.config.settings import Job
from s3napback.kinds import SourceName, kind_of
from tests.catalogues import HOST, archive, job, nameless

JOBS = (
    job("etc", source="Directory /etc", cycle="nightly"),
    job("weekly/home", source="Directory /home", cycle="weekly"),
    job("nightly/home", source="Directory /home", cycle="nightly"),
    job("PostgreSQL/db", source="PostgreSQL joe@db", cycle="nightly"),
    job("srv/svn", source="SubversionDir /srv/svn", cycle="nightly"),
    job("srv/svn/own", source="Subversion /srv/svn/own", cycle="weekly"),
)

CASES: dict[str, tuple[CataloguedArchive, Claim, str]] = {
    "its name": (archive("etc", 0, 1), Claim.CURRENT, "etc"),
    "its name, made in another Cycle": (archive("etc", 0, 1, cycle="old"), Claim.CURRENT, "etc"),
    "a qualified name": (archive("weekly/home", 0, 1, source="Directory /home"), Claim.CURRENT, "weekly/home"),
    "a repository of a folder": (
        archive("srv/svn/one", 0, 1, source="Subversion /srv/svn/one"),
        Claim.CURRENT,
        "srv/svn",
    ),
    "a repository that its archive calls by its folder's kind": (
        archive("srv/svn/one", 0, 1, source="SubversionDir /srv/svn/one"),
        Claim.CURRENT,
        "srv/svn",
    ),
    "a repository with a block of its own": (
        archive("srv/svn/own", 0, 1, source="Subversion /srv/svn/own", cycle="weekly"),
        Claim.CURRENT,
        "srv/svn/own",
    ),
    "deeper than the folder": (archive("srv/svn/a/b", 0, 1, source="Subversion /srv/svn/a/b"), Claim.NO_BLOCK, ""),
    "a directory in the folder": (archive("srv/svn/one", 0, 1, source="Directory /srv/svn/one"), Claim.NO_BLOCK, ""),
    "the plain name of before": (archive("home", 0, 1, source="Directory /home"), Claim.FORMER_NAME, "nightly/home"),
    "the qualified name of before": (archive("nightly/etc", 0, 1), Claim.FORMER_NAME, "etc"),
    "a qualified folder of before": (
        archive("nightly/srv/svn/one", 0, 1, source="Subversion /srv/svn/one"),
        Claim.FORMER_NAME,
        "srv/svn",
    ),
    "its Cycle is gone": (archive("old/etc", 0, 1, cycle="old"), Claim.NO_BLOCK, ""),
    "its block is gone": (archive("var", 0, 1, source="Directory /var"), Claim.NO_BLOCK, ""),
    "a name that now is another's": (
        archive("PostgreSQL/db", 0, 1, source="PostgreSQL ann@db"),
        Claim.OTHER_SOURCE,
        "",
    ),
    "below another prefix": (archive("prefix/etc", 0, 1), Claim.ELSEWHERE, ""),
    "of a kind that is not known": (
        archive("etc2", 0, 1, source="Mailbox /etc2", key="etc2-0-FULL"),
        Claim.ELSEWHERE,
        "",
    ),
    "of another host": (archive("etc", 0, 1, host="other"), Claim.OTHER_HOST, ""),
    "without metadata": (nameless("etc-0-FULL", "etc"), Claim.UNKNOWN, ""),
}


@pytest.mark.parametrize("case", CASES)
def test_an_archive_is(case: str) -> None:
    found, claim, name = CASES[case]
    judged, chosen = Claims(HOST, JOBS).judge(found)
    assert (judged, chosen.name if chosen else "") == (claim, name)


def test_no_block_claims_anything_in_a_bare_configuration() -> None:
    assert {Claims(HOST, ()).judge(found)[0] for found, _, _ in CASES.values()} <= {
        *(Claim.NO_BLOCK, Claim.ELSEWHERE, Claim.OTHER_HOST, Claim.UNKNOWN)
    }


def test_repositories_of_a_folder_at_the_root_are_claimed() -> None:
    claims = Claims(HOST, (job("", source="SubversionDir /"),))
    assert claims.judge(archive("repo", 0, 1, source="Subversion /repo"))[0] is Claim.CURRENT
    assert claims.judge(archive("", 0, 1, source="Directory /"))[0] is not Claim.CURRENT


def test_of_patterns_that_overlap_the_first_in_the_configuration_keeps_a_source() -> None:
    """Whichever of them begins in the deeper folder."""
    patterns = ("/srv/*/b.db", "/srv/a/*", "/srv/[ab]/?.db")
    source = SourceName("SQLite", "/srv/a/b.db")
    for order in permutations(patterns):
        jobs = [job(f"two/SQLite{each}", source=f"SQLite {each}", cycle="two") for each in order]
        claims = Claims(HOST, jobs)
        assert claims.keepers(source) == jobs
        assert claims.judge(archive("SQLite/srv/a/b.db", 0, 1, source=str(source), cycle="two"))[1] == jobs[0]


KINDS_OF_FILES = ("Directory", "Subversion", "SubversionDir", "SQLite")
TARGETS = ("/", "/srv", "/srv/a", "/srv/a/b.db", "/srv/b/a.db", "/srv/[a]/b.db")
PATTERNS = ("/srv/*/b.db", "/srv/a/*", "/srv/[ab]/?.db", "/*", "/srv/*")


@st.composite
def some_jobs(draw: st.DrawFn) -> tuple[Job, ...]:
    found = []
    for _ in range(draw(st.integers(0, 6))):
        kind = draw(st.sampled_from(KINDS_OF_FILES))
        target = draw(st.sampled_from(TARGETS + PATTERNS * (kind == "SQLite")))
        cycle = draw(st.sampled_from(["one", "two"]))
        name = kind_of(kind).key_base(target)
        found.append(job(draw(st.sampled_from([name, f"{cycle}/{name}"])), source=f"{kind} {target}", cycle=cycle))
    return tuple(found)


def judged_one_by_one(jobs: tuple[Job, ...], found: CataloguedArchive) -> tuple[Claim, Job | None]:
    """What the rules say, with a look at each job for each archive."""
    assert found.record is not None
    source = found.record.owner.source
    own_first = sorted(jobs, key=lambda each: kind_of(each.kind).stands_for_several(each.target))
    if holder := next((each for each in own_first if source in sources_of(each, found.base)), None):
        return Claim.CURRENT, holder
    if any(each.name == found.base for each in jobs):
        return Claim.OTHER_SOURCE, None
    if is_stray(found):
        return Claim.ELSEWHERE, None
    holder = next((each for each in own_first if each.cycle == found.record.cycle and keeps(each, source)), None)
    return (Claim.FORMER_NAME, holder) if holder else (Claim.NO_BLOCK, None)


@given(some_jobs(), st.sampled_from(KINDS_OF_FILES), st.sampled_from(TARGETS), st.data())
def test_of_many_jobs_only_those_are_asked_that_can_have_to_do_with_a_source(
    jobs: tuple[Job, ...], kind: str, target: str, data: st.DataObject
) -> None:
    name = kind_of(kind).key_base(target)
    base = data.draw(st.sampled_from([name, f"one/{name}", f"two/{name}", "srv/a"]))
    found = archive(base, 0, 1, source=f"{kind} {target}", cycle=data.draw(st.sampled_from(["one", "two"])))
    claims = Claims(HOST, jobs)
    assert claims.judge(found) == judged_one_by_one(jobs, found)
    source = SourceName(kind, target)
    assert {id(each) for each in claims.keepers(source)} == {id(each) for each in jobs if keeps(each, source)}


def test_judging_takes_as_much_longer_as_there_is_more() -> None:
    def seconds(count: int) -> float:
        sources = [f"/srv/{number}" for number in range(count)]
        jobs = [job(each[1:], source=f"Directory {each}") for each in sources]
        jobs += [job(f"SQLite{each}/*.db", source=f"SQLite {each}/*.db") for each in sources]
        found = [archive(each[1:], 0, 1, source=f"Directory {each}") for each in sources]
        found += [archive(f"SQLite{each}/a.db", 0, 1, source=f"SQLite {each}/a.db") for each in sources]
        begun = time.process_time()
        claims = Claims(HOST, jobs)
        assert {claims.judge(each)[0] for each in found} == {Claim.CURRENT}
        return time.process_time() - begun

    # Quadratic, as it was, it would be 100 times as long.
    few, many = (min(seconds(count) for _ in range(3)) for count in (100, 1_000))
    assert many < 30 * few
