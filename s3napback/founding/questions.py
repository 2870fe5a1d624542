"""What a new configuration is asked for: by options where they say it, at the terminal otherwise."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from s3napback.config.lines import quoted
from s3napback.config.loading import examine
from s3napback.config.settings import Credentials
from s3napback.errors import ConfigurationError, UnusableConfiguration
from s3napback.records import dataclass
from s3napback.targets import InvalidNameError, normalised_path

STARTS = ("systemd", "cron", "none")
_NOWHERE = Path("/nowhere.conf")

_Answer = TypeVar("_Answer")


class Terminal(Protocol):
    """A person."""

    def ask(self, question: str) -> str:
        """A line, without its end."""
        ...

    def ask_secretly(self, question: str) -> str:
        """A line that is not shown."""
        ...

    def tell(self, text: str) -> None:
        """Show a line."""
        ...


@dataclass(frozen=True)
class Wishes:
    """What the options said; None, or nothing, is left to be asked.

    Attributes:
        store: a folder, or a bucket's name.
        key_file: an S3Keyfile that is there.
        recipient: whose key archives are encrypted for, as it is written.
        makes_key: a new one is made for that.
        is_plain: archives are not encrypted.
        start: one of ``STARTS``.
    """

    store: str | None = None
    endpoint: str | None = None
    region: str | None = None
    key_file: str | None = None
    directories: tuple[str, ...] = ()
    recipient: str | None = None
    makes_key: bool = False
    is_plain: bool = False
    start: str | None = None
    diff_dir: str | None = None

    def lacking(self) -> list[str]:
        """The options without which nothing can be done where nobody can be asked."""
        said = {
            "--store": self.store,
            "--directory": self.directories,
            "--recipient, --make-key or --no-encryption": self.recipient or self.makes_key or self.is_plain,
        }
        return [name for name, value in said.items() if not value]


@dataclass(frozen=True)
class Machine:
    """What there is to choose from.

    Attributes:
        directories: that are backed up if nothing else is said.
        keys: fingerprints and user ids of gpg keys that can be encrypted to.
        starts: those of ``STARTS`` that there are here, the best first.
        key_file: where new credentials would go.
    """

    directories: Sequence[str]
    keys: Sequence[tuple[str, str]]
    starts: Sequence[str]
    key_file: str


@dataclass(frozen=True)
class Storing:
    """Where archives go; see ``Answers``.

    Attributes:
        credentials: that are to be written to ``key_file``; None if it is there.
    """

    folder: str = ""
    bucket: str = ""
    endpoint: str = ""
    region: str = ""
    key_file: str = ""
    credentials: Credentials | None = None


@dataclass(frozen=True)
class Encrypting:
    """For whom archives are encrypted.

    Attributes:
        recipient: an existing key; empty for a new one, or none.
        is_new: a key is made.
        passphrase: of the new key; may be empty.
    """

    recipient: str = ""
    is_new: bool = False
    passphrase: str = ""


def path_of(text: str) -> str:
    """A path as it is written in a configuration.

    Raises:
        InvalidNameError: it cannot be.
    """
    # Who pastes a name brings blanks along; one that is there with its blanks is meant with them.
    stripped = text if text.startswith("/") and os.path.lexists(text) else text.strip()
    try:
        stripped.encode()
    except UnicodeEncodeError as error:
        raise InvalidNameError("it is not UTF-8, in which a configuration is written") from error
    return normalised_path(stripped)


def _existing(text: str) -> str:
    path = path_of(text)
    try:
        is_folder = Path(path).is_dir()
    except OSError as error:
        raise InvalidNameError(f"it cannot be looked at: {error.strerror}") from error
    if not is_folder:
        raise InvalidNameError("there is no such folder")
    return path


def _valid(*lines: str) -> None:
    """Have the configuration's own rules judge lines of one."""
    try:
        examine(_NOWHERE, "\n".join((*lines, "Encryption Off\n")))
    except ConfigurationError as error:
        # “file:line: what”
        raise InvalidNameError(error.problems[0].split(": ", 1)[-1]) from error


def _asked(terminal: Terminal, question: str, read: Callable[[str], _Answer]) -> _Answer:
    """Ask until there is an answer that can be used."""
    while True:
        try:
            return read(terminal.ask(question))
        except InvalidNameError as error:
            terminal.tell(f"  {error}")


def _said(name: str, value: str, read: Callable[[str], _Answer]) -> _Answer:
    try:
        return read(value)
    except InvalidNameError as error:
        raise UnusableConfiguration(f"{name} {value}: {error}") from error


def storing(wishes: Wishes, machine: Machine, terminal: Terminal | None) -> Storing:
    """Where archives go.

    Raises:
        UnusableConfiguration: an option says what cannot be.
    """
    if wishes.store is not None or terminal is None:
        folder, bucket = _said("--store", wishes.store or "", _store)
    else:
        terminal.tell("Where do archives go? Into a folder such as /mnt/backup, or an S3 bucket.")
        folder, bucket = _asked(terminal, "  Absolute path, or the bucket's name:", _store)
    if folder:
        if unused := [name for name in ("endpoint", "region", "key_file") if getattr(wishes, name)]:
            raise UnusableConfiguration(f"--{unused[0].replace('_', '-')} is for a bucket, and {folder} is a folder")
        return Storing(folder=folder)
    asks = terminal if wishes.store is None else None
    endpoint = _setting("Endpoint", wishes.endpoint, asks, "Address of the S3 server (empty: Amazon's):")
    region = _setting("Region", wishes.region, asks, "Region of the bucket (empty: the server's default):")
    key_file, credentials = _credentials(wishes, machine, asks)
    return Storing("", bucket, endpoint, region, key_file, credentials)


def _store(text: str) -> tuple[str, str]:
    """Folder and bucket, of which one is empty."""
    text = text.removeprefix("file://")
    if text.startswith(("/", "~", "$", ".")) or "/" in text.removeprefix("s3://"):
        folder = path_of(text)
        if os.path.lexists(folder) and not os.path.isdir(folder):  # noqa: PTH112 - Path's own raises
            raise InvalidNameError("it is there, and is no folder")
        _valid(f"Bucket {quoted('file://' + folder.replace('%', '%25'))}")
        return folder, ""
    bucket = text.strip().removeprefix("s3://")
    if not bucket.isprintable() or not bucket:
        raise InvalidNameError("it is neither the whole path of a folder nor the name of a bucket")
    _valid(f"Bucket {quoted(bucket)}")
    return "", bucket


def _setting(directive: str, said: str | None, terminal: Terminal | None, question: str) -> str:
    def read(text: str) -> str:
        value = text.strip()
        if value:
            if not value.isprintable():
                raise InvalidNameError("it holds characters that cannot be shown")
            _valid("Bucket some-bucket", f"{directive} {quoted(value)}")
        return value.rstrip("/")

    if said is not None:
        return _said(f"--{directive.lower()}", said, read)
    return _asked(terminal, question, read) if terminal else ""


def _credentials(wishes: Wishes, machine: Machine, terminal: Terminal | None) -> tuple[str, Credentials | None]:
    if wishes.key_file is not None:
        return _said("--key-file", wishes.key_file, path_of), None
    if terminal is None:
        return "", None
    if Path(machine.key_file).exists():
        terminal.tell(f"  The credentials in {machine.key_file} are used.")
        return machine.key_file, None
    key = _asked(terminal, "Access key (empty: boto3 finds credentials by itself):", _secret)
    if not key:
        return "", None
    secret = _secret(terminal.ask_secretly("Secret key, which is not shown:"))
    return machine.key_file, Credentials(key, secret)


def _secret(text: str) -> str:
    value = text.strip()
    if not value.isprintable():
        raise UnusableConfiguration("a key holds characters that cannot be shown; was something else pasted?")
    return value


def directories(wishes: Wishes, machine: Machine, terminal: Terminal | None) -> tuple[str, ...]:
    """What is backed up."""
    if wishes.directories or terminal is None:
        return tuple(dict.fromkeys(_said("--directory", each, _existing) for each in wishes.directories))
    terminal.tell("Which folders are backed up? One a line; an empty line ends.")
    terminal.tell(f"  Nothing but an empty line: {' '.join(machine.directories)}")
    found: list[str] = []
    while path := _asked(terminal, "  Folder:", lambda text: _existing(text) if text.strip() else ""):
        found.append(path)
    return tuple(dict.fromkeys(found or machine.directories))


def encrypting(wishes: Wishes, machine: Machine, terminal: Terminal | None) -> Encrypting:
    """For whom archives are encrypted."""
    if wishes.recipient is not None:
        return Encrypting(wishes.recipient)
    if wishes.is_plain:
        return Encrypting()
    if wishes.makes_key or terminal is None:
        return Encrypting(is_new=True)
    terminal.tell("With which gpg key are archives encrypted?")
    for number, (fingerprint, user) in enumerate(machine.keys, 1):
        terminal.tell(f"  {number}  {user} ({fingerprint})")
    terminal.tell("  m  make a new one")
    terminal.tell("  n  none: whoever can read the store reads the archives")
    usual = "1" if len(machine.keys) == 1 else "" if machine.keys else "m"
    choices = {**{f"{number}": key for number, (key, _) in enumerate(machine.keys, 1)}, "m": "", "n": ""}
    question = f"  {'Number, m' if machine.keys else 'm'} or n{f' [{usual}]' if usual else ''}:"
    choice = _asked(terminal, question, lambda text: _one(text, choices, usual))
    if choice == "m":
        return Encrypting(is_new=True, passphrase=_passphrase(terminal))
    return Encrypting(choices[choice])


def _one(text: str, choices: Sequence[str] | dict[str, str], usual: str) -> str:
    choice = text.strip().lower() or usual
    if choice not in choices:
        raise InvalidNameError(f"one of these: {', '.join(choices)}")
    return choice


def _passphrase(terminal: Terminal) -> str:
    while True:
        first = terminal.ask_secretly("  Passphrase of the new key, which is not shown (empty: none):")
        if not first or first == terminal.ask_secretly("  Once more:"):
            return first
        terminal.tell("  They differ.")


def starting(wishes: Wishes, machine: Machine, terminal: Terminal | None) -> str:
    """What starts the nightly run: one of ``STARTS``."""
    if wishes.start is not None:
        return wishes.start
    if terminal is None or len(machine.starts) == 1:
        return machine.starts[0]
    question = f"What starts it every night: {', '.join(machine.starts)}? [{machine.starts[0]}]:"
    return _asked(terminal, question, lambda text: _one(text, machine.starts, machine.starts[0]))


def diff_dir(wishes: Wishes, usual: Path) -> str:
    """Where is remembered what DIFFs need."""
    return str(usual) if wishes.diff_dir is None else _said("--diff-dir", wishes.diff_dir, path_of)
