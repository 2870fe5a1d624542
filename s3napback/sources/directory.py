"""Directories, by GNU tar: full archives, and with ``--listed-incremental`` those of what changed."""

from __future__ import annotations

import os
import posixpath
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import field, replace
from functools import cached_property, partial
from pathlib import Path

from s3napback.chains import Memory
from s3napback.config.settings import Job, JobSettings
from s3napback.deciding.facts import Alarm, Footing
from s3napback.deciding.fulls import FILES_SETTING
from s3napback.durable import write_private
from s3napback.errors import SourceError
from s3napback.mounts import current_mounts, may_number_alike, tells_holes, visible_within
from s3napback.records import dataclass
from s3napback.rotation import ArchiveType, SimpleCycle
from s3napback.sources import WORKING, WORKING_INDEX, WORKING_LINES, Conclusion, Dump
from s3napback.sources.blame import Blame, reads_everything
from s3napback.sources.device_numbers import require_own_numbers
from s3napback.sources.exchanged import telling_of_mounts
from s3napback.sources.exclusion import Exclusion, exclude_options, exclusion
from s3napback.sources.forgetting import forget
from s3napback.sources.holding_up import require_answer_of, what_holds_up
from s3napback.sources.in_use import DatabasesInUse
from s3napback.sources.indexing import Indexing, IndexingTask, Listing
from s3napback.sources.link_gate import LinkGate
from s3napback.sources.live_tree import LiveTree, identity
from s3napback.sources.looking import alters_headers, looks_for, stays_on_one, tags_kept
from s3napback.sources.margin import margin
from s3napback.sources.named_files import digests
from s3napback.sources.own_exclusion import rounds_in, said_of, store_in, with_own_exclusion
from s3napback.sources.presence import holds_anything, nothing_left, require_something_left
from s3napback.sources.remains import DirectoryHoldings, absent_mounts, holdings_of, suspicion
from s3napback.sources.snapshot import begin_snapshot, look_at_snapshot
from s3napback.sources.tar_guard import TarGuard
from s3napback.sources.tar_review import TarReview
from s3napback.sources.two_places import TwoPlaces
from s3napback.streams.processes import Stage
from s3napback.streams.tar_headers import WITHOUT_SHADOWS
from s3napback.streams.transformations import Block, Transformation

_END_SIZE = 1024
TAR_WARNING = 1
"""tar's exit status for "some files differ": one changed or vanished while it was read (tar's manual, "Synopsis")."""

TOO_LONG = Path(__file__).with_name("too_long.exclude")
"""Holds a pattern that matches names of 4,352 bytes and more.

tar opens directories by their whole paths, of which the kernel takes 4,095 bytes. It says so for each of them, but
keeps all names below in memory: 3,000 nested directories with names of 255 bytes cost it 7 GB, and as much of the
snapshot. A name has at most 255 bytes, so above each one that is left out in this way there is one that tar names.
"""

_PADDINGS = (0, 61, 977)
"""Records of nothing with which a snapshot is given to tar, one attempt after the other.

tar keeps folders by their inode number in a hash table, where it changes a folder's number in place if another one has
taken its name. The same folder met at a second place, since it is mounted there or is just being moved, makes tar abort
if its entry is the one with which the table grows (1.34, ``procdir``, and ``hash_insert_if_absent`` of gnulib). With
more entries the table grows at others.
"""

_FORMAT_OPTIONS = (
    "--blocking-factor=128",  # a sixth less work than tar's own 20; of many more, a slow tree would look dead
    # Without them nanoseconds, access control lists and extended attributes are lost.
    "--format=posix",
    "--pax-option=delete=atime,delete=ctime",
    *("--acls", "--xattrs", WITHOUT_SHADOWS),
)


def member_name(path: str, *, followed: bool) -> str:
    """What tar is told to archive, relative to the root directory.

    Args:
        path: a normalised absolute path.
        followed: the path is a symbolic link to a directory, whose content is wanted under the link's name.
    """
    relative = path.lstrip("/")
    if not relative:
        return "."
    return f"{relative}/." if followed else relative


def tar_command(
    tar: str,
    path: str,
    settings: JobSettings,
    *,
    snapshot: Path | None,
    followed: bool = False,
    names: Path | None = None,
    lists: Path | None = None,
) -> tuple[str, ...]:
    """The argument list that writes an archive of ``path`` to standard output.

    Args:
        tar: the program's name.
        path: a normalised absolute path.
        settings: Exclude, TarOptions and OneFileSystem are used.
        snapshot: the file that tar reads and rewrites; None for an archive on which no DIFF will build.
        followed: see ``member_name``.
        names: a file that tells what of it is archived, each name ended by a NUL; of directories nothing below them.
        lists: the folder of ``Exclusion``'s files, where there are any; None has everything in options.
    """
    # tar would read a backslash in the name as the beginning of an escape. The style of quoting is what it says of
    # names: ``TarReview`` relies on it.
    command = [tar, "--create", "--file=-", "--no-unquote", "--quoting-style=escape", *_FORMAT_OPTIONS]
    if snapshot is not None:
        # Device numbers change across reboots, LVM and NFS; and the cured snapshot holds none.
        command += [f"--listed-incremental={snapshot}", "--no-check-device"]
    if settings.one_file_system:
        command.append("--one-file-system")
    options = settings.tar_options
    if lists is None:
        excluded = exclude_options(settings.exclude, path, followed=followed)
    else:
        found = exclusion(settings.exclude, options, path, followed=followed)
        options, excluded = found.tar_options, found.options_in(lists)
    command += ["--directory=/", *(options if names is None else filter(_suits_names, options))]
    if any(word.startswith("--warning=") for word in settings.tar_options):
        # What these say decides on what the next archive takes, so they must not be silenced; the last word counts.
        command += ["--warning=failed-read", "--warning=file-removed", "--warning=file-shrank"]
    command += excluded
    command += ["--anchored", f"--exclude-from={TOO_LONG}"]
    if names is not None:
        # Not before the exclusions, of which it would change the meaning.
        return (*command, "--no-recursion", "--null", "--verbatim-files-from", f"--files-from={names}")
    return (*command, "--", member_name(path, followed=followed))


def _suits_names(option: str) -> bool:
    """Whether an option makes sense where single names are archived: links to others are missing there by intent."""
    return option not in ("--check-links", "-l")


@dataclass(frozen=True)
class DirectorySource:
    """A directory with everything below it.

    Attributes:
        job: the configured source.
        tar: name of GNU tar's program.
        databases: what is in use on this machine.
        margin: seconds before a backup, in which changed files are archived by the next one again; None is as many as
            this system needs.
    """

    job: Job
    tar: str = "tar"
    databases: DatabasesInUse = field(default_factory=DatabasesInUse)
    margin: int | None = None

    def check(self, *, had_content: bool, remembered: Mapping[str, str]) -> Sequence[str]:
        """See ``Source``."""
        require_answer_of(self.job)
        digests(self.job.settings.tar_options)
        store_in(self.job)
        if not self.has_content() and had_content:
            raise SourceError(
                f"{self.job.source} is empty, but held files when it was backed up last. Is a disk not mounted? "
                "If it is meant to be empty, run once with -f"
            )
        followed = self._followed()
        command = partial(tar_command, self.tar, self.job.target, self._settings, snapshot=None, followed=followed)
        require_something_left(self.job, command, self._exclusion())
        require_own_numbers(self.job)
        notes: list[str] = []
        if followed:
            real = os.path.realpath(self.job.target)
            notes.append(f"{self.job.source} is a symbolic link; its content is taken from {real}")
        if before := DirectoryHoldings.from_notes(remembered):
            now = self._holdings()
            if found := suspicion(before, now):
                raise SourceError(
                    f"{self.job.source} {found}. Is a disk not mounted, or another one? If it is meant to be so, run "
                    "once with -f"
                )
            notes += map(Alarm, absent_mounts(self.job.target, before, now, self.job.settings.exclude))
        return [*notes, *map(Alarm, said_of(self._rounds))]

    def _holdings(self) -> DirectoryHoldings:
        settings = self.job.settings
        stays = stays_on_one(settings.tar_options, one_file_system=settings.one_file_system)
        return holdings_of(os.path.realpath(self.job.target), one_file_system=stays)

    def has_content(self) -> bool:
        """See ``Source``."""
        return holds_anything(self.job)

    def content(self) -> Mapping[str, object]:
        """See ``Source``."""
        settings = self._settings
        named: dict[str, object] = {}
        # ``check`` reports what cannot be read.
        with suppress(SourceError):
            named = {FILES_SETTING: dict(found)} if (found := digests(settings.tar_options)) else {}
        return {
            "Exclude": list(settings.exclude),
            "TarOptions": list(settings.tar_options),
            "OneFileSystem": settings.one_file_system,
            "whether the directory is a symbolic link": self._followed(),
            **named,
        }

    def footing(self, memory: Memory, folder: Path) -> Footing:
        """See ``Source``."""
        return look_at_snapshot(folder / memory.snapshot, folder / memory.index if memory.index else None)

    def dump(self, archive_type: ArchiveType, memory: Memory | None, folder: Path) -> Dump:
        """See ``Source``."""
        return telling_of_mounts(self._dump(archive_type, memory, _PADDINGS, folder), self.job)

    def _dump(self, archive_type: ArchiveType, memory: Memory | None, paddings: Sequence[int], folder: Path) -> Dump:
        """See ``dump``; ``paddings`` are of the snapshot, of this and further attempts."""
        is_diff = archive_type is ArchiveType.DIFF
        snapshot = self._working_snapshot(folder)
        if snapshot is not None:
            before = folder / memory.snapshot if is_diff and memory else None
            seconds = margin() if self.margin is None else self.margin
            begin_snapshot(snapshot, before, margin=seconds, padding=paddings[0])
        member = member_name(self.job.target, followed=self._followed())
        real = os.path.realpath(self.job.target)
        blame = Blame(posixpath.normpath(os.fsencode(member)), real, is_almighty=reads_everything())
        review = TarReview(blame, most=self._most_unread)
        flaw = partial(self._flaw, identity(self.job.target), review)
        stage = self.plan(archive_type, folder)
        stage = replace(stage, review=review, judge=flaw, suspects=partial(what_holds_up, real))
        for path, lines in stage.lists.items():
            path.unlink(missing_ok=True)
            write_private(path, lines)
        notes = self._holdings().to_notes()
        if snapshot is None:
            return self._full_alone(stage, notes, folder, review)
        # A full archive that is not incremental opens every folder in the one above it, and follows no links.
        tree = LiveTree(real, time.time_ns()) if self._can_be_compared() else None
        tags = tags_kept(self.job.settings.tar_options)
        guard = TarGuard(member, tree, self._places(member), is_full=not is_diff, tags=tags)
        second = TarReview(blame, most=self._most_unread)
        indexing = self._indexing(archive_type, memory, folder, (review, second), guard)
        transform = guard.guarded if indexing is None else indexing.followed

        def guarded(blocks: Iterator[memoryview]) -> Iterator[Block]:
            with tree or nullcontext():
                yield from transform(blocks)

        conclude = partial(self._conclude, snapshot, review, guard, indexing)
        whole = Transformation("the guard" if indexing is None else "the index", self.databases.beside(guarded))
        index = folder / WORKING_INDEX if indexing else None
        listing = (lambda: indexing.lines) if indexing else None
        made = Dump(stage, snapshot, notes, guard=whole, conclude=conclude, index=index, listing=listing)
        others = paddings[1:]
        return replace(made, again=partial(self._dump, archive_type, memory, others)) if others else made

    def _full_alone(self, stage: Stage, notes: Mapping[str, str], folder: Path, review: TarReview) -> Dump:
        """A dump on which no DIFF will build."""
        member, top = member_name(self.job.target, followed=self._followed()), os.path.realpath(self.job.target)
        gate = LinkGate(self._places(member))
        listing = Listing(member, top, folder / WORKING_LINES, gate)

        def conclude() -> Conclusion:
            warnings = [*gate.out.warnings, *listing.warnings, *self.databases.warnings(self.job, ())]
            return Conclusion(warnings, review.unread.joined(gate.out.paths, gate.out.forgotten))

        guard = Transformation("the list of members", self.databases.beside(listing.followed))
        return Dump(stage, notes=notes, guard=guard, conclude=conclude, listing=lambda: listing.lines)

    def _conclude(self, snapshot: Path, review: TarReview, guard: TarGuard, indexing: Indexing | None) -> Conclusion:
        """Once the archive has been written: what of the source is not in it, which the snapshot then forgets."""
        is_known = review.is_complete and guard.out.is_complete and (indexing is None or indexing.is_complete)
        added = indexing.left_out if indexing else ()
        forget(snapshot, {*review.left_out, *guard.out.paths, *added} if is_known else None)
        in_use = self.databases.warnings(self.job, guard.in_use)
        unread = review.unread.joined(guard.out.paths, guard.out.forgotten)
        if indexing is None:
            return Conclusion([*guard.warnings, *in_use], unread)
        warnings = [*guard.warnings, *indexing.warnings, *in_use]
        unread = unread.joined(indexing.unread, indexing.forgotten)
        return Conclusion(warnings, unread.joined(indexing.coming_back(review.left_out)))

    @property
    def _most_unread(self) -> int:
        settings = self.job.settings
        return sys.maxsize if "--ignore-failed-read" in settings.tar_options else settings.unreadable

    def _flaw(self, begun: object, review: TarReview, _said: Sequence[str]) -> str:
        """See ``Stage.judge``; ``begun`` is the identity of what was there when tar began."""
        if identity(self.job.target) != begun:
            return f"{self.job.target} was replaced, moved or unmounted while {self.tar} read it"
        return review.excess

    def _indexing(
        self,
        archive_type: ArchiveType,
        memory: Memory | None,
        folder: Path,
        reviews: tuple[TarReview, TarReview],
        guard: TarGuard,
    ) -> Indexing | None:
        """What makes the index; None for a DIFF on an archive of an earlier version, which has none."""
        parent = folder / memory.index if archive_type is ArchiveType.DIFF and memory and memory.index else None
        if archive_type is ArchiveType.DIFF and parent is None:
            return None
        settings = self._settings
        return Indexing(
            IndexingTask(
                member=member_name(self.job.target, followed=self._followed()),
                top=os.path.realpath(self.job.target),
                index=folder / WORKING_INDEX,
                parent=parent,
                looks=looks_for(settings.tar_options, one_file_system=settings.one_file_system),
                supplement=lambda names: replace(self._stage(folder, names=names), review=reviews[1]),
                reviews=reviews,
                most=self._most_unread,
                stall_timeout=settings.stall_timeout or None,
            ),
            guard,
        )

    def _places(self, member: str) -> TwoPlaces:
        top = os.path.realpath(self.job.target)
        own, *below = visible_within(top, current_mounts())
        points = [posixpath.relpath(mount.point, top) for mount in below]
        mounts = [os.fsencode(posixpath.normpath(posixpath.join(member, point))) for point in points]
        looks = looks_for(self.job.settings.tar_options, one_file_system=self.job.settings.one_file_system)
        return TwoPlaces(mounts, looks.follows, any(map(may_number_alike, (own, *below))))

    def _can_be_compared(self) -> bool:
        """Whether somebody could bring in what only we may read, and headers tell what lies in the tree."""
        return os.geteuid() == 0 and not alters_headers(self.job.settings.tar_options)

    def plan(
        self,
        archive_type: ArchiveType,  # noqa: ARG002 - the snapshot tells tar which
        folder: Path,
        memory: Memory | None = None,  # noqa: ARG002
    ) -> Stage:
        """See ``Source``."""
        return self._stage(folder, snapshot=self._working_snapshot(folder))

    def _stage(self, folder: Path, *, snapshot: Path | None = None, names: Path | None = None) -> Stage:
        settings = self._settings
        if tells_holes(os.path.realpath(self.job.target), one_file_system=settings.one_file_system):
            # Holes are not archived as zeros.
            settings = replace(settings, tar_options=("--sparse", *settings.tar_options))
        command = tar_command(
            self.tar,
            self.job.target,
            settings,
            snapshot=snapshot,
            followed=self._followed(),
            names=names,
            lists=folder,
        )
        lists = self._exclusion().files_in(folder)
        return Stage(command, warning_codes=frozenset({TAR_WARNING}), lists=lists)

    def _exclusion(self) -> Exclusion:
        settings = self._settings
        return exclusion(settings.exclude, settings.tar_options, self.job.target, followed=self._followed())

    def flaw(self, head: bytes, tail: bytes) -> str:
        """See ``Source``."""
        if not head.strip(b"\0"):
            return nothing_left(self.job)
        # Two blocks of zeros end an archive (tar's manual, "Basic Tar Format").
        if tail.strip(b"\0") or len(tail) < _END_SIZE:
            return f"{self.tar} ended as if all were well, but the archive of {self.job.target} is cut off"
        return ""

    @cached_property
    def _settings(self) -> JobSettings:
        try:
            return with_own_exclusion(self.job, self._rounds)
        except SourceError:
            return self.job.settings  # ``check`` reports it

    @cached_property
    def _rounds(self) -> Sequence[str]:
        return rounds_in(self.job)

    def _followed(self) -> bool:
        # Path.is_symlink() raises where the folder above may not be searched.
        return os.path.islink(self.job.target)  # noqa: PTH114

    def _working_snapshot(self, folder: Path) -> Path | None:
        schedule = self.job.schedule
        builds_diffs = isinstance(schedule, SimpleCycle) and schedule.diffs > 0
        return folder / WORKING if builds_diffs else None
