"""Which gpg key a recipient of the configuration stands for, and whether it can be encrypted to."""

from __future__ import annotations

import re
import stat
import time
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from tempfile import gettempdir

from s3napback.encryption.key import CERTAIN, TRUSTED, Key, KeyOrigin, read_listing
from s3napback.encryption.naming import Form, KeyName, read_key_name
from s3napback.encryption.options import Purpose, chosen_home, gpg_command, private_home_options
from s3napback.encryption.running import agent_trouble, failure_of, run_gpg, words_of
from s3napback.errors import UnusableKey, UnusableTool
from s3napback.formatting import shell_command, shown
from s3napback.ownership import require_own
from s3napback.regexes import regex

EXPIRY_NOTICE = timedelta(days=30)
# Without the character set gpg would take what we pass for the characters of the C locale.
_TELLING = ("--status-fd", "2", "--no-tty", "--no-verbose", "--with-colons", "--display-charset", "utf-8")

_SOME_PROCESSED = regex(rb"^\[GNUPG:\] IMPORT_RES [1-9]", re.MULTILINE)
"""What gpg says at an import's end, if it came to a key (GnuPG's doc/DETAILS)."""

# One of these lies in every home that can name a key; gpg would create the first one otherwise.
_HOME_FILES = ("pubring.kbx", "pubring.gpg", "public-keys.d", "gpg.conf", "common.conf")
# What gpg and its agent read there (gpg(1), gpg-agent(1), FILES).
_HOME_PATTERNS = (
    *("*.conf*", "pubring.*", "secring.gpg", "trustdb.gpg", "tofu.db", "trustlist.txt", "S.*"),
    *("public-keys.d", "public-keys.d/*", "private-keys-v1.d", "private-keys-v1.d/*"),
)


class KeyRing:
    """The public keys of one gpg home.

    Attributes:
        place: what an administrator is advised to run.
    """

    def __init__(self, home: Path | None, *, private: bool = False, keyring: Path | None = None) -> None:
        """Prepare to read it.

        Args:
            home: None is gpg's own choice.
            private: it is ours, for a short time: no daemon need be started for it, and nobody be sent there.
            keyring: the file that its keys are from.

        Raises:
            UnusableKey, ChangeableByOthers: as ``gpg_command``.
        """
        own = private_home_options() if private else ()
        self._command = (*gpg_command(home, Purpose.LOOKING, private=private), *_TELLING, *own)
        self._private = private
        gpg = "gpg" if home is None or private else shell_command(["gpg", "--homedir", str(home)])
        self.place = KeyOrigin(gpg, keyring)

    def find(self, recipient: str) -> Key:
        """The one key that ``recipient`` stands for.

        Args:
            recipient: a fingerprint, key id, address or user id, as ``naming`` understands them.

        Raises:
            UnusableKey: there is none, none that can encrypt, more than one, or it is not sure to be the one meant.
        """
        name = read_key_name("GpgRecipient", recipient)
        keys = self._named(name, self._list(), "public")
        usable = [key for key in keys if not key.defect(self.place)]
        if not usable:
            defects = [f"  {key.fingerprint} {key.user} {key.defect(self.place)}" for key in keys]
            raise UnusableKey(f"{name}: the key cannot be used:", *defects)
        # A key that is not trusted must not make a trusted one of the same address ambiguous.
        trusted = [key for key in usable if name.validity(key) in TRUSTED]
        key = _only(name, trusted or usable)
        if not trusted and key.is_trusted and not self._private:
            # gpg is given its fingerprint, and would not notice whose name it bears.
            raise UnusableKey(
                f"{name}: nobody whom gpg trusts has certified this user id, though another one of the same key:",
                f"  {key.fingerprint} {key.user}",
                f"compare the fingerprint with the key's owner, then write it in place of {recipient}",
            )
        return key

    def find_signer(self, text: str) -> Key:
        """The one key that GpgSignKey stands for, to sign with.

        Args:
            text: a fingerprint, key id, address or user id, as ``naming`` understands them.

        Raises:
            UnusableKey: there is none with its secret part, none that can sign, or more than one.
        """
        name = read_key_name("GpgSignKey", text)
        # Listed by their public parts, which alone tell whether they are valid.
        available = {key.fingerprint for key in self._list(secret=True)}
        keys = self._named(name, [key for key in self._list() if key.fingerprint in available], "secret")
        usable = [key for key in keys if not key.signing_defect(self.place)]
        if not usable:
            defects = [f"  {key.fingerprint} {key.user} {key.signing_defect(self.place)}" for key in keys]
            raise UnusableKey(f"{name}: the key cannot be used:", *defects)
        return _only(name, usable)

    def find_witness(self, text: str) -> Key:
        """The one key that GpgSignKey stands for, to check signatures with; its public part is enough.

        Raises:
            UnusableKey: there is none, more than one, none that is valid, or none of which gpg is sure whose it is. Who
                writes a whole fingerprint has made sure himself.
        """
        name = read_key_name("GpgSignKey", text)
        keys = self._named(name, self._list(), "public")
        flaws = {key.fingerprint: key.witness_defect or self._doubt(name, key) for key in keys}
        usable = [key for key in keys if not flaws[key.fingerprint]]
        if not usable:
            defects = [f"  {key.fingerprint} {key.user} {flaws[key.fingerprint]}" for key in keys]
            raise UnusableKey(f"{name}: the key cannot be used to check signatures:", *defects)
        return _only(name, usable)

    def usable(self) -> list[Key]:
        """All keys that can be encrypted to."""
        return [key for key in self._list() if not key.defect(self.place)]

    def _doubt(self, name: KeyName, key: Key) -> str:
        if name.form is Form.FINGERPRINT or name.validity(key) in CERTAIN:
            return ""
        return (
            "is not certain to be the one that is meant; compare the fingerprint with that on the machine that signs, "
            f"and write it: {name.directive} {key.fingerprint}; or run: "
            f"{self.place.gpg} --quick-lsign-key {key.fingerprint}"
        )

    def _named(self, name: KeyName, keys: Sequence[Key], part: str) -> list[Key]:
        """Those keys that are named so; refuses if there is none, or the name cannot be relied on."""
        if found := [key for key in keys if name.means(key)]:
            return found
        near = [
            f"  {key.fingerprint} {', '.join(shown(each.text) for each in key.user_ids[:3])}"
            for key in keys
            if name.resembles(key)
        ]
        if not near:
            raise UnusableKey(f"{name}: no such {part} key; {self.place.bring(name.text)}")
        why = (
            "a key for an id of eight digits is made in seconds"
            if name.form is Form.SHORT_ID
            else (f"no {part} key has exactly this {name.form.value}")
        )
        raise UnusableKey(f"{name}: {why}; if this is the one that you mean, write its fingerprint:", *near)

    def _list(self, *, secret: bool = False) -> list[Key]:
        which = "--list-secret-keys" if secret else "--list-keys"
        found: dict[str, Key] = {}
        for key in read_listing(self._ask(which, "--fingerprint", "--fingerprint"), time.time()):
            # A key that lies in two keyrings is told twice.
            found.setdefault(key.fingerprint, key)
        return list(found.values())

    def _ask(self, *arguments: str) -> bytes:
        """What gpg writes to its standard output.

        Raises:
            UnusableTool: it failed, or took too long.
        """
        done = run_gpg((*self._command, *arguments), "show its keys")
        # Without its agent gpg shows no secret key, and ends well.
        if done.returncode or agent_trouble(done.stderr):
            raise UnusableTool("gpg cannot show its keys:", *failure_of(done.stderr))
        return done.stdout

    def take_in(self, file: Path) -> list[str]:
        """Import the public keys of a file, armoured or not; what gpg said if there were none that it takes.

        Raises:
            UnusableTool: it could not put into the home what it found, or took too long.
        """
        done = run_gpg((*self._command, "--import", str(file)), "import keys")
        if b"[GNUPG:] IMPORT_OK " in done.stderr:
            return []
        words = words_of(done.stderr)
        if b"no valid OpenPGP data" not in done.stderr and not _SOME_PROCESSED.search(done.stderr):
            raise UnusableTool(f"GpgKeyring: gpg cannot import {file} into a folder in {gettempdir()}:", *words)
        return words

    def export(self) -> bytes:
        """All public keys; nothing if there is none.

        Raises:
            UnusableTool: gpg cannot.
        """
        return self._ask("--export")


def expiry_warning(key: Key, today: date, place: KeyOrigin) -> str:
    """A remark if nothing can be encrypted to ``key`` soon; else empty."""
    last = key.last_day
    if last is None or last - today > EXPIRY_NOTICE:
        return ""
    extend = place.command(f"--quick-set-expire {key.fingerprint} 1y, and again with '*' at its end for the subkeys")
    return f"gpg key {key.fingerprint} {key.user} expires on {last}; extend it with: {extend}"


def require_home(home: Path | None, environment: Mapping[str, str]) -> None:
    """Refuse a home without any key, in which gpg would only create empty files, and one that others can change.

    Args:
        home: GpgHome; None is gpg's own choice.
        environment: where gpg's own choice may be named.

    Raises:
        UnusableKey: the folder is missing, or gpg was never used in it.
        ChangeableByOthers: it, or a file of gpg's in it, is not ours.
    """
    folder = chosen_home(home, environment)
    setting = "GpgHome" if home else "gpg's home"
    try:
        is_there = folder.is_dir()
        was_used = any(Path(folder, name).exists() for name in _HOME_FILES)
    except OSError as error:
        raise UnusableKey(
            f"{setting} {folder} cannot be looked at: {error.strerror}; HOME decides which one it is, or GpgHome"
        ) from error
    if not is_there:
        raise UnusableKey(f"{setting} {folder} does not exist; set GpgHome, or run this as the user who has the keys")
    if not was_used:
        raise UnusableKey(f"there are no gpg keys in {folder}; import one, or set GpgHome or GpgKeyring")
    require_own_home(home, environment)


def exposure_warnings(home: Path | None, environment: Mapping[str, str]) -> tuple[str, ...]:
    """A remark if others may look into a home; gpg itself would repeat it with every archive."""
    folder = chosen_home(home, environment)
    mode = stat.S_IMODE(folder.stat().st_mode)
    if not mode & (stat.S_IRWXG | stat.S_IRWXO):
        return ()
    command = shell_command(["chmod", "700", str(folder)])
    return (f"gpg's home {folder} is open to others (mode {mode:04o}); close it with: {command}",)


def require_own_home(home: Path | None, environment: Mapping[str, str]) -> None:
    """Refuse a home that others can change: ``agent-program`` in its gpg.conf is run. One that is not there passes.

    Raises:
        ChangeableByOthers: it, or a file of gpg's in it, is not ours.
        UnusableKey: it cannot be looked at.
    """
    folder = chosen_home(home, environment)
    try:
        require_own(folder)
        for pattern in _HOME_PATTERNS:
            for entry in sorted(folder.glob(pattern)):
                require_own(entry)
    except PermissionError:
        return  # nor can gpg use it
    except OSError as error:
        raise UnusableKey(f"gpg's home {folder} cannot be looked at: {error.strerror}") from error


def _only(name: KeyName, keys: Sequence[Key]) -> Key:
    if len(keys) > 1:
        names = [f"  {key.fingerprint} {key.user}" for key in keys]
        raise UnusableKey(f"{name} is ambiguous; write the fingerprint of one key:", *names)
    return keys[0]
