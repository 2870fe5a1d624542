"""TarOptions, MySQLOptions and PostgreSQLOptions: which are refused, and why.

For tar only options known to be harmless are let through, spelt in full: tar takes abbreviations, so that a list of
forbidden names alone could be walked around. The others take away what would spoil the archive or show a password.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from s3napback.formatting import shown

_SHAPE = "s3napback decides how the archive is written"
_FILE_LIST = "what is archived is the source's directory"
_COMPRESSION = "compression is set by the Compression directive"
_PROGRAM = "it would run a program"
_NAMES = "restoring relies on names as they are on disk"
_SNAPSHOT = "the snapshots of DIFFs are kept by s3napback"
_LOSS = "changed files would be left out of archives"
_UNKNOWN = "not known to be harmless here (options are to be spelt in full)"
_PATTERNS = "it would change what Exclude means"


def _options(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_TAR_FLAGS = frozenset(
    _options("""--acls --no-acls --selinux --no-selinux --xattrs --no-xattrs --sparse --dereference --hard-dereference
    --check-links --one-file-system --numeric-owner --preserve-permissions --same-permissions --ignore-failed-read
    --exclude-backups --exclude-caches --exclude-caches-all --exclude-caches-under --exclude-vcs --exclude-vcs-ignores
    --atime-preserve --totals""")
)
_TAR_VALUES = frozenset(
    _options("""--atime-preserve --exclude --exclude-from --exclude-ignore --exclude-ignore-recursive
    --exclude-tag --exclude-tag-all --exclude-tag-under --group --group-map --hole-detection --mode --owner --owner-map
    --sort --sparse-version --warning --xattrs-exclude --xattrs-include""")
)
_TAR_SHORT_FLAGS = frozenset("Shlp")
_TAR_REASONS = {
    **dict.fromkeys(
        _options("""--create --append --update --catenate --concatenate --delete --diff --compare --extract --get --list
        --test-label --file --format --old-archive --portability --posix --pax-option --label --multi-volume
        --tape-length --verify --force-local --rmt-command --record-size --blocking-factor --no-check-device
        --check-device --verbose --null --restrict --absolute-names
        --no-recursion --recursion --remove-files -c -r -u -A -d -x -t -f -H -o -V -M
        -L -W -b -v -P -B"""),
        _SHAPE,
    ),
    **dict.fromkeys(_options("--files-from --add-file --directory -T -C"), _FILE_LIST),
    **dict.fromkeys(
        _options("""--gzip --gunzip --ungzip --bzip2 --xz --lzip --lzma --lzop --zstd --compress --uncompress
        --auto-compress -z -j -J -Z -a"""),
        _COMPRESSION,
    ),
    **dict.fromkeys(
        _options("""--use-compress-program --to-command --checkpoint-action --rsh-command --info-script
        --new-volume-script --checkpoint -I -F"""),
        _PROGRAM,
    ),
    **dict.fromkeys(_options("--transform --xform --strip-components --show-transformed-names"), _NAMES),
    **dict.fromkeys(_options("--listed-incremental --incremental --level -g -G"), _SNAPSHOT),
    **dict.fromkeys(_options("--newer --after-date --newer-mtime --mtime --clamp-mtime -N -K --starting-file"), _LOSS),
    **dict.fromkeys(
        _options("""--anchored --no-anchored --ignore-case --no-ignore-case --wildcards --no-wildcards
        --wildcards-match-slash --no-wildcards-match-slash"""),
        _PATTERNS,
    ),
    "--remove-files": "it would delete what was backed up",
    "--absolute-names": _NAMES,
    "-P": _NAMES,
    "--rmt-command": _PROGRAM,
    "-X": "write --exclude-from=FILE",
}

_PASSWORD = "a password must not appear in a list of processes"  # noqa: S105  (a reason, not a password)
_ELSEWHERE = "the dump must go to standard output"
_WHAT = "what is dumped is named by the source"
_NO_DUMP = "it would print something else in place of a dump"
_MYSQL_REASONS = (
    (re.compile(r"-p.*|--pa.*"), f"{_PASSWORD}; put it into .my.cnf"),
    (re.compile(r"-r.*|--res.*|-T.*|--tab.*"), _ELSEWHERE),
    (re.compile(r"-A.*|-B.*|--all-d.*|--databas.*"), _WHAT),
    (re.compile(r"-X.*|--xml.*|-V.*|-I.*|-\?.*|--vers.*|--help.*|--print-d.*"), _NO_DUMP),
)
_POSTGRESQL_REASONS = (
    (re.compile(r"-W|--pass.*"), "nobody is there to type a password; put it into .pgpass"),
    (re.compile(r"-f.*|--file.*|-j.*|--jo.*"), _ELSEWHERE),
    (re.compile(r"-F.*|--fo.*|-Z.*|--compress.*"), "dumps are plain SQL, and Compression compresses them"),
    (re.compile(r"-d.*|--dbn.*"), _WHAT),
    (re.compile(r"-V.*|-\?.*|--vers.*|--help.*"), _NO_DUMP),
)


def refused_options(name: str, words: Sequence[str]) -> list[str]:
    """What is wrong with the words of ``TarOptions``, ``MySQLOptions`` or ``PostgreSQLOptions``, one message each."""
    if name == "TarOptions":
        return [f"TarOptions {_named(word)}: {reason}" for word in words if (reason := _tar_problem(word))]
    reasons = _MYSQL_REASONS if name == "MySQLOptions" else _POSTGRESQL_REASONS
    problems = []
    for index, word in enumerate(words):
        if not word.startswith("-"):
            if not _may_be_value(words[:index]):
                problems.append(f"{name} “{shown(word)}” is not an option; options begin with a dash")
            continue
        reason = next((reason for pattern, reason in reasons if pattern.fullmatch(word)), "")
        if reason or word in ("-", "--"):
            problems.append(f"{name} {_named(word)}: {reason or 'this is no option'}")
    return problems


def _tar_problem(word: str) -> str:
    """Why tar must not be given ``word``; empty if it may."""
    name, equals, value = word.partition("=")
    if not word.startswith("-") or word in ("-", "--"):
        return "this is not an option; attach an option's value with “=”, as in --owner=root"
    if not word.startswith("--"):
        return next((_short_reason(letter) for letter in word[1:] if letter not in _TAR_SHORT_FLAGS), "")
    if (name in _TAR_VALUES and value) or (name in _TAR_FLAGS and not equals):
        return ""
    if name in _TAR_VALUES:
        return "it needs a value, attached with “=”"
    return _TAR_REASONS.get(name, "it takes no value" if name in _TAR_FLAGS else _UNKNOWN)


def _short_reason(letter: str) -> str:
    return _TAR_REASONS.get(f"-{letter}", _UNKNOWN)


def _may_be_value(before: Sequence[str]) -> bool:
    """Whether the word after ``before`` may be the value of its last option: ``-h localhost``."""
    return bool(before) and before[-1].startswith("-") and "=" not in before[-1]


def _named(word: str) -> str:
    """An option without its value, which may be a secret (``-pSECRET`` has it attached)."""
    if word.startswith("-") and not word.startswith("--"):
        return word[:2]
    return shown(word.partition("=")[0])
