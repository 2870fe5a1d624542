"""The manual's Markdown as nodes of docutils, whose writer makes man pages of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from docutils import nodes
from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from manual_pages.topics import page_of

_PARSER = MarkdownIt("commonmark").enable("table")
_TOPIC = re.compile(r"(?:s3napback/manual/)?([a-z-]+)\.md(?:#.*)?")


def section(title: str, *content: nodes.Node) -> nodes.section:
    """One section of a page."""
    return nodes.section("", nodes.title("", title), *content)


def paragraph(text: str) -> nodes.paragraph:
    """One paragraph of plain text, as help and descriptions are; what stands in `code marks` is bold."""
    parts = enumerate(text.split("`"))
    return nodes.paragraph(
        "", "", *(nodes.strong("", part) if place % 2 else nodes.Text(part) for place, part in parts)
    )


def definitions(rows: Sequence[tuple[Sequence[nodes.Node], Sequence[nodes.Node]]]) -> nodes.definition_list:
    """A list of terms, each with the blocks that say what it means."""
    return nodes.definition_list(
        "",
        *(
            nodes.definition_list_item("", nodes.term("", "", *term), nodes.definition("", *meaning))
            for term, meaning in rows
        ),
    )


def blocks(markdown: str) -> list[nodes.Node]:
    """A text, its headings nested as sections by their level."""
    root = nodes.section()
    open_sections: list[tuple[int, nodes.Element]] = [(0, root)]
    for child in SyntaxTreeNode(_PARSER.parse(markdown)).children:
        if child.type == "heading":
            level = int(child.tag[1:])
            while open_sections[-1][0] >= level:
                open_sections.pop()
            made = section(_plain(child))
            open_sections[-1][1].append(made)
            open_sections.append((level, made))
        else:
            open_sections[-1][1].extend(_block(child))
    return list(root.children)


def _plain(node: SyntaxTreeNode) -> str:
    return "".join(each.content for each in node.walk() if each.type in ("text", "code_inline"))


def _block(node: SyntaxTreeNode) -> Iterator[nodes.Node]:
    made = _BLOCKS.get(node.type)
    if made is None:
        raise ValueError(f"the manual has Markdown that man pages do not know: {node.type}")
    yield from made(node)


def _within(node: SyntaxTreeNode) -> list[nodes.Node]:
    return [made for child in node.children for made in _block(child)]


def _words(node: SyntaxTreeNode) -> list[nodes.Node]:
    return [made for child in node.children for each in child.children for made in _inline(each)]


def _table(node: SyntaxTreeNode) -> Iterator[nodes.Node]:
    """A list of definitions: 80 columns are too few for several of text.

    What the columns between the first and the last say stands in front of the last, behind their headings.
    """
    (head,) = node.children[0].children
    headings = [_plain(cell) for cell in head.children]
    rows = []
    for row in node.children[1].children if len(node.children) > 1 else ():
        first, *between, last = row.children
        told = [
            part
            for heading, cell in zip(headings[1:-1], between, strict=True)
            for part in (nodes.Text(f"{heading}: "), *_words(cell), nodes.Text(". "))
        ]
        rows.append((_words(first), [nodes.paragraph("", "", *told, *_words(last))]))
    yield definitions(rows)


_BLOCKS: Mapping[str, Callable[[SyntaxTreeNode], Iterator[nodes.Node]]] = {
    "paragraph": lambda node: iter([nodes.paragraph("", "", *_words(node))]),
    "bullet_list": lambda node: iter([nodes.bullet_list("", *_within(node))]),
    "ordered_list": lambda node: iter([nodes.enumerated_list("", *_within(node), enumtype="arabic")]),
    "list_item": lambda node: iter([nodes.list_item("", *_within(node))]),
    "blockquote": lambda node: iter([nodes.block_quote("", *_within(node))]),
    "fence": lambda node: iter([nodes.literal_block("", node.content.rstrip("\n"))]),
    "code_block": lambda node: iter([nodes.literal_block("", node.content.rstrip("\n"))]),
    "table": _table,
    "html_block": lambda _node: iter(()),  # marks for tests
    "hr": lambda _node: iter(()),
}


def _inline(node: SyntaxTreeNode) -> Iterator[nodes.Node]:
    inner = [made for child in node.children for made in _inline(child)]
    match node.type:
        case "text":
            yield nodes.Text(node.content)
        case "softbreak" | "hardbreak":
            yield nodes.Text(" ")
        case "code_inline":
            yield nodes.strong("", node.content)
        case "strong":
            yield (
                nodes.strong("", "", *inner)
                if all(isinstance(each, nodes.Text) for each in inner)
                else nodes.inline("", "", *inner)
            )
        case "em":
            yield nodes.emphasis("", "", *inner)
        case "link":
            yield from inner
            yield nodes.Text(_where(str(node.attrGet("href")), _plain(node)))
        case "html_inline":
            return
        case "image":
            yield nodes.emphasis("", f"(A picture in the manual: {node.content})")
        case _:
            raise ValueError(f"the manual has Markdown that man pages do not know: {node.type}")


def _where(target: str, shown: str) -> str:
    """What a link leads to, behind what it shows."""
    if target.startswith(("http:", "https:")):
        return "" if shown == target else f" <{target}>"
    topic = _TOPIC.fullmatch(target)
    return f" ({page_of(topic[1])})" if topic else ""
