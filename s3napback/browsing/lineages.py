"""All archives of a source as chains, of which each is gone through once; and what became of a name in them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field
from itertools import groupby

from s3napback.browsing.nodes import Node
from s3napback.catalogue.contents import Catalogue, CataloguedArchive, newest_first
from s3napback.records import dataclass


@dataclass(frozen=True)
class Lineages:
    """Chains that hold all archives which can be restored, the oldest FULL first.

    Attributes:
        chains: each oldest archive first.
        problems: why others cannot be restored, one line each. That the rotation has gone on over the FULL of some is
            none, as long as there are chains.
    """

    chains: tuple[tuple[CataloguedArchive, ...], ...]
    problems: tuple[str, ...] = ()

    @property
    def numbered(self) -> list[CataloguedArchive]:
        """All archives in the order in which they are gone through; the first has number 1."""
        return [archive for chain in self.chains for archive in chain]


def lineages_of(catalogue: Catalogue, archives: Sequence[CataloguedArchive]) -> Lineages:
    """The chains of some archives."""
    covered: set[str] = set()
    chains: list[tuple[CataloguedArchive, ...]] = []
    problems: list[tuple[str, bool]] = []
    for archive in sorted(archives, key=newest_first):
        if archive.key in covered:
            continue
        chain = catalogue.chain(archive)
        if chain.archives:
            chains.append(chain.archives)
            covered.update(each.key for each in chain.archives)
        else:
            problems.append((f"{archive.key} cannot be restored: {chain.problem}", chain.is_outlived))
    told = tuple(line for line, is_outlived in problems if not (is_outlived and chains))
    return Lineages(tuple(sorted(chains, key=lambda chain: newest_first(chain[0]), reverse=True)), told)


@dataclass
class Version:
    """What a name was in some archives.

    Attributes:
        node: it.
        numbers: of the archives.
    """

    node: Node
    numbers: list[int] = field(default_factory=list)


def versions(spans: Iterable[tuple[Node, int, int]]) -> Iterator[tuple[bytes, list[Version]]]:
    """Each path with all that it ever was.

    Args:
        spans: nodes with the first and last number of archives, those of one path one after the other.
    """
    for path, group in groupby(spans, key=lambda span: span[0].path):
        found: dict[tuple[object, ...], Version] = {}
        for node, first, last in group:
            version = found.setdefault((node.what, node.state), Version(node))
            version.numbers.extend(range(first, last + 1))
        yield path, list(found.values())
