"""Which gpg key a recipient of the configuration stands for, and whether it can be encrypted to."""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from s3napback.errors import UnusableKey, UnusableTool
from s3napback.streams.environment import Family, child_environment
from s3napback.streams.processes import readable

EXPIRY_NOTICE = timedelta(days=30)
PRIVATE_HOME_OPTIONS = ("--no-autostart",)

# One of these lies in every home that can name a key; gpg would create the first one otherwise.
_HOME_FILES = ("pubring.kbx", "pubring.gpg", "public-keys.d", "gpg.conf", "common.conf")


@dataclass(frozen=True)
class Key:
    """A public key as ``gpg --with-colons --list-keys`` describes it (GnuPG's ``doc/DETAILS``).

    Attributes:
        fingerprint: of the primary key, 40 or 64 hexadecimal digits.
        user: its first user id.
        validity: gpg's letter: ``u``, ``f``, ``m`` are trusted; ``r`` revoked, ``e`` expired, ``i`` invalid.
        capabilities: gpg's letters; capital ones speak for the key as a whole: ``E`` can encrypt, ``D`` is disabled.
        expires: the day from which on it cannot be encrypted to, with the subkey that gpg would use; None is never.
        encryption_subkeys: validity letter and expiry of each subkey made for encryption.
    """

    fingerprint: str
    user: str
    validity: str
    capabilities: str
    expires: date | None
    encryption_subkeys: tuple[tuple[str, date | None], ...]

    @property
    def is_trusted(self) -> bool:
        """Whether gpg is sure enough whose key it is."""
        return self.validity in "umf"

    @property
    def last_day(self) -> date | None:
        """When encrypting to it ends, the primary key or the last usable subkey expiring; None is never."""
        own = [] if self.expires is None else [self.expires]
        subkeys = [expires for validity, expires in self.encryption_subkeys if validity not in "rei"]
        if subkeys and None not in subkeys:
            own.append(max(expires for expires in subkeys if expires is not None))
        return min(own, default=None)

    def defect(self, gpg: str = "gpg") -> str:
        """Why nothing can be encrypted to it, trust apart, and what to do; empty if something can.

        Args:
            gpg: how the commands in the advice begin.
        """
        whole = self._defect_as_a_whole(gpg)
        return whole or ("" if "E" in self.capabilities else f"cannot encrypt: {self._subkey_defect(gpg)}")

    def signing_defect(self, gpg: str = "gpg") -> str:
        """Why nothing can be signed with it, and what to do; empty if something can."""
        whole = self._defect_as_a_whole(gpg)
        add = f"name another key, or add a subkey with: {gpg} --quick-add-key {self.fingerprint} future-default sign"
        return whole or ("" if "S" in self.capabilities else f"cannot sign; {add}")

    def _defect_as_a_whole(self, gpg: str) -> str:
        extend = f"extend it with: {gpg} --quick-set-expire {self.fingerprint} 1y"
        enable = f"enable it with: {gpg} --edit-key {self.fingerprint} enable save"
        whole = {
            "r": "is revoked; name another key",
            "e": f"has expired{_on(self.expires)}; {extend}",
            "i": "is invalid (its self-signature is missing); export it again where it was made",
        }
        if self.validity in whole:
            return whole[self.validity]
        if "D" in self.capabilities:
            return f"is disabled; {enable}"
        return ""

    def _subkey_defect(self, gpg: str) -> str:
        add = f"name another key, or add a subkey with: {gpg} --quick-add-key {self.fingerprint} future-default encr"
        expired = [expires for validity, expires in self.encryption_subkeys if validity == "e"]
        if expired:
            extend = f"{gpg} --quick-set-expire {self.fingerprint} 1y '*'"
            return f"its encryption subkey has expired{_on(expired[-1])}; extend it with: {extend}"
        if self.encryption_subkeys:
            return f"its encryption subkey is revoked or invalid; {add}"
        return f"it has no encryption subkey; {add}"


class KeyRing:
    """The public keys of one gpg home.

    Attributes:
        gpg: how a command begins that an administrator is advised to run.
    """

    def __init__(self, home: Path | None, *, private: bool = False) -> None:
        """Prepare to read it.

        Args:
            home: None is gpg's own choice.
            private: it is ours, for a short time: no daemon may be started for it, and nobody be sent there.

        Raises:
            UnusableTool: gpg is missing or cannot work with its configuration.
        """
        import gnupg  # noqa: PLC0415 - loaded only where it is used

        # It warns of every listing that finds nothing, which our errors say better.
        logging.getLogger("gnupg").setLevel(logging.CRITICAL)
        try:
            self._gpg: Any = gnupg.GPG(
                gnupghome=None if home is None else str(home),
                # Without it gpg would take what we pass for the characters of the C locale.
                options=["--display-charset", "utf-8", *(PRIVATE_HOME_OPTIONS if private else ())],
                env=child_environment(os.environ, Family.GPG),
                encoding="utf-8",
            )
        except (OSError, ValueError) as error:
            raise UnusableTool(f"gpg cannot be used: {error}") from error
        self._gpg.decode_errors = "replace"
        self.gpg = "gpg" if home is None or private else shlex.join(["gpg", "--homedir", str(home)])

    def find(self, recipient: str) -> Key:
        """The one key that ``recipient`` stands for.

        Args:
            recipient: an address, a name, a key id or a fingerprint.

        Raises:
            UnusableKey: there is none, none that can encrypt, or more than one.
        """
        _refuse_syntax("GpgRecipient", recipient)
        keys = [_read_key(entry) for entry in self._gpg.list_keys(keys=[recipient])]
        if not keys:
            raise UnusableKey(f"GpgRecipient {recipient}: no such public key; import it with: {self.gpg} --import FILE")
        usable = [key for key in keys if not key.defect()]
        if not usable:
            defects = "\n".join(f"  {key.fingerprint} {key.user} {key.defect(self.gpg)}" for key in keys)
            raise UnusableKey(f"GpgRecipient {recipient}: the key cannot be used:\n{defects}")
        # A key that is not trusted must not make a trusted one of the same address ambiguous.
        candidates = [key for key in usable if key.is_trusted] or usable
        if len(candidates) > 1:
            names = "\n".join(f"  {key.fingerprint} {key.user}" for key in candidates)
            raise UnusableKey(f"GpgRecipient {recipient} is ambiguous; write the fingerprint of one key:\n{names}")
        return candidates[0]

    def find_signer(self, name: str, *, secret: bool = True) -> Key:
        """The one key that GpgSignKey stands for.

        Args:
            name: an address, a name, a key id or a fingerprint.
            secret: its secret part is needed, for signing; the public one serves to check signatures.

        Raises:
            UnusableKey: there is none, none that can sign, or more than one.
        """
        _refuse_syntax("GpgSignKey", name)
        # Listed by their public parts, which alone tell whether they are valid.
        keys = [_read_key(entry) for entry in self._gpg.list_keys(keys=[name])]
        if secret:
            available = {entry["fingerprint"] for entry in self._gpg.list_keys(secret=True, keys=[name])}
            keys = [key for key in keys if key.fingerprint in available]
        part = "secret" if secret else "public"
        if not keys:
            raise UnusableKey(f"GpgSignKey {name}: no such {part} key; import it with: {self.gpg} --import FILE")
        usable = [key for key in keys if not (secret and key.signing_defect(self.gpg))]
        if not usable:
            defects = "\n".join(f"  {key.fingerprint} {key.user} {key.signing_defect(self.gpg)}" for key in keys)
            raise UnusableKey(f"GpgSignKey {name}: the key cannot be used:\n{defects}")
        if len(usable) > 1:
            names = "\n".join(f"  {key.fingerprint} {key.user}" for key in usable)
            raise UnusableKey(f"GpgSignKey {name} is ambiguous; write the fingerprint of one key:\n{names}")
        return usable[0]

    def import_file(self, file: Path) -> None:
        """Add the public keys of a file, armoured or not.

        Raises:
            UnusableKey: it holds none.
        """
        result = self._gpg.import_keys_file(str(file))
        if not result.fingerprints:
            raise UnusableKey(f"GpgKeyring {file}: no public key in it")


def expiry_warning(key: Key, today: date, gpg: str = "gpg") -> str:
    """A remark if nothing can be encrypted to ``key`` soon; else empty."""
    last = key.last_day
    if last is None or last - today > EXPIRY_NOTICE:
        return ""
    extend = f"{gpg} --quick-set-expire {key.fingerprint} 1y, and again with '*' at its end for the subkeys"
    return f"gpg key {key.fingerprint} {key.user} expires on {last}; extend it with: {extend}"


def require_home(home: Path | None, environment: Mapping[str, str]) -> None:
    """Refuse a home without any key, in which gpg would only create empty files.

    Args:
        home: GpgHome; None is gpg's own choice.
        environment: where gpg's own choice may be named.

    Raises:
        UnusableKey: the folder is missing, or gpg was never used in it.
    """
    folder = home or Path(environment.get("GNUPGHOME") or Path(environment.get("HOME") or Path.home(), ".gnupg"))
    if not folder.is_dir():
        setting = "GpgHome" if home else "gpg's home"
        raise UnusableKey(f"{setting} {folder} does not exist; set GpgHome, or run this as the user who has the keys")
    if not any(Path(folder, name).exists() for name in _HOME_FILES):
        raise UnusableKey(f"there are no gpg keys in {folder}; import one, or set GpgHome or GpgKeyring")


def _refuse_syntax(directive: str, name: str) -> None:
    if name.startswith("-"):
        raise UnusableKey(f"{directive} {name}: no key has a name that begins with a hyphen")
    if name.endswith("!"):
        raise UnusableKey(f"{directive} {name}: a single subkey cannot be chosen; leave out the exclamation mark")


def _read_key(entry: Mapping[str, Any]) -> Key:
    subkeys = entry.get("subkey_info", {}).values()
    return Key(
        fingerprint=entry["fingerprint"],
        user=readable(next(iter(entry["uids"]), "(without a name)").encode()),
        validity=entry["trust"],
        capabilities=entry["cap"],
        expires=_read_day(entry["expires"]),
        encryption_subkeys=tuple((sub["trust"], _read_day(sub["expires"])) for sub in subkeys if "e" in sub["cap"]),
    )


def _read_day(seconds: str) -> date | None:
    return datetime.fromtimestamp(int(seconds)).astimezone().date() if seconds else None


def _on(day: date | None) -> str:
    return "" if day is None else f" on {day}"
