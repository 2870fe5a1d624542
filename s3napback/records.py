"""Dataclasses that come into being in a fifth of the time.

The standard library writes the source of six methods for each class and compiles it, which takes a millisecond, and a
command begins with some hundred and fifty classes. All but ``__init__`` do the same for each: here they are not written
anew. That nobody changes a frozen record mypy sees, for which these are the library's own; it is not looked at again
while a command runs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, TypeVar

_Made = TypeVar("_Made")


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
        made = dataclasses.dataclass(eq=False, repr=False, slots=slots)(bare)
        methods: dict[str, Any] = {"__repr__": _representation(made)}
        if eq:
            values = _compared(made)
            methods["__eq__"] = _equality(values)
            methods["__hash__"] = _hashing(values) if frozen else None
        for name, method in methods.items():
            if name not in own:
                setattr(made, name, method)
        return made

    return make if cls is None else make(cls)


def _compared(made: type[Any]) -> Callable[[Any], tuple[object, ...]]:
    """What gives the values by which records of a class are the same ones."""
    names = [field.name for field in dataclasses.fields(made) if field.compare]
    if len(names) > 1:
        return attrgetter(*names)
    return lambda record: tuple(getattr(record, name) for name in names)


def _equality(values: Callable[[Any], tuple[object, ...]]) -> Callable[[Any, object], Any]:
    def is_same(record: Any, other: object) -> Any:
        if other.__class__ is not record.__class__:
            return NotImplemented
        return values(record) == values(other)

    return is_same


def _hashing(values: Callable[[Any], tuple[object, ...]]) -> Callable[[Any], int]:
    return lambda record: hash(values(record))


def _representation(made: type[Any]) -> Callable[[Any], str]:
    @recursive_repr()
    def represent(record: Any) -> str:
        shown = (field.name for field in dataclasses.fields(made) if field.repr)
        values = ", ".join(f"{name}={getattr(record, name)!r}" for name in shown)
        return f"{record.__class__.__qualname__}({values})"

    return represent


if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    dataclass = _record

__all__ = ["dataclass"]
