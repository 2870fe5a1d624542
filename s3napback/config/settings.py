"""What a validated configuration says, typed. Nothing here reads files or looks at the machine."""

from __future__ import annotations

from dataclasses import field
from datetime import datetime
from pathlib import Path

from s3napback.config.bandwidth import UNLIMITED, Bandwidth
from s3napback.config.directives import Directives
from s3napback.kinds import SourceName
from s3napback.records import dataclass
from s3napback.rotation import Schedule


@dataclass(frozen=True)
class Position:
    """Where in which file something is written.

    Attributes:
        file: as it was named or included.
        line: from 1.
    """

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Credentials:
    """What requests to S3 are signed with; without a key boto3 looks for credentials itself, and renews them.

    Attributes:
        key: the access key's id.
        secret: the secret access key; not shown by ``repr``.
        token: of a temporary session; empty for a lasting key.
    """

    key: str = ""
    secret: str = field(default="", repr=False)
    token: str = field(default="", repr=False)


@dataclass(frozen=True)
class Chosen:
    """What the surroundings choose where the configuration leaves it open.

    Attributes:
        endpoint: URL of the S3 server where Endpoint is not set, without user and password; empty for Amazon's.
        region: where Region is not set; may be empty.
    """

    endpoint: str = ""
    region: str = ""


@dataclass(frozen=True)
class StoreSettings:
    """Where archives go.

    Attributes:
        bucket: the bucket's name; empty for a directory store.
        folder: the directory store's absolute folder; None for S3.
        endpoint: URL of an S3 server; empty for Amazon's.
        prefix: put before every key, without slashes at its ends; may be empty.
        key_file: S3Keyfile; None leaves credentials to boto3.
        chunk_size: bytes in one part of an upload.
        upload_threads: parts under way at once.
        stall_timeout: seconds without an answer after which a request fails, where its own limits are not shorter; 0
            leaves it to those.
        requester_pays: every request says that whoever makes it pays for it.
        object_lock: ``governance`` or ``compliance``; empty locks nothing.
        lock_days: days for which what is locked stays so after its slot should have been filled anew.
        bandwidth: how fast bytes may go to it and come from it.
        as_of: the store is shown as it was at this moment, timezone-aware, and can be read alone; None is now.
        chosen: what no directive says.
    """

    bucket: str = ""
    folder: Path | None = None
    endpoint: str = ""
    region: str = ""
    prefix: str = ""
    storage_class: str = ""
    full_storage_class: str = ""
    diff_storage_class: str = ""
    server_side_encryption: str = ""
    sse_kms_key_id: str = ""
    key_file: Path | None = None
    chunk_size: int = Directives.CHUNK_SIZE.value
    upload_threads: int = Directives.UPLOAD_THREADS.value
    stall_timeout: int = Directives.STALL_TIMEOUT.value
    requester_pays: bool = Directives.REQUESTER_PAYS.value
    object_lock: str = ""
    lock_days: int = Directives.LOCK_DAYS.value
    bandwidth: Bandwidth = UNLIMITED
    as_of: datetime | None = None
    chosen: Chosen = field(default_factory=Chosen)


@dataclass(frozen=True)
class EncryptionSettings:
    """For whom archives are encrypted; no recipients means not at all.

    Attributes:
        recipients: as written: an address, a key id or a fingerprint.
        keyring: a file of public keys to import into a private home.
        home: gpg's home directory; None is gpg's own choice.
        sign_key: whose secret key signs archives, as written; empty is nobody's.
        is_off: it was said that archives are not to be encrypted.
    """

    recipients: tuple[str, ...] = ()
    keyring: Path | None = None
    home: Path | None = None
    sign_key: str = ""
    is_off: bool = False


@dataclass(frozen=True)
class JobSettings:
    """How one source is dumped; each field is the directive of the same name.

    Attributes:
        unreadable: paths that may be unreadable; 0 is ``fail``.
        store: the folder of a directory store, which no archive may hold; None for another store. No directive.
        environment: of a command, variables by name; not shown by ``repr``.
        stall_timeout: in seconds; 0 is for ever.
        grace: in days.
        drill_every: in days; 0 is never.
    """

    exclude: tuple[str, ...] = ()
    tar_options: tuple[str, ...] = ()
    one_file_system: bool = Directives.ONE_FILE_SYSTEM.value
    unreadable: int = Directives.UNREADABLE.value
    mysql_options: tuple[str, ...] = ()
    postgresql_options: tuple[str, ...] = ()
    run: tuple[str, ...] = ()
    run_as: str = Directives.RUN_AS.value
    environment: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    least_bytes: int = Directives.LEAST_BYTES.value
    drill: tuple[str, ...] = ()
    drill_every: int = Directives.DRILL_EVERY.value
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    use_temp_file: bool = Directives.USE_TEMP_FILE.value
    stall_timeout: int = Directives.STALL_TIMEOUT.value
    grace: int = Directives.GRACE.value
    compression: str = Directives.COMPRESSION.value
    compression_level: int | None = None
    store: Path | None = None


@dataclass(frozen=True)
class Job:
    """One source in one cycle.

    Attributes:
        kind: name of a kind of source.
        target: what of that kind: a normalised absolute path, a database, ``all``, ``SOCKET:db``, ``user@db``.
        name: the key base, unique in the configuration, without the prefix.
        schedule: when, and into which slot.
        cycle: the name of the Cycle around it; empty for a block of its own.
        settings: how.
        position: of the directive or block.
    """

    kind: str
    target: str
    name: str
    schedule: Schedule
    cycle: str
    settings: JobSettings
    position: Position

    @property
    def source(self) -> SourceName:
        """Kind and target, of which people speak as ``Directory /etc``."""
        return SourceName(self.kind, self.target)


@dataclass(frozen=True)
class Notices:
    """Whom a run tells how it went.

    Attributes:
        ping_url: without a slash at its end, not shown by ``repr``; empty is nobody.
        ping_log: the ping at the end carries the last lines of the log.
        metrics_file: for the node exporter of Prometheus.
        on_success: program and arguments, to be run after a good run; empty is none.
        on_failure: the same after any other.
    """

    ping_url: str = field(default="", repr=False)
    ping_log: bool = Directives.PING_LOG.value
    metrics_file: Path | None = None
    on_success: tuple[str, ...] = ()
    on_failure: tuple[str, ...] = ()


@dataclass(frozen=True)
class Concurrency:
    """How much is done at a time.

    Attributes:
        jobs: sources.
        jobs_per_server: of them such as are dumped from one database server.
    """

    jobs: int = Directives.JOBS.value
    jobs_per_server: int = Directives.JOBS_PER_SERVER.value


@dataclass(frozen=True)
class Configuration:
    """One configuration file with all it includes.

    Attributes:
        path: the file.
        host_name: HostName, or empty for the machine's own.
        diff_dir: DiffDir if it was given.
        temp_dir: TempDir if it was given.
        longest_run: hours after which no source begins any more; 0 is for ever.
        warnings: one line each, ``file:line: what``, for things that are allowed and probably not meant.
    """

    path: Path
    store: StoreSettings
    encryption: EncryptionSettings = field(default_factory=EncryptionSettings)
    host_name: str = ""
    diff_dir: Path | None = None
    temp_dir: Path | None = None
    notices: Notices = field(default_factory=Notices)
    concurrency: Concurrency = Concurrency()
    longest_run: int = Directives.LONGEST_RUN.value
    jobs: tuple[Job, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def nothing_to_do(self) -> str:
        """What there is to be said if nothing is backed up; empty where there is a source."""
        what = "it names no source, so nothing is backed up; does an Include match nothing?"
        return "" if self.jobs else f"{self.path}: {what}"
