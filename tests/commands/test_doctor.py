"""``doctor``: all parts in one report, of which none costs the others anything, and which changes nothing."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from s3napback.commands import doctor
from tests.servers import S3Server
from tests.site import Site, site_of_one_file

PARTS = ["configuration", "keys", "tools", "sources", "folders", "room", "store", "schedule", "start"]


def parts(lines: list[str]) -> list[str]:
    return [line for line in lines if line and not line.startswith(" ") and " " not in line]


@pytest.fixture
def well(tmp_path: Path) -> Site:
    """A site in whose file system cron starts the night."""
    site = site_of_one_file(tmp_path)
    cron = tmp_path / "root/etc/cron.d/s3napback"
    cron.parent.mkdir(parents=True)
    cron.write_text("20 4 * * * root s3napback\n")
    return site


def examined(site: Site) -> tuple[int, list[str]]:
    lines: list[str] = []
    code = doctor.examine(site.configuration, date.today(), lambda *more: lines.extend(more), root=site.root / "root")
    return code, lines


def test_where_all_is_well_the_exit_code_is_0_and_nothing_is_changed(well: Site) -> None:
    well.run(day=date.today())
    before = well.diff_dir_contents(), well.contents()
    code, lines = examined(well)
    assert (code, parts(lines)) == (0, PARTS), lines
    assert (well.diff_dir_contents(), well.contents()) == before
    assert lines[-1].endswith("0 to be mended, 0 not known")


def test_a_configuration_that_cannot_be_read_is_told_with_its_lines(well: Site) -> None:
    well.configuration.write_text("Buket x\nFrequency 0\n")
    code, lines = examined(well)
    text = " ".join(" ".join(lines).split())
    assert code == 1
    assert "site.conf:1:" in text
    assert "site.conf:2:" in text


def test_a_store_that_is_not_there_costs_the_other_parts_nothing(well: Site) -> None:
    well.vault.rename(well.root / "away")
    code, lines = examined(well)
    assert (code, parts(lines)) == (1, PARTS)
    assert any(line.startswith("  NO  access:") for line in lines)


def test_a_folder_whose_disk_is_not_mounted_is_not_called_usable(well: Site) -> None:
    """Every run refuses it: the folder below the mount point holds no mark."""
    assert examined(well)[0] == 0
    well.run(day=date.today())
    well.vault.rename(well.root / "unmounted")
    well.vault.mkdir()
    code, lines = examined(well)
    assert (code, parts(lines)) == (1, PARTS)
    assert "  NO  access: " in "\n".join(lines)
    assert "does not hold the mark that earlier backups left there" in " ".join(" ".join(lines).split())
    well.run("-f", day=date.today())
    assert examined(well)[0] == 0


def test_a_bucket_is_examined_and_the_command_line_says_so(tmp_path: Path, moto: S3Server) -> None:
    site = Site(tmp_path, moto)
    site.configure_cycle("")
    done = site.run("doctor", expect=1)
    text = " ".join(done.stdout.split())
    assert "NO older versions: the bucket does not keep what is replaced or deleted" in text
    assert "? the present key, s3:DeleteObjectVersion" in text
    assert site.archive_keys() == []
    rows = json.loads(site.run("doctor", "--json", expect=1).stdout)["checks"]
    assert {each["part"] for each in rows} == set(PARTS)
