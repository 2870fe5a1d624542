"""What every source of one run is backed up with: looked up, tried out and found usable before the first of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field
from datetime import date
from pathlib import Path

from s3napback.adopting import find_owner, state_of
from s3napback.backup.journal import Journal
from s3napback.backup.survey import Survey
from s3napback.config.settings import Configuration
from s3napback.deciding.facts import BackupOptions, RunFacts
from s3napback.encryption.gpg import Encryption, prepare_encryption
from s3napback.errors import StoreUnreachable
from s3napback.records import dataclass
from s3napback.rotation import day_number
from s3napback.sources.in_use import DatabasesInUse
from s3napback.sources.registry import Tools, needs_tar
from s3napback.state import StoreState
from s3napback.stores import Store
from s3napback.surroundings import configured_store, find_gnu_tar, host_name, temp_dir
from s3napback.zones import zone_warning


@dataclass(frozen=True)
class RunContext:
    """One run of one configuration.

    Attributes:
        facts: what decisions about all of its sources depend on.
        state: the part of DiffDir that belongs to the store.
        temp_dir: where UseTempFile puts the encrypted stream, and SQLite databases are copied to.
        encryption: how archives are encrypted; None is not at all.
        tools: what its sources are made with.
        journal: of what came of each source.
        survey: what one look at all of the store has told.
        unreachable: why the store could not be looked at. It may answer by the time that a source needs it.
    """

    configuration: Configuration
    facts: RunFacts
    store: Store
    state: StoreState
    temp_dir: Path
    survey: Survey
    encryption: Encryption | None = None
    tools: Tools = field(default_factory=Tools)
    journal: Journal = field(default_factory=Journal)
    unreachable: StoreUnreachable | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What deserves a look before anything is begun, one line each."""
        of_keys = self.encryption.warnings if self.encryption else ()
        return (*filter(None, [zone_warning()]), *self.configuration.warnings, *of_keys)


@contextmanager
def prepared_run(
    configuration: Configuration, today: date, options: BackupOptions, *, patient: bool
) -> Iterator[RunContext]:
    """Look up what a run needs; while the context lasts, it is there.

    Args:
        configuration: validated.
        today: the calendar date that the run counts for.
        options: those of the command line.
        patient: keep trying for minutes to reach the store; otherwise give up soon.

    Raises:
        UnusableConfiguration: a program, a key, the store or a folder cannot be used.
    """
    tar = find_gnu_tar() if any(map(needs_tar, configuration.jobs)) else Tools.tar
    folder = temp_dir(configuration)
    store = configured_store(configuration, patient=patient)
    with prepare_encryption(configuration.encryption, today) as encryption:
        unreachable = None
        try:
            store.check()
        except StoreUnreachable as error:
            unreachable = error
        prefix, state = configuration.store.prefix, state_of(configuration)
        if unreachable is None:
            find_owner(state, store)
        yield RunContext(
            configuration=configuration,
            facts=RunFacts(
                host=host_name(configuration),
                day=day_number(today),
                location=store.location,
                prefix=prefix,
                recipients=encryption.fingerprints if encryption else (),
                signer=encryption.signer if encryption else "",
                is_plain_on_purpose=configuration.encryption.is_off,
                options=options,
            ),
            store=store,
            state=state,
            temp_dir=folder,
            survey=Survey(store, prefix, len(configuration.jobs)),
            encryption=encryption,
            tools=Tools(tar, str(folder), DatabasesInUse(configuration.jobs)),
            unreachable=unreachable,
        )
