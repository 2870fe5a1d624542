"""How sources of which kind are restored, checked and compared. A new kind is one line here.

What does it is imported when an archive of that kind is met: most stores hold few kinds, and one file needs little.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from s3napback.archives import NOTHING_UNREAD, ArchiveRecord, Unread
from s3napback.catalogue.contents import CataloguedArchive
from s3napback.errors import S3napbackError, UnknownKind
from s3napback.kinds import COMMAND, DIRECTORY, MYSQL, POSTGRESQL, SQLITE, SUBVERSION, SourceName, kind_of
from s3napback.records import dataclass
from s3napback.recovery.opening.decoder import Decoder
from s3napback.recovery.single_file import TO_STANDARD_OUTPUT, FileRestore
from s3napback.streams.processes import Stage
from s3napback.streams.transformations import Transformation
from s3napback.surroundings import find_gnu_tar

Consumer = Stage | Transformation


class UnclearRequest(S3napbackError):
    """The command line asks for something that does not go together."""

    exit_code = 2


@dataclass(frozen=True)
class Wanted:
    """What is to be restored, and where.

    Attributes:
        source: of the archives.
        where: the target; ``-`` is standard output.
        paths: of a directory, what of it.
        in_place: merge into a live tree.
        strict: restore nothing of a directory where the target cannot take everything.
        staging: the folder to prepare a directory in; None is WHERE.
        unread: of a directory, what could not be read of it that night.
        is_private: the target is a scratch folder of our own, which nobody else can enter.
    """

    source: SourceName
    where: Path
    paths: tuple[str, ...] = ()
    in_place: bool = False
    strict: bool = False
    staging: Path | None = None
    unread: Unread = NOTHING_UNREAD
    is_private: bool = False


class Restore(Protocol):
    """One restore, of whatever kind."""

    def check(self) -> None:
        """Look whether it can be begun; raises if not."""
        ...

    def run(self, decoder: Decoder, chain: Sequence[CataloguedArchive]) -> None:
        """Restore a chain; raises if anything failed."""
        ...


Restorer = Callable[[Wanted], Restore]
"""Finds what restores; raises ``UnclearRequest`` where what is wanted makes no sense for its kind."""

Checker = Callable[[ArchiveRecord, ArchiveRecord | None], Sequence[Consumer]]
"""What an archive's content has to pass to be good; its record, and that of the archive it builds on, tell more."""

Comparer = Callable[[Decoder, Sequence[CataloguedArchive], str, Sequence[str], Callable[[str], None]], int]
"""Compares the state that a chain holds with what is at a target now: tells each difference, and counts them.

TarOptions, as they are configured, say what of a file archives hold.
"""


@dataclass(frozen=True)
class Recovery:
    """What can be done with the archives of a kind of source.

    Attributes:
        restore: makes what restores a chain.
        check: makes what verifies an archive.
        compare: for ``verify --compare``; None where there is nothing to compare with.
    """

    restore: Restorer
    check: Checker
    compare: Comparer | None = None


def refuse_paths(wanted: Wanted) -> None:
    """Refuse what is for directories only.

    Raises:
        UnclearRequest: it is asked for.
    """
    if wanted.paths or wanted.in_place or wanted.staging:
        raise UnclearRequest(f"PATHs, --in-place and --staging are for directories, and {wanted.source} is none")


def _directory_restore(wanted: Wanted) -> Restore:
    if wanted.where == TO_STANDARD_OUTPUT:
        if wanted.in_place or wanted.staging:
            raise UnclearRequest("--in-place and --staging are for a directory, and --to - is standard output")
        if len(wanted.paths) != 1:
            raise UnclearRequest(
                "of a directory one file or folder can go to standard output: "
                "name it as PATH (. is all of the directory), or restore --to a folder"
            )
        from s3napback.recovery.dumping import FileDump

        return FileDump(wanted.source.target, wanted.paths[0], find_gnu_tar())
    from s3napback.recovery.directory import DirectoryRestore

    where = wanted.where.absolute()
    staging = wanted.staging.absolute() if wanted.staging else None
    return DirectoryRestore(
        wanted.source.target,
        wanted.paths,
        where,
        wanted.in_place,
        wanted.strict,
        staging,
        find_gnu_tar(),
        wanted.unread,
        is_private=wanted.is_private,
    )


def _directory_check(record: ArchiveRecord, _parent: ArchiveRecord | None) -> Sequence[Consumer]:
    from s3napback.recovery.directory import listing

    return listing(record.owner.source.target, find_gnu_tar())


def _directory_compare(
    decoder: Decoder,
    chain: Sequence[CataloguedArchive],
    directory: str,
    tar_options: Sequence[str],
    say: Callable[[str], None],
) -> int:
    from s3napback.recovery.archived_facts import archived_facts
    from s3napback.recovery.comparing import compare

    return compare(decoder, chain, directory, find_gnu_tar(), archived_facts(tar_options), say)


def _database_restore(wanted: Wanted) -> Restore:
    from s3napback.recovery.databases import dump_check, dump_ends

    refuse_paths(wanted)
    return FileRestore(wanted.where, (dump_check(dump_ends(wanted.source.kind)),))


def _database_check(record: ArchiveRecord, _parent: ArchiveRecord | None) -> Sequence[Consumer]:
    from s3napback.recovery.databases import dump_beginnings, dump_check, dump_ends

    kind = record.owner.source.kind
    return (dump_check(dump_ends(kind), dump_beginnings(kind)),)


def _repository_restore(wanted: Wanted) -> Restore:
    refuse_paths(wanted)
    if wanted.where == TO_STANDARD_OUTPUT:
        return FileRestore(wanted.where)
    from s3napback.recovery.subversion import RepositoryRestore

    return RepositoryRestore(wanted.where.absolute())


def _repository_check(record: ArchiveRecord, parent: ArchiveRecord | None) -> Sequence[Consumer]:
    from s3napback.recovery.subversion import revisions_check

    return (revisions_check(record, parent),)


def _database_file_restore(wanted: Wanted) -> Restore:
    from s3napback.sources.sqlite import check_stage

    refuse_paths(wanted)
    return FileRestore(wanted.where, checks=(check_stage(),))


def _database_file_check(_record: ArchiveRecord, _parent: ArchiveRecord | None) -> Sequence[Consumer]:
    from s3napback.sources.sqlite import check_stage

    return (check_stage(),)


_OF_DATABASES = Recovery(_database_restore, _database_check)

RECOVERIES: dict[str, Recovery] = {
    DIRECTORY.name: Recovery(_directory_restore, _directory_check, _directory_compare),
    MYSQL.name: _OF_DATABASES,
    POSTGRESQL.name: _OF_DATABASES,
    SUBVERSION.name: Recovery(_repository_restore, _repository_check),
    SQLITE.name: Recovery(_database_file_restore, _database_file_check),
    COMMAND.name: Recovery(_database_restore, _database_check),
}


def recovery_of(source: SourceName) -> Recovery:
    """What can be done with the archives of a source. An archive that a folder of sources bears is of what it holds.

    Raises:
        UnknownKind: nothing restores this kind.
    """
    if not source.kind:
        raise UnknownKind(
            f"{str(source)!r} is of no kind of source that this version of s3napback knows; a newer one may, and "
            "“s3napback help recovery” tells how an archive is opened with plain tools"
        )
    kind = kind_of(source.kind)
    recovery = RECOVERIES.get(kind.folder_of or kind.name)
    if recovery is None:
        raise UnknownKind(f"nothing is registered that could restore sources of the kind {source.kind!r}")
    return recovery
