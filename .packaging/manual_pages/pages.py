"""Which man pages there are, and what stands in each: all of it is said elsewhere already.

``s3napback(1)`` and a page for each command come from the commands themselves and from the part of the manual that is
about them; ``s3napback.conf(5)`` from the table of directives, and from the topics on how a configuration is written; a
page of section 7 from each other topic.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import click
from docutils import nodes

from manual_pages.markdown import blocks, definitions, paragraph, section
from manual_pages.roff import Page
from manual_pages.topics import OF_THE_CONFIGURATION, Topic, page_of
from s3napback.cli import command_line
from s3napback.command_group import ALIASES
from s3napback.config.descriptions import DirectiveContext, DirectiveDescription
from s3napback.config.naming import all_blocks, all_directives

PROGRAM = "s3napback"
_REPLACED = re.compile(r"([A-Z]+|(?<![\w-])-\w\b|s3napback)")
_PLACES = {
    DirectiveContext.FILE: "at file level",
    DirectiveContext.CYCLE: "in a Cycle",
    DirectiveContext.SOURCE: "in a source's block",
}
_FILES = (
    ("/etc/s3napback/s3napback.conf", "The configuration, where no other is named: see `s3napback.conf`(5)."),
    ("/etc/s3napback/logging.ini", "Where log lines go, if it is there."),
    ("/var/lib/s3napback", "What the next night builds on, where `DiffDir` names no other folder."),
)


def all_pages(topics: Sequence[Topic]) -> Iterator[Page]:
    """Every man page."""
    yield _of_the_program(topics)
    for name, command in command_line.every().items():
        yield _of_a_command(name, command, topics)
    yield _of_the_configuration(topics)
    for topic in topics:
        if topic.name not in OF_THE_CONFIGURATION:
            yield _of_a_topic(topic)


# --- the program and its commands ---


def _of_the_program(topics: Sequence[Topic]) -> Page:
    context = _context(command_line, PROGRAM)
    commands = command_line.every().items()
    content = (
        section("SYNOPSIS", _line("s3napback [-c CONF]... [OPTIONS]"), _line(_BEFORE_A_COMMAND)),
        section("DESCRIPTION", paragraph(_help(command_line))),
        section("OPTIONS", _options(context, command_line)),
        section(
            "COMMANDS",
            paragraph("Each has a page of its own, as `s3napback-list`(1)."),
            definitions([([nodes.strong("", name)], [paragraph(_help(command))]) for name, command in commands]),
        ),
        _exit_codes(),
        section("FILES", definitions([([nodes.strong("", path)], [paragraph(text)]) for path, text in _FILES])),
        _see_also("s3napback.conf(5)", *(f"{PROGRAM}-{name}(1)" for name, _command in commands), *_named(topics)),
    )
    return Page(PROGRAM, 1, "back up to S3 or to a folder, in cycles, encrypted", content)


_BEFORE_A_COMMAND = "s3napback [-c CONF]... [OPTIONS] COMMAND [ARGUMENTS]"


def _of_a_command(name: str, command: click.Command, topics: Sequence[Topic]) -> Page:
    context = _context(command, name, _context(command_line, PROGRAM))
    aliases = [f"`{alias}`" for alias, meant in ALIASES.items() if meant == name]
    also = f" It is called {' and '.join(aliases)} as well." if aliases else ""
    told = next(filter(None, (topic.about(name) for topic in topics)), "")
    content = (
        section("SYNOPSIS", _line(" ".join([PROGRAM, name, *command.collect_usage_pieces(context)]))),
        section("DESCRIPTION", paragraph(_help(command) + also), *blocks(told)),
        section(
            "OPTIONS",
            _options(context, command),
            paragraph("The options of `s3napback`(1) that are not for the nightly run alone may stand here as well."),
        ),
        _exit_codes(),
        _see_also("s3napback(1)", "s3napback.conf(5)", *_named(topic for topic in topics if topic.about(name))),
    )
    return Page(f"{PROGRAM}-{name}", 1, _purpose(command), content)


def _context(command: click.Command, name: str, parent: click.Context | None = None) -> click.Context:
    return click.Context(command, info_name=name, parent=parent, help_option_names=["-h", "--help"])


def _help(command: click.Command) -> str:
    return " ".join((command.help or "").split())


def _purpose(command: click.Command) -> str:
    """Its help's first clause, as a line of an index."""
    first = re.split(r"[.;:]( |$)", _help(command))[0]
    return first[:1].lower() + first[1:]


def _line(usage: str) -> nodes.paragraph:
    """A line of usage: what is to be replaced in italics, what is to be written bold."""
    made: list[nodes.Node] = []
    command = re.match(r"s3napback(?: [a-z]+)?", usage)
    begun = command[0] if command else ""
    for part in _REPLACED.split(usage[len(begun) :]):
        kind = nodes.emphasis if part.isupper() else nodes.strong if part.startswith("-") else nodes.Text
        made += [kind(part) if kind is nodes.Text else kind("", part)] if part else []
    return nodes.paragraph("", "", nodes.strong("", begun), *made)


def _options(context: click.Context, command: click.Command) -> nodes.definition_list:
    rows = []
    for option in command.get_params(context):
        if isinstance(option, click.Option) and (record := option.get_help_record(context)):
            rows.append((_spellings(option, context), [paragraph(" ".join(record[1].split()))]))
    return definitions(rows)


def _spellings(option: click.Option, context: click.Context) -> list[nodes.Node]:
    term: list[nodes.Node] = []
    for spelling in sorted(option.opts, key=lambda each: each.startswith("--")):
        term += [nodes.Text(", ")] * bool(term) + [nodes.strong("", spelling)]
    if not option.is_flag:
        term += [nodes.Text(" "), nodes.emphasis("", option.make_metavar(context))]
    return term


def _exit_codes() -> nodes.section:
    """The table at the end of the program's help."""
    rows: list[list[str]] = []
    for line in (command_line.epilog or "").splitlines():
        if found := re.fullmatch(r"  (\d[\d, ]*?)  +(\S.*)", line):
            rows.append([found[1], found[2]])
        elif rows and line.strip():
            rows[-1][1] += f" {line.strip()}"
    return section("EXIT STATUS", definitions([([nodes.strong("", code)], [paragraph(told)]) for code, told in rows]))


# --- the configuration ---


def _of_the_configuration(topics: Sequence[Topic]) -> Page:
    written, on_a_few = (next((each for each in topics if each.name == name), None) for name in OF_THE_CONFIGURATION)
    content = (
        section("SYNOPSIS", nodes.paragraph("", "", nodes.strong("", "/etc/s3napback/s3napback.conf"))),
        section("DESCRIPTION", *blocks(written.introduction if written else "")),
        *blocks(written.further if written else ""),
        section(
            "BLOCKS", definitions([_block(block.name, block.value, block.help, block.places) for block in all_blocks()])
        ),
        section("DIRECTIVES", definitions([_directive(directive) for directive in all_directives()])),
        *([section("ON A FEW OF THEM", *blocks(on_a_few.without_directives))] if on_a_few else []),
        _see_also("s3napback(1)", *_named(topics)),
    )
    return Page("s3napback.conf", 5, "what s3napback backs up, when, and where to", content)


def _block(
    name: str, value: str, told: str, places: frozenset[DirectiveContext]
) -> tuple[list[nodes.Node], list[nodes.Node]]:
    term = [nodes.strong("", f"<{name} "), nodes.emphasis("", value), nodes.strong("", ">")]
    return term, [paragraph(f"{told} Stands {_where(places)}.")]


def _directive(directive: DirectiveDescription) -> tuple[list[nodes.Node], list[nodes.Node]]:
    only = [*([directive.cycle] if directive.cycle else []), *directive.kinds]
    facts = (
        f"Takes {directive.takes}.",
        f"Default: {directive.default}." if directive.default else "",
        f"Stands {_where(directive.places)}.",
        f"Only for {' and '.join(only)}." if only else "",
    )
    return [nodes.strong("", directive.name)], [paragraph(directive.help), paragraph(" ".join(filter(None, facts)))]


def _where(places: frozenset[DirectiveContext]) -> str:
    *others, last = (name for place, name in _PLACES.items() if place in places)
    return f"{', '.join(others)} or {last}" if others else last


# --- topics ---


def _of_a_topic(topic: Topic) -> Page:
    content = (
        section("DESCRIPTION", *blocks(topic.introduction)),
        *blocks(topic.further),
        _see_also("s3napback(1)", "s3napback.conf(5)"),
    )
    return Page(f"{PROGRAM}-{topic.name}", 7, topic.purpose, content)


def _named(topics: Iterable[Topic]) -> list[str]:
    return [page_of(topic.name) for topic in topics if topic.name not in OF_THE_CONFIGURATION]


def _see_also(*pages: str) -> nodes.section:
    shown: list[nodes.Node] = []
    for page in pages:
        name, _, number = page.partition("(")
        shown += [nodes.Text(", ")] * bool(shown) + [nodes.strong("", name), nodes.Text(f"({number}")]
    return section("SEE ALSO", nodes.paragraph("", "", *shown))
