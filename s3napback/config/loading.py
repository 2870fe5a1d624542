"""A configuration file, from its path to validated settings: everything that is wrong with it is told at once."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

from s3napback.answering import require_answers
from s3napback.config.blocks import BlockReader
from s3napback.config.descriptions import AbsolutePath
from s3napback.config.directives import Directives
from s3napback.config.excludes import check_reach
from s3napback.config.key_file import UnusableKeyFile, read_key_file
from s3napback.config.names import WantedName, key_problem, qualified_names
from s3napback.config.notices import notices
from s3napback.config.problems import Change, Problems
from s3napback.config.reading import read_configuration
from s3napback.config.scopes import Scope
from s3napback.config.settings import Concurrency, Configuration, Job, Position, StoreSettings
from s3napback.config.store_settings import encryption_settings, store_settings
from s3napback.config.syntax import Entry
from s3napback.config.tar_options import literal_pattern
from s3napback.errors import ChangeableByOthers, ConfigurationError, SourceSilent
from s3napback.formatting import shown
from s3napback.kinds import DIRECTORY, SUBVERSION, SUBVERSION_DIR, kind_of
from s3napback.ownership import require_own
from s3napback.records import dataclass

SYSTEM_FOLDER = Path("/etc/s3napback")
_ONCE_EXPANDED = (DIRECTORY.name, SUBVERSION.name, SUBVERSION_DIR.name)
_OPTIONS_WITH_FILES = ("--exclude-from", "--owner-map", "--group-map", "--defaults-file", "--defaults-extra-file")


def resolve_configuration_path(argument: str, folder: Path = SYSTEM_FOLDER) -> Path:
    """The file that ``-c ARGUMENT`` means.

    A bare name, which holds no slash, means ``FOLDER/NAME.conf``, whether it ends in ``.conf`` already or not. It never
    means a file of the current folder, which may be anybody's.
    """
    if not argument or "/" in argument or argument in (".", ".."):
        return Path(argument)
    return folder / (argument if argument.endswith(".conf") else f"{argument}.conf")


def configuration_paths(arguments: Sequence[str], otherwise: str) -> list[Path]:
    """The files that all ``-c`` mean, or without any the one of the name ``otherwise``, unless there is none."""
    if arguments:
        return [resolve_configuration_path(argument) for argument in arguments]
    path = resolve_configuration_path(otherwise)
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError:
        pass  # what keeps it from being read is said by whoever reads it
    return [path]


@dataclass(frozen=True)
class Examined:
    """A configuration, and what its files are like.

    Attributes:
        configuration: what it says.
        entries: the tree of all its files.
        changes: what is written as the original tool took it.
        includes: the files that each ``Include`` has brought.
    """

    configuration: Configuration
    entries: tuple[Entry, ...]
    changes: tuple[Change, ...]
    includes: Mapping[Position, Sequence[Path]]


def load_configuration(path: Path) -> Configuration:
    """Read, validate and type a configuration with all that it includes.

    Nothing is written; the folders and files that it names are looked at.

    Raises:
        ConfigurationError: with every problem in it, each as ``file:line: what is wrong``.
    """
    return examine(path).configuration


def load_for_reading(path: Path, as_of: datetime | None = None) -> Configuration:
    """The same, where the store is only read, perhaps on a bare machine without DiffDir, TempDir and GpgKeyring.

    Args:
        as_of: the store is read as it was then, timezone-aware; None is now.
    """
    found = examine(path, is_for_reading=True).configuration
    return replace(found, store=replace(found.store, as_of=as_of))


def examine(path: Path, text: str | None = None, *, is_for_reading: bool = False) -> Examined:
    """The same, and what the files are like.

    Args:
        path: of the configuration.
        text: what it shall hold; it need not exist then.
        is_for_reading: see ``load_for_reading``.

    Raises:
        ConfigurationError: with every problem in it, each as ``file:line: what is wrong``.
    """
    problems = Problems()
    entries = _read(path, problems, text)
    configuration = _configuration(path, entries, problems, is_for_reading=is_for_reading)
    return Examined(configuration, entries, problems.changes, problems.includes)


def _configuration(path: Path, entries: Sequence[Entry], problems: Problems, *, is_for_reading: bool) -> Configuration:
    reader = BlockReader(problems)
    general = reader.read_file(entries, Position(str(path), 1))
    store = store_settings(general, problems)
    encryption = encryption_settings(general, problems)
    _check_host_name(general, problems)
    told = notices(general, problems)
    jobs = [_without_store(job, store.folder, problems) for job in _named(reader.jobs, store.prefix, problems)]
    _require_answers(general, store, problems)
    _check_folders(general, problems, may_be_missing=is_for_reading)
    check_reach(reader.excludes, reader.jobs, problems)
    for job in jobs:
        _check_option_files(job, problems)
        _warn_of_wildcards(job, problems)
    if store.folder is None:
        _check_key_file(general, problems)
    problems.raise_errors()
    return Configuration(
        path=path,
        store=store,
        encryption=encryption,
        host_name=general.text(Directives.HOST_NAME),
        concurrency=Concurrency(general.integer(Directives.JOBS), general.integer(Directives.JOBS_PER_SERVER)),
        longest_run=general.integer(Directives.LONGEST_RUN),
        diff_dir=general.path(Directives.DIFF_DIR),
        temp_dir=general.path(Directives.TEMP_DIR),
        notices=told,
        jobs=tuple(jobs),
        warnings=problems.warnings,
    )


def _read(path: Path, problems: Problems, text: str | None) -> tuple[Entry, ...]:
    try:
        return read_configuration(path, problems, text)
    except ConfigurationError as error:
        here = next((name for name in (path.name, path.stem) if os.path.isfile(name)), "")  # noqa: PTH113
        if not here or os.path.lexists(path) or not path.is_absolute():
            raise
        hint = f"{error}; there is a file {here} in the current folder: if that is meant, write -c ./{here}"
        raise ConfigurationError([hint]) from error


def _named(jobs: Sequence[Job], prefix: str, problems: Problems) -> list[Job]:
    """The jobs with their qualified names; names that clash or cannot become keys are reported."""
    names = qualified_names([WantedName(job.name, job.cycle) for job in jobs])
    first: dict[str, Job] = {}
    for job, name in zip(jobs, names, strict=True):
        other = first.setdefault(name, job)
        if other is not job:
            problems.error(job.position, _clash(job, other, name))
        problem = key_problem(prefix, name)
        if problem:
            problems.error(job.position, f"{job.kind}: {problem}")
    return [replace(job, name=name) for job, name in zip(jobs, names, strict=True)]


def _without_store(job: Job, folder: Path | None, problems: Problems) -> Job:
    """Leave a directory store that lies within a source's tree out of that source's archives.

    Each archive would hold all those before it, and a part of itself. This goes by names alone, since a source that
    hangs must not be touched yet; its own look finds all other ways in which a store can lie in it.
    """
    if folder is None or not kind_of(job.kind).holds_tree:
        return job
    if Path(job.target).is_relative_to(folder):
        problems.error(job.position, f"{job.source} lies in the store {folder} itself; give the store another folder")
    exclude = job.settings.exclude
    if folder.is_relative_to(job.target):
        exclude = (*exclude, literal_pattern(str(folder)))
    return replace(job, settings=replace(job.settings, exclude=exclude, store=folder))


def _clash(job: Job, other: Job, name: str) -> str:
    shown_name = name or "the root directory"
    if job.source == other.source and job.cycle == other.cycle:
        return f"{job.source} is listed already at {other.position}"
    advice = "put them into Cycles of different names"
    return f"{job.source} would use the name {shown_name}, as {other.source} at {other.position} does; {advice}"


def _check_host_name(general: Scope, problems: Problems) -> None:
    name = general.text(Directives.HOST_NAME)
    if len(name) > 255 or any(character.isspace() for character in name):
        problems.error(general.at(Directives.HOST_NAME), "HostName is one word of at most 255 characters")


def _require_answers(general: Scope, store: StoreSettings, problems: Problems) -> None:
    """Look whether the file systems answer on which our own folders lie, before anything else is asked of them.

    Raises:
        ConfigurationError: one does not, for as long as StallTimeout.
    """
    own = (Directives.DIFF_DIR, Directives.TEMP_DIR, Directives.GPG_HOME, Directives.GPG_KEYRING)
    folders = [*((directive, general.path(directive)) for directive in own), (Directives.BUCKET, store.folder)]
    named = {str(folder): directive for directive, folder in folders if folder is not None}
    try:
        require_answers(list(named), store.stall_timeout)
    except SourceSilent as error:
        directive = named[error.path]
        problems.error(general.at(directive), f"{directive.name} {error}")
        problems.raise_errors()


def _check_folders(general: Scope, problems: Problems, *, may_be_missing: bool) -> None:
    for directive in (Directives.DIFF_DIR, Directives.TEMP_DIR):
        folder = general.path(directive)
        if folder is None:
            continue
        if not _is_folder(folder) and not (may_be_missing and not os.path.lexists(folder)):
            problems.error(general.at(directive), _not_a_folder(directive.name, folder))
            continue
        # In TempDir we use nothing but files of our own, and those without a name.
        shared = directive is Directives.TEMP_DIR
        _check_owner(partial(require_own, shared=shared), directive, general, problems)
    keyring, home = general.path(Directives.GPG_KEYRING), general.path(Directives.GPG_HOME)
    if keyring is not None and not (may_be_missing and not os.path.lexists(keyring)):
        can_be_seen = _check_owner(require_own, Directives.GPG_KEYRING, general, problems)
        if can_be_seen and not os.access(keyring, os.R_OK):
            problems.error(
                general.at(Directives.GPG_KEYRING), f"GpgKeyring {keyring} cannot be read; is there such a file?"
            )
    if home is not None:
        can_be_seen = _check_owner(require_own, Directives.GPG_HOME, general, problems)
        if can_be_seen and not _is_folder(home):
            problems.error(general.at(Directives.GPG_HOME), f"GpgHome {home} is not a folder")


def _not_a_folder(name: str, folder: Path) -> str:
    try:
        folder.lstat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        return f"{name} {folder} cannot be looked at: {error.strerror}"
    else:
        return f"{name} {folder} is not a folder that can be used"
    return f"{name} {folder} does not exist; create it with: mkdir -m 700 -p {folder}"


def _check_owner(require: Callable[[Path], None], directive: AbsolutePath, general: Scope, problems: Problems) -> bool:
    """Report a file or folder that others can change; False if it cannot be looked at."""
    path = general.path(directive)
    if path is None:
        return True
    try:
        require(path)
    except ChangeableByOthers as error:
        problems.error(general.at(directive), f"{directive.name} {error}")
    except OSError as error:
        problems.error(general.at(directive), f"{directive.name} {path} cannot be looked at: {error.strerror}")
        return False
    return True


def _check_option_files(job: Job, problems: Problems) -> None:
    """Report files that programs read because an option names them, and that others can change."""
    for word in (*job.settings.tar_options, *job.settings.mysql_options):
        option, _, value = word.partition("=")
        # A relative path is refused where the options are looked at.
        if option not in _OPTIONS_WITH_FILES or not value.startswith("/"):
            continue
        try:
            require_own(Path(value))
        except ChangeableByOthers as error:
            problems.error(job.position, f"{option}: {error}")
        except OSError as error:
            problems.error(job.position, f"{option}: {shown(value)} cannot be looked at: {error.strerror}")


def _warn_of_wildcards(job: Job, problems: Problems) -> None:
    """Warn of a path with wildcards, which the original's shell expanded; there may be one that is called so."""
    if job.kind in _ONCE_EXPANDED and glob.has_magic(job.target) and not os.path.lexists(job.target):
        folder = re.split(r"[*?[]", job.target)[0].rpartition("/")[0] or "/"
        advice = f"name each one, or write {job.kind} {folder} and Exclude what is not to be in it"
        problems.warning(job.position, f"{shown(str(job.source))}: wildcards are not expanded; {advice}")


def _is_folder(path: Path) -> bool:
    # Path.is_dir() raises on a name that is too long, and where the folder above may not be searched.
    try:
        return path.is_dir()
    except OSError:
        return False


def _check_key_file(general: Scope, problems: Problems) -> None:
    path = general.path(Directives.S3_KEYFILE)
    if path is None:
        return
    try:
        warning = read_key_file(path).warning
    except UnusableKeyFile as error:
        problems.error(general.at(Directives.S3_KEYFILE), str(error))
        return
    if warning:
        problems.warning(general.at(Directives.S3_KEYFILE), warning)
