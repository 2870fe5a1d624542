"""The machine's part: folders and the room in them, programs, keys, and what starts the nightly run."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

from s3napback.chains import SourceState
from s3napback.config.settings import Configuration, Job, Notices
from s3napback.doctor.checks import Check, bad, good, unknown
from s3napback.encryption.gpg import prepare_encryption
from s3napback.errors import S3napbackError, UnusableConfiguration
from s3napback.formatting import counted, human_bytes
from s3napback.kinds import COMMAND, MYSQL, POSTGRESQL, SUBVERSION, SUBVERSION_DIR
from s3napback.regexes import regex
from s3napback.rotation import day_date, day_number
from s3napback.run_lock import require_own_diff_dir
from s3napback.sources.programs import why_no_program
from s3napback.sources.registry import needs_tar
from s3napback.surroundings import diff_dir, find_gnu_tar, temp_dir

_PROGRAMS: Mapping[str, Sequence[tuple[str, ...]]] = {
    MYSQL.name: (("mariadb-dump", "mysqldump"), ("mariadb", "mysql")),
    POSTGRESQL.name: (("pg_dump",), ("psql",)),
    SUBVERSION.name: (("svnadmin",), ("svnlook",)),
    SUBVERSION_DIR.name: (("svnadmin",), ("svnlook",)),
}
"""By kind of source, of each line one program."""

_NO_NOTICES = Notices()

_LEAST_ROOM = 100 << 20
"""Bytes beside what is there already: a snapshot and an index are written beside the old ones."""

_CRON = ("etc/crontab", "etc/cron.d/*", "etc/cron.daily/*", "var/spool/cron/crontabs/*", "var/spool/cron/*")
_UNITS = ("etc/systemd/system/*.timer", "usr/lib/systemd/system/*.timer", "lib/systemd/system/*.timer")
_OWN_UNITS = ".config/systemd/user"
_NAMED = regex(r"^[^#\n]*s3napback", re.MULTILINE)
_DRILLS = regex(r"^ExecStart=.*\bdrill\b", re.MULTILINE)


def check_configuration(configuration: Configuration, bill: Sequence[str] = ()) -> Iterator[Check]:
    """What the configuration warns of each night.

    Args:
        bill: what is to be said of what it costs.
    """
    part = "configuration"
    if not configuration.jobs:
        yield bad(part, "sources", "it names none, so nothing is backed up")
    else:
        yield good(part, "sources", counted(len(configuration.jobs), "source"))
    yield from (bad(part, "warning", warning) for warning in configuration.warnings)
    yield from (bad(part, "bill", line) for line in bill)


def check_keys(configuration: Configuration, today: date) -> Iterator[Check]:
    """Whether archives can be encrypted, and for how long yet."""
    part, settings = "keys", configuration.encryption
    if not settings.recipients:
        outcome = good if settings.is_off else bad
        yield outcome(part, "encryption", "archives are plain text: whoever can read the store reads them")
        return
    try:
        with prepare_encryption(settings, today) as encryption:
            warnings = encryption.warnings if encryption else ()
    except S3napbackError as error:
        yield bad(part, "encryption", str(error))
        return
    yield good(part, "encryption", f"archives are encrypted to {', '.join(settings.recipients)}")
    yield from (bad(part, "encryption", warning) for warning in warnings)


def check_tools(jobs: Sequence[Job], notices: Notices = _NO_NOTICES) -> Iterator[Check]:
    """Whether the programs are there that the sources need, and those that are told how a run went."""
    part = "tools"
    if any(map(needs_tar, jobs)):
        try:
            yield good(part, "tar", f"GNU tar is {find_gnu_tar()}")
        except S3napbackError as error:
            yield bad(part, "tar", str(error))
    for names in dict.fromkeys(names for job in jobs for names in _PROGRAMS.get(job.kind, ())):
        found = next(filter(None, map(shutil.which, names)), None)
        subject = " or ".join(names)
        yield good(part, subject, f"it is {found}") if found else bad(part, subject, "it is not on PATH: install it")
    for subject, program in _own_programs(jobs, notices):
        if shutil.which(program) is None:
            yield bad(part, subject, why_no_program(program))


def _own_programs(jobs: Sequence[Job], notices: Notices) -> Iterator[tuple[str, str]]:
    """What the configuration has of the user's own programs, with what each is for."""
    for name, command in (("OnSuccess", notices.on_success), ("OnFailure", notices.on_failure)):
        if command:
            yield name, command[0]
    for job in jobs:
        settings = job.settings
        hooks = {"Before": settings.before, "After": settings.after, "Drill": settings.drill}
        if job.kind == COMMAND.name:
            yield str(job.source), settings.run[0]
        yield from ((f"{job.source}, {name}", command[0]) for name, command in hooks.items() if command)


def check_folders(configuration: Configuration) -> Iterator[Check]:
    """Whether DiffDir and TempDir can be written to."""
    folder = diff_dir(configuration)
    try:
        require_own_diff_dir(folder)
    except (S3napbackError, OSError) as error:
        yield bad("folders", "DiffDir", str(error))
    else:
        there = "can be written to" if folder.is_dir() else "is not there yet; the first run makes it"
        yield good("folders", "DiffDir", f"{folder} {there}")
    try:
        temporary = temp_dir(configuration)
    except UnusableConfiguration as error:
        yield bad("folders", "TempDir", str(error))
        return
    if os.access(temporary, os.W_OK | os.X_OK):
        yield good("folders", "TempDir", f"{temporary} can be written to")
    else:
        yield bad("folders", "TempDir", f"{temporary} cannot be written to by this user")


def check_room(configuration: Configuration, states: Sequence[SourceState]) -> Iterator[Check]:
    """Whether there is room for the next night, as far as the last one tells."""
    names = {job.name for job in configuration.jobs if job.settings.use_temp_file}
    largest = {state.name: max(state.expected_sizes.values(), default=0) for state in states}
    yield from _room("DiffDir", diff_dir(configuration), _LEAST_ROOM)
    if names:
        yield from _room("TempDir", temp_dir(configuration), max((largest.get(name, 0) for name in names), default=0))
    if configuration.store.folder is not None:
        yield from _room("the store", configuration.store.folder, max(largest.values(), default=0))


def _room(name: str, folder: Path, needed: int) -> Iterator[Check]:
    place = folder
    try:
        place = next((each for each in (folder, *folder.parents) if each.exists()), folder)
        free = shutil.disk_usage(place).free
    except OSError as error:
        yield unknown("room", name, f"{place} cannot be looked at: {error.strerror}")
        return
    found = f"{human_bytes(free)} are free in {place}"
    if free >= needed:
        yield good("room", name, found)
    else:
        yield bad("room", name, f"{found}, and the next night needs {human_bytes(needed)}: make room")


def check_schedule(configuration: Configuration, states: Sequence[SourceState], today: date) -> Iterator[Check]:
    """Whether each source has been backed up as its cycle says."""
    by_name, day = {state.name: state for state in states}, day_number(today)
    current = 0
    for job in configuration.jobs:
        state = by_name.get(job.name)
        if state is None or state.newest is None:
            yield unknown("schedule", str(job.source), "DiffDir knows of no backup of it yet")
            continue
        newest, latest = state.newest.day, day - job.schedule.frequency - job.settings.grace - 1
        # Of tomorrow it may be where the machine, or its zone, has gone over the date line, as runs take it.
        if newest > day + 1:
            yield bad(
                "schedule", str(job.source), f"its newest backup is of {day_date(newest)}: the clock may be wrong"
            )
        elif newest < latest:
            text = f"its newest backup is of {day_date(newest)}: look at the log of the last night"
            yield bad("schedule", str(job.source), text)
        else:
            current += 1
    if current:
        yield good("schedule", "sources", f"{counted(current, 'source')} with a backup as new as the cycle says")


def check_starting(
    root: Path, read: Callable[[Path], str] = Path.read_text, home: Path | None = None
) -> Iterator[Check]:
    """Whether anything starts the nightly run: lines of cron, and timers of systemd that are enabled.

    Args:
        root: of the file system.
        read: reads a file.
        home: the folder of a user whose own timers count as well.
    """
    part, subject = "start", "nightly run"
    found: list[str] = []
    hidden: list[str] = []
    off: list[Path] = []
    places = [(root, pattern) for pattern in (*_CRON, *_UNITS)] + ([(home, f"{_OWN_UNITS}/*.timer")] if home else [])
    paths = sorted(path for top, pattern in places for path in top.glob(pattern) if path.is_file())
    enabled = [root / "etc/systemd/system", *([home / _OWN_UNITS] if home else [])]
    # /lib is a link to /usr/lib on most systems
    for path in {path.resolve(): path for path in paths}.values():
        try:
            is_meant = _NAMED.search(read(path)) and not (path.suffix == ".timer" and _drills(path, read))
        except (OSError, UnicodeDecodeError):
            hidden.append(str(path))
            continue
        if is_meant and (path.suffix != ".timer" or any(any(top.glob(f"*.wants/{path.name}")) for top in enabled)):
            found.append(str(path))
        elif is_meant:
            off.append(path)
    spool = root / "var/spool/cron/crontabs"
    if spool.is_dir() and not os.access(spool, os.R_OK | os.X_OK):
        hidden.append(str(spool))
    if found:
        yield good(part, subject, f"it is started by {', '.join(found)}")
        return
    for path in off:
        own = "--user " if home and path.is_relative_to(home) else ""
        yield bad(part, path.name, f"{path} is not enabled: systemctl {own}enable --now {path.name}")
    if hidden:
        yield unknown(part, subject, f"nothing that starts it was found, and {', '.join(hidden)} cannot be read")
    else:
        yield bad(
            part,
            subject,
            "nothing starts it: neither a line of cron nor a timer of systemd names s3napback; "
            "type: s3napback help logging",
        )


def _drills(timer: Path, read: Callable[[Path], str]) -> bool:
    """Whether what a timer starts is a drill, and no nightly run."""
    service = timer.with_suffix(".service")
    return service.is_file() and bool(_DRILLS.search(read(service)))
