"""HTML in which nothing is markup but what is said to be: every other text is escaped where it is put in. Pure.

Names come from stores, and so from whoever may write to them. They are shown as ``printable`` text, in which nothing is
left that turns the direction of writing, ends a line or has no width; and in an element of their own, beyond which
their direction has no effect.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from html import escape

from s3napback.formatting import printable, shortened

LONGEST_NAME = 160
"""Characters of a name that stand in a table; of a longer one its ends."""

_VOID = frozenset({"meta", "use", "path", "rect", "br"})


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def text(value: str) -> Html:
    """Somebody's text, as HTML that shows it."""
    return Html(escape(printable(value), quote=True))


def tag(name: str, *children: str, **attributes: str) -> Html:
    """An element.

    Args:
        name: of the element.
        children: its content; what is not ``Html`` is escaped.
        attributes: in names an underscore at the end is dropped, and others are dashes. Their values are escaped.
    """
    written = _attributes(attributes)
    if name in _VOID:
        return Html(f"<{name}{written}>" if name in ("meta", "br") else f"<{name}{written}/>")
    return Html(f"<{name}{written}>{together(*children)}</{name}>")


def streamed(name: str, children: Iterable[Html], **attributes: str) -> Iterator[Html]:
    """The same, of an element that may be large: piece by piece, each made when the one before has been taken."""
    yield Html(f"<{name}{_attributes(attributes)}>")
    yield from children
    yield Html(f"</{name}>")


def _attributes(attributes: Mapping[str, str]) -> str:
    return "".join(
        f' {key.rstrip("_").replace("_", "-")}="{value if isinstance(value, Html) else text(value)}"'
        for key, value in attributes.items()
    )


def together(*children: str) -> Html:
    """Several things, one behind the other; what is not ``Html`` is escaped."""
    return Html("".join(each if isinstance(each, Html) else text(each) for each in children))


def name_of(value: str, longest: int = LONGEST_NAME) -> Html:
    """A name from elsewhere, which may be of any length and in any script."""
    return tag("bdi", shortened(printable(value), longest))
