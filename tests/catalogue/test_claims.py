from __future__ import annotations

import pytest

from s3napback.catalogue.claims import Claim, Claims
from s3napback.catalogue.contents import CataloguedArchive
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
