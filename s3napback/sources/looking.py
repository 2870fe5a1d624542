"""How the names of a tree are to be looked at so that what is seen is what tar's options make it see. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from s3napback.index.comparing import Looks

_OWNER_OPTIONS = frozenset({"--owner", "--owner-map", "--group", "--group-map"})


def looks_for(options: Sequence[str], *, one_file_system: bool) -> Looks:
    """What follows from TarOptions and OneFileSystem."""
    names = {option.partition("=")[0] for option in options}
    return Looks(
        follows=bool(names & {"--dereference", "-h"}),
        one_file_system=one_file_system or "--one-file-system" in names,
        compares_mode="--mode" not in names,
        compares_owner=not names & _OWNER_OPTIONS,
    )


_ALTERING_HEADERS = frozenset({"--owner", "--owner-map", "--group", "--group-map", "--mode", "--dereference"})


def alters_headers(options: Sequence[str]) -> bool:
    """Whether TarOptions have something else written of a file than what it is."""
    words = {word.partition("=")[0] for word in options}
    short = {letter for word in words if not word.startswith("--") for letter in word[1:]}
    return bool(words & _ALTERING_HEADERS) or "h" in short
