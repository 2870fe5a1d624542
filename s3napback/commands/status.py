"""``status``: how things stand with every backup, by the words of runs, held against what the store holds."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path

from s3napback import __version__
from s3napback.catalogue.words import read_stored, read_wordless
from s3napback.config.loading import load_configuration
from s3napback.config.settings import Configuration
from s3napback.errors import S3napbackError, SourceError
from s3napback.formatting import printable
from s3napback.listing.standing_text import check_line, json_document, table
from s3napback.run_lock import cut_off
from s3napback.surroundings import configured_store, diff_dir, host_name
from s3napback.watch.keys import Place
from s3napback.watch.overview import Standing, overall, standings, standings_of
from s3napback.watch.states import State
from s3napback.watch.word import Word, written

logger = logging.getLogger("s3napback")

Say = Callable[..., None]


def show(configuration: Configuration, say: Say, *, as_json: bool, width: int = 0) -> int:
    """Show how things stand: with one configuration, or, if that names no sources, with all that its store holds.

    Args:
        say: takes the result.
        as_json: as a document, not as a table.
        width: columns of the terminal; 0 for none.

    Returns:
        The exit code.

    Raises:
        StoreError: the store could not be read.
        UnusableStore: it does not exist, or may not be read.
    """
    found, location = look(configuration)
    if as_json:
        say(*json_document(found, location, configuration.store.prefix).split("\n"))
    else:
        say(*table(found, datetime.now().astimezone().date(), width))
    return 0


def check(paths: Sequence[Path], say: Say) -> int:
    """Say in one line how things stand with some configurations, for a monitoring program.

    Returns:
        The exit code that such programs understand: 0 all is well, 1 a warning, 2 critical, 3 not known.
    """
    found: list[Standing] = []
    for path in paths:
        try:
            found += look(load_configuration(path))[0]
        except S3napbackError as error:
            logger.debug("details", exc_info=True)
            say(printable(f"{State.UNKNOWN.name} - {path}: {error}").replace("|", "!"))
            return State.UNKNOWN.value
    found.sort(key=lambda each: -each.verdict.state.badness)
    say(check_line(found))
    return overall(found).value


def look(configuration: Configuration) -> tuple[list[Standing], str]:
    """How things stand, the worst first, and the store's address.

    Raises:
        StoreError: the store could not be read.
        UnusableStore: it does not exist, or may not be read.
    """
    store = configured_store(configuration, patient=False)
    prefix, now = configuration.store.prefix, datetime.now(timezone.utc)
    if not configuration.jobs:
        stored = read_stored(store, prefix)
        return standings(stored, read_wordless(store, stored), now), store.location
    if said := cut_off(diff_dir(configuration)):
        logger.warning(
            "the last run here did not end: it was killed, or the machine went down (%s). What it made until then is "
            "in the store, see “s3napback list”; the next run makes what is lacking, or start one now",
            said,
        )
    place = Place(prefix, host_name(configuration), configuration.path.stem)
    return standings_of(configuration.jobs, place, read_stored(store, prefix, place), now), store.location


def forget(configuration: Configuration, name: str, say: Say, *, test: bool) -> int:
    """Note in the store that a machine is gone on purpose, so that nobody asks for its backups any more.

    A note, in the word's place, because without a word its archives would be reported. Its next run replaces it.

    Args:
        name: ``HOST/CONF``.
        say: takes what was done.
        test: only say what would be.

    Raises:
        SourceError: there is no such host, or there are several of them.
        StoreError: the store could not be read, or written to.
    """
    store = configured_store(configuration, patient=False)
    stored = read_stored(store, configuration.store.prefix)
    host, _, conf = name.rpartition("/")
    places = [each.place for each in stored.heard if (each.place.host, each.place.configuration) == (host, conf)]
    if not places and host:
        wordless = read_wordless(store, stored)
        places = [Place(each.prefix, host, conf) for each in wordless if each.host == host]
    if len(places) != 1:
        raise SourceError(_why_not_one(name, places, [str(each.place) for each in stored.heard]))
    (place,) = places
    if not test:
        now = datetime.now(timezone.utc)
        word = Word(__version__, host, conf, "", now, now, 0, ran=False, exit=0, forgotten=True)
        store.put(place.key, io.BytesIO(written(word)), {}, is_helper=True)
    say(f"{place} {'would be' if test else 'is'} forgotten; its archives stay, and its next run is watched again")
    return 0


def _why_not_one(name: str, places: Sequence[Place], known: Sequence[str]) -> str:
    if places:
        below = ", ".join(place.prefix or "none" for place in places)
        return f"{name} is there below several prefixes ({below}): name one with Prefix in the configuration"
    shown = ", ".join(sorted(known)) or "none"
    return (
        f"no run of {name} has left a word, and no archives are of that host; it is HOST/CONF, and there are: {shown}"
    )
