"""How the names of a tree are to be looked at so that what is seen is what tar's options make it see. Pure."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from s3napback.config.tar_options import option_names
from s3napback.index.comparing import Looks
from s3napback.index.tags import CACHE_TAG, Tag

_FOLLOWING = frozenset({"--dereference", "-h"})
_OWNER_OPTIONS = frozenset({"--owner", "--owner-map", "--group", "--group-map"})
_ALTERING_HEADERS = _OWNER_OPTIONS | _FOLLOWING | {"--mode"}


def looks_for(options: Sequence[str], *, one_file_system: bool) -> Looks:
    """What follows from TarOptions and OneFileSystem."""
    names = option_names(options)
    return Looks(
        follows=follows_links(options),
        one_file_system=stays_on_one(options, one_file_system=one_file_system),
        compares_mode="--mode" not in names,
        compares_owner=not names & _OWNER_OPTIONS,
        tags=tuple(_tags(options, "-all")),
    )


def follows_links(options: Sequence[str]) -> bool:
    """Whether TarOptions have tar take what links lead to."""
    return bool(option_names(options) & _FOLLOWING)


def stays_on_one(options: Sequence[str], *, one_file_system: bool) -> bool:
    """Whether OneFileSystem, or its like among TarOptions, keeps tar on one file system."""
    return one_file_system or "--one-file-system" in option_names(options)


def _tags(options: Sequence[str], ending: str) -> Iterator[Tag]:
    """What the options name whose names have this ending."""
    for option in options:
        name, _, value = option.partition("=")
        if name == f"--exclude-caches{ending}":
            yield CACHE_TAG
        elif name == f"--exclude-tag{ending}" and value:
            yield Tag(os.fsencode(value))


def keeping_tags(options: Sequence[str]) -> Iterator[Tag]:
    """What has tar leave out all of a folder but the tag itself."""
    return _tags(options, "")


def tags_kept(options: Sequence[str]) -> frozenset[bytes]:
    """The names of what tar keeps of a folder that it leaves out for having it."""
    return frozenset(tag.name for tag in keeping_tags(options) if tag is not CACHE_TAG)


def alters_headers(options: Sequence[str]) -> bool:
    """Whether TarOptions have something else written of a file than what it is."""
    return bool(option_names(options) & _ALTERING_HEADERS)
