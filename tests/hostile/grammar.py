"""Random archives of few names, so that links, folders, files and what DIFFs tell of them meet again and again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from tests.hostile import archives
from tests.hostile.archives import GNU, dumpdir
from tests.hostile.world import PART, SOURCE

_NAMES = ("a", "b", "x")
_LETTERS = "YNDYNDYNDYND"
_RECORDS = "RTX"
_MODES = (0o644, 0o755, 0o4755, 0o2777, 0, 0o700, 0o555, 0o1777)
_KINDS = (b"3", b"4", b"6", b"7", b"\0", b"D", b"M", b"V", b"N", b"S", b"s", b"A", b"Z", b"5", b"2", b"1")
_MOST = 12  # members of an archive


@dataclass(frozen=True)
class Call:
    """One call of a function of ``archives``: what it makes, and how to write it down."""

    name: str
    arguments: tuple[object, ...]
    options: tuple[tuple[str, object], ...] = ()

    def __str__(self) -> str:
        words = [*map(repr, self.arguments), *(f"{key}={value!r}" for key, value in self.options)]
        return f"{self.name}({', '.join(words)})"

    def made(self) -> bytes:
        function: Callable[..., bytes] = getattr(archives, self.name)
        return function(*self.arguments, **dict(self.options))


Chain = tuple[tuple[Call, ...], ...]


def call(name: str, *arguments: object, **options: object) -> Call:
    return Call(name, arguments, tuple(options.items()))


@dataclass
class Author:
    """Writes archives.

    Attributes:
        random: decides.
        outside: full path of a folder that shall be harmed.
        wild: how often something is done that may be refused at once, so that nothing else of the chain is tried.
    """

    random: Random
    outside: str
    wild: float = 0.0
    _written: list[str] = field(default_factory=list)
    _files: list[str] = field(default_factory=lambda: [f"{PART}/good"])

    def chain(self) -> Chain:
        """A chain of one to three archives."""
        self.wild = self.random.choice((0.0, 0.0, 0.0, 0.02, 0.1))
        count = self.random.choice((1, 1, 1, 2, 2, 3))
        # What fails at once keeps later archives from being tried.
        return tuple(self._archive(number, _MOST if number == count - 1 else 3) for number in range(count))

    def _archive(self, number: int, most: int) -> tuple[Call, ...]:
        calls = []
        if number == 0 or self.random.random() < 0.5:
            calls += [call("folder", SOURCE), call("folder", PART), call("file", f"{PART}/good")]
        if number and self.random.random() < 0.5:
            calls += [call("folder", SOURCE, self._entries()), call("folder", PART, self._entries())]
        for _ in range(self.random.randint(1, most)):
            calls += self._member()
        return tuple(calls)

    def _is_wild(self) -> bool:
        return self.random.random() < self.wild

    def _name(self) -> str:
        """Of a member; often one that was there before, or below it."""
        if self._is_wild():
            return self._odd_name()
        if self._written and self.random.random() < 0.4:
            name = self.random.choice(self._written)
            if self.random.random() < 0.5:
                name += "/" + self.random.choice((*_NAMES, "precious", "folder"))
        else:
            elsewhere = ("a", "") if self._is_wild() else ()
            base = self.random.choice((PART, PART, PART, PART, SOURCE, f"{SOURCE}/other", *elsewhere))
            names = [self.random.choice(_NAMES) for _ in range(self.random.choice((0, 1, 1, 1, 2, 2, 3)))]
            name = "/".join([*filter(None, [base]), *names])
        self._written.append(name)
        return name

    def _odd_name(self) -> str:
        ups = "../" * self.random.randint(1, 5)
        bases = (f"{PART}/{ups}", ups, f"{self.outside}/", "./", "//", f"{PART}/./", "", ".s3napback-restore-x/")
        return self.random.choice(bases) + self.random.choice(("", *_NAMES, "beside", "beside/precious", "links/1"))

    def _target(self) -> str:
        ups = "../" * self.random.randint(1, 6)
        inner = self.random.choice(("", *_NAMES, "beside", "beside/folder", "precious", "estate", "wing"))
        return self.random.choice(
            (
                self.outside,
                f"{self.outside}/folder",
                f"{self.outside}/precious",
                f"{self.outside}/a",
                ups + inner,
                ups.rstrip("/"),
                self.random.choice(_NAMES),
                ".",
                self._known(),
            )
        )

    def _known(self) -> str:
        return self.random.choice(self._written) if self._written else PART

    def _entries(self) -> list[str]:
        found = []
        for _ in range(self.random.choice((0, 1, 2, 2, 3, 4))):
            name = self.random.choice((*_NAMES, *_NAMES, "wing", "good", "folder", "other"))
            found.append(self.random.choice(_LETTERS) + name)
        while self._is_wild():
            name = self.random.choice((self._known(), self._odd_name(), self._target(), ""))
            found.append(self.random.choice(_RECORDS + _LETTERS) + name)
        return found

    def _options(self) -> dict[str, object]:
        options: dict[str, object] = {}
        if self.random.random() < 0.3:
            options["mode"] = self.random.choice(_MODES)
        if self.random.random() < 0.1:
            options["mtime"] = self.random.choice((0, 1, 1 << 35, 1_800_000_000, -1 if self._is_wild() else 2))
        if self.random.random() < 0.05:
            options["uid"] = self.random.choice((0, 1234, 4321, -1 if self._is_wild() else 0))
        if self._is_wild():
            options["records"] = [self._record()]
        return options

    def _record(self) -> tuple[str, object]:
        known, odd, target = self._known(), self._odd_name(), self._target()
        return self.random.choice(
            (
                ("path", known),
                ("path", odd),
                ("linkpath", target),
                ("size", self.random.choice(("0", "5", "512", "1024"))),
                ("GNU.dumpdir", dumpdir(self._entries())),
                ("GNU.sparse.name", odd),
                ("GNU.volume.filename", known),
                ("SCHILY.acl.access", "user::rwx,user:4321:rwx,group::rwx,mask::rwx,other::rwx"),
                ("SCHILY.acl.default", "user::rwx,group::rwx,other::rwx"),
                ("SCHILY.xattr.user.x", "x"),
                ("hdrcharset", "BINARY"),
            )
        )

    def _member(self) -> Sequence[Call]:
        draw = self.random.random()
        options = self._options()
        if draw < 0.25:
            self._files.append(self._name())
            return [call("file", self._files[-1], **options)]
        if draw < 0.35:
            return [call("folder", self._name(), **options)]
        if draw < 0.5:
            return [call("folder", self._name(), self._entries(), **options)]
        if draw < 0.75:
            return [call("link", self._name(), self._target(), **options)]
        if draw < 0.93 or not self._is_wild():
            target = self._target() if self._is_wild() else self.random.choice(self._files + self._written[-3:])
            content = {"content": b"more\n"} if self._is_wild() else {}
            return [call("hard_link", self._name(), target, **content, **options)]
        return self._rarity(options)

    def _rarity(self, options: dict[str, object]) -> Sequence[Call]:
        draw = self.random.randrange(6)
        if draw == 0:
            return [call("member", self._name(), self.random.choice(_KINDS), b"evil", **options)]
        if draw == 1:
            return [call("pax", [self._record()], b"g")]
        if draw == 2:
            return [call("pax", [self._record()]), *self._member()]
        if draw == 3:
            return [call("long_name", self._odd_name(), self.random.choice((b"L", b"K"))), *self._member()]
        if draw == 4:
            return [call("member", self._name(), b"D", dumpdir(self._entries()), magic=GNU)]
        return [call("padded", self.random.randbytes(self.random.choice((1, 512, 700))))]
