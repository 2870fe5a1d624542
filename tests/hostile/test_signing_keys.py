"""Keys that call themselves nearly, or exactly, what a configuration names: anybody can make them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from s3napback.config.settings import EncryptionSettings
from s3napback.encryption.gpg import prepare_encryption, signer_fingerprint
from s3napback.errors import UnusableKey
from tests.encryption.test_encryption import TODAY
from tests.gpg_keys import GpgHome, gpg_home
from tests.site import Site
from tests.stores.sources import BytesSource

ADDRESS = "atlas@example.org"
RESEMBLING = {
    "a longer address": "atlas@example.org.evil.com",
    "a longer address in brackets": "Atlas <atlas@example.org.evil.com>",
    "a longer local part": "Atlas <not-atlas@example.org>",
    "the address as a name": "atlas@example.org <evil@evil.com>",
    "the address as a comment": "Atlas (atlas@example.org) <evil@evil.com>",
    "the address in other brackets": "Atlas <atlas@example.org> <evil@evil.com>",
    "something behind the address": "Atlas <atlas@example.org> or not",
    "a letter that looks like another": "Atlas <\u0430tlas@example.org>",
    "a letter that becomes another": "Atlas <atlas@example.org>".replace("atlas", "atla\u017f"),
}


@pytest.fixture
def home() -> Iterator[GpgHome]:
    with gpg_home() as home:
        yield home


@pytest.fixture
def evil() -> Iterator[GpgHome]:
    with gpg_home() as home:
        yield home


def make_key(home: GpgHome, *user_ids: str, usage: str = "default") -> str:
    """A key with several user ids, whatever gpg thinks of them."""
    algorithm = "ed25519" if usage == "sign" else "future-default"
    loose = ("--allow-freeform-uid", "--passphrase", "")
    before = set(home.fingerprints())
    home.run(*loose, "--quick-generate-key", user_ids[0], algorithm, usage, "never")
    (key,) = set(home.fingerprints()) - before
    for user_id in user_ids[1:]:
        home.run(*loose, "--quick-add-uid", key, user_id)
    return key


def recipients(home: GpgHome, name: str = ADDRESS) -> tuple[str, ...]:
    with prepare_encryption(EncryptionSettings((name,), home=home.path), TODAY) as encryption:
        assert encryption is not None
        return encryption.fingerprints


def signer(home: GpgHome, name: str = ADDRESS) -> str:
    settings = EncryptionSettings(tuple(home.fingerprints()[:1]), home=home.path, sign_key=name)
    with prepare_encryption(settings, TODAY) as encryption:
        assert encryption is not None
        return encryption.signer


def witness(home: GpgHome, name: str = ADDRESS) -> str:
    return signer_fingerprint(EncryptionSettings((name,), home=home.path, sign_key=name))


def refusal(use: Callable[[GpgHome, str], object], home: GpgHome, name: str = ADDRESS) -> str:
    with pytest.raises(UnusableKey) as caught:
        use(home, name)
    return "\n".join(caught.value.lines)


USES = {"to encrypt to": recipients, "to sign with": signer, "to check signatures": witness}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("user_id", RESEMBLING.values(), ids=RESEMBLING)
def test_a_key_that_only_resembles_the_name_is_refused_even_if_it_is_trusted(
    home: GpgHome, user_id: str, use: Callable[[GpgHome, str], object]
) -> None:
    make_key(home, "first@example.org")
    key = make_key(home, user_id)
    message = refusal(use, home)
    assert ADDRESS in message
    assert "no such" in message or key in message


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_such_keys_do_not_disturb_the_right_one(home: GpgHome, use: Callable[[GpgHome, str], object]) -> None:
    for user_id in RESEMBLING.values():
        make_key(home, user_id)
    key = make_key(home, f"Atlas <{ADDRESS}>")
    found = use(home, ADDRESS)
    assert found in (key, (key,))


def test_the_name_of_a_trusted_key_counts_only_where_somebody_has_certified_it(home: GpgHome, evil: GpgHome) -> None:
    """Whoever has a key that is trusted can give it any further name, and publish it."""
    home.make_key("me@example.org")
    key = make_key(evil, "Mallory <mallory@example.org>", f"Evil <{ADDRESS}>")
    home.take_in(evil.export(key))
    home.run("--quick-lsign-key", key, "Mallory <mallory@example.org>")
    assert recipients(home, "mallory@example.org") == (key,)
    assert witness(home, "mallory@example.org") == key
    for use in (recipients, witness):
        message = refusal(use, home)
        assert key in message
        assert "compare the fingerprint" in message
    assert recipients(home, key) == (key,), "its fingerprint says which key is meant"
    mine = home.make_key(f"Atlas <{ADDRESS}>")
    assert recipients(home) == (mine,)
    assert witness(home) == mine


def test_a_revoked_name_is_no_name(home: GpgHome) -> None:
    key = make_key(home, "Mallory <mallory@example.org>", f"Once <{ADDRESS}>")
    home.run("--quick-revoke-uid", key, f"Once <{ADDRESS}>")
    assert recipients(home, "mallory@example.org") == (key,)
    for use in (recipients, signer, witness):
        assert key in refusal(use, home)


def test_a_strangers_key_of_the_same_address_checks_no_signatures(home: GpgHome, evil: GpgHome) -> None:
    stranger = evil.make_key(f"Atlas <{ADDRESS}>", usage="sign", algorithm="ed25519")
    home.take_in(evil.export(stranger))
    home.make_key("me@example.org")
    message = refusal(witness, home)
    assert stranger in message
    assert f"write it: GpgSignKey {stranger}" in message
    assert f"gpg --homedir {home.path} --quick-lsign-key {stranger}" in message
    assert stranger in refusal(witness, home, stranger[-16:]), "the id of a key vouches for nothing"
    assert witness(home, stranger) == stranger, "who writes the fingerprint has compared it"
    home.run("--quick-lsign-key", stranger)
    assert witness(home) == stranger
    ours = home.make_key(f"Atlas itself <{ADDRESS}>", usage="sign", algorithm="ed25519")
    assert "ambiguous" in refusal(witness, home)
    assert witness(home, ours) == ours


def test_a_marginal_key_checks_no_signatures(home: GpgHome, evil: GpgHome) -> None:
    friend = evil.make_key("friend@example.org")
    key = evil.make_key(f"Atlas <{ADDRESS}>")
    evil.run("--local-user", friend, "--quick-sign-key", key)
    home.take_in(evil.export())
    home.make_key("me@example.org")
    home.run("--quick-lsign-key", friend)
    home.trust(friend, 4)
    assert recipients(home) == (key,), "gpg encrypts to it, and so do we"
    assert "is not certain" in refusal(witness, home)


def test_neither_a_revoked_nor_an_expired_key_checks_signatures(home: GpgHome) -> None:
    revoked = home.make_key(f"Atlas <{ADDRESS}>")
    home.revoke(revoked)
    assert "is revoked, and so are its signatures" in refusal(witness, home)
    assert "is revoked" in refusal(witness, home, revoked)
    made, expires = "20200101T000000", "2020-06-01"
    old = home.make_key("old@example.org", usage="sign", algorithm="ed25519", made=made, expires=expires)
    assert "has expired on 2020-" in refusal(witness, home, "old@example.org")
    home.run("--quick-set-expire", old, "1y")
    assert witness(home, "old@example.org") == old


def test_at_night_the_secret_key_needs_no_trust(home: GpgHome, evil: GpgHome) -> None:
    home.make_key("me@example.org")
    key = evil.make_key(f"Atlas <{ADDRESS}>", usage="sign", algorithm="ed25519")
    home.take_in(evil.run("--export-secret-keys", key))
    assert signer(home) == key
    assert signer(home, key) == key


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_an_id_of_eight_digits_is_refused(home: GpgHome, use: Callable[[GpgHome, str], object]) -> None:
    key = home.make_key(f"Atlas <{ADDRESS}>")
    for name in (key[-8:], f"0x{key[-8:]}", key[-8:].lower()):
        message = refusal(use, home, name)
        assert "made in seconds" in message
        assert key in message


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_subkey_does_not_stand_for_its_key(home: GpgHome, use: Callable[[GpgHome, str], object]) -> None:
    """Anybody can add somebody else's subkey for encryption to a key of his own."""
    key = home.make_key(f"Atlas <{ADDRESS}>")
    listing = home.run("--with-colons", "--list-keys", key).decode()
    (subkey,) = set(re.findall(r"^fpr:+(\w+):", listing, re.MULTILINE)) - {key}
    for name in (subkey, subkey[-16:]):
        assert key in refusal(use, home, name)


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_part_of_a_name_is_refused_and_the_key_is_named(home: GpgHome, use: Callable[[GpgHome, str], object]) -> None:
    key = home.make_key(f"Atlas Backup <{ADDRESS}>")
    for name in ("Atlas", "Atlas Backup", "*Atlas", "@example.org", "atlas backup", "=Atlas Backup"):
        message = refusal(use, home, name)
        assert "GpgRecipient" in message or "GpgSignKey" in message
    assert f"write its fingerprint:\n  {key} Atlas Backup <{ADDRESS}>" in refusal(use, home, "Atlas Backup")
    assert use(home, f"Atlas Backup <{ADDRESS}>") in (key, (key,))


def test_line_ends_in_the_names_of_keys_are_data(home: GpgHome) -> None:
    """gpg writes those of other alphabets as they are into its listing."""
    fake = "pub:u:255:22:0000000000000000:1:::u:::scESC:".replace(":", "\u2028")
    make_key(home, f"evil\u2028fpr\u2028pub\x85{fake} \x1b[2J <evil@example.org>")
    key = home.make_key(f"Atlas <{ADDRESS}>")
    assert recipients(home) == (key,)
    message = refusal(recipients, home, "evil")
    assert all(line.isprintable() for line in message.split("\n"))


@pytest.mark.parametrize("form", ["exported", "keybox"])
def test_a_keyring_file_is_searched_as_strictly(home: GpgHome, evil: GpgHome, tmp_path: Path, form: str) -> None:
    make_key(evil, f"{ADDRESS}.evil.com", f"{ADDRESS} <evil@evil.com>")
    keyring = tmp_path / "ring"

    def found() -> tuple[str, ...]:
        keyring.write_bytes((evil.path / "pubring.kbx").read_bytes() if form == "keybox" else evil.export())
        with prepare_encryption(EncryptionSettings((ADDRESS,), keyring=keyring), TODAY) as encryption:
            assert encryption is not None
            return encryption.fingerprints

    with pytest.raises(UnusableKey, match="no public key has exactly this address"):
        found()
    key = evil.make_key(f"Atlas <{ADDRESS}>")
    assert found() == (key,)
    evil.make_key(f"Other <{ADDRESS}>")
    with pytest.raises(UnusableKey, match="ambiguous"):
        found()


def planted(packets: bytes) -> bytes:
    """A key with a name in it that it has not signed: the packets of a key, and behind the first a user id of ours."""
    user_id = f"Atlas <{ADDRESS}>".encode()
    first = 2 + packets[1]
    assert packets[0] == 0x98, "a public key packet in the old format, its length in one octet"
    return packets[:first] + bytes([0xB4, len(user_id)]) + user_id + packets[first:]


def test_a_name_that_the_key_has_not_signed_is_no_name(home: GpgHome, evil: GpgHome, tmp_path: Path) -> None:
    key = evil.make_key("Mallory <mallory@example.org>")
    home.run("--allow-non-selfsigned-uid", "--import", stdin=planted(evil.export(key)))
    assert ADDRESS.encode() in home.run("--with-colons", "--list-keys")
    keyring = tmp_path / "ring"
    keyring.write_bytes((home.path / "pubring.kbx").read_bytes())
    with pytest.raises(UnusableKey):
        with prepare_encryption(EncryptionSettings((ADDRESS,), keyring=keyring), TODAY):
            pass


def test_what_a_neighbour_has_signed_is_not_restored(home: GpgHome, evil: GpgHome, tmp_path: Path) -> None:
    """The whole of it: the machine that restores has the right key, and one whose address only begins alike."""
    site = Site(tmp_path / "site")
    (site.source / "file").write_text("precious")
    recipient = home.make_key("backup@example.org")
    ours = home.make_key(f"atlas signs <{ADDRESS}>", usage="sign", algorithm="ed25519")
    theirs = evil.make_key(f"atlas signs <{ADDRESS}.evil.com>", usage="sign", algorithm="ed25519")
    home.take_in(evil.run("--export-secret-keys", theirs))
    general = f"GpgHome {home.path}\nGpgRecipient {recipient}\nGpgSignKey "
    site.configure_cycle("", general=general + theirs)
    site.run()
    (key,) = site.archive_keys()
    stolen, metadata = site.fetch(key), site.metadata(key)
    restore = ("restore", str(site.source), "--require-signature", "--to")
    site.run(*restore, str(tmp_path / "theirs"))
    site.configure_cycle("", general=general + ADDRESS)
    assert "is not signed" in site.run(*restore, str(tmp_path / "refused"), expect=1).stderr
    home.run("--yes", "--delete-secret-keys", ours)
    home.run("--yes", "--delete-keys", ours)
    refused = site.run(*restore, str(tmp_path / "refused"), expect=2).stderr
    assert f"GpgSignKey {ADDRESS}" in refused
    assert theirs in refused
    assert not (tmp_path / "refused").exists()
    night = site.run("-f", expect=2).stderr
    assert f"GpgSignKey {ADDRESS}" in night
    site.store().put(key, BytesSource(stolen), metadata)
