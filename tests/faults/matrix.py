"""The fault matrix: which faults are brought upon which stage of a run, and what must come of it.

One table. ``test_matrix.py`` and ``test_matrix_s3.py`` make a test of each of its cells; README shows what
``matrix_table`` makes of it.
"""

from __future__ import annotations

from dataclasses import replace

from tests.faults import injections as inject
from tests.faults.cells import Cell, Outcome
from tests.faulty_s3 import answer, reset, stall

IMPATIENT = "StallTimeout 2"
VERY_IMPATIENT = "StallTimeout 1"
_HANG = "exec sleep 600"
_TOLD = 'echo "told to fail" >&2; '

_SCRIPTS = {
    "fails at its start": (_TOLD + "exit 2", ("exit status 2", "told to fail"), ""),
    "fails in the middle": ('REAL "$@" | head -c MIDDLE; ' + _TOLD + "exit 3", ("exit status 3", "told to fail"), ""),
    "fails after its last byte": ('REAL "$@"; ' + _TOLD + "exit 2", ("exit status 2", "told to fail"), ""),
    "is killed": ('REAL "$@" | head -c MIDDLE; kill -9 $$', ("SIGKILL",), ""),
    "hangs": ('REAL "$@" | head -c MIDDLE; ' + _HANG, ("silent for 2 seconds", "StallTimeout"), IMPATIENT),
    "does not end": ('REAL "$@"; exec >&-; ' + _HANG, ("did not end within 2 seconds",), IMPATIENT),
    "output is cut off": ('REAL "$@" | head -c MIDDLE; cat >/dev/null; exit 0', ("cut off",), ""),
}

_DUMPS = {
    "tar": ("S3", "Directory"),
    "mysqldump": ("MySQL",),
    "pg_dump": ("PostgreSQL",),
    "svnadmin": ("Subversion",),
    "a Command": ("Command",),
}
_PROGRAMS = {"mysqldump": "mariadb-dump", "a Command": ""}

_WORDS_OF_COMMANDS = {"output is cut off": ("wrote 100000 bytes, and LeastBytes is 250000",)}
"""Nothing else can tell of what nobody looks into."""

_DUMPING = tuple(
    Cell(
        stage,
        fault,
        where,
        Outcome.FAILS,
        inject.dumping(script),
        (_PROGRAMS.get(stage, stage), *(_WORDS_OF_COMMANDS.get(fault, words) if where == "Command" else words)),
        general=general,
        full=where == "Directory",
    )
    for stage, machines in _DUMPS.items()
    for where in machines
    for fault, (script, words, general) in _SCRIPTS.items()
)

_COPYING = tuple(
    Cell("SQLite's copy", fault, "SQLite", Outcome.FAILS, injection, words, general=general)
    for fault, injection, words, general in (
        ("fails at its start", inject.away, ("does not exist",), ""),
        ("fails in the middle", inject.damaged, ("the copying of the database failed", "is damaged"), ""),
        ("is killed", inject.losing_the_copier, ("killed by SIGKILL",), "StallTimeout 60"),
        ("hangs", inject.locked, ("is locked by another program", "2 seconds (StallTimeout)"), IMPATIENT),
        ("disk is full", inject.full_temp_dir, ("No space left on device for a copy", "TempDir"), ""),
    )
)

_LOOKING = tuple(
    Cell(
        "svnlook",
        fault,
        "Subversion",
        Outcome.FAILS,
        inject.before("svnlook", script),
        ("svnlook", *words),
        general=general,
    )
    for fault, script, words, general in (
        ("fails at its start", _TOLD + "exit 2", ("exit status 2", "told to fail"), ""),
        ("is killed", "kill -9 $$", ("exit status -9",), ""),
        ("hangs", _HANG, ("no answer within 2 seconds",), IMPATIENT),
    )
)

_ENCRYPTING = tuple(
    Cell("gpg", fault, where, Outcome.FAILS, inject.encrypting(script), ("gpg", *words), general=general)
    for where in ("S3", "MySQL")
    for fault, (script, words, general) in _SCRIPTS.items()
)

_COMPRESSING = tuple(
    Cell(
        "compression",
        fault,
        "Directory",
        Outcome.FAILS,
        words=words,
        fault_name=name,
    )
    for fault, name, words in (
        ("fails at its start", "compression fails at the start", ("gzip", "no more memory can be had")),
        ("fails in the middle", "compression fails in the middle", ("gzip", "no more memory can be had")),
        ("fails after its last byte", "compression fails at its end", ("gzip", "no more memory can be had")),
    )
)

_FULL_DISK = "disk is full"
_NO_ROOM = "No space left on device"
_DISKS = (
    *(
        Cell(
            "temporary file", _FULL_DISK, where, Outcome.FAILS, inject.full_temp_dir, (_NO_ROOM, "TempDir"), settings=s
        )
        for where, s in (("Directory", "UseTempFile on"), ("S3", "UseTempFile on"), ("MySQL", "UseTempFile on"))
    ),
    Cell(
        "temporary file",
        "output is cut off",
        "S3",
        Outcome.FAILS,
        inject.shortening_the_temporary_file,
        ("temporary file", "lost its end"),
        settings="UseTempFile on",
        large=3,
    ),
    Cell("directory store", _FULL_DISK, "Directory", Outcome.FAILS, inject.full_vault, ("no space left",)),
    Cell("directory store", _FULL_DISK, "Directory", Outcome.FAILS, inject.full_vault, ("no space left",), full=True),
    Cell("tar", _FULL_DISK, "Directory", Outcome.FAILS, inject.full_diff_dir, ("diffs",)),
    Cell("note of the upload", _FULL_DISK, "MySQL", Outcome.FAILS, inject.full_diff_dir, (_NO_ROOM,)),
    *(
        Cell("state commit", _FULL_DISK, where, Outcome.LANDED, inject.diff_dir_that_fills, ("state", _NO_ROOM), full=f)
        for where, f in (("Directory", False), ("Directory", True), ("S3", False))
    ),
)

_DURING = (
    ("tar", 'REAL "$@" | head -c MIDDLE; kill -9 $PPID; exec sleep 1', "dump"),
    ("tar", 'REAL "$@"; kill -9 $PPID; exec sleep 1', "dump"),
)
_KILLS = (
    *(
        Cell("s3napback", "killed during the dump", where, Outcome.KILLED, inject.dumping(script), full=full)
        for _, script, _ in _DURING
        for where, full in (("Directory", False), ("Directory", True), ("S3", False))
    ),
    *(
        Cell("s3napback", f"killed {when} {what}", "S3", Outcome.KILLED, inject.killing(operation, after=after))
        for operation, what in (("UploadPart", "a part"), ("CompleteMultipartUpload", "completion"))
        for when, after in (("before", False), ("after", True))
    ),
    *(
        Cell("s3napback", fault, "Directory", Outcome.KILLED, fault_name=fault, full=full, remembered=remembered)
        for fault, remembered in (
            ("killed before the object is renamed", False),
            ("killed before the snapshot is moved", False),
            ("killed before the state is renamed", False),
            ("killed after the state was renamed", True),
            ("killed between commit and index", True),
            ("killed between commit and checksum", True),
        )
        for full in (False, True)
    ),
    *(
        Cell(
            "s3napback",
            f"killed between commit and {what}",
            "S3",
            Outcome.KILLED,
            inject.killing("PutObject", after=False, key=key),
            remembered=True,
        )
        for what, key in (("index", inject.INDEX), ("checksum", inject.SUM))
    ),
)

_LASTING = {
    "500": (answer(500, "InternalError"), ("500",)),
    "503": (answer(503, "SlowDown"), ("503",)),
    "403": (answer(403, "AccessDenied"), ("403",)),
    "reset": (reset(), ()),
    "no answer": (stall(1.5), ("timeout",)),
}
_REQUESTS = {
    "begin upload": ("CreateMultipartUpload", 1, False),
    "upload part": ("UploadPart", 1, False),
    "upload in one": ("PutObject", 0, False),
    "complete": ("CompleteMultipartUpload", 1, False),
}
_REFUSED = tuple(
    Cell(
        stage,
        fault,
        "S3",
        Outcome.FAILS,
        inject.answering((operation, action)),
        words,
        general=VERY_IMPATIENT,
        large=large,
        full=full,
    )
    for stage, (operation, large, full) in _REQUESTS.items()
    for fault, (action, words) in _LASTING.items()
)
_ONCE = tuple(
    Cell(
        stage,
        f"{fault}, once",
        "S3",
        Outcome.SURVIVES,
        inject.answering((operation, action, 1)),
        large=large,
        # The answer that was lost named the upload.
        leaves_upload=stage == "begin upload" and fault == "reset after",
    )
    for stage, (operation, large, _) in _REQUESTS.items()
    for fault, action in (("503", answer(503, "SlowDown")), ("reset", reset()), ("reset after", reset(after=True)))
)
_LOOKS = (
    *(
        Cell(
            "look before",
            fault,
            "S3",
            Outcome.FAILS,
            inject.answering(("HeadObject", action)),
            (),
            general=VERY_IMPATIENT,
        )
        for fault, (action, _) in _LASTING.items()
    ),
    *(
        Cell(
            "look after",
            fault,
            "S3",
            Outcome.LANDED,
            inject.answering_once_it_lands("HeadObject", action),
            general=VERY_IMPATIENT,
        )
        for fault, (action, _) in _LASTING.items()
    ),
)
_INDEXES = tuple(
    Cell(
        "put index",
        fault,
        "S3",
        Outcome.SURVIVES,
        inject.answering(("PutObject", _LASTING[fault][0]), key=inject.INDEX),
        general=VERY_IMPATIENT,
    )
    for fault in ("503", "403")
)
_SHORTER = Cell("complete", "object shorter", "S3", Outcome.SPOILED, inject.shortening, ("bytes in place of",))
_LIES = (
    Cell(
        "upload part", "wrong ETag", "S3", Outcome.FAILS, inject.answering(("UploadPart", inject.wrong_tag)), ("400",)
    ),
    Cell(
        "complete",
        "wrong ETag",
        "S3",
        Outcome.SURVIVES,
        inject.answering(("CompleteMultipartUpload", inject.wrong_tag)),
    ),
    Cell("look after", "wrong ETag", "S3", Outcome.SURVIVES, inject.answering(("HeadObject", inject.wrong_tag))),
    Cell(
        "upload in one",
        "wrong ETag",
        "S3",
        Outcome.SURVIVES,
        inject.answering(("PutObject", inject.wrong_tag)),
        large=0,
    ),
    Cell(
        "complete",
        "200 with an error",
        "S3",
        Outcome.FAILS,
        inject.answering(("CompleteMultipartUpload", inject.error_in_success)),
        ("InternalError", "told to fail"),
        general=VERY_IMPATIENT,
    ),
    Cell(
        "complete",
        "500 after",
        "S3",
        Outcome.SURVIVES,
        inject.answering(("CompleteMultipartUpload", answer(500, "InternalError", after=True))),
        general=VERY_IMPATIENT,
    ),
    _SHORTER,
    # That one waits for as long as such a store is given, two minutes; nothing is learnt by waiting so thrice.
    replace(_SHORTER, general=IMPATIENT, full=True),
    replace(_SHORTER, stage="upload in one", general=IMPATIENT, large=0),
    Cell(
        "abort",
        "500",
        "S3",
        Outcome.FAILS,
        inject.answering(
            ("UploadPart", answer(403, "AccessDenied")), ("AbortMultipartUpload", answer(500, "InternalError"))
        ),
        ("403",),
        general=VERY_IMPATIENT,
        leaves_upload=True,
    ),
)
_NETWORK = (
    Cell(
        "upload part",
        "network away for a minute",
        "S3",
        Outcome.SURVIVES,
        inject.losing_the_network("UploadPart", 60),
    ),
    *(
        Cell(
            stage,
            "network away and back",
            "S3",
            Outcome.SURVIVES,
            inject.losing_the_network(operation, 1.5),
            large=large,
        )
        for stage, (operation, large, _) in _REQUESTS.items()
    ),
    *(
        Cell(
            stage,
            "network away",
            "S3",
            Outcome.FAILS,
            inject.losing_the_network(operation, 300),
            general=VERY_IMPATIENT,
            large=large,
            leaves_upload=True,
        )
        for stage, (operation, large, _) in _REQUESTS.items()
    ),
)

MATRIX = (
    *_DUMPING,
    *_COPYING,
    *_LOOKING,
    *_COMPRESSING,
    *_ENCRYPTING,
    *_DISKS,
    *_KILLS,
    *_REFUSED,
    *_ONCE,
    *_LOOKS,
    *_INDEXES,
    *_LIES,
    *_NETWORK,
)

REQUESTS = frozenset(cell.stage for cell in (*_REFUSED, *_LOOKS, *_INDEXES, *_LIES))
"""The stages that are requests to a store."""
