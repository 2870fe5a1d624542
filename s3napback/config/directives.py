"""The table of all directives and blocks: what each is called, takes, defaults to, and where it may stand.

Validation is driven by it, settings are read by its rows, and the manual and ``--help`` are tested against it. It is
the only place of defaults, but for those of cycles, which are cycles' own. What is found in it by its name, ``naming``
finds.
"""

from __future__ import annotations

from s3napback.config.descriptions import (
    AbsolutePath,
    DirectiveContext,
    Enumeration,
    Integer,
    Switch,
    Text,
    Tolerance,
    WordList,
)
from s3napback.kinds import COMMAND, DIRECTORY, MYSQL, POSTGRESQL
from s3napback.rotation import HanoiCycle, SimpleCycle

GLOBAL = frozenset({DirectiveContext.FILE})
ANYWHERE = frozenset(DirectiveContext)
_IN_BLOCK = frozenset({DirectiveContext.SOURCE})
SIMPLE_CYCLE = "SimpleCycle"
HANOI_CYCLE = "HanoiCycle"
_EVER = 36_500
_MOST_SLOTS = 10_000
_LONGEST_STALL = 30 * 86_400
_OF_DIRECTORIES = (DIRECTORY.name,)
_OF_COMMANDS = (COMMAND.name,)


class Directives:
    """Every directive that is a setting, in the table's order; what is read of a configuration is read by these."""

    BUCKET = Text(
        "Bucket",
        GLOBAL,
        "Where archives go: the name of an S3 bucket, or file:///FOLDER for a directory store.",
        otherwise="required",
    )
    PREFIX = Text("Prefix", GLOBAL, "Put before every key, followed by a slash.", otherwise="none")
    ENDPOINT = Text("Endpoint", GLOBAL, "URL of another S3 server.", otherwise="Amazon's")
    REGION = Text("Region", GLOBAL, "The bucket's region.", otherwise="the account's")
    S3_KEYFILE = AbsolutePath(
        "S3Keyfile",
        GLOBAL,
        "File with the lines key=…, secret=… and, if there is one, token=….",
        otherwise="boto3's own search for credentials",
    )
    STORAGE_CLASS = Text("StorageClass", GLOBAL, "S3 storage class of new archives.", otherwise="the bucket's")
    FULL_STORAGE_CLASS = Text(
        "FullStorageClass", GLOBAL, "The same of FULLs, where it is another one.", otherwise="StorageClass"
    )
    DIFF_STORAGE_CLASS = Text(
        "DiffStorageClass", GLOBAL, "The same of DIFFs, where it is another one.", otherwise="StorageClass"
    )
    SERVER_SIDE_ENCRYPTION = Enumeration(
        "ServerSideEncryption",
        GLOBAL,
        "Encryption at rest by the S3 server, besides gpg's.",
        otherwise="the bucket's",
        choices=("AES256", "aws:kms", "aws:kms:dsse"),
    )
    SSE_KMS_KEY_ID = Text(
        "SseKmsKeyId", GLOBAL, "Key for ServerSideEncryption aws:kms or aws:kms:dsse.", otherwise="the account's"
    )
    REQUESTER_PAYS = Switch(
        "RequesterPays",
        GLOBAL,
        "Pay for the requests, as a bucket of somebody else's may demand that is set up so.",
        value=False,
    )
    OBJECT_LOCK = Enumeration(
        "ObjectLock",
        GLOBAL,
        "Locks archives until their slots are filled anew, so that nobody can delete them for good before; only an "
        "administrator can who may bypass governance, and nobody compliance.",
        otherwise="the bucket's default retention",
        choices=("governance", "compliance"),
    )
    LOCK_DAYS = Integer(
        "LockDays",
        GLOBAL,
        "Days that ObjectLock lasts longer: for so long the machine may be off, or its runs fail.",
        value=14,
        minimum=1,
        maximum=_EVER,
    )
    CHUNK_SIZE = Integer(
        "ChunkSize",
        GLOBAL,
        "Size in bytes of the parts in which an archive is uploaded; at least 5 MiB are used.",
        value=25_000_000,
        minimum=1,
        maximum=5 * 1024**3,
    )
    UPLOAD_THREADS = Integer(
        "UploadThreads",
        GLOBAL,
        "Parts uploaded at the same time; memory is (UploadThreads + 1) × ChunkSize.",
        value=4,
        minimum=1,
        maximum=64,
    )
    JOBS = Integer(
        "Jobs",
        GLOBAL,
        "Sources backed up at the same time; memory for parts is shared among them.",
        value=1,
        minimum=1,
        maximum=64,
    )
    JOBS_PER_SERVER = Integer(
        "JobsPerServer",
        GLOBAL,
        "Sources dumped from one database server at the same time.",
        value=1,
        minimum=1,
        maximum=64,
    )
    BANDWIDTH_LIMIT = WordList(
        "BandwidthLimit",
        GLOBAL,
        "Bytes per second to and from the store, all at once: 2M, or by the local time: 08:00-18:00 2M, else 20M.",
        otherwise="none",
        adds_up=False,
    )
    LONGEST_RUN = Integer(
        "LongestRun",
        GLOBAL,
        "Hours from a run's begin after which no further source begins: it waits for the next night; 0 is for ever.",
        value=0,
        maximum=8_760,
    )
    ENCRYPTION = Enumeration(
        "Encryption",
        GLOBAL,
        "Off says that archives are meant to be plain text; without it and without a GpgRecipient each run warns.",
        otherwise="the one that GpgRecipient implies",
        choices=("On", "Off"),
    )
    GPG_RECIPIENT = WordList(
        "GpgRecipient",
        GLOBAL,
        "gpg keys to encrypt archives to: fingerprint, address or whole user id; may be repeated.",
        otherwise="none: no encryption",
    )
    GPG_KEYRING = AbsolutePath(
        "GpgKeyring", GLOBAL, "File of public keys that holds the recipients' keys.", otherwise="gpg's own"
    )
    GPG_SIGN_KEY = Text(
        "GpgSignKey",
        GLOBAL,
        "Key to sign archives with, for --require-signature; best its fingerprint.",
        otherwise="none: no signatures",
    )
    GPG_HOME = AbsolutePath("GpgHome", GLOBAL, "gpg's home folder.", otherwise="gpg's own")
    DIFF_DIR = AbsolutePath(
        "DiffDir",
        GLOBAL,
        "Folder for what DIFFs need: tar's snapshots and the chains; must exist if it is given.",
        otherwise="/var/lib/s3napback, or the user's state folder",
    )
    TEMP_DIR = AbsolutePath(
        "TempDir",
        GLOBAL,
        "Folder for the files of UseTempFile and copies of SQLite databases; must exist if it is given.",
        otherwise="the system's",
    )
    HOST_NAME = Text(
        "HostName", GLOBAL, "The name under which archives in the store are owned.", otherwise="the machine's name"
    )
    PING_URL = Text(
        "PingUrl",
        GLOBAL,
        "Address that is asked for when a run begins (with /start behind it), has been good, or has not (with /fail).",
        otherwise="none",
    )
    PING_LOG = Switch(
        "PingLog",
        GLOBAL,
        "Whether the ping at the end carries the last lines of the log, with names of files in them.",
        value=False,
    )
    METRICS_FILE = AbsolutePath(
        "MetricsFile",
        GLOBAL,
        "File of metrics for Prometheus' node_exporter, written anew after each run.",
        otherwise="none",
    )
    ON_SUCCESS = WordList(
        "OnSuccess", GLOBAL, "Program and arguments to be run after a good run.", otherwise="none", adds_up=False
    )
    ON_FAILURE = WordList(
        "OnFailure", GLOBAL, "Program and arguments to be run after any other run.", otherwise="none", adds_up=False
    )
    CYCLE_TYPE = Enumeration(
        "CycleType",
        ANYWHERE,
        "SimpleCycle keeps backups at fixed intervals, HanoiCycle on a decaying schedule.",
        value=SIMPLE_CYCLE,
        choices=(SIMPLE_CYCLE, HANOI_CYCLE),
    )
    FREQUENCY = Integer(
        "Frequency",
        ANYWHERE,
        "Days from one backup to the next.",
        value=SimpleCycle.frequency,
        minimum=1,
        maximum=_EVER,
    )
    PHASE = Integer(
        "Phase",
        ANYWHERE,
        "Shifts the days on which backups fall; less than Frequency.",
        value=SimpleCycle.phase,
        cycle=SIMPLE_CYCLE,
        maximum=_EVER,
    )
    OFFSET = Integer(
        "Offset",
        ANYWHERE,
        "Backups by which FULLs come earlier; with Frequency 1 and Diffs 6 it chooses their day of the week.",
        value=SimpleCycle.offset,
        cycle=SIMPLE_CYCLE,
        maximum=_MOST_SLOTS,
    )
    DIFFS = Integer(
        "Diffs",
        ANYWHERE,
        "Incremental backups after each full one; databases have none.",
        value=SimpleCycle.diffs,
        cycle=SIMPLE_CYCLE,
        maximum=_MOST_SLOTS,
    )
    FULLS = Integer(
        "Fulls",
        ANYWHERE,
        "Full backups kept, each with its Diffs.",
        value=SimpleCycle.fulls,
        cycle=SIMPLE_CYCLE,
        minimum=1,
        maximum=_MOST_SLOTS,
    )
    DISCS = Integer(
        "Discs",
        ANYWHERE,
        "Full backups kept, their ages being powers of two.",
        value=HanoiCycle.discs,
        cycle=HANOI_CYCLE,
        minimum=1,
        maximum=30,
    )
    ARCHIVE_OLDEST_DISC = Switch(
        "ArchiveOldestDisc",
        ANYWHERE,
        "Keep every backup of the oldest disc for good.",
        value=HanoiCycle.archive_oldest_disc,
        cycle=HANOI_CYCLE,
    )
    GRACE = Integer(
        "Grace",
        ANYWHERE,
        "Days that a backup may come later than its cycle says before `status` calls it late.",
        value=0,
        maximum=_EVER,
    )
    EXCLUDE = WordList(
        "Exclude",
        ANYWHERE,
        "Patterns of what to leave out; anchored with a leading slash, else matched at any depth; adds up inwards.",
        otherwise="nothing",
        kinds=_OF_DIRECTORIES,
    )
    ONE_FILE_SYSTEM = Switch(
        "OneFileSystem",
        ANYWHERE,
        "Stay on the file system on which the directory lies.",
        value=False,
        kinds=_OF_DIRECTORIES,
    )
    UNREADABLE = Tolerance(
        "Unreadable",
        ANYWHERE,
        "What files and folders do that cannot be read: fail the source, or cost themselves, with a warning that names "
        "them, as long as they are not more than the number (1000 if it is left out).",
        warned=1000,  # more than that look like a broken disk, and less like files that each deserve a word
        kinds=_OF_DIRECTORIES,
        maximum=1_000_000,
    )
    TAR_OPTIONS = WordList(
        "TarOptions",
        ANYWHERE,
        "More options for tar, values attached with “=”.",
        otherwise="none",
        kinds=_OF_DIRECTORIES,
    )
    MYSQL_OPTIONS = WordList(
        "MySQLOptions", ANYWHERE, "More options for mysqldump.", otherwise="none", kinds=(MYSQL.name,)
    )
    POSTGRESQL_OPTIONS = WordList(
        "PostgreSQLOptions",
        ANYWHERE,
        "More options for pg_dump and pg_dumpall.",
        otherwise="none",
        kinds=(POSTGRESQL.name,),
    )
    RUN = WordList(
        "Run",
        _IN_BLOCK,
        "The program and its arguments; what it writes to standard output is kept.",
        otherwise="required",
        kinds=_OF_COMMANDS,
        adds_up=False,
        is_needed=True,
    )
    RUN_AS = Text(
        "RunAs", _IN_BLOCK, "Whose rights the program has; only for root.", otherwise="one's own", kinds=_OF_COMMANDS
    )
    ENVIRONMENT = WordList(
        "Environment", _IN_BLOCK, "NAME=VALUE, given to the program.", otherwise="nothing", kinds=_OF_COMMANDS
    )
    LEAST_BYTES = Integer(
        "LeastBytes",
        _IN_BLOCK,
        "Bytes that the program writes at least, before compression; with fewer the source fails.",
        value=1,
        kinds=_OF_COMMANDS,
        minimum=1,
        maximum=10**15,
    )
    DRILL = WordList(
        "Drill",
        _IN_BLOCK,
        "A program and its arguments that a drill gives the output to; it judges by its exit status.",
        otherwise="none",
        kinds=_OF_COMMANDS,
        adds_up=False,
    )
    DRILL_EVERY = Integer(
        "DrillEvery",
        ANYWHERE,
        "Days after which “drill --due” proves a source again; 0 is never.",
        value=0,
        minimum=0,
        maximum=36_500,
    )
    BEFORE = WordList(
        "Before",
        _IN_BLOCK,
        "Program and arguments to be run before the block's sources are looked at; they fail if it does.",
        otherwise="nothing",
        adds_up=False,
    )
    AFTER = WordList(
        "After",
        _IN_BLOCK,
        "Program and arguments to be run when the block's sources are done, whatever came of them and of Before.",
        otherwise="nothing",
        adds_up=False,
    )
    USE_TEMP_FILE = Switch(
        "UseTempFile",
        ANYWHERE,
        "Finish the dump, encrypted, in a temporary file before the upload begins.",
        value=False,
    )
    STALL_TIMEOUT = Integer(
        "StallTimeout",
        ANYWHERE,
        "Seconds without any progress after which a source fails; the store's, and those of restore and verify, are "
        "those at file level; 0 is for ever.",
        value=14_400,  # tar may look at many millions of unchanged files before it writes; morning comes later still
        maximum=_LONGEST_STALL,
    )
    COMPRESSION = Enumeration(
        "Compression", ANYWHERE, "How archives are compressed.", value="gzip", choices=("gzip", "zstd", "none")
    )
    COMPRESSION_LEVEL = Integer(
        "CompressionLevel", ANYWHERE, "1–9 for gzip, 1–19 for zstd.", otherwise="a fast one", minimum=1, maximum=19
    )
