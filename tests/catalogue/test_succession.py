from __future__ import annotations

import pytest

from s3napback.catalogue.succession import succeeds
from s3napback.config.settings import Job, JobSettings, Position
from s3napback.kinds import SourceName, kind_of
from s3napback.original.keys import parse_base
from s3napback.rotation import SimpleCycle


def job(source: str) -> Job:
    name = SourceName.parse(source)
    base = kind_of(name.kind).key_base(name.target)
    return Job(name.kind, name.target, base, SimpleCycle(), "", JobSettings(), Position("f", 1))


@pytest.mark.parametrize(
    ("source", "base", "is_so"),
    [
        ("Directory /etc", "/etc/-0-FULL", True),
        ("Directory /etc", "/etc/ssh-0-FULL", False),
        ("Directory /home", "/home/*-0-FULL", True),
        ("Directory /", "/*-0-FULL", True),
        ("Subversion /srv/svn/p", "/srv/svn/p-0", True),
        ("SubversionDir /srv/svn", "/srv/svn//p-0-DIFF", True),
        ("SubversionDir /srv/svn", "/srv/svn-0-DIFF", False),
        ("PostgreSQL backup@ledger", "PostgreSQL/ledger-0", True),
        ("PostgreSQL postgres@all", "PostgreSQL/-0", True),
        ("PostgreSQL ledger", "MySQL/ledger-0", False),
        ("MySQL all", "MySQL/--all-databases-0", True),
        ("MySQL /run/m.sock:wiki", "MySQL//run/m.sock/wiki-0", True),
        ("MySQL wiki", "MySQL//run/m.sock/wiki-0", False),
    ],
)
def test_a_job_succeeds_what_the_original_backed_up_under_another_name(source: str, base: str, is_so: bool) -> None:
    name = parse_base(base)
    assert name is not None
    assert any(succeeds(job(source), each) for each in name.sources) is is_so
