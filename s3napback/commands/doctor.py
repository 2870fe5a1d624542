"""``doctor``: what is there, and what is to be done, before it is missed. Changes nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import date, datetime, timezone
from pathlib import Path

from s3napback.adopting import state_of
from s3napback.config.loading import load_configuration
from s3napback.config.settings import Configuration
from s3napback.doctor.bucket import PART, judge_bucket
from s3napback.doctor.checks import MOST_WIDTH, Check, bad, exit_code, good, json_document, table
from s3napback.doctor.machine import (
    check_configuration,
    check_folders,
    check_keys,
    check_room,
    check_schedule,
    check_starting,
    check_tools,
)
from s3napback.doctor.sources import PART as SOURCES
from s3napback.doctor.sources import check_sources
from s3napback.errors import ConfigurationError, S3napbackError
from s3napback.foresight.early_deletion import early_deletions
from s3napback.stores.s3_examining import Right
from s3napback.surroundings import configured_store, examined_bucket, home_folder

logger = logging.getLogger("s3napback")


def examine(
    path: Path,
    today: date,
    say: Callable[..., None],
    *,
    as_json: bool = False,
    root: Path = Path("/"),
    width: int = MOST_WIDTH,
) -> int:
    """Look at everything that a configuration needs, and tell of each what was found.

    Args:
        path: of the configuration.
        today: the local calendar date.
        say: takes the result.
        root: of the file system in which cron and systemd are looked for.
        width: columns of the terminal.

    Returns:
        The exit code: 1 if something is to be done.
    """
    try:
        configuration = load_configuration(path)
    except ConfigurationError as error:
        checks = [bad("configuration", "text", problem) for problem in error.problems]
    else:
        checks = [check for part in _parts(configuration, today, root) for check in _looked(part)]
    say(*(json_document(str(path), checks).split("\n") if as_json else table(checks, width)))
    return exit_code(checks)


def _parts(
    configuration: Configuration, today: date, root: Path
) -> Iterator[tuple[str, Callable[[], Iterator[Check]]]]:
    """The parts, in order, each by its name. A further one is one line here."""
    states = [*state_of(configuration).all()] if _can_open(configuration) else []
    yield "configuration", lambda: check_configuration(configuration, early_deletions(configuration))
    yield "keys", lambda: check_keys(configuration, today)
    yield "tools", lambda: check_tools(configuration.jobs, configuration.notices)
    yield SOURCES, lambda: check_sources(configuration, states)
    yield "folders", lambda: check_folders(configuration)
    yield "room", lambda: check_room(configuration, states)
    yield PART, lambda: check_store(configuration)
    yield "schedule", lambda: check_schedule(configuration, states, today)
    yield "start", lambda: check_starting(root, home=_home())


def _looked(part: tuple[str, Callable[[], Iterator[Check]]]) -> list[Check]:
    """One part's rows; whatever goes wrong in it costs the others nothing."""
    name, look = part
    try:
        return list(look())
    except (S3napbackError, OSError) as error:
        logger.debug("details", exc_info=True)
        return [bad(name, "look", str(error))]


def _home() -> Path | None:
    try:
        return home_folder()
    except S3napbackError:
        return None


def _can_open(configuration: Configuration) -> bool:
    try:
        configured_store(configuration, patient=False)
    except S3napbackError:
        return False
    return True


def check_store(configuration: Configuration) -> Iterator[Check]:
    """Whether the store can be used, and what protects it from whoever has this machine's key."""
    store = configured_store(configuration, patient=False)
    try:
        store.check()
        is_another = state_of(configuration).knows_store() and not store.is_recognised()
    except S3napbackError as error:
        yield bad(PART, "access", str(error))
        return
    if is_another:
        yield bad(
            PART,
            "access",
            f"{store.location} does not hold the mark that earlier backups left there, so that no run backs up to it. "
            "Is the disk not mounted? If it was emptied on purpose, run once with -f",
        )
        return
    yield good(PART, "access", f"{store.location} can be used")
    bucket, prefix = examined_bucket(configuration), configuration.store.prefix
    if bucket is None:
        yield good(
            PART, "older versions", "a folder keeps none: whoever can write to it can destroy every backup in it"
        )
        return
    rights = {right: bucket.may(right, prefix) for right in Right}
    yield from judge_bucket(configuration, bucket.told(prefix), rights, datetime.now(timezone.utc))
