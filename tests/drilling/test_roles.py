"""Who was the first superuser where a dump of all databases of PostgreSQL comes from."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from s3napback.drilling.postgresql_roles import first_superuser
from tests.databases.postgres import Postgres
from tests.site import Site

SUPERUSER = "ALTER ROLE {0} WITH SUPERUSER INHERIT CREATEROLE CREATEDB LOGIN;"
BY = "GRANT crew TO {0} WITH INHERIT TRUE GRANTED BY {1};"
ADMIN = "GRANT crew TO {0} WITH ADMIN OPTION, INHERIT TRUE GRANTED BY {1};"


@pytest.mark.parametrize(
    ("lines", "first"),
    [
        ([], "postgres"),
        ([SUPERUSER.format("app")], "app"),
        ([SUPERUSER.format("app"), SUPERUSER.format("postgres")], "postgres"),
        ([SUPERUSER.format("app"), SUPERUSER.format("postgres"), BY.format("maid", "app")], "app"),
        # Who was given the right to has granted more often than who gave it.
        (
            [SUPERUSER.format("app"), SUPERUSER.format("boss"), ADMIN.format("boss", "app")]
            + [BY.format(name, "boss") for name in ("maid", "cook")],
            "app",
        ),
        ([SUPERUSER.format("app"), BY.format("maid", "cook")], "app"),
        ([SUPERUSER.format('"The ""Boss"""'), 'GRANT "A b" TO "C d" GRANTED BY "The ""Boss""";'], 'The "Boss"'),
        (["-- " + SUPERUSER.format("app"), "ALTER ROLE app WITH NOSUPERUSER INHERIT;"], "postgres"),
    ],
)
def test_it_is_who_granted_memberships_else_the_usual_one_else_any(lines: list[str], first: str) -> None:
    assert first_superuser("\n".join(["--", *lines, ""]).encode()) == first


def test_memberships_that_the_first_superuser_has_granted_are_there_after_a_drill(
    site: Site, postgres: Postgres, scratch: Path
) -> None:
    """From PostgreSQL 16 on nobody else can be named as having granted them."""
    postgres.run("CREATE ROLE crew; CREATE ROLE maid; GRANT crew TO maid")
    try:
        site.environment.update(postgres.environment)
        site.configure("<PostgreSQL all>\n</PostgreSQL>")
        site.run()
        (key,) = site.archive_keys()
        assert re.search(rb"^GRANT crew TO maid.* GRANTED BY ", gzip.decompress(site.fetch(key)), re.MULTILINE)
        shown = site.run("drill", f"--scratch={scratch}").stdout
        assert re.search(r"^PostgreSQL all of 2026-01-\d\d: proven: ", shown, re.MULTILINE), shown
    finally:
        postgres.run("DROP ROLE maid; DROP ROLE crew")
