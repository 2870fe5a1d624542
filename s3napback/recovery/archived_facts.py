"""What of a file's facts archives hold, as tar's options have it: what they leave out cannot differ. Pure."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fnmatch import fnmatchcase

from s3napback.config.tar_options import option_names
from s3napback.index.tags import CACHE_TAG
from s3napback.records import dataclass
from s3napback.streams.tar_headers import SHADOWS

_CACHE_TAG = os.fsdecode(CACHE_TAG.name)
"""The one file that ``--exclude-caches`` keeps of a cache."""


@dataclass(frozen=True)
class ArchivedFacts:
    """Which of them are the file's own.

    Attributes:
        follows: symbolic links stand for what they lead to.
        has_names: several names of one file are.
        has_mode: permissions are.
        has_owner: the user is.
        has_group: the group is.
        has_access_lists: lists of access rights (ACL) are archived.
        has_attributes: extended attributes are, capabilities among them.
        included: patterns of names of attributes, of which only those that one matches are; none is all.
        excluded: likewise of those that are not.
        tags: names of files of which each is all that is archived of a folder that holds it.
    """

    follows: bool = False
    has_names: bool = True
    has_mode: bool = True
    has_owner: bool = True
    has_group: bool = True
    has_access_lists: bool = True
    has_attributes: bool = True
    included: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    tags: frozenset[str] = frozenset((_CACHE_TAG,))

    @property
    def has_all_of_files(self) -> bool:
        """Nothing of a regular file is left out, or another one's."""
        return not self.follows and self.has_mode and self.has_owner and self.has_group and self._has_all_attributes

    @property
    def _has_all_attributes(self) -> bool:
        return self.has_access_lists and self.has_attributes and not self.included and not self.excluded

    def has_attribute(self, name: str) -> bool:
        """Whether an extended attribute of this name is archived (``xattrs_kw_included`` of GNU tar)."""
        if not self.has_attributes or (self.included and not _is_matched(name, self.included)):
            return False
        return not (name.startswith(SHADOWS) or _is_matched(name, self.excluded))


def _is_matched(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def archived_facts(tar_options: Sequence[str]) -> ArchivedFacts:
    """What follows from TarOptions; of options that contradict each other tar takes the last one."""
    words = [option.partition("=")[::2] for option in tar_options]
    names = option_names(tar_options)
    lists = [name for name, _ in words if name in ("--acls", "--no-acls")]
    attributes = [name for name, _ in words if "xattrs" in name]
    return ArchivedFacts(
        follows=bool(names & {"--dereference", "-h"}),
        has_names="--hard-dereference" not in names,
        has_mode="--mode" not in names,
        has_owner=not names & {"--owner", "--owner-map"},
        has_group=not names & {"--group", "--group-map"},
        has_access_lists=lists[-1:] != ["--no-acls"],
        has_attributes=attributes[-1:] != ["--no-xattrs"],
        included=tuple(value for name, value in words if name == "--xattrs-include"),
        excluded=tuple(value for name, value in words if name == "--xattrs-exclude"),
        tags=frozenset((_CACHE_TAG, *(value for name, value in words if name == "--exclude-tag"))),
    )
