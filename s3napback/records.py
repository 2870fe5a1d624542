"""Dataclasses that come into being in a tenth of the time.

The standard library writes the source of six methods for each class and compiles it, which takes a millisecond, and a
command begins with some hundred and fifty classes. All but ``__init__`` do the same for each: here they are not written
anew. ``__init__`` does the same for all classes with as many fields, but for the names in it: it is compiled once, and
given other names. That nobody changes a frozen record mypy sees, for which these are the library's own; it is not
looked at again while a command runs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from enum import Enum
from functools import cache
from operator import attrgetter
from reprlib import recursive_repr
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, TypeVar

_Made = TypeVar("_Made")
_ABSENT = object()
"""In place of a value that is made anew for each record."""


def _record(
    cls: type[_Made] | None = None,
    /,
    *,
    frozen: bool = False,
    eq: bool = True,
    order: bool = False,
    slots: bool = False,
) -> Any:
    """What ``dataclasses.dataclass`` makes of a class, with those of its options that we use."""

    def make(bare: type[_Made]) -> type[_Made]:
        if order:
            return dataclasses.dataclass(frozen=frozen, eq=eq, order=order, slots=slots)(bare)
        own = {name for name, value in vars(bare).items() if value is not None}  # __eq__ alone makes __hash__ None
        # Otherwise the library would look for a signature in the source.
        bare.__doc__ = bare.__doc__ or bare.__name__
        made = dataclasses.dataclass(init=False, eq=False, repr=False, slots=slots)(bare)
        methods: dict[str, Any] = {"__init__": _first_beginning(made), "__repr__": _representation}
        if eq:
            methods["__eq__"] = _is_same
            methods["__hash__"] = _hash if frozen else None
        for name, method in methods.items():
            if name not in own:
                setattr(made, name, method)
        return made

    return make if cls is None else make(cls)


class _Way(Enum):
    """How a field comes by its value."""

    GIVEN = "self.{name} = {name}"
    GIVEN_OR_MADE = "self.{name} = make_{name}() if {name} is absent else {name}"
    MADE = "self.{name} = make_{name}()"


def _way(field: dataclasses.Field[Any]) -> _Way | None:
    """None where ``__init__`` leaves a field alone."""
    if field.init:
        return _Way.GIVEN if field.default_factory is dataclasses.MISSING else _Way.GIVEN_OR_MADE
    return None if field.default is field.default_factory else _Way.MADE  # neither is anything


def _maker(field: dataclasses.Field[Any]) -> Callable[[], object]:
    """What makes a field's value."""
    return (lambda: field.default) if field.default_factory is dataclasses.MISSING else field.default_factory


def _first_beginning(made: type[Any]) -> Callable[..., None]:
    """An ``__init__`` that makes the one of a class, and leaves its place to it: half of the classes are never used."""

    def begin(record: Any, *values: object, **named: object) -> None:
        made.__init__ = beginning = _beginning(made)
        beginning(record, *values, **named)

    return begin


def _beginning(made: type[Any]) -> FunctionType:
    """The ``__init__`` of a class, none of whose fields is given by its name alone."""
    ways = [(field, way) for field in dataclasses.fields(made) if (way := _way(field))]
    template = _template(tuple(way for _field, way in ways), is_checked=hasattr(made, "__post_init__"))
    names = {f"field_{place}": field.name for place, (field, _way) in enumerate(ways)}
    code = template.replace(
        co_varnames=tuple(names.get(name, name) for name in template.co_varnames),
        co_names=tuple(names.get(name, name) for name in template.co_names),
    )
    makers = {f"make_field_{place}": _maker(field) for place, (field, _way) in enumerate(ways)}
    values = [_ABSENT if way is _Way.GIVEN_OR_MADE else field.default for field, way in ways if field.init]
    defaults = tuple(value for value in values if value is not dataclasses.MISSING)
    method = FunctionType(code, {"__name__": __name__, "absent": _ABSENT, **makers}, "__init__", defaults)
    method.__qualname__ = f"{made.__qualname__}.__init__"
    return method


@cache
def _template(ways: tuple[_Way, ...], *, is_checked: bool) -> CodeType:
    """``__init__`` for so many fields."""
    names = [f"field_{place}" for place in range(len(ways))]
    given = [name for name, way in zip(names, ways, strict=True) if way is not _Way.MADE]
    lines = [way.value.format(name=name) for name, way in zip(names, ways, strict=True)]
    lines.append("self.__post_init__()" if is_checked else "return None")
    text = "\n ".join((f"def __init__({', '.join(['self', *given])}):", *lines))
    module = compile(text, f"<{__name__}>", "exec")
    return next(part for part in module.co_consts if isinstance(part, CodeType))


@cache
def _compared(made: type[Any]) -> Callable[[Any], tuple[object, ...]]:
    """What gives the values by which records of a class are the same ones."""
    names = [field.name for field in dataclasses.fields(made) if field.compare]
    if len(names) > 1:
        return attrgetter(*names)
    return lambda record: tuple(getattr(record, name) for name in names)


def _is_same(record: Any, other: Any) -> Any:
    if other.__class__ is not record.__class__:
        return NotImplemented
    values = _compared(record.__class__)
    return values(record) == values(other)


def _hash(record: Any) -> int:
    return hash(_compared(record.__class__)(record))


@recursive_repr()
def _representation(record: Any) -> str:
    shown = (field.name for field in dataclasses.fields(record) if field.repr)
    values = ", ".join(f"{name}={getattr(record, name)!r}" for name in shown)
    return f"{record.__class__.__qualname__}({values})"


if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    dataclass = _record

__all__ = ["dataclass"]
