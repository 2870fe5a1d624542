"""A dump that is cut off is known by its beginning and its end, which its kind names."""

from __future__ import annotations

import pytest

from s3napback.kinds import MYSQL, POSTGRESQL, Kind
from s3napback.sources.mysql import mysql_source
from s3napback.sources.postgresql import postgresql_source
from tests.catalogues import job

BEGINNINGS = [(kind, *marks) for kind in (MYSQL, POSTGRESQL) for marks in kind.marks]


@pytest.mark.parametrize(("kind", "beginning", "end"), BEGINNINGS)
def test_a_dump_that_says_what_it_is_must_say_that_it_is_complete(kind: Kind, beginning: bytes, end: bytes) -> None:
    make = mysql_source if kind is MYSQL else postgresql_source
    source = make(job(source=f"{kind.name} shop"))
    head = beginning + b" 10.19  Distrib 10.11\n--\n"
    assert source.flaw(head, b"INSERT INTO x VALUES (1);\n" + end + b" on 2026-01-01\n") == ""
    assert f"the dump of {kind.name} shop is cut off" in source.flaw(head, b"INSERT INTO x VALUES (1")
    for other in (
        b"CREATE TABLE x (y int);\n",
        b"<?xml version='1.0'?>\n",
        b"Usage: mysqldump [OPTIONS]\n",
        b"PGDMP\x01",
    ):
        assert "does not begin like a dump" in source.flaw(other, end + b"\n")
