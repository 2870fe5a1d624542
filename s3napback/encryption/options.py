"""Which of gpg's own settings count: those that choose keys and ciphers, and none by which an archive would differ.

gpg reads its ``gpg.conf`` whenever it runs, and every option may stand there, and every command: ``textmode`` makes
archives that no tar reads, ``passphrase-fd 0`` eats their beginning, ``skip-verify`` believes every signature. So gpg
is told to read none of it (``--no-options``), and gets from us what is named here and found there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path

from s3napback.errors import UnusableKey
from s3napback.owners import is_null_device
from s3napback.ownership import NotAPlainFileError, read_own_file

SYSTEM_FILE = Path("/etc/gnupg/gpg.conf")
COMMON_SYSTEM_FILE = Path("/etc/gnupg/common.conf")
"""Read by gpg 2.3 and later, also if it is to read no options."""
_BLANKS = " \t\v\f\r"
_BYTE_ORDER_MARK = "\ufeff"


class Purpose(Enum):
    """What gpg is run for."""

    LOOKING = "to show keys"
    WRITING = "to encrypt, and perhaps sign"
    READING = "to decrypt, and perhaps check signatures"


# gpg(1), "OPTIONS": where keys lie, which of them are trusted, and how gpg works with other processes.
_FLAGS = frozenset(
    {
        *("no-default-keyring", "always-trust", "lock-once", "lock-multiple", "lock-never", "no-autostart"),
        *("require-secmem", "disable-dirmngr", "no-allow-non-selfsigned-uid", "exit-on-status-write-error"),
    }
)
_VALUES = frozenset(
    {
        *("keyring", "primary-keyring", "trustdb-name", "trust-model", "trusted-key", "tofu-default-policy"),
        *("tofu-db-format", "marginals-needed", "completes-needed", "max-cert-depth", "min-cert-level"),
        *("min-rsa-length", "weak-digest", "agent-program", "keyboxd-program"),
    }
)
_DIGESTS = frozenset({"digest-algo", "personal-digest-preferences", "personal-digest-prefs"})
_UNTRUSTWORTHY = frozenset({"md5", "h1"})
"""gpg's names of what it makes signatures with if it is told to, and believes none of (gpg(1), ``--weak-digest``)."""
# gpg ends with an error where an anonymous recipient stands in front of one whom it knows.
_INSTEAD = {"hidden-recipient": "hidden-encrypt-to"}
_FLAGS_FOR = {
    Purpose.LOOKING: _FLAGS,
    Purpose.WRITING: _FLAGS | {"throw-keyids", "no-throw-keyids", "no-encrypt-to"},
    Purpose.READING: _FLAGS | {"try-all-secrets"},
}
_VALUES_FOR = {
    Purpose.LOOKING: _VALUES,
    Purpose.WRITING: _VALUES
    | {
        *("encrypt-to", "hidden-encrypt-to", "recipient", "hidden-recipient"),
        *("cipher-algo", "personal-cipher-preferences", "personal-cipher-prefs", "disable-cipher-algo"),
        *("digest-algo", "personal-digest-preferences", "personal-digest-prefs"),
    },
    Purpose.READING: _VALUES | {"try-secret-key", "pinentry-mode", "passphrase-file"},
}


def gpg_command(home: Path | None, purpose: Purpose, *, private: bool = False) -> tuple[str, ...]:
    """The beginning of every command that runs gpg: whatever its own settings say, it works on bytes alike.

    Args:
        home: GpgHome; None is gpg's own choice.
        purpose: what it is run for.
        private: the home is ours, for a short time, and nobody's settings count in it.

    Raises:
        UnusableKey: the settings cannot be read.
        ChangeableByOthers: somebody else can change them.
    """
    counted = () if private else counted_options(home, purpose)
    own_home = () if home is None else ("--homedir", str(home))
    # Both are remarks on the machine, which would come with every archive; the home is looked at beforehand.
    calm = ("--no-permission-warning", "--no-secmem-warning")
    return ("gpg", "--no-options", "--batch", *calm, *own_home, *counted)


def private_home_options() -> tuple[str, ...]:
    """What keeps gpg from starting daemons for a home of ours, if it can do without.

    Where the machine's settings say ``use-keyboxd``, gpg keeps public keys with a daemon in every home, and nothing on
    its command line makes it do otherwise.
    """
    return () if keeps_keys_with_daemon() else ("--no-autostart",)


def keeps_keys_with_daemon() -> bool:
    """Whether gpg asks a daemon for public keys, whatever its home."""
    try:
        lines = COMMON_SYSTEM_FILE.read_text(errors="replace").split("\n")
    except OSError:
        return False
    return any(line.strip(_BLANKS).removeprefix("--") == "use-keyboxd" for line in lines)


def counted_options(home: Path | None, purpose: Purpose) -> tuple[str, ...]:
    """What the settings of the machine and of a home say that counts, as arguments.

    Raises:
        UnusableKey, ChangeableByOthers: as ``gpg_command``.
    """
    # gpg 2.2 prefers a file of its own version, as gpg.conf-2.2.
    folder = chosen_home(home, os.environ)
    found: list[str] = []
    for path in (SYSTEM_FILE, folder / "gpg.conf", *sorted(folder.glob("gpg.conf-2*"))):
        try:
            text = read_own_file(path)[0].decode(errors="surrogateescape")
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            if isinstance(error, NotAPlainFileError) and is_null_device(path.stat()):
                continue  # a usual way to say that nothing is set
            raise UnusableKey(f"gpg's settings {path} cannot be read: {error.strerror}") from error
        found += select_options(text.removeprefix(_BYTE_ORDER_MARK).split("\n"), purpose)
    return tuple(found)


def select_options(lines: Sequence[str], purpose: Purpose) -> list[str]:
    """Those options of a ``gpg.conf`` that count, as arguments. Pure.

    Args:
        lines: an option each, without the dashes; comments begin with ``#``, a value may stand in quotes.
        purpose: what gpg is run for.
    """
    arguments: list[str] = []
    for line in lines:
        # As gpg reads it (libgpg-error's src/argparse.c, isspace(3)): in C a text ends at a zero byte.
        words = line.partition("\0")[0].strip(_BLANKS).removeprefix("--")
        name, value = re.split(f"[{_BLANKS}]+", f"{words} ", maxsplit=1)
        value = value.strip(_BLANKS)
        if value.startswith('"'):
            value = value[1:].removesuffix('"')
        if name in _FLAGS_FOR[purpose]:
            arguments.append(f"--{name}")
        elif name in _VALUES_FOR[purpose] and value and not (name in _DIGESTS and _UNTRUSTWORTHY & set(_words(value))):
            arguments += [f"--{_INSTEAD.get(name, name)}", value]
    return arguments


def _words(value: str) -> list[str]:
    return re.split(f"[{_BLANKS},]+", value.lower())


def chosen_home(home: Path | None, environment: Mapping[str, str]) -> Path:
    """GpgHome, or what gpg takes in its place."""
    user = environment.get("HOME") or os.path.expanduser("~")  # noqa: PTH111 - Path raises where there is no home
    return home or Path(environment.get("GNUPGHOME") or Path(user, ".gnupg"))
