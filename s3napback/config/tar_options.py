"""TarOptions: what GNU tar may be given, and why the rest is refused."""

from __future__ import annotations

import re
from collections.abc import Sequence

from s3napback.config.option_rules import WHOLE_PATH, Rules, options, refused

_SHAPE = "s3napback decides how the archive is written"
_FILE_LIST = "what is archived is the source's directory"
_COMPRESSION = "compression is set by the Compression directive"
_PROGRAM = "it would run a program"
_NAMES = "restoring relies on names as they are on disk"
_SNAPSHOT = "the snapshots of DIFFs are kept by s3napback"
_LOSS = "changed files would be left out of archives"
_PATTERNS = "it would change what Exclude means"
_OTHERS_FILES = (
    "files within the tree, which others may write to, would decide what is archived, and one that never ends would "
    "stop the backup; name what is to be left out with Exclude"
)

_FORGOTTEN = (
    "tar notes what lies beside a tag as known, so that DIFFs would lack it when the tag is gone; write "
    "--exclude-caches or --exclude-tag=NAME, which keep the tag as well, or the same with -all"
)

READ_FILES = ("--exclude-from", "--group-map", "--owner-map")
"""Options that name a file whose content shapes archives."""

SHORT_FLAGS = frozenset("Shlp")

TAR_RULES = Rules(
    flags=options(
        """--acls --no-acls --selinux --no-selinux --xattrs --no-xattrs --sparse --dereference --hard-dereference
        --check-links --one-file-system --numeric-owner --preserve-permissions --same-permissions --ignore-failed-read
        --exclude-backups --exclude-caches --exclude-caches-all --exclude-vcs --atime-preserve --totals"""
    ),
    values=options(
        """--atime-preserve --exclude --exclude-from --exclude-tag --exclude-tag-all --group --group-map
        --hole-detection --mode --owner --owner-map --sort --sparse-version --warning --xattrs-exclude
        --xattrs-include"""
    ),
    shapes=dict.fromkeys(READ_FILES, WHOLE_PATH),
    reasons={
        **refused(
            _SHAPE,
            """--create --append --update --catenate --concatenate --delete --diff --compare --extract --get --list
            --test-label --file --format --old-archive --portability --posix --pax-option --label --multi-volume
            --tape-length --verify --force-local --rmt-command --record-size --blocking-factor --no-check-device
            --check-device --verbose --null --restrict --no-recursion --recursion
            -c -r -u -A -d -x -t -f -H -o -V -M -L -W -b -v -B""",
        ),
        **refused(_FILE_LIST, "--files-from --add-file --directory -T -C"),
        **refused(
            _COMPRESSION,
            """--gzip --gunzip --ungzip --bzip2 --xz --lzip --lzma --lzop --zstd --compress --uncompress
            --auto-compress -z -j -J -Z -a""",
        ),
        **refused(
            _PROGRAM,
            """--use-compress-program --to-command --checkpoint-action --rsh-command --rmt-command --info-script
            --new-volume-script --checkpoint -I -F""",
        ),
        **refused(_NAMES, "--transform --xform --strip-components --show-transformed-names --absolute-names -P"),
        **refused(_SNAPSHOT, "--listed-incremental --incremental --level -g -G"),
        **refused(_LOSS, "--newer --after-date --newer-mtime --mtime --clamp-mtime -N -K --starting-file"),
        **refused(
            _PATTERNS,
            """--anchored --no-anchored --ignore-case --no-ignore-case --wildcards --no-wildcards
            --wildcards-match-slash --no-wildcards-match-slash""",
        ),
        **refused(_FORGOTTEN, "--exclude-caches-under --exclude-tag-under"),
        **refused(_OTHERS_FILES, "--exclude-vcs-ignores --exclude-ignore --exclude-ignore-recursive"),
        "--remove-files": "it would delete what was backed up",
        "-X": "write --exclude-from=FILE",
    },
)


def option_names(words: Sequence[str]) -> frozenset[str]:
    """What TarOptions are called, without their values, each short one by itself: ``-hS`` is two of them.

    Args:
        words: that ``TAR_RULES`` let through.
    """
    found: set[str] = set()
    for word in words:
        found |= {word.partition("=")[0]} if word.startswith("--") else {f"-{letter}" for letter in word[1:]}
    return frozenset(found)


def literal_pattern(path: str) -> str:
    """A pattern for Exclude that matches a path, and nothing but it and what lies below."""
    return re.sub(r"([\\*?\[])", r"\\\1", path)
