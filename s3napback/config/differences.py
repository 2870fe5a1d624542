"""Where a configuration of the original's says something else to us, and both can be meant: told when it is migrated.

A warning on each night would be too much, since nobody can know from a file who wrote it, and for which of the two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from s3napback.config.descriptions import DirectiveDescription
from s3napback.config.directives import HANOI_CYCLE, Directives
from s3napback.config.settings import Position
from s3napback.config.syntax import Block, Directive, Entry
from s3napback.kinds import kind_called

_INHERITED: Mapping[str, tuple[DirectiveDescription, str]] = {
    description.name.lower(): (description, default)
    for description, default in (
        (Directives.CYCLE_TYPE, "SimpleCycle"),
        (Directives.FREQUENCY, "1"),
        (Directives.PHASE, "0"),
        (Directives.DIFFS, "6"),
        (Directives.FULLS, "4"),
        (Directives.DISCS, "5"),
        (Directives.ARCHIVE_OLDEST_DISC, "Off"),
        (Directives.USE_TEMP_FILE, "Off"),
    )
}
"""Settings of the original's blocks, with what held where one was left out (its function ``cyclespec``)."""

_NO_DIFFS = (
    "Diffs is left out, which means 0, as the original's manual says; its code took 6: write Diffs 6 to have "
    "incremental backups"
)


def differences(entries: Sequence[Entry]) -> dict[Position, list[str]]:
    """What should be known of a file's directives and blocks, by where they stand.

    Args:
        entries: the tree of a configuration.
    """
    found: dict[Position, list[str]] = {}
    for position, note in (*_of_level(entries, {}), *_of_excludes(entries, ()), *_of_recipients(entries)):
        found.setdefault(position, []).append(note)
    return found


def _of_level(entries: Sequence[Entry], around: Mapping[str, Directive]) -> Iterator[tuple[Position, str]]:
    """What differs in a file or a block, and in the blocks in it.

    Args:
        around: settings of the blocks around it, by name.
    """
    own: dict[str, Directive] = {}
    for entry in entries:
        if isinstance(entry, Directive):
            own.setdefault(entry.name.lower(), entry)
    settings = {**around, **{name: entry for name, entry in own.items() if name in _INHERITED}}
    sources = [entry for entry in entries if isinstance(entry, Directive) and kind_called(entry.name)]
    yield from _of_missing_diffs(sources, settings)
    for entry in entries:
        if isinstance(entry, Block):
            yield from _of_block(entry, settings)


def _of_block(block: Block, around: Mapping[str, Directive]) -> Iterator[tuple[Position, str]]:
    own = {entry.name.lower() for entry in block.entries if isinstance(entry, Directive)}
    for name, setting in around.items():
        description, default = _INHERITED[name]
        if name not in own and not _is_default(setting, default):
            value = " ".join(setting.values) or "On"
            note = (
                f"{description.name} {value} of line {setting.position.line} holds here, too; the original's blocks "
                f"inherited nothing: write {description.name} {default} to have it as it was"
            )
            yield block.position, note
    yield from _of_level(block.entries, around)
    if kind_called(block.name):
        itself = Directive(block.name, block.values, block.position)
        settings = {**around, **dict.fromkeys(own, itself)}
        yield from _of_missing_diffs([itself], settings)


def _is_default(setting: Directive, default: str) -> bool:
    return setting.values == (default,)


def _of_missing_diffs(
    sources: Sequence[Directive], settings: Mapping[str, Directive]
) -> Iterator[tuple[Position, str]]:
    cycle_type = settings.get(Directives.CYCLE_TYPE.name.lower())
    is_hanoi = cycle_type is not None and HANOI_CYCLE.lower() in map(str.lower, cycle_type.values)
    if Directives.DIFFS.name.lower() in settings or is_hanoi:
        return
    for source in sources:
        kind = kind_called(source.name)
        if kind is not None and kind.has_diffs:
            yield source.position, _NO_DIFFS
            return


def _of_excludes(entries: Sequence[Entry], around: Sequence[Directive]) -> Iterator[tuple[Position, str]]:
    """Patterns from around a block, which leave out what the original archived.

    Args:
        around: those of the file and of the blocks around.
    """
    known = (*around, *(each for each in entries if isinstance(each, Directive) and _is_exclude(each)))
    for block in entries:
        if not isinstance(block, Block):
            continue
        for pattern in known if _holds_tree(block) else ():
            note = (
                f"Exclude {' '.join(pattern.values)} of line {pattern.position.line} holds here, too; the original's "
                "blocks inherited nothing, and archived that: move it into the blocks that are meant"
            )
            yield block.position, note
        yield from _of_excludes(block.entries, known)


def _is_exclude(entry: Directive) -> bool:
    return entry.name.lower() == Directives.EXCLUDE.name.lower()


def _holds_tree(block: Block) -> bool:
    """Whether a block is of a directory, or names one itself."""
    named = [block.name, *(entry.name for entry in block.entries if isinstance(entry, Directive))]
    return any(kind is not None and kind.holds_tree for kind in map(kind_called, named))


def _of_recipients(entries: Sequence[Entry]) -> Iterator[tuple[Position, str]]:
    recipients = [
        (entry.position, value)
        for entry in entries
        if isinstance(entry, Directive) and entry.name.lower() == Directives.GPG_RECIPIENT.name.lower()
        for value in entry.values
    ]
    for position, value in recipients[1:]:
        yield position, f"archives are encrypted for {value} as well; the original took the first GpgRecipient alone"
