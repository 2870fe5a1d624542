"""From the tree of directives and blocks to scopes of settings and the jobs in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace

from s3napback.config.descriptions import BlockDescription, DirectiveContext, DirectiveDescription, Type
from s3napback.config.directives import Directives
from s3napback.config.excludes import check_pattern
from s3napback.config.names import check_cycle_name
from s3napback.config.naming import find_block, find_directive, needed_by, similar_name
from s3napback.config.old_ways import name_by_position, passed_over, repeated, words_of
from s3napback.config.problems import Problems
from s3napback.config.program_options import RULES, refused_options
from s3napback.config.schedules import check_environment, job_settings, schedule, warn_of_short_memory
from s3napback.config.scopes import Scope, Setting
from s3napback.config.settings import Job, JobSettings, Position
from s3napback.config.syntax import Block, Directive, Entry
from s3napback.config.values import InvalidValueError, convert
from s3napback.formatting import shown
from s3napback.kinds import kind_of
from s3napback.records import dataclass
from s3napback.regexes import regex
from s3napback.rotation import Schedule
from s3napback.targets import InvalidNameError

_COMMANDS = (Directives.RUN, Directives.BEFORE, Directives.AFTER, Directives.ON_SUCCESS, Directives.ON_FAILURE)
_SHELL_SIGN = regex(r"\d?[<>]|&&?$|\|\|?$|;|\$[\w{(]|`")
"""How a word begins that means something to a shell alone."""


@dataclass
class Contents:
    """What a file or block holds, sorted by what it is.

    Attributes:
        words: of settings that are several; those of every line, which ``add_up`` makes the setting.
    """

    settings: dict[str, Setting] = field(default_factory=dict)
    sources: list[tuple[DirectiveDescription, Directive]] = field(default_factory=list)
    blocks: list[tuple[BlockDescription, Block]] = field(default_factory=list)
    words: dict[str, list[str]] = field(default_factory=dict)

    def add_up(self) -> None:
        """Have each setting of several words hold those of all of its lines."""
        for name, words in self.words.items():
            self.settings[name] = replace(self.settings[name], value=tuple(words))


class BlockReader:
    """Collects the jobs of one configuration, their names not yet qualified, and every Exclude.

    Attributes:
        jobs: in the order of the file.
        excludes: patterns, each with where it stands.
    """

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._cycles: dict[str, Position] = {}
        self._cycles_begun = 0
        self.jobs: list[Job] = []
        self.excludes: list[tuple[str, Position]] = []

    def read_file(self, entries: Sequence[Entry], start: Position) -> Scope:
        """Read everything; returns the settings at file level."""
        contents = self._sorted(entries, DirectiveContext.FILE, "")
        scope = Scope(DirectiveContext.FILE, start, contents.settings)
        if contents.sources:
            self._add_jobs(contents, scope, "")
        for description, block in contents.blocks:
            if description.name == "Cycle":
                self._read_cycle(block, scope)
            else:
                self._read_source_block(description.name, block, scope, cycle="")
        return scope

    def _read_cycle(self, block: Block, outer: Scope) -> None:
        name = self._cycle_name(block)
        contents = self._sorted(block.entries, DirectiveContext.CYCLE, "")
        scope = Scope(DirectiveContext.CYCLE, block.position, contents.settings, outer)
        self._add_jobs(contents, scope, name)
        for inner, source in contents.blocks:
            self._read_source_block(inner.name, source, scope, cycle=name)
        if not (contents.sources or contents.blocks):
            self._problems.warning(block.position, f"{block.tag} holds no source: nothing is backed up by it")

    def _add_jobs(self, contents: Contents, scope: Scope, cycle: str) -> None:
        """Add what is named in a Cycle, or at file level, without a block of its own."""
        plan = schedule(scope, self._problems)
        settings = job_settings(scope)
        for description, directive in contents.sources:
            if not directive.values:
                self._problems.error(directive.position, f"{description.name} needs a value: what to back up")
            for value in directive.values:
                self._add_job(description.name, value, directive.position, scope, (cycle, plan, settings))

    def _cycle_name(self, block: Block) -> str:
        self._cycles_begun += 1
        if not block.values:
            name = name_by_position(block, self._cycles_begun, self._problems)
        else:
            name = self._one_value(block, "a unique name")
        if not name:
            return ""
        try:
            check_cycle_name(name)
        except InvalidNameError as error:
            self._problems.error(block.position, f"{block.tag}: {error}")
        first = self._cycles.setdefault(name, block.position)
        if first is not block.position:
            self._problems.error(block.position, f"there is a <Cycle {shown(name)}> already, at {first}")
        return name

    def _read_source_block(self, kind: str, block: Block, outer: Scope, cycle: str) -> None:
        contents = self._sorted(block.entries, DirectiveContext.SOURCE, kind)
        scope = Scope(DirectiveContext.SOURCE, block.position, contents.settings, outer)
        plan = schedule(scope, self._problems)
        names = {entry.name for entry in block.entries if isinstance(entry, Directive)}
        written = [find_directive(name) for name in names]
        for needed in needed_by(kind):
            if needed not in written:
                self._problems.error(block.position, f"{block.tag} needs {needed.name}: {needed.help}")
        target = self._one_value(block, "what to back up")
        if target:
            self._add_job(kind, target, block.position, scope, (cycle, plan, job_settings(scope)))

    def _one_value(self, block: Block, what: str) -> str:
        if len(block.values) == 1 and block.values[0]:
            return block.values[0]
        if len(block.values) > 1:
            each = "" if block.name.lower() == "cycle" else ", or give each a block of its own"
            message = f"{block.tag}: a block takes one value; put blanks in it in quotes{each}"
            self._problems.error(block.position, message)
        else:
            self._problems.error(block.position, f"<{block.name}> needs {what}: <{block.name} VALUE>")
        return ""

    def _add_job(
        self,
        kind_name: str,
        value: str,
        position: Position,
        scope: Scope,
        of_scope: tuple[str, Schedule | None, JobSettings],
    ) -> None:
        cycle, plan, settings = of_scope
        kind = kind_of(kind_name)
        try:
            target = kind.grammar.normalised(value)
        except InvalidNameError as error:
            # What may be a connection string may hold a password, so databases are not shown.
            subject = f"{kind.name} “{shown(value)}”" if kind.is_path else kind.name
            self._problems.error(position, f"{subject}: {error}")
            return
        if plan is None:
            return
        if not kind.has_diffs:
            warn_of_short_memory(f"{kind.name} {target}", position, plan, scope, self._problems)
            plan = plan.always_full()
        self.jobs.append(Job(kind.name, target, kind.key_base(target), plan, cycle, settings, position))

    def _sorted(self, entries: Sequence[Entry], place: DirectiveContext, kind: str) -> Contents:
        """Sort a block's entries; those that are wrong are reported and left out."""
        contents = Contents()
        known: dict[str, DirectiveDescription] = {}
        for entry in entries:
            if isinstance(entry, Block):
                block = self._known_block(entry, place)
                if block is not None:
                    contents.blocks.append((block, entry))
                continue
            directive = known.get(entry.name) or self._directive(entry, place)
            if directive is None:
                continue
            known[entry.name] = directive
            if directive.type is Type.SOURCE:
                contents.sources.append((directive, entry))
                continue
            if kind and directive.kinds and kind not in directive.kinds:
                self._problems.warning(entry.position, f"{directive.name} has no effect on {kind}")
            self._set(contents, directive, entry, place)
        contents.add_up()
        return contents

    def _directive(self, entry: Directive, place: DirectiveContext) -> DirectiveDescription | None:
        return None if passed_over(entry, self._problems) else self._known_directive(entry, place)

    def _set(self, contents: Contents, known: DirectiveDescription, entry: Directive, place: DirectiveContext) -> None:
        before = contents.settings.get(known.name)
        if before is not None and not known.adds_up:
            repeated(known, entry, _where(before, entry), self._problems)
            return
        try:
            value = convert(known, words_of(known, entry, self._problems))
        except InvalidValueError as error:
            self._problems.error(entry.position, str(error))
            return
        if isinstance(value, tuple):
            self._check_words(known, value, entry.position)
            contents.words.setdefault(known.name, []).extend(value)
        contents.settings[known.name] = Setting(value, entry.position, place)

    def _check_words(self, known: DirectiveDescription, words: tuple[str, ...], position: Position) -> None:
        if known.name in RULES:
            for problem in refused_options(known.name, words):
                self._problems.error(position, problem)
        if known is Directives.EXCLUDE:
            for pattern in words:
                if check_pattern(pattern, position, self._problems):
                    self.excludes.append((pattern, position))
        if any(known is each for each in _COMMANDS):
            self._check_command(known, words, position)
        if known is Directives.ENVIRONMENT:
            check_environment(words, position, self._problems)

    def _check_command(self, known: DirectiveDescription, words: tuple[str, ...], position: Position) -> None:
        if "/" in words[0] and not words[0].startswith("/"):
            # No backup depends on who is told of it.
            is_told = known is Directives.ON_SUCCESS or known is Directives.ON_FAILURE
            say = self._problems.warning if is_told else self._problems.error
            say(position, f"{known.name}: write the program's name alone, or its whole path")
        if sign := next(filter(_SHELL_SIGN.match, words), ""):
            advice = "no shell is started, and the program gets it as it is; put what needs a shell into a script"
            self._problems.warning(position, f"{known.name}: “{shown(sign)}”: {advice}")

    def _known_directive(self, entry: Directive, place: DirectiveContext) -> DirectiveDescription | None:
        known = find_directive(entry.name)
        if known is None:
            block = find_block(entry.name)
            self._problems.error(
                entry.position,
                f"{block.name} is a block: write <{block.name} VALUE> … </{block.name}>"
                if block
                else _unknown("directive", entry.name),
            )
            return None
        if place in known.places:
            return known
        if known.type is Type.SOURCE:
            advice = f"belongs at file level, in a <Cycle>, or in a block of its own: <{known.name} …>"
        elif known.places == {DirectiveContext.SOURCE}:
            blocks = [f"<{kind} …>" for kind in known.kinds]
            kind = f"of its own kind: {' or '.join(blocks)}" if blocks else "of a source's own, such as <Directory …>"
            advice = f"belongs in a block {kind}"
        else:
            advice = "belongs at file level, outside all blocks"
        self._problems.error(entry.position, f"{known.name} cannot stand {place.value}; it {advice}")
        return None

    def _known_block(self, entry: Block, place: DirectiveContext) -> BlockDescription | None:
        known = find_block(entry.name)
        if known is None:
            directive = find_directive(entry.name)
            self._problems.error(
                entry.position,
                f"{directive.name} is not a block: write “{directive.name} VALUE”"
                if directive
                else _unknown("block", entry.name),
            )
            return None
        if place not in known.places:
            where = "file level" if known.name == "Cycle" else "file level or in a <Cycle>"
            self._problems.error(entry.position, f"{entry.tag} cannot stand {place.value}; it belongs at {where}")
            return None
        return known


def _where(before: Setting, entry: Directive) -> str:
    """The line of an earlier setting, with its file where that is another one."""
    if before.position.file == entry.position.file:
        return f"in line {before.position.line}"
    return f"at {before.position}"


def _unknown(what: str, name: str) -> str:
    similar = similar_name(name)
    return f"unknown {what} {shown(name)}" + (f"; did you mean {similar}?" if similar else "")
