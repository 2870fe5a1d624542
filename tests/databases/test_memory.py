"""The memory that a dump takes does not grow with the database."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.databases.mariadb import MariaDB
from tests.servers import S3Server
from tests.site import Site

ROWS_PER_MEGABYTE = 1000
MEASURED = """
import atexit, pathlib, runpy, sys

def tell():
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    print(next(line.split()[1] for line in lines if line.startswith("VmHWM:")))

atexit.register(tell)
sys.argv[0] = "s3napback"
runpy.run_module("s3napback", run_name="__main__")
"""
"""Runs the command line, and prints the most memory that its own process ever held, in units of 1,024 bytes."""


def peak(site: Site, mariadb: MariaDB, megabytes: int, day: int) -> float:
    """Back up a table of random bytes; returns megabytes of memory."""
    mariadb.run(
        "CREATE OR REPLACE TABLE big ENGINE=InnoDB AS "
        f"SELECT seq, RANDOM_BYTES(1000) AS noise FROM seq_1_to_{megabytes * ROWS_PER_MEGABYTE}",
        "memory",
    )
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *site.command(day=day)[3:]],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=site.full_environment(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout) * 1024 / 1_000_000


def test_the_peak_is_the_same_for_a_table_several_times_as_large(
    tmp_path: Path, rclone: S3Server, mariadb: MariaDB
) -> None:
    site = Site(tmp_path / "site", rclone)
    option_file = tmp_path / ".my.cnf"
    option_file.write_text(f"[client]\nsocket={mariadb.socket}\nuser=root\n")
    site.environment["HOME"] = str(tmp_path)
    site.configure("<MySQL memory>\nFulls 1\n</MySQL>", general="ChunkSize 5242880")
    mariadb.create("memory")
    # Both fill every part that may be on its way.
    small = peak(site, mariadb, 40, day=0)
    large = peak(site, mariadb, 140, day=1)
    mariadb.drop("memory")
    assert large < small + 15
    assert large < 150
