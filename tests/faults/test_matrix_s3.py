"""Whatever befalls a run to an S3 server: nothing is lost, and the next night works."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.cells import Cell
from tests.faults.harm import assert_harmless
from tests.faults.machine import Machine
from tests.faults.matrix import MATRIX
from tests.faults.subjects import LARGE
from tests.faulty_s3 import Fault, FaultyS3, change_body, drop_last_part
from tests.servers import S3Server
from tests.site import Site

pytestmark = pytest.mark.long(150)


@pytest.mark.parametrize("cell", [cell for cell in MATRIX if cell.where == "S3"], ids=lambda cell: cell.title)
def test_a_fault_loses_nothing_and_the_next_night_works(cell: Cell, machine_at: Callable[[str], Machine]) -> None:
    assert_harmless(cell, machine_at(cell.where))


def test_an_archive_that_came_out_shorter_is_not_taken_for_done(
    tmp_path: Path, moto: S3Server, faulty: Callable[[S3Server], FaultyS3]
) -> None:
    """The store reports success and keeps metadata, but forgets a part; the run is repeated in the same night."""
    proxy = faulty(moto)
    site = Site(tmp_path / "site", proxy.server)
    site.configure_cycle("Diffs 6", general="ChunkSize 5242880")
    (site.source / "big").write_bytes(os.urandom(LARGE))
    proxy.add(Fault("CompleteMultipartUpload", change_body(drop_last_part)))
    failed = site.run(expect=1)
    assert "bytes in place of" in failed.stderr
    proxy.clear()
    site.run()
    recovered = site.recover(site.archive_keys(), tmp_path / "out")
    assert (recovered / "big").read_bytes() == (site.source / "big").read_bytes()
