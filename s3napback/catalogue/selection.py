"""Which archives a word on the command line means: ``/etc``, ``MySQL/all``, ``Directory /etc``, or a key base. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import PurePosixPath

from s3napback.catalogue.contents import Catalogue, CataloguedArchive, newest_first, own_name
from s3napback.config.settings import Job
from s3napback.errors import SourceError
from s3napback.formatting import alike
from s3napback.kinds import KINDS, SourceName, kind_called, kind_of
from s3napback.original.chains import OriginalArchive
from s3napback.regexes import regex
from s3napback.targets import InvalidNameError, normalised_path

_MOST_NAMED = 5
_SLASHES = regex(r"//+")


def matches(word: str, archive: CataloguedArchive) -> bool:
    """Whether ``word`` means the source of an archive.

    A word is a path (of a directory or a repository), ``KIND/TARGET``, ``KIND TARGET``, or a name, that is a key base,
    with or without the Cycle's name in front. Of an archive without metadata nothing but the name is known.
    """
    if not word:
        return False
    names, sources = meanings(word)
    if archive.record is None:
        return archive.base in names
    source = archive.record.owner.source
    if source in sources:
        return True
    # Whoever can write to the store can put an archive of one source under the name of another.
    own = own_name(source)
    return own in names or (archive.base in names and f"/{archive.base}".endswith(f"/{own}"))


def meant(word: str, catalogue: Catalogue) -> list[CataloguedArchive]:
    """The archives that ``word`` means, in the order of keys."""
    return [archive for archive in catalogue.called(*meanings(word)) if matches(word, archive)] if word else []


def matches_original(word: str, archive: OriginalArchive) -> bool:
    """Whether ``word`` means the source of an archive of the original, or what its keys begin with."""
    if not word:
        return False
    names, sources = meanings(word)
    # In a folder that the bucket was copied to, doubled slashes are gone.
    if {_SLASHES.sub("/", name) for name in names} & {
        _SLASHES.sub("/", key) for key in (archive.base, archive.name.series)
    }:
        return True
    own = archive.name.sources
    return bool(sources.intersection(own)) or bool(
        names.intersection(kind_of(each.kind).key_base(each.target) for each in own)
    )


def holders_of(path: str, archives: Iterable[CataloguedArchive]) -> list[SourceName]:
    """The sources that are trees, and within which a path lies, the innermost first.

    Args:
        path: absolute.
        archives: of which sources there are any.
    """
    return _holders(path, {archive.record.owner.source for archive in archives if archive.record})


def original_holder_of(path: str, archives: Sequence[OriginalArchive]) -> SourceName | None:
    """The innermost one, of the original's archives: what can be a directory counts as one. None if there is none."""
    return next(iter(_holders(path, {source for archive in archives for source in archive.name.sources})), None)


def _holders(path: str, sources: Collection[SourceName]) -> list[SourceName]:
    around = [
        source
        for source in sources
        if source.kind
        and kind_of(source.kind).holds_tree
        and _normalised(path).startswith(f"{source.target.rstrip('/')}/")
    ]
    return sorted(around, key=lambda source: len(source.target), reverse=True)


def means(word: str, job: Job) -> bool:
    """Whether ``word`` means a source of the configuration; see ``matches``."""
    names, sources = meanings(word)
    return job.source in sources or job.name in names


def matching_archives(
    catalogue: Catalogue, word: str, *, cycle_or_name: str = "", or_none: bool = False
) -> list[CataloguedArchive]:
    """The archives of the source that ``word`` means, newest first.

    They can be of several owners, where one word fits a directory and a repository, or two machines share a store.

    Args:
        catalogue: all there is.
        word: see ``matches``.
        cycle_or_name: keep only those of a Cycle, or under a name (a key base), if it is given.
        or_none: that there are none of the source is no error.

    Raises:
        SourceError: there are none; the message names sources, or Cycles and names, that come near.
    """
    found = sorted(meant(word, catalogue), key=newest_first)
    if not found and or_none:
        return []
    if not found:
        raise SourceError(_nothing_found(word, catalogue.archives))
    if not cycle_or_name:
        return found
    narrowed = [archive for archive in found if cycle_or_name in (_cycle(archive), archive.base)]
    if not narrowed:
        there = sorted({archive.base or "/" for archive in found} | {_cycle(archive) for archive in found} - {""})
        raise SourceError(
            f"the archives of {word} are not in a Cycle or under a name {cycle_or_name!r}; there is: {', '.join(there)}"
        )
    return narrowed


def source_called(word: str) -> SourceName | None:
    """The source that a word names together with its kind: ``KIND TARGET`` or ``KIND/TARGET``, the kind in any case.

    Returns:
        A path in its shortest form, where it can be brought into it, and any other target as it was written; None if
        the word does not begin with a kind.
    """
    for mark in " /":
        start, _, target = word.partition(mark)
        kind = kind_called(start)
        if kind is not None and target:
            path = target if target.startswith("/") else f"/{target}"
            return SourceName(kind.name, _normalised(path) if kind.is_path else target)
    return None


def meanings(word: str) -> tuple[set[str], set[SourceName]]:
    """The key bases, and the sources, that a word can stand for."""
    names = {word}
    sources = {SourceName.parse(word)}
    if word.startswith("/"):
        path = _normalised(word)
        names.add(path.lstrip("/"))
        sources.update(SourceName(kind.name, path) for kind in KINDS.values() if kind.is_path)
    source = source_called(word)
    if source is not None:
        sources.add(source)
        if (folder := kind_of(source.kind).key_folder) and not kind_of(source.kind).is_path:
            names.add(f"{folder}/{source.target}")
            sources.add(SourceName(source.kind, f"/{source.target}"))  # a socket's path, behind the slash of the kind
    return names, sources


def _normalised(path: str) -> str:
    try:
        return normalised_path(path)
    except InvalidNameError:
        return path


def _cycle(archive: CataloguedArchive) -> str:
    return archive.record.cycle if archive.record else ""


def _nothing_found(word: str, archives: Sequence[CataloguedArchive]) -> str:
    path = source.target if (source := source_called(word)) else word
    # In front of the name there may be that of a Cycle.
    around = tuple(str(each) for each in (PurePosixPath(path), *PurePosixPath(path).parents) if each.name)
    hidden = [each for each in archives if each.flaw and f"/{each.base}".rstrip("/").endswith(around)]
    if hidden:
        return f"there are no archives of {word}, unless {hidden[0].key} is one, or holds it: {hidden[0].flaw}"
    shown: dict[str, str] = {}
    for archive in archives:
        source = archive.record.owner.source if archive.record else SourceName("", archive.base)
        for form in (str(source), source.target, archive.base):
            if form:
                shown.setdefault(form, str(source))
    near = [shown[form] for form in alike(word, shown, _MOST_NAMED, 0.5)]
    if near:
        return f"there are no archives of {word}; near it are: {', '.join(dict.fromkeys(near))}"
    there = sorted(set(shown.values()))
    if not there:
        return f"there are no archives of {word}: none at all are in the store under this Prefix"
    more = f", and {len(there) - _MOST_NAMED} more" if len(there) > _MOST_NAMED else ""
    return f"there are no archives of {word}; the store holds: {', '.join(there[:_MOST_NAMED])}{more}"
