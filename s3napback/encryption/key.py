"""A public key, as gpg lists it, and whether it can be used. Pure."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

from s3napback.formatting import shown
from s3napback.records import dataclass
from s3napback.regexes import regex

_ESCAPE = regex(rb"\\(?:x([0-9a-fA-F]{2})|([0abfnrtv]))")
_SIMPLE_ESCAPES = dict(zip(b"0abfnrtv", b"\0\a\b\f\n\r\t\v", strict=True))
_USELESS = "rei"
_LONGEST_USER = 200

TRUSTED = "umf"
"""Validity letters of what gpg encrypts to."""
CERTAIN = "uf"
"""Validity letters of what gpg takes a signature of without a warning."""


@dataclass(frozen=True)
class UserId:
    """A name that a key has given itself; whose it is, its validity tells.

    Attributes:
        text: whatever its maker wrote; bytes that are not UTF-8 as surrogates.
        validity: gpg's letter, as ``Key.validity``; ``r`` is revoked, ``i`` not even signed by the key.
    """

    text: str
    validity: str


@dataclass(frozen=True)
class Key:
    """A public key as ``gpg --with-colons --list-keys`` describes it (GnuPG's ``doc/DETAILS``).

    Attributes:
        fingerprint: of the primary key, 40 or 64 hexadecimal digits.
        key_id: of the primary key, 16 hexadecimal digits.
        user_ids: the first is that by which it is shown.
        validity: gpg's letter: ``u``, ``f``, ``m`` are trusted; ``r`` revoked, ``e`` expired, ``i`` invalid. It is
            that of the best of its user ids.
        capabilities: gpg's letters; capital ones speak for the key as a whole: ``E`` can encrypt, ``D`` is disabled.
        expires: the day from which on it cannot be encrypted to, with the subkey that gpg would use; None is never.
        encryption_subkeys: validity letter and expiry of each subkey made for encryption.
        subkey_ids: fingerprints and key ids of all subkeys.
        made: its day, if that has not come yet by this machine's clock, so that gpg does nothing with the key.
    """

    fingerprint: str
    key_id: str
    user_ids: tuple[UserId, ...]
    validity: str
    capabilities: str
    expires: date | None
    encryption_subkeys: tuple[tuple[str, date | None], ...]
    subkey_ids: frozenset[str]
    made: date | None = None

    @property
    def user(self) -> str:
        """Its first user id, as it can be shown."""
        return shown(self.user_ids[0].text, _LONGEST_USER) if self.user_ids else "(without a name)"

    @property
    def is_trusted(self) -> bool:
        """Whether gpg is sure enough whose key it is."""
        return self.validity in TRUSTED

    @property
    def last_day(self) -> date | None:
        """When encrypting to it ends, the primary key or the last usable subkey expiring; None is never."""
        own = [] if self.expires is None else [self.expires]
        subkeys = [expires for validity, expires in self.encryption_subkeys if validity not in _USELESS]
        if subkeys and None not in subkeys:
            own.append(max(expires for expires in subkeys if expires is not None))
        return min(own, default=None)

    def defect(self, place: KeyOrigin) -> str:
        """Why nothing can be encrypted to it, trust apart, and what to do; empty if something can.

        Args:
            place: where it was found.
        """
        whole = self._defect_as_a_whole(place)
        lacking = self._youth or f"cannot encrypt: {self._subkey_defect(place)}"
        return whole or ("" if "E" in self.capabilities else lacking)

    def signing_defect(self, place: KeyOrigin) -> str:
        """Why nothing can be signed with it, and what to do; empty if something can."""
        whole = self._defect_as_a_whole(place)
        add = place.command(f"--quick-add-key {self.fingerprint} future-default sign")
        add = f"name another key, or add a subkey with: {add}"
        return whole or ("" if "S" in self.capabilities else self._youth or f"cannot sign; {add}")

    @property
    def witness_defect(self) -> str:
        """Why gpg takes no signature of it, and what to do; empty if it does.

        Nobody can tell when a signature of an expired key was made, so an old one is good after the key was extended.
        """
        where = "where its secret part is, and import it again"
        whole = {
            "r": "is revoked, and so are its signatures; name the key in its place",
            "e": f"has expired{_on(self.expires)}; extend it {where}",
            "i": self._invalidity,
        }
        return whole.get(self.validity, "")

    @property
    def _invalidity(self) -> str:
        return self._youth or "is invalid (its self-signature is missing); export it again where it was made"

    @property
    def _youth(self) -> str:
        """That it is younger than the clock: gpg 2.2 calls it invalid then, and 2.4 says that it can do nothing."""
        return f"was made in times to come{_on(self.made)}: set this machine's clock" if self.made is not None else ""

    def _defect_as_a_whole(self, place: KeyOrigin) -> str:
        extend = "extend it with: " + place.command(f"--quick-set-expire {self.fingerprint} 1y")
        enable = "enable it with: " + place.command(f"--edit-key {self.fingerprint} enable save")
        whole = {
            "r": "is revoked; name another key",
            "e": f"has expired{_on(self.expires)}; {extend}",
            "i": self._invalidity,
        }
        if self.validity in whole:
            return whole[self.validity]
        if "D" in self.capabilities:
            return f"is disabled; {enable}"
        return ""

    def _subkey_defect(self, place: KeyOrigin) -> str:
        add = place.command(f"--quick-add-key {self.fingerprint} future-default encr")
        add = f"name another key, or add a subkey with: {add}"
        expired = [expires for validity, expires in self.encryption_subkeys if validity == "e"]
        if expired:
            extend = place.command(f"--quick-set-expire {self.fingerprint} 1y '*'")
            return f"its encryption subkey has expired{_on(expired[-1])}; extend it with: {extend}"
        if self.encryption_subkeys:
            return f"its encryption subkey is revoked or invalid; {add}"
        return f"it has no encryption subkey; {add}"


@dataclass(frozen=True)
class KeyOrigin:
    """Where keys were found, and so how a person changes them.

    Attributes:
        gpg: how a command begins that changes a key in a home.
        keyring: the file of GpgKeyring, whose keys are changed elsewhere and brought again; None is a home.
    """

    gpg: str = "gpg"
    keyring: Path | None = None

    def command(self, arguments: str) -> str:
        """What to run to change a key."""
        if self.keyring is None:
            return f"{self.gpg} {arguments}"
        return f"gpg {arguments} (where its secret part is; then bring what gpg --export writes to {self.keyring})"

    def bring(self, wanted: str) -> str:
        """What to do to have a key here that is not.

        Args:
            wanted: as it is named in the configuration.
        """
        if self.keyring is None:
            return f"import it with: {self.gpg} --import FILE"
        where = shlex.quote(str(self.keyring))
        return f"where you have it, run: gpg --export {shlex.quote(wanted)}, and bring what that writes to {where}"


def read_listing(listing: bytes, now: float = math.inf) -> list[Key]:
    """The keys in what ``gpg --with-colons --fixed-list-mode --list-keys`` has written, or ``--list-secret-keys``.

    Nothing that a user id holds can look like a record: gpg escapes line ends and colons in it.

    Args:
        listing: what gpg wrote.
        now: by this machine's clock, in seconds since 1970.
    """
    blocks: list[list[list[str]]] = []
    for line in listing.split(b"\n"):
        fields = [_unescaped(field) for field in line.split(b":")]
        if fields[0] in ("pub", "sec"):
            blocks.append([])
        if blocks:
            blocks[-1].append(fields)
    return [key for block in blocks if (key := _read_key(block, now)).fingerprint]


def _read_key(records: list[list[str]], now: float) -> Key:
    primary, *others = records
    subkeys = [fields for fields in others if fields[0] in ("sub", "ssb")]
    fingerprints = list(_fingerprints(records))
    return Key(
        fingerprint=next((digits for owner, digits in fingerprints if owner is primary), ""),
        key_id=primary[4],
        user_ids=tuple(UserId(fields[9], fields[1]) for fields in others if fields[0] == "uid"),
        validity=primary[1],
        capabilities=primary[11],
        expires=_read_day(primary[6]),
        encryption_subkeys=tuple((fields[1], _read_day(fields[6])) for fields in subkeys if "e" in fields[11]),
        subkey_ids=frozenset(
            [fields[4] for fields in subkeys] + [digits for owner, digits in fingerprints if owner is not primary]
        ),
        made=_read_day(primary[5]) if primary[5].isdecimal() and int(primary[5]) > now else None,
    )


def _fingerprints(records: list[list[str]]) -> Iterator[tuple[list[str], str]]:
    """Each fingerprint, with the record of the key that it belongs to: the last one before it."""
    owner = records[0]
    for fields in records:
        if fields[0] == "fpr":
            yield owner, fields[9]
        elif fields[0] in ("sub", "ssb"):
            owner = fields


def _unescaped(field: bytes) -> str:
    def character(match: re.Match[bytes]) -> bytes:
        return bytes.fromhex(match[1].decode()) if match[1] else bytes([_SIMPLE_ESCAPES[match[2][0]]])

    return _ESCAPE.sub(character, field).decode("utf-8", "surrogateescape")


def _read_day(moment: str) -> date | None:
    """A day from seconds since 1970, or from ISO 8601, which gpg uses where seconds do not suffice."""
    if not moment:
        return None
    if "T" in moment:
        return datetime.strptime(moment[:8], "%Y%m%d").astimezone().date()
    return datetime.fromtimestamp(int(moment)).astimezone().date()


def _on(day: date | None) -> str:
    return "" if day is None else f" on {day}"
