"""Whether a directory is there, holds anything, and is not left out by what its own configuration excludes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from s3napback.config.settings import Job
from s3napback.environment import Family
from s3napback.errors import SourceError
from s3napback.formatting import printable
from s3napback.index.tags import has_tag
from s3napback.regexes import regex
from s3napback.sources.exclusion import Exclusion
from s3napback.sources.looking import follows_links, keeping_tags
from s3napback.sources.programs import answer_of

_NOWHERE = Path("/nowhere")
_NOT_EXPANDED = regex(r"[*?\[$~]|\{.*\}")


def holds_anything(job: Job) -> bool:
    """Whether there is anything in the directory.

    Raises:
        SourceError: it is missing, no directory, or cannot be read.
    """
    try:
        with os.scandir(job.target) as entries:
            return next(entries, None) is not None
    except FileNotFoundError:
        hint = "; wildcards and variables are not expanded" if _NOT_EXPANDED.search(job.target) else ""
        raise SourceError(f"{job.source} does not exist{hint}") from None
    except NotADirectoryError:
        raise SourceError(f"{job.source} is not a directory") from None
    except OSError as error:
        raise SourceError(f"{job.source} cannot be read: {error.strerror}") from None


def require_something_left(job: Job, command: Callable[..., Sequence[str]], excluded: Exclusion) -> None:
    """Refuse a directory that is excluded itself, by its name or that of one above it, or by a tag in it.

    tar is asked, with the options of the backup: which pattern matches what only it knows for certain.

    Args:
        job: of the directory.
        command: makes the one that archives it, given the folder of ``excluded``'s files; the directory's name stands
            at its end behind ``--``.
        excluded: what it leaves out.

    Raises:
        SourceError: nothing would be archived.
    """
    if not (job.settings.exclude or job.settings.tar_options):
        return
    _require_no_tag(job)
    with ExitStack() as files:
        # Nothing is written: a rehearsal asks as well.
        opened = {name: _in_memory(name, lines, files) for name, lines in excluded.lists.items()}
        *options, dashes, name = (_opened(word, opened) for word in command(lists=_NOWHERE))
        try:
            entry = answer_of(
                (*options, "--no-recursion", dashes, name),
                family=Family.PLAIN,
                timeout=job.settings.stall_timeout or None,
                descriptors=tuple(opened.values()),
            )
        except SourceError:
            return  # what else may be wrong with tar or the directory, the backup itself says
    if not entry.strip("\0"):
        raise SourceError(nothing_left(job))


def _require_no_tag(job: Job) -> None:
    """Refuse a directory of which a tag in it leaves nothing but itself; of the other tags tar tells."""
    options = job.settings.tar_options
    with ExitStack() as closing:
        try:
            folder = os.open(job.target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return  # the backup itself says it
        closing.callback(os.close, folder)
        for tag in keeping_tags(options):
            if has_tag(b".", folder, (tag,), follows=follows_links(options)):
                name = printable(os.fsdecode(tag.name))
                raise SourceError(
                    f"nothing of {job.target} but {name} would be archived: "
                    "TarOptions leave out the folders that hold one"
                )


def _in_memory(name: str, content: bytes, closing: ExitStack) -> int:
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    closing.callback(os.close, descriptor)
    return descriptor


def _opened(word: str, descriptors: Mapping[str, int]) -> str:
    """A word of the command in which a file that is open has its place of a file in no folder."""
    option, _, path = word.partition(f"={_NOWHERE}/")
    return f"{option}=/proc/self/fd/{descriptors[path]}" if path in descriptors else word


def nothing_left(job: Job) -> str:
    """What is said of a directory of which nothing would be archived."""
    return f"nothing of {job.target} would be archived: an Exclude, or a TarOptions, matches the directory itself"
