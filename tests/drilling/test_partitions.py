"""A drill knows what partitions have of their own, and names with line breaks, from what a dump lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.databases.postgres import Postgres
from tests.databases.postgres_content import PARTED
from tests.site import Site

pytestmark = pytest.mark.long(15)


@pytest.mark.parametrize("target", ["parted", "all"])
def test_what_a_partition_has_of_its_own_is_proven(site: Site, postgres: Postgres, scratch: Path, target: str) -> None:
    site.environment.update(postgres.environment)
    postgres.create("parted")
    try:
        postgres.run(PARTED, "parted")
        site.configure(f"<PostgreSQL {target}>\n</PostgreSQL>")
        site.run()
        assert ": proven: " in site.run("drill", f"--scratch={scratch}").stdout
    finally:
        postgres.drop("parted")
