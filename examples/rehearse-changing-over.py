#!/usr/bin/env python3
"""Rehearses the change from the original tool to s3napback, night by night, and touches neither bucket nor sources.

    aws s3api list-objects-v2 --bucket my-backups --output json > listing.json
    /opt/s3napback/bin/python rehearse-changing-over.py /etc/s3napback/nightly.conf listing.json

The listing becomes a folder of empty files of the right sizes and times. Each source of the configuration gets a small
folder that stands for it. Then s3napback runs on one pretended night after the other, and is asked each time which of
the old archives may go. It assumes that the original does not run any more. Everything lies in a temporary folder,
which is removed at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from datetime import date, datetime, timedelta
from pathlib import Path

from s3napback.catalogue.succession import succeeds
from s3napback.config.loading import load_configuration, resolve_configuration_path
from s3napback.config.settings import Job
from s3napback.errors import S3napbackError
from s3napback.original.chains import OriginalArchive, chain_to
from s3napback.original.contents import chunks_of, original_archives
from s3napback.rotation import SimpleCycle
from s3napback.stores import StoredObject


def main() -> None:
    """Rehearse, and print what was seen."""
    parser = argparse.ArgumentParser(description="Rehearse the change from the original tool to s3napback.")
    parser.add_argument("configuration", help="as after -c")
    parser.add_argument("listing", type=Path, help="what aws s3api list-objects-v2 --output json has printed")
    parser.add_argument("--days", type=int, default=60, help="give up after so many nights")
    parser.add_argument("--from", dest="first", type=date.fromisoformat, default=date.today(), metavar="YYYY-MM-DD")
    arguments = parser.parse_args()
    try:
        jobs = load_configuration(resolve_configuration_path(arguments.configuration)).jobs
    except S3napbackError as error:
        sys.exit("\n".join(error.lines))
    listing = read_listing(arguments.listing)
    with tempfile.TemporaryDirectory(prefix="s3napback-rehearsal-") as folder:
        Rehearsal(Path(folder), listing, jobs).run(arguments.first, arguments.days)


def read_listing(path: Path) -> list[StoredObject]:
    """What aws has printed of a bucket; of an empty one it prints nothing."""
    try:
        text = path.read_text(encoding="utf-8")
        return [
            StoredObject(each["Key"], each["Size"], datetime.fromisoformat(each["LastModified"].replace("Z", "+00:00")))
            for each in (json.loads(text).get("Contents", []) if text.strip() else [])
        ]
    except OSError as error:
        sys.exit(f"{path} cannot be read: {error.strerror}")
    except (ValueError, LookupError, TypeError, AttributeError):
        sys.exit(f"{path} is not what aws s3api list-objects-v2 --output json prints")


class Rehearsal:
    """One rehearsal, in a folder of its own."""

    def __init__(self, root: Path, listing: list[StoredObject], jobs: tuple[Job, ...]) -> None:
        self.root = root
        self.archives = original_archives(listing)
        self.jobs = jobs
        self.stand_ins: dict[str, Path] = {}
        self.blocks: list[str] = []
        for name in ("vault", "diffs", "sources"):
            (root / name).mkdir(mode=0o700)
        for series in dict.fromkeys(archive.name.series for archive in self.archives):
            own = [archive for archive in self.archives if archive.name.series == series]
            self.stand_ins[series] = self.stand_in(own[0])
            for archive in own:
                self.place(archive, chunks_of(archive.base, listing))
        self.configuration = root / "rehearsal.conf"
        general = f"Bucket file://{root}/vault\nDiffDir {root}/diffs\nHostName rehearsal\n"
        self.configuration.write_text(general + "\n".join(self.blocks), encoding="utf-8")

    def stand_in(self, archive: OriginalArchive) -> Path:
        """A folder in the place of an old archive's source, with the schedules of the blocks that back it up."""
        folder = self.root / "sources" / f"{len(self.stand_ins)}"
        folder.mkdir()
        for job in self.jobs:
            if any(succeeds(job, source) for source in archive.name.sources):
                self.blocks.append(block_of(job, folder, len(self.blocks)))
        return folder

    def place(self, archive: OriginalArchive, chunks: list[StoredObject]) -> None:
        """Put an old archive's chunks into the vault, under the name of the stand-in."""
        place = f"{self.stand_ins[archive.name.series]}-{archive.name.slot}-{archive.name.type.value}".lstrip("/")
        for number, chunk in enumerate(chunks):
            path = self.root / "vault" / f"{place}:{number:020d}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            os.truncate(path, chunk.size)
            os.utime(path, times=(chunk.modified.timestamp(),) * 2)

    def run(self, first: date, days: int) -> None:
        """Play the nights until all that can go may go."""
        self.tell_of_the_old()
        if not self.blocks:
            say("No block of the configuration backs any of this up.")
            return
        waiting = dict.fromkeys(self.stand_ins)
        for number in range(days):
            day = first + timedelta(days=number)
            for folder in self.stand_ins.values():
                (folder / "file").write_text(f"{day}\n", encoding="utf-8")
            self.s3napback("--today", str(day), "-f" if not number else "--strict")
            lines = self.s3napback("--today", str(day), "prune", "--original").splitlines()
            for series in [series for series in waiting if self.may_go(series, lines)]:
                del waiting[series]
                say(f"{day}: ours have caught up with {series or '/'}: its old archives may go")
            if all("no block backs it up" in self.line_of(series, lines) for series in waiting):
                break
        for series in waiting:
            reason = self.line_of(series, lines).partition("): ")[2]
            say(f"{day}: the old archives of {series or '/'} have to stay: {reason}")

    def tell_of_the_old(self) -> None:
        """Say which of the old archives can be restored; nothing overwrites them any more."""
        for series in self.stand_ins:
            own = [archive for archive in self.archives if archive.name.series == series]
            good = [archive for archive in own if chain_to(archive, own).archives]
            shown = ", ".join(sorted(f"{archive.modified.astimezone().date()}" for archive in good)) or "none"
            say(f"{series or '/'}: {len(own)} old archives; restorable for as long as they are not deleted: {shown}")

    def line_of(self, series: str, lines: list[str]) -> str:
        """What prune says of the first archive of a series."""
        start = f"{self.stand_ins[series]}-".lstrip("/")
        return next((line for line in lines if f" {start}" in line), "")

    def may_go(self, series: str, lines: list[str]) -> bool:
        """Whether prune would delete the archives of a series."""
        return self.line_of(series, lines).startswith("would delete")

    def s3napback(self, *words: str) -> str:
        """Run s3napback, and return what it prints; warnings are of no interest here."""
        command = [sys.executable, "-m", "s3napback", "-c", str(self.configuration), *words]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 3):
            sys.exit(f"the rehearsal failed: {' '.join(command)}\n{done.stderr}")
        return done.stdout


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def block_of(job: Job, folder: Path, number: int) -> str:
    """A block with a job's schedule for its stand-in, in a Cycle of its own, since several may back up one source."""
    schedule = job.schedule
    if isinstance(schedule, SimpleCycle):
        settings = f"Phase {schedule.phase}\nDiffs {schedule.diffs}\nFulls {schedule.fulls}"
    else:
        archive = "On" if schedule.archive_oldest_disc else "Off"
        settings = f"CycleType HanoiCycle\nDiscs {schedule.discs}\nArchiveOldestDisc {archive}"
    return f"<Cycle c{number}>\nFrequency {schedule.frequency}\n{settings}\nDirectory {folder}\n</Cycle>\n"


if __name__ == "__main__":
    main()
