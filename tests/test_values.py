"""Dataclasses that get their methods later are what the standard library makes of them at once."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import threading
from collections.abc import Callable
from dataclasses import field
from typing import Any

import pytest

from s3napback import values

Decorator = Callable[..., Any]


def plain(decorate: Decorator, frozen: bool) -> Any:
    @decorate(frozen=frozen)
    class Plain:
        """One of everything."""

        name: str
        size: int = 3
        parts: tuple[int, ...] = ()
        notes: list[str] = field(default_factory=list, compare=False)
        secret: str = field(default="s", repr=False)
        wide: bool = field(default=False, kw_only=True)
        made: int = field(default=7, init=False)

        @property
        def twice(self) -> int:
            return 2 * self.size

    return Plain


def checked(decorate: Decorator, frozen: bool) -> Any:
    @decorate(frozen=frozen)
    class Checked:
        name: str
        size: int = 0

        def __post_init__(self) -> None:
            if self.size < 0:
                raise ValueError("less than nothing")

    return Checked


def child(decorate: Decorator, frozen: bool) -> Any:
    @decorate(frozen=frozen)
    class Child(checked(decorate, frozen)):  # type: ignore[misc]
        size: int = 5
        more: str = "m"

    return Child


def heir(decorate: Decorator, frozen: bool) -> Any:
    """Of a dataclass, and none itself."""

    class Heir(plain(decorate, frozen)):  # type: ignore[misc]
        def __init__(self, name: str) -> None:
            super().__init__(name, 9)

    return Heir


def empty(decorate: Decorator, frozen: bool) -> Any:
    @decorate(frozen=frozen)
    class Empty:
        pass

    return Empty


def own(decorate: Decorator, frozen: bool) -> Any:
    @decorate(frozen=frozen)
    class Own:  # noqa: PLW1641 - what becomes of its hash is a part of what is compared
        name: str

        def __eq__(self, other: object) -> bool:
            return True

        def __repr__(self) -> str:
            return "mine"

    return Own


def outcome(action: Callable[[], Any]) -> Any:
    """What it returns, or what it raises and says."""
    try:
        return action()
    except Exception as error:  # noqa: BLE001 - whatever it is, the other must raise it, too
        return type(error), str(error)


def changed(made: Any, name: str) -> Any:
    setattr(made, name, "new")
    return getattr(made, name)


def without(made: Any, name: str) -> Any:
    delattr(made, name)
    return sorted(vars(made))


ARGUMENTS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((), {}),
    (("a",), {}),
    (("a", -1), {}),
    (("a", 1, (2,)), {"wide": True}),
    (("a",), {"name": "b"}),
    ((), {"name": "a", "size": 4}),
    (("a", 1, (2,), ["n"], "t", True), {}),
    (("a",), {"unknown": 1}),
    (("a",), {"more": "x"}),
    (("a",), {"made": 1}),
]
LOOKS: list[Callable[[Any], Any]] = [
    repr,
    dataclasses.asdict,
    lambda made: made == copy.copy(made),
    lambda made: made == 1,
    lambda made: made != copy.copy(made),
    lambda made: hash(made) == hash(copy.copy(made)),
    lambda made: made == dataclasses.replace(made, notes=["others"]),
    lambda made: repr(dataclasses.replace(made, name="z")),
    lambda made: changed(made, "size"),
    lambda made: changed(made, "other"),
    lambda made: without(made, "name"),
    lambda made: without(made, "other"),
    lambda made: [each.name for each in dataclasses.fields(made)],
    lambda made: made.__match_args__,
    lambda made: made.twice,
]


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("kind", [plain, checked, child, heir, empty, own])
def test_classes_and_their_objects_behave_as_those_of_the_standard_library(kind: Any, frozen: bool) -> None:
    for positional, named in ARGUMENTS:
        # Each use is the first of a class of its own.
        for look in LOOKS:

            def seen(decorate: Decorator, look: Any = look, positional: Any = positional, named: Any = named) -> Any:
                cls = kind(decorate, frozen)
                return outcome(lambda: look(cls(*positional, **named)))

            assert seen(values.dataclass) == seen(dataclasses.dataclass), (positional, named)


def test_defaults_can_be_asked_of_the_class_before_there_is_an_object() -> None:
    assert plain(values.dataclass, frozen=True).size == 3
    assert dataclasses.is_dataclass(plain(values.dataclass, frozen=True))


def test_without_options_and_with_others_it_is_a_dataclass_too() -> None:
    @values.dataclass
    class Bare:
        name: str

    @values.dataclass(frozen=True, slots=True)
    class Slotted:
        name: str

    assert Bare("a") == Bare("a")
    assert Slotted.__slots__ == ("name",)


@values.dataclass(frozen=True)
class Sent:
    name: str


def test_an_object_can_be_sent_elsewhere() -> None:
    assert pickle.loads(pickle.dumps(Sent("a"))) == Sent("a")


def test_methods_are_made_once_and_are_those_of_the_standard_library_then() -> None:
    made = plain(values.dataclass, frozen=True)
    stand_in = made.__init__
    made("a")
    method = made.__init__
    made("b")
    assert stand_in is not method is made.__init__
    assert method.__qualname__.endswith("Plain.__init__")


def test_threads_that_make_the_first_objects_all_get_whole_ones() -> None:
    for _ in range(20):
        made = plain(values.dataclass, frozen=True)
        found: list[Any] = []
        threads = [threading.Thread(target=lambda: found.append(made("a", 4))) for _ in range(8)]  # noqa: B023
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [made("a", 4)] * 8
