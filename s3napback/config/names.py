"""Names in keys: of Cycles and prefixes, and how a source that several blocks claim is told apart. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from s3napback.records import dataclass
from s3napback.targets import InvalidNameError, refuse_control_characters

_LONGEST_KEY = 1024
_LONGEST_COMPONENT = 255
_LONGEST_SUFFIX = "-99999-FULL.sha256"


def check_cycle_name(name: str) -> None:
    """Whether a Cycle's name may become the first component of keys.

    Raises:
        InvalidNameError: it may not.
    """
    if not name.strip():
        raise InvalidNameError("the Cycle's name is empty")
    if "/" in name or name in (".", ".."):
        raise InvalidNameError("a Cycle's name becomes part of keys: it holds no slash and is neither “.” nor “..”")
    refuse_control_characters(name)


def normalised_prefix(text: str) -> str:
    """A prefix without slashes at its ends.

    Raises:
        InvalidNameError: a component is empty, a dot or two, or holds control characters.
    """
    prefix = text.strip("/")
    refuse_control_characters(prefix)
    if prefix and any(component in ("", ".", "..") for component in prefix.split("/")):
        raise InvalidNameError("the prefix has an empty component, or one of dots alone")
    return prefix


@dataclass(frozen=True)
class WantedName:
    """A name that a block wants to use.

    Attributes:
        base: the key base.
        cycle: the Cycle around it; empty for a block outside.
    """

    base: str
    cycle: str


def qualified_names(wanted: Sequence[WantedName]) -> list[str]:
    """The name that each block gets: its base, preceded by the Cycle's name where others want the same one."""
    counted = Counter(each.base for each in wanted)
    return [f"{each.cycle}/{each.base}" if each.cycle and counted[each.base] > 1 else each.base for each in wanted]


def key_problem(prefix: str, name: str) -> str:
    """Why no keys can be built from a name; empty if they can.

    Limits are those of S3 (1,024 bytes a key) and of file systems (255 bytes a component).
    """
    key = f"{prefix}/{name}{_LONGEST_SUFFIX}" if prefix else f"{name}{_LONGEST_SUFFIX}"
    size = len(key.encode())
    if size > _LONGEST_KEY:
        return f"its keys would have up to {size:,} bytes, and {_LONGEST_KEY:,} are the most that a store takes"
    longest = max(len(component.encode()) for component in key.split("/"))
    if longest > _LONGEST_COMPONENT:
        return f"its keys would have a component of {longest} bytes, and {_LONGEST_COMPONENT} are the most"
    return ""
