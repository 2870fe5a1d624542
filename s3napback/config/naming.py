"""Finds directives and blocks by their names, those of the kinds of source as well, and what a misspelt one means."""

from __future__ import annotations

from s3napback.config.descriptions import BlockDescription, DirectiveContext, DirectiveDescription, Files, Sources
from s3napback.config.directives import ANYWHERE, GLOBAL, Directives
from s3napback.formatting import alike
from s3napback.kinds import KINDS, Kind, kind_called

_SETTINGS = tuple(each for each in vars(Directives).values() if isinstance(each, DirectiveDescription))

_INCLUDES = (
    Files(
        "Include",
        ANYWHERE,
        "Reads other files at this place; names are relative to this file's folder, and wildcards may match nothing.",
    ),
    Files("IncludeOptional", ANYWHERE, "Like Include, for files that may be absent."),
)

_AROUND_SOURCES = frozenset({DirectiveContext.FILE, DirectiveContext.CYCLE})
_CYCLE = BlockDescription("Cycle", "a unique name", GLOBAL, "Settings, and the sources that they hold for.")


def _directive_of(kind: Kind) -> DirectiveDescription:
    return Sources(kind.name, _AROUND_SOURCES, kind.help)


def _block_of(kind: Kind) -> BlockDescription:
    return BlockDescription(kind.name, kind.grammar.what, _AROUND_SOURCES, kind.block_help)


def all_directives() -> tuple[DirectiveDescription, ...]:
    """The table of directives; those of sources follow from their kinds."""
    return (*_SETTINGS, *(_directive_of(kind) for kind in KINDS.values() if not kind.needs_block), *_INCLUDES)


def all_blocks() -> tuple[BlockDescription, ...]:
    """The table of blocks; those of sources follow from their kinds."""
    return (_CYCLE, *map(_block_of, KINDS.values()))


_WITHOUT_KINDS = {description.name.lower(): description for description in (*_SETTINGS, *_INCLUDES)}


def find_directive(name: str) -> DirectiveDescription | None:
    """The directive called ``name``, in any case."""
    kind = kind_called(name)
    if kind is None:
        return _WITHOUT_KINDS.get(name.lower())
    return None if kind.needs_block else _directive_of(kind)


def find_block(name: str) -> BlockDescription | None:
    """The block called ``name``, in any case."""
    kind = kind_called(name)
    if kind is None:
        return _CYCLE if name.lower() == _CYCLE.name.lower() else None
    return _block_of(kind)


def needed_by(kind: str) -> tuple[DirectiveDescription, ...]:
    """What a block of a kind of source cannot do without."""
    return tuple(each for each in _SETTINGS if each.is_needed and kind in each.kinds)


def similar_name(name: str) -> str:
    """The directive or block whose name begins with ``name``, or looks most like it; empty if none does."""
    names = [*(directive.name for directive in all_directives()), *(block.name for block in all_blocks())]
    known = {each.lower(): each for each in names}
    begun = sorted((each for each in known if len(name) > 1 and each.startswith(name.lower())), key=len)
    near = begun or alike(name.lower(), known, 1)
    return known[near[0]] if near else ""
