"""What gpg lists of keys, read as GnuPG's doc/DETAILS describes it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from s3napback.config.settings import EncryptionSettings
from s3napback.encryption.gpg import prepare_encryption
from s3napback.encryption.key import UserId, read_listing
from s3napback.encryption.keys import KeyRing
from s3napback.errors import UnusableKey
from tests.gpg_keys import gpg_home

LISTING = b"""tru::1:1795655405:0:3:1:5
pub:f:255:22:50DB472CEFF5C170:1795655405:20990102T000000::-:::scESC:::::ed25519:::0:
fpr:::::::::167EDEF83443052DF6418E7D50DB472CEFF5C170:
grp:::::::::0000000000000000000000000000000000000000:
uid:f::::1795655405::5637::Mal\\x5clory \\x3cx\\x3a y\\n\xe2\x80\xa8 \xff::::::::::0:
uat:-::::1795655405::5637::1 2345::::::::::0:
uid:r::::1795655405::5E0E::Evil <atlas@example.org>::::::::::0:
sub:e:255:18:FFC9FF20A523959A:1795655405:1580000000:::::e:::::cv25519::
fpr:::::::::3F0DDCBFE4FA446B391E4013FFC9FF20A523959A:
sub:f:255:22:1111111111111111:1795655405::::::s:::::ed25519::
fpr:::::::::1111111111111111111111111111111111111111:
pub:-:255:22:2222222222222222:1795655405:::-:::sc:::::ed25519:::0:
fpr:::::::::2222222222222222222222222222222222222222:
"""


def test_a_listing_is_read() -> None:
    first, second = read_listing(LISTING)
    assert (first.fingerprint, first.key_id) == ("167EDEF83443052DF6418E7D50DB472CEFF5C170", "50DB472CEFF5C170")
    assert first.user_ids == (UserId("Mal\\lory <x: y\n\u2028 \udcff", "f"), UserId("Evil <atlas@example.org>", "r"))
    assert first.user == "Mal\\lory <x: y\\n\\u2028 \\xff"
    assert (first.validity, first.capabilities, first.expires) == ("f", "scESC", date(2099, 1, 2))
    assert [validity for validity, _ in first.encryption_subkeys] == ["e"]
    assert first.subkey_ids == {
        *("FFC9FF20A523959A", "3F0DDCBFE4FA446B391E4013FFC9FF20A523959A"),
        *("1111111111111111", "1" * 40),
    }
    assert (second.fingerprint, second.user, second.expires) == ("2" * 40, "(without a name)", None)


def test_a_key_of_times_to_come_is_blamed_on_the_clock(tmp_path: Path) -> None:
    """As on a machine whose clock begins in 1970 after each loss of power; gpg 2.2 does not even import the key."""
    with gpg_home() as home:
        home.make_key("future@example.org", made="20350102T120000")
        with pytest.raises(UnusableKey, match=r"was made in times to come on 2035-01-02: set this machine's clock"):
            KeyRing(home.path).find("future@example.org")
        keyring = tmp_path / "backups.pub"
        keyring.write_bytes(home.export())
    with (
        pytest.raises(UnusableKey, match=r"in the future \(time warp or clock problem\)|times to come"),
        prepare_encryption(EncryptionSettings(recipients=("future@example.org",), keyring=keyring), date.today()),
    ):
        pass


def test_nothing_listed_is_no_key() -> None:
    assert read_listing(b"") == read_listing(b"tru::1:1795655405:0:3:1:5\n") == []


def test_what_is_wrong_with_a_key_of_a_keyring_is_mended_where_its_secret_part_is(tmp_path: Path) -> None:
    keyring = tmp_path / "backups.pub"
    with gpg_home() as other:
        expired = other.make_key("old@example.org", made="20250101T000000", expires="20d")
        keyring.write_bytes(other.export())
    mend = {
        "stranger@example.org": f"run: gpg --export stranger@example.org, and bring what that writes to {keyring}",
        "old@example.org": f"gpg --quick-set-expire {expired} 1y (where its secret part is; then bring what "
        f"gpg --export writes to {keyring})",
    }
    for recipient, advice in mend.items():
        with (
            pytest.raises(UnusableKey) as caught,
            prepare_encryption(EncryptionSettings((recipient,), keyring=keyring), date(2026, 1, 1)),
        ):
            pass
        assert advice in "\n".join(caught.value.lines)
    keyring.write_text("-----BEGIN")
    with (
        pytest.raises(UnusableKey, match="no public key in it; write it anew with: gpg --export RECIPIENT"),
        prepare_encryption(EncryptionSettings(("x@example.org",), keyring=keyring), date(2026, 1, 1)),
    ):
        pass
