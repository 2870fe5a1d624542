"""The command line of the benchmarks."""

from __future__ import annotations

import os
import platform
import re
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

import click

import s3napback
from tests.benchmarks.cases import CASES
from tests.benchmarks.datasets import SMALL, Scale
from tests.benchmarks.laboratory import open_laboratory
from tests.benchmarks.table import Row, markdown, plain, rows_of
from tests.benchmarks.year import NIGHTS, run_year

_NAMES = [case.name for case in CASES]


@click.command()
@click.option("--small", is_flag=True, help="Small data, one round: a rehearsal whose figures mean nothing.")
@click.option("--rounds", type=click.IntRange(1), help="How often everything is measured; 3 by default.")
@click.option("--case", "names", multiple=True, type=click.Choice(_NAMES), help="Only this one; may be repeated.")
@click.option("--markdown", "report", type=click.Path(path_type=Path), help="Write the table to this file as well.")
@click.option("--folder", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Where to make the "
    "temporary folder: on a disk, with 60 GB free.")  # fmt: skip
@click.option("--year", "nights", is_flag=False, flag_value=NIGHTS, type=click.IntRange(1), help="In place of all "
    f"cases: nights ({NIGHTS} by default) of five directories that change at random, and forty restored.")  # fmt: skip
@click.option("--former", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A checkout of an "
    "earlier version, to compare with.")  # fmt: skip
def main(
    small: bool,
    rounds: int | None,
    names: tuple[str, ...],
    report: Path | None,
    folder: Path | None,
    nights: int | None,
    former: Path | None,
) -> None:
    """Measure s3napback against what people would use instead, on this machine, in one run."""
    # So that the laboratory is left in order: its server ends, its folder goes.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    rows: list[Row] = []
    scale = SMALL if small else Scale()
    chosen = [case for case in CASES if case.name in names or not names]
    with open_laboratory(scale, folder, former and former.absolute()) as laboratory:
        if nights is not None:
            run_year(laboratory, nights, click.echo)
            return
        for case in chosen:
            _say(f"{case.name}: preparing")
            rows += rows_of(case, case.prepare(laboratory), rounds or (1 if small else 3), _say)
            if report is not None:
                report.write_text(markdown(rows, [_describe_machine(), _describe_programs()]))
    click.echo("\n".join([_describe_machine(), _describe_programs(), "", plain(rows)]))


def _say(line: str) -> None:
    click.echo(line, err=True)


def _describe_machine() -> str:
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{date.today()}: {os.cpu_count()} processors ({model[1] if model else platform.machine()}), "
        f"{memory / 1e9:.0f} GB of memory, Linux {platform.release()}, load at the end {load}"
    )


def _describe_programs() -> str:
    commands = (["tar"], ["gpg"], ["gzip"], ["restic", "version"], ["borg"], ["duplicity"], ["aws"])
    versions = [f"s3napback {s3napback.__version__}, Python {platform.python_version()}"]
    for command in commands:
        name, *others = command
        try:
            done = subprocess.run([name, *(others or ["--version"])], capture_output=True, text=True, check=False)
        except FileNotFoundError:
            versions.append(f"{name}: not installed")
            continue
        found = re.search(r"\d+\.\d[\w.]*", done.stdout + done.stderr)
        versions.append(f"{name} {found[0] if found else '?'}")
    return "; ".join(versions)


if __name__ == "__main__":
    main()
