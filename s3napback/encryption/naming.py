"""Which keys a name in the configuration stands for: these, and none that only resemble them. Pure.

gpg itself takes a name for part of a user id, and anybody can make a key that calls itself whatever he likes. So a name
is compared as a whole, and counts as much as gpg is sure of that very user id:

- a fingerprint: all of its 40 or 64 digits, blanks allowed. It needs nobody's word for it.
- a key id of 16 digits. One of eight is refused, since a key to fit it is made in seconds.
- ``backups@example.org`` or ``<backups@example.org>``: the address of a user id, in any case of its ASCII letters.
- any other text, also behind ``=``: a user id as a whole.
"""

from __future__ import annotations

import re
from enum import Enum

from s3napback.encryption.key import Key, UserId
from s3napback.errors import UnusableKey
from s3napback.records import dataclass
from s3napback.regexes import regex

_ADDRESS = r"[^<>@\s]+@[^<>@\s]+"
_BARE_ADDRESS = regex(_ADDRESS)
_NAMED_ADDRESS = regex(rf"[^<>]*<({_ADDRESS})>")
_FINGERPRINT = regex(r"[0-9A-F]{40}|[0-9A-F]{64}")


class Form(Enum):
    """How a key is named."""

    FINGERPRINT = "fingerprint"
    KEY_ID = "key id"
    SHORT_ID = "key id of eight digits"
    ADDRESS = "address"
    USER_ID = "user id"


@dataclass(frozen=True)
class KeyName:
    """The value of a directive.

    Attributes:
        directive: GpgRecipient or GpgSignKey.
        text: as it was written.
        form: what it is.
        value: digits in capital letters, an address, or a user id.
    """

    directive: str
    text: str
    form: Form
    value: str

    def __str__(self) -> str:
        return f"{self.directive} {self.text}"

    def means(self, key: Key) -> bool:
        """Whether the key is one that is named so."""
        if self.form is Form.FINGERPRINT:
            return key.fingerprint == self.value
        if self.form is Form.KEY_ID:
            return key.key_id == self.value
        return bool(self._user_ids(key))

    def validity(self, key: Key) -> str:
        """How sure gpg is that a key of this name is that of the one who is meant; a letter as ``Key.validity``."""
        if self.form in (Form.FINGERPRINT, Form.KEY_ID):
            return key.validity
        found = {user_id.validity for user_id in self._user_ids(key)}
        return next((letter for letter in "ufm" if letter in found), "-")

    def resembles(self, key: Key) -> bool:
        """Whether somebody who wrote this may have meant the key, although it is not its name."""
        if self.form in (Form.FINGERPRINT, Form.KEY_ID, Form.SHORT_ID):
            return any(each.endswith(self.value) for each in (key.fingerprint, key.key_id, *key.subkey_ids))
        return any(_folded(self.value) in _folded(user_id.text) for user_id in key.user_ids)

    def _user_ids(self, key: Key) -> list[UserId]:
        """Those that are this name, unless they are revoked or not the key's own. On a key that is useless all are."""
        usable = [each for each in key.user_ids if each.validity not in "ri" or key.validity in "rei"]
        if self.form is Form.ADDRESS:
            return [each for each in usable if _folded(address_of(each.text)) == _folded(self.value)]
        if self.form is Form.USER_ID:
            return [each for each in usable if each.text == self.value]
        return []


def read_key_name(directive: str, text: str) -> KeyName:
    """Understand the value of GpgRecipient or GpgSignKey.

    Raises:
        UnusableKey: it would be an option for gpg, or asks for a single subkey.
    """
    if text.startswith("-"):
        raise UnusableKey(f"{directive} {text}: no key has a name that begins with a hyphen")
    if text.endswith("!"):
        raise UnusableKey(f"{directive} {text}: a single subkey cannot be chosen; leave out the exclamation mark")
    form, value = _form_and_value(text)
    return KeyName(directive, text, form, value)


def _form_and_value(text: str) -> tuple[Form, str]:
    digits = text.removeprefix("0x").upper()
    if _FINGERPRINT.fullmatch(digits.replace(" ", "")):
        return Form.FINGERPRINT, digits.replace(" ", "")
    if re.fullmatch(r"[0-9A-F]{16}", digits):
        return Form.KEY_ID, digits
    if re.fullmatch(r"[0-9A-F]{8}", digits):
        return Form.SHORT_ID, digits
    if text.startswith("="):
        return Form.USER_ID, text[1:]
    if text.startswith("<") and text.endswith(">"):
        return Form.ADDRESS, text[1:-1]
    return (Form.ADDRESS if _BARE_ADDRESS.fullmatch(text) else Form.USER_ID), text


def address_of(user_id: str) -> str:
    """The mail address of a user id: all of it, or what the one pair of angle brackets at its end holds."""
    if _BARE_ADDRESS.fullmatch(user_id):
        return user_id
    match = _NAMED_ADDRESS.fullmatch(user_id)
    return match[1] if match else ""


def _folded(text: str) -> bytes:
    """Text without the difference between capital and small ASCII letters; others are not alike for their looks."""
    return text.encode("utf-8", "surrogateescape").lower()
