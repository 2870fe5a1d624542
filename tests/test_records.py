"""Records are what the library's dataclasses are, in all that we rely on."""

from __future__ import annotations

import ast
import dataclasses
import pickle
from collections.abc import Callable
from dataclasses import field
from pathlib import Path
from typing import Any

import pytest

from s3napback import records
from s3napback.records import dataclass

PACKAGE = Path(__file__).parent.parent / "s3napback"


class Bases:
    """What classes are made of, anew for each way to make them."""

    @staticmethod
    def point() -> type[Any]:
        class Point:
            x: int
            y: int = 2

        return Point

    @staticmethod
    def secret() -> type[Any]:
        class Secret:
            name: str
            value: str = field(default="", repr=False, compare=False)
            items: list[int] = field(default_factory=list, compare=False)

        return Secret

    @staticmethod
    def derived() -> type[Any]:
        class Derived:
            """Of many fields, one of which it finds out by itself."""

            first: int
            items: list[int] = field(default_factory=list)
            last: str = "x"
            table: dict[str, int] = field(default_factory=dict)
            sum: int = field(init=False)
            own: list[int] = field(default_factory=list, init=False)
            flag: bool = field(default=False, init=False)

            def __post_init__(self) -> None:
                object.__setattr__(self, "sum", len(self.items))

        return Derived

    @staticmethod
    def single() -> type[Any]:
        class Single:
            value: Any

        return Single

    @staticmethod
    def empty() -> type[Any]:
        class Empty:
            """Nothing."""

        return Empty

    @staticmethod
    def checked() -> type[Any]:
        class Checked:  # noqa: PLW1641 - the question is what becomes of it
            value: Any

            def __post_init__(self) -> None:
                if self.value is None:
                    raise ValueError("none")

            def __eq__(self, other: object) -> bool:
                return isinstance(other, int) and other == self.value

            def __repr__(self) -> str:
                return "checked"

        return Checked


@pytest.mark.parametrize(
    "options",
    [{}, {"frozen": True}, {"eq": False}, {"frozen": True, "order": True}, {"frozen": True, "slots": True}],
    ids=str,
)
@pytest.mark.parametrize("base", [Bases.point, Bases.secret, Bases.derived, Bases.single, Bases.empty, Bases.checked])
def test_they_behave_as_the_librarys(base: Callable[[], type[Any]], options: dict[str, bool]) -> None:
    made: Any = dataclass(**options)(base())
    meant: Any = dataclasses.dataclass(**options)(base())
    assert made.__qualname__ == meant.__qualname__
    assert [each.name for each in dataclasses.fields(made)] == [each.name for each in dataclasses.fields(meant)]
    values: list[tuple[Any, ...]] = [(), (1,), (2,), (1, 2), (1, 3), ("text",), ((),), (None,)]
    outcomes = [[outcome(cls, *each) for each in values] for cls in (made, meant)]
    assert outcomes[0] == outcomes[1]
    assert [compared(cls, values) for cls in (made,)] == [compared(cls, values) for cls in (meant,)]


def outcome(cls: type[Any], *values: object) -> tuple[object, ...]:
    """What there is to say of one record."""
    try:
        one = cls(*values)
    except (TypeError, ValueError) as error:
        return (type(error), str(error))
    try:
        is_hashed = hash(one) == hash(cls(*values))
    except TypeError as error:
        return repr(one), dataclasses.asdict(one), str(error)
    return repr(one), dataclasses.asdict(one), is_hashed, hasattr(one, "__dict__"), one == dataclasses.replace(one)


def compared(cls: type[Any], values: list[tuple[Any, ...]]) -> list[object]:
    made = []
    for each in values:
        try:
            made.append(cls(*each))
        except (TypeError, ValueError):
            continue
    strangers: list[object] = [1, (1, 2), None]
    return [one == other for one in made for other in [*made, *strangers]]


@dataclass(frozen=True)
class Branch:
    """One that holds others."""

    name: str
    below: list[Branch] = field(default_factory=list)


@dataclass(frozen=True)
class Leaf(Branch):
    """One that inherits."""

    colour: str = "green"


def test_what_inherits_has_all_fields_and_is_something_else() -> None:
    assert Leaf("a", colour="red") == Leaf("a", colour="red") != Leaf("a")
    assert Branch("a") != Leaf("a")
    assert repr(Leaf("a")) == "Leaf(name='a', below=[], colour='green')"


def test_one_that_holds_itself_can_be_shown() -> None:
    tree = Branch("a")
    tree.below.append(tree)
    assert repr(tree) == "Branch(name='a', below=[...])"


def test_they_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(Leaf("a"))) == Leaf("a")


def test_no_other_is_used_in_the_package() -> None:
    """Or else commands begin as slowly as before."""
    others = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "dataclasses" and path.name != "records.py":
                others += [str(path) for alias in node.names if alias.name == "dataclass"]
    assert others == []


def test_a_class_that_is_never_used_costs_no_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    make = records._beginning

    def noting(cls: type[Any]) -> Any:
        made.append(cls.__name__)
        return make(cls)

    monkeypatch.setattr(records, "_beginning", noting)
    point, _secret = dataclass(Bases.point()), dataclass(Bases.secret())
    assert made == []
    assert [point(1), point(x=1)] == [point(1, 2)] * 2
    assert made == ["Point"]


def test_the_library_is_asked_for_no_more_than_the_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []
    library = dataclasses.dataclass

    def noting(*classes: type[Any], **options: Any) -> Any:
        asked.append(options)
        return library(*classes, **options)

    monkeypatch.setattr(dataclasses, "dataclass", noting)
    dataclass(frozen=True)(Bases.point())
    dataclass(Bases.point())
    assert asked == [{"init": False, "eq": False, "repr": False, "slots": False}] * 2
