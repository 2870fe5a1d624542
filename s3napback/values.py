"""Dataclasses whose methods are made when they are first used.

A command imports a hundred and more of them and makes objects of half. For each, ``dataclasses`` writes the source of
up to six methods and compiles it, which in all takes longer than loading the modules. Here a class gets stand-ins for
them; the first use of one has ``dataclasses`` make what it stands for, and puts that in its place.

Everything else is as with ``dataclasses.dataclass``, but that ``InitVar`` is not understood, and that a class with
other options than ``frozen`` cannot have one from here as its base.
"""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(cls: type | None = None, /, **options: bool) -> Any:
        """``dataclasses.dataclass``; with other options than ``frozen`` it is that itself."""

        def decorated(cls: type) -> type:
            if not set(options) <= {"frozen"} or not _SPECIAL.isdisjoint(vars(cls)):
                return dataclasses.dataclass(**options)(cls)
            return _prepared(cls, is_frozen=options.get("frozen", False))

        return decorated if cls is None else decorated(cls)


__all__ = ["dataclass"]

_SPECIAL = frozenset({"__init__", "__repr__", "__eq__", "__hash__", "__setattr__", "__delattr__"})
"""A class that has one of these by itself is not prepared here: the rules for that are subtle."""


def _prepared(cls: Any, *, is_frozen: bool) -> Any:
    dataclasses.dataclass(init=False, repr=False, eq=False)(cls)
    for name in ("__init__", "__repr__", "__eq__", *["__hash__"] * is_frozen):
        setattr(cls, name, _stand_in(cls, name, is_frozen))
    if is_frozen:
        _freeze(cls)
    else:
        cls.__hash__ = None  # as of everything that can be compared and changed
    return cls


def _stand_in(cls: type, name: str, is_frozen: bool) -> Any:
    def method(self: Any, *arguments: Any, **named: Any) -> Any:
        # In one step: whichever thread comes first, all come to the same.
        setattr(cls, name, _made(cls, name, is_frozen))
        return getattr(cls, name)(self, *arguments, **named)

    return method


def _made(cls: type, name: str, is_frozen: bool) -> Any:
    """A method of a class that has the same fields, and nothing else."""
    fields = [
        (
            field.name,
            object,
            dataclasses.field(
                default=field.default,
                default_factory=field.default_factory,
                init=field.init,
                repr=field.repr,
                hash=field.hash,
                compare=field.compare,
                kw_only=field.kw_only,
            ),
        )
        for field in dataclasses.fields(cls)
    ]
    namespace: dict[str, Any] = {"__qualname__": cls.__qualname__, "__doc__": ""}
    if name != "__init__":
        alike = dataclasses.make_dataclass(cls.__name__, fields, namespace=namespace, init=False, unsafe_hash=is_frozen)
    else:
        if hasattr(cls, "__post_init__"):
            namespace["__post_init__"] = cls.__post_init__
        alike = dataclasses.make_dataclass(
            cls.__name__, fields, namespace=namespace, repr=False, eq=False, frozen=is_frozen
        )
    return vars(alike)[name]


def _freeze(cls: Any) -> None:
    def set_attribute(self: Any, name: str, value: Any) -> None:
        if type(self) is cls or name in _field_names(cls):
            setattr(_frozen(), name, value)
        super(cls, self).__setattr__(name, value)

    def delete_attribute(self: Any, name: str) -> None:
        if type(self) is cls or name in _field_names(cls):
            delattr(_frozen(), name)
        super(cls, self).__delattr__(name)

    cls.__setattr__ = set_attribute
    cls.__delattr__ = delete_attribute


@cache
def _frozen() -> Any:
    """What says that it cannot be changed, as ``dataclasses`` says it."""
    return dataclasses.make_dataclass("Frozen", (), frozen=True)()


def _field_names(cls: Any) -> set[str]:
    return {field.name for field in dataclasses.fields(cls)}
