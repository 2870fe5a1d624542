"""What ``ls``, ``find``, ``history`` and ``diff`` have in common: which archives are meant, and who looks into them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import Protocol

from s3napback.archives import Unread
from s3napback.browsing.interest import Interest
from s3napback.browsing.lineages import Lineages, lineages_of
from s3napback.browsing.nodes import MISSING, joined, split
from s3napback.catalogue.contents import CataloguedArchive, newest_first
from s3napback.catalogue.keeping import KeptStore, tidy
from s3napback.catalogue.remembering import cache_folder
from s3napback.catalogue.sums import sum_key
from s3napback.config.settings import Configuration
from s3napback.formatting import alike, counted, printable, shell_word, twin, twin_text
from s3napback.kinds import DIRECTORY, SourceName
from s3napback.records import dataclass
from s3napback.recovery.choosing import only_source
from s3napback.recovery.holdings import Holdings, StoredCold, cold_advice, look_at_store
from s3napback.recovery.inspecting import Inspector, ReplayedTree
from s3napback.recovery.moments import as_keys
from s3napback.recovery.paths import NoSuchPath, members_of_paths
from s3napback.recovery.unread import said_of, unread_in
from s3napback.rotation import day_date

logger = logging.getLogger("s3napback")

_TOGETHER = 500
_MOST_NEAR = 5
_MOST_LOOKED_AT = 5000


class OutputForm(Enum):
    """How the result is shown."""

    TERMINAL = "columns as people read them"
    PLAIN = "the same with exact sizes and times"
    JSON = "JSON"
    NAMES = "names alone, each ended by a NUL"

    @property
    def is_exact(self) -> bool:
        """Sizes in bytes, and times to the nanosecond."""
        return self is not OutputForm.TERMINAL


class Say(Protocol):
    """What takes the lines of a result."""

    def __call__(self, *lines: str) -> None:
        """Show some lines."""
        ...


class Write(Protocol):
    """What takes bytes of a result."""

    def __call__(self, data: bytes) -> None:
        """Show them as they are."""
        ...


@dataclass(frozen=True)
class Output:
    """Where a result goes.

    Attributes:
        form: how it is shown.
        say: takes lines.
        write: takes bytes as they are.
    """

    form: OutputForm
    say: Say
    write: Write

    def lines(self, lines: Iterable[str]) -> None:
        """Show lines, of which there may be millions."""
        rest = iter(lines)
        while together := list(islice(rest, _TOGETHER)):
            self.say(*together)

    def names(self, names: Iterable[bytes]) -> None:
        """Show names as they are, each ended by a NUL."""
        rest = iter(names)
        while together := list(islice(rest, _TOGETHER)):
            self.write(b"".join(b"%s\0" % name for name in together))


@dataclass(frozen=True)
class LookRequest:
    """What the command line asks for.

    Attributes:
        source: as in the configuration; empty where that is left out.
        at: as of when; empty is the newest.
        origin: ``--from``: a Cycle's name or a key base.
        passphrase_file: for gpg.
        require_signature: only what GpgSignKey has signed counts.
    """

    source: str = ""
    at: str = ""
    origin: str = ""
    passphrase_file: Path | None = None
    require_signature: bool = False


class Looker:
    """Looks into the archives of one store."""

    def __init__(
        self,
        configuration: Configuration,
        request: LookRequest,
        today: date,
        path: str = "",
        others: Sequence[str] = (),
    ) -> None:
        """Look at the store.

        Args:
            configuration: a Bucket is enough.
            request: what is asked for.
            today: completes ``--at``.
            path: absolute, by which the source is known where none is named.
            others: of which moments archives are looked at besides, in the form of ``--at``.

        Raises:
            S3napbackError: it cannot be used, or read.
        """
        self._keys = as_keys(request.at, *others)
        word = request.source or path
        self.holdings: Holdings = look_at_store(configuration, word, request.origin, self._keys)
        self._request = request
        self._today = today
        self._folder = cache_folder(os.environ)
        catalogue = self.holdings.catalogue
        self._kept = KeptStore(self.holdings.store, self._folder, catalogue.indexes)

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Look, and afterwards keep the cache small."""
        try:
            yield
        finally:
            tidy(self._folder)

    def located(self, word: str) -> tuple[str, str]:
        """The source that a word means, and the path within it if it means one: ``/etc/hosts`` lies in ``/etc``."""
        holder = self.holdings.holder(word, self._request.at, self._today, self._request.origin)
        return (word, "") if holder is None else (str(holder), word)

    def archives(self, word: str) -> list[CataloguedArchive]:
        """This host's archives of a source, newest first."""
        return self.holdings.own(word, self._request.origin, self._keys)

    def chain(self, word: str, at: str) -> tuple[CataloguedArchive, ...]:
        """The chain as of a moment."""
        return self.holdings.chain(word, at, self._today, self._request.origin)

    def lineages(self, word: str) -> Lineages:
        """All chains of a source; says which archives belong to none, or are lost."""
        archives = self.archives(word)
        lineages = lineages_of(self.holdings.catalogue, archives)
        for problem in dict.fromkeys((*self.holdings.lost(archives), *lineages.problems)):
            logger.warning("%s", problem)
        return lineages

    def source(self, word: str) -> SourceName:
        """The one source that a word means."""
        return only_source(self.archives(word), word)

    def inspector(self, source: SourceName) -> Inspector:
        """Who looks into the archives of a directory."""
        request = self._request
        decoder = self.holdings.decoder(request.passphrase_file, require_signature=request.require_signature)
        return Inspector.of(decoder, source.target, self._kept)

    def require_warm(self, archives: Sequence[CataloguedArchive]) -> None:
        """Look whether archives can be read at once.

        Raises:
            StoredCold: one cannot.
        """
        if advice := cold_advice(archives, self.holdings.configuration, self.holdings.catalogue.sums):
            raise StoredCold(*advice)

    def tree_of(self, source: SourceName, chain: Sequence[CataloguedArchive], wanted: Interest) -> ReplayedTree:
        """The tree after a chain; a context manager."""
        self.require_warm(chain)
        return ReplayedTree(self.inspector(source), chain, wanted)

    def tell_unread(self, newest: CataloguedArchive, name: bytes) -> Unread:
        """Say what could not be read that night, of what is shown; returns all of it."""
        unread = unread_in(self.holdings.store, newest)
        for line in said_of(unread, newest, [name] if name else []):
            logger.warning("%s", line)
        return unread

    def gaps(self, archives: Sequence[CataloguedArchive]) -> list[str]:
        """What a search in archives may have missed, in a line; none if all could be read when they were made."""
        several = sorted({each.key: each for each in archives}.values(), key=newest_first)
        lacking = self._lacking(several)
        return _missed(f"{len(lacking)} of {counted(len(several), 'backup')}", lacking)

    def newest_gaps(self, archives: Sequence[CataloguedArchive]) -> list[str]:
        """The same, of each source's newest one alone: to ask of an archive costs a request."""
        oldest_first = sorted(archives, key=newest_first, reverse=True)
        newest = {each.record.owner.source: each for each in oldest_first if each.record}
        lacking = self._lacking(list(newest.values()))
        if len(newest) == 1:
            return _missed("the newest backup", lacking)
        return _missed(f"the newest backups of {len(lacking)} of {len(newest)} directories", lacking)

    def _lacking(self, archives: Sequence[CataloguedArchive]) -> list[CataloguedArchive]:
        return [each for each in archives if unread_in(self.holdings.store, each).count]


def _missed(where: str, lacking: Sequence[CataloguedArchive]) -> list[str]:
    """A line on archives that lack something, if there are any."""
    if not lacking:
        return []
    beside = sum_key(lacking[0].key)
    return [f"something could not be read in {where}, and what is looked for may be in it: {beside} names it"]


def require_directory(source: SourceName) -> None:
    """Look whether archives of a source hold names.

    Raises:
        NoSuchPath: they are dumps.
    """
    if source.kind != DIRECTORY.name:
        raise NoSuchPath(
            f"{source} is dumped as a whole, and its archives hold no files: “list {shell_word(str(source))}” shows "
            "them, and restore brings one back"
        )


def path_within(source: SourceName, path: str) -> bytes:
    """The path of a name relative to a source.

    Args:
        path: absolute, or relative to the source; empty is the source.

    Raises:
        NoSuchPath: it does not lie in the source.
    """
    if not path:
        return b""
    (name,) = members_of_paths(source.target, (path,))
    top = source.target.strip("/")
    below = name[len(top) :].lstrip("/") if top else name
    return b"" if below == "." else below.encode("utf-8", "surrogateescape")


def top_of(source: SourceName) -> bytes:
    """The absolute path of a directory."""
    return source.target.encode("utf-8", "surrogateescape")


def no_such_path(looker: Looker, source: SourceName, chain: Sequence[CataloguedArchive], path: bytes) -> NoSuchPath:
    """The error that a path was not there on a day, with what lies near it and what to do."""
    shown = printable(Interest(top=top_of(source)).absolute(path).decode("utf-8", "surrogateescape"))
    day = f" on {day_date(chain[-1].record.day)}" if chain[-1].record else ""
    folder, name = split(path)
    with looker.tree_of(source, chain, Interest(folder, is_deep=False, top=top_of(source))) as tree:
        nodes = islice((node for node in tree.nodes() if node.path != folder), _MOST_LOOKED_AT)
        names = {node.name.decode("utf-8", "surrogateescape"): node for node in nodes if node.state != MISSING}
    text = name.decode("utf-8", "surrogateescape")
    same = twin(text, names)
    near = [same] if same else alike(text, names, _MOST_NEAR)
    paths = [Interest(top=top_of(source)).absolute(joined(folder, names[each].name)) for each in near]
    near_text = ", ".join(printable(each.decode("utf-8", "surrogateescape")) for each in paths)
    hint = twin_text(near_text) if same else f"; near it are: {near_text}"
    written = shell_word(Interest(top=top_of(source)).absolute(path).decode("utf-8", "surrogateescape"))
    return NoSuchPath(
        f"{shown} was not there{day}{hint if near else ''}",
        f"“history {written}” tells on which days it was, and “find” looks for names on all of them",
    )
