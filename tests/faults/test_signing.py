"""GpgSignKey: archives that nobody else can have made, and a restore that takes no others."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.gpg_keys import GpgHome, gpg_home
from tests.site import Site
from tests.stores.sources import BytesSource


@dataclass(frozen=True)
class Keys:
    """A machine's keys: one for encryption, one for signatures; and somebody else's."""

    home: GpgHome
    recipient: str
    signer: str
    stranger: str

    def directives(self, signer: str) -> str:
        """With signatures by a key, or without."""
        signing = f"GpgSignKey {signer}\n" if signer else ""
        return f"GpgHome {self.home.path}\nGpgRecipient {self.recipient}\n{signing}"


@pytest.fixture(scope="module")
def keys() -> Iterator[Keys]:
    with gpg_home() as home:
        recipient = home.make_key("Backup <backup@example.org>")
        signer = home.make_key("Signer <signer@example.org>", usage="sign", algorithm="ed25519")
        stranger = home.make_key("Stranger <stranger@example.org>", usage="sign", algorithm="ed25519")
        yield Keys(home, recipient, signer, stranger)


@pytest.fixture
def site(site: Site) -> Site:
    (site.source / "file").write_text("precious")
    return site


def restore(site: Site, target: Path, *options: str, expect: int = 0) -> str:
    return site.run("restore", str(site.source), "--to", str(target), *options, expect=expect).stderr


def test_a_signed_chain_is_restored_and_by_plain_gpg_as_well(site: Site, keys: Keys, tmp_path: Path) -> None:
    site.configure_cycle("Diffs 6\nFulls 1", general=keys.directives("signer@example.org"))
    site.run(day=0)
    (site.source / "later").write_text("too")
    site.run(day=1)
    assert site.slots() == ["0-FULL", "1-DIFF"]
    restore(site, tmp_path / "out", "--require-signature")
    assert (tmp_path / f"out{site.source}" / "later").read_text() == "too"
    decrypt = ["gpg", "--homedir", str(keys.home.path), "--batch", "--quiet", "--status-fd", "2", "--decrypt"]
    for key in site.archive_keys():
        done = subprocess.run(decrypt, input=site.fetch(key), capture_output=True, check=True)
        assert b"VALIDSIG " + keys.signer.encode() in done.stderr
    recovered = site.recover(site.archive_keys(), tmp_path / "plain", decrypt=[*decrypt[:5], "--decrypt"])
    assert (recovered / "file").read_text() == "precious"


@pytest.mark.parametrize("signer", ["", "stranger"], ids=["by nobody", "by a stranger"])
def test_what_the_key_has_not_signed_is_refused(site: Site, keys: Keys, tmp_path: Path, signer: str) -> None:
    site.configure_cycle("Diffs 6\nFulls 1", general=keys.directives(signer and keys.stranger))
    site.run()
    site.configure_cycle("Diffs 6\nFulls 1", general=keys.directives(keys.signer))
    refused = restore(site, tmp_path / "out", "--require-signature", expect=1)
    assert f"{site.name()}-0-FULL" in refused
    assert "is not signed" in refused
    assert keys.signer in refused
    assert not (tmp_path / "out").exists()
    restore(site, tmp_path / "out")


def test_a_signature_by_a_key_that_is_not_here_is_no_damage(site: Site, keys: Keys, tmp_path: Path) -> None:
    """A former key of the machine, of the same user id or not, or a stranger's: gpg ends with 2 over all of them."""
    site.configure_cycle("Diffs 6\nFulls 1", general=keys.directives(keys.stranger))
    site.run()
    with gpg_home() as other:
        other.run("--import", stdin=keys.home.run("--export-secret-keys", keys.recipient))
        other.take_in(keys.home.export(keys.signer))
        directives = f"GpgHome {other.path}\nGpgRecipient {keys.recipient}\nGpgSignKey {keys.signer}"
        site.configure_cycle("Diffs 6\nFulls 1", general=directives)
        refused = restore(site, tmp_path / "out", "--require-signature", expect=1)
        restore(site, tmp_path / "out")
    assert f"{site.name()}-0-FULL is not trusted" in refused
    assert f"signed by a key that is not here, {keys.stranger[-16:]}" in refused
    assert keys.signer in refused
    assert "damaged" not in refused


def test_what_gpg_tells_programs_is_not_told_to_people(site: Site, keys: Keys, tmp_path: Path) -> None:
    site.configure_cycle("", general=keys.directives(keys.signer))
    site.run()
    with gpg_home() as other:
        other.take_in(keys.home.export(keys.signer))
        directives = f"GpgHome {other.path}\nGpgRecipient {keys.recipient}\nGpgSignKey {keys.signer}"
        site.configure_cycle("", general=directives)
        refused = restore(site, tmp_path / "out", "--require-signature", expect=1)
    assert "it is encrypted to a key that is not here" in refused
    assert "No secret key" in refused
    assert "[GNUPG:]" not in refused


def test_a_planted_archive_without_encryption_is_refused(site: Site, keys: Keys, tmp_path: Path) -> None:
    site.configure_cycle("Diffs 6\nFulls 1")
    site.run()
    site.configure_cycle("Diffs 6\nFulls 1", general=keys.directives(keys.signer))
    refused = restore(site, tmp_path / "out", "--require-signature", expect=1)
    assert "is not encrypted, and so not signed" in refused
    assert not (tmp_path / "out").exists()


def test_a_planted_link_of_a_chain_is_refused(site: Site, keys: Keys, tmp_path: Path) -> None:
    """Whoever can write to the store has the recipient's public key, and knows the metadata."""
    site.configure_cycle("Diffs 6\nFulls 1", general=keys.directives(keys.signer))
    site.run(day=0)
    (site.source / "later").write_text("too")
    site.run(day=1)
    diff = site.archive_keys()[1]
    planted = keys.home.run(
        *("-z", "0", "--recipient", keys.recipient, "--local-user", keys.stranger, "--sign"),
        *("--output", "-", "--encrypt"),
        stdin=keys.home.decrypt(site.fetch(diff)),
    )
    metadata = site.metadata(diff)
    site.store().put(diff, BytesSource(planted), metadata)
    refused = restore(site, tmp_path / "out", "--require-signature", expect=1)
    assert f"{diff} is not trusted" in refused
    assert not (tmp_path / "out").exists()


def test_a_restore_needs_no_signature_key_unless_asked(site: Site, keys: Keys, tmp_path: Path) -> None:
    site.configure_cycle("Diffs 6\nFulls 1", general=keys.directives(keys.signer))
    site.run()
    with gpg_home() as other:
        other.run("--import", stdin=keys.home.run("--export-secret-keys", keys.recipient))
        site.configure_cycle("Diffs 6\nFulls 1", general=f"GpgHome {other.path}\nGpgRecipient {keys.recipient}")
        restore(site, tmp_path / "out")
        refused = restore(site, tmp_path / "signed", "--require-signature", expect=2)
        assert "set GpgSignKey" in refused
        other.take_in(keys.home.export(keys.signer))
        site.configure_cycle(
            "", general=f"GpgHome {other.path}\nGpgRecipient {keys.recipient}\nGpgSignKey {keys.signer}"
        )
        restore(site, tmp_path / "signed", "--require-signature")


def test_a_chain_is_signed_as_a_whole(site: Site, keys: Keys) -> None:
    site.configure_cycle("Diffs 6\nFulls 1", general=keys.directives(""))
    site.run(day=0)
    site.configure_cycle("Diffs 6\nFulls 1", general=keys.directives(keys.signer))
    done = site.run(day=1)
    assert "GpgSignKey changed" in done.stderr
    assert site.slots() == ["0-FULL", "1-FULL"]


def test_metadata_does_not_tell_of_signatures(site: Site, keys: Keys) -> None:
    site.configure_cycle("", general=keys.directives(""))
    site.run(day=0)
    site.run(day=1)
    site.configure_cycle("", general=keys.directives(keys.signer))
    site.run(day=2)
    unsigned, _, signed = map(site.metadata, site.archive_keys())
    assert unsigned.keys() == signed.keys()
    assert unsigned["s3napback-recipients"] == signed["s3napback-recipients"] == keys.recipient


def make_key_with_passphrase(home: GpgHome) -> str:
    home.run(
        "--passphrase",
        "secret",
        "--pinentry-mode",
        "loopback",
        "--quick-generate-key",
        "P <p@e.org>",
        "ed25519",
        "sign",
    )
    subprocess.run(["gpgconf", "--homedir", str(home.path), "--kill", "gpg-agent"], check=True)
    return home.fingerprints()[-1]


def public_only(home: GpgHome) -> str:
    with gpg_home() as other:
        name = other.make_key("Public <public@example.org>", usage="sign", algorithm="ed25519")
        home.take_in(other.export(name))
    return name


CASES: dict[str, tuple[Callable[[GpgHome], str], str]] = {
    "missing": (lambda _home: "nobody@example.org", "no such secret key"),
    "without its secret part": (public_only, "no such secret key"),
    "expired": (
        lambda home: home.make_key(
            "E <e@e.org>", usage="sign", algorithm="ed25519", expires="1d", made="20200101T000000"
        ),
        "has expired",
    ),
    "for encryption only": (
        lambda home: home.make_key("C <c@e.org>", usage="cert", algorithm="ed25519"),
        "cannot sign",
    ),
    "locked": (make_key_with_passphrase, "unless it is told a passphrase"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_key_that_cannot_sign_stops_everything_at_the_start(site: Site, case: str) -> None:
    make, words = CASES[case]
    with gpg_home() as home:
        recipient = home.make_key("Backup <backup@example.org>")
        name = make(home)
        site.configure_cycle("", general=f"GpgHome {home.path}\nGpgRecipient {recipient}\nGpgSignKey {name}")
        refused = site.run(expect=2).stderr
    assert words in refused
    assert name in refused
    assert site.archive_keys() == []


@pytest.mark.parametrize(
    ("settings", "length", "words"),
    [("no-autostart\n", 0, "gpg's settings say no-autostart"), ("", 90, "its path has more than 86 bytes")],
    ids=["told not to start it", "its socket has no room"],
)
def test_where_gpg_has_no_agent_that_is_said_and_not_that_there_is_no_key(
    site: Site, tmp_path: Path, settings: str, length: int, words: str
) -> None:
    with gpg_home() as home:
        recipient = home.make_key("Backup <backup@example.org>")
        signer = home.make_key("S <s@e.org>", usage="sign", algorithm="ed25519")
        subprocess.run(["gpgconf", "--homedir", str(home.path), "--kill", "gpg-agent"], check=True)
        copy = shutil.copytree(home.path, tmp_path / f"home{'x' * length}", ignore=shutil.ignore_patterns("S.*"))
    (copy / "gpg.conf").write_text(settings)
    site.configure_cycle("", general=f"GpgHome {copy}\nGpgRecipient {recipient}\nGpgSignKey {signer}")
    refused = site.run(expect=2).stderr
    assert words in refused
    assert "no such secret key" not in refused
    assert site.archive_keys() == []


@pytest.mark.parametrize(
    ("directives", "words"),
    [
        ("GpgSignKey a@example.org", "needs a GpgRecipient"),
        ("GpgRecipient a@b.c\nGpgSignKey --output=/tmp/x", "no address, id or fingerprint"),
        ("GpgRecipient a@b.c\nGpgKeyring /etc/hostname\nGpgSignKey a@example.org", "does not go with GpgKeyring"),
    ],
)
def test_settings_that_make_no_sense_are_refused(site: Site, directives: str, words: str) -> None:
    site.configure_cycle("", general=directives)
    assert words in site.run(expect=2).stderr


def test_a_signed_archive_does_not_pass_for_that_of_another_source(site: Site, keys: Keys, tmp_path: Path) -> None:
    """A user who can write to the store, and whose own folder is backed up, would else decide what ``/etc`` is."""
    home = site.source / "home"
    home.mkdir()
    (home / "file").write_text("planted")
    block = f"<Cycle nightly>\nDirectory {site.source}\nDirectory {home}\n</Cycle>"
    site.configure(block, general=keys.directives(keys.signer))
    site.run()
    ours, theirs = (next(key for key in site.archive_keys() if key.startswith(f"{name}-")) for name in (
        site.name(), site.name(home)))  # fmt: skip
    site.store().put(ours, BytesSource(site.fetch(theirs)), site.metadata(ours))
    refused = restore(site, tmp_path / "out", "--require-signature", expect=1)
    assert ours in refused
    assert "another archive in its place" in refused
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["started", "day", "id", "parent", "host"])
def test_metadata_cannot_be_changed_behind_the_signature(site: Site, keys: Keys, tmp_path: Path, name: str) -> None:
    """An old state would else come back as a new one."""
    site.configure_cycle("Diffs 6\nFulls 1", general=keys.directives(keys.signer))
    site.run()
    (key,) = site.archive_keys()
    metadata = dict(site.metadata(key))
    changed = {"started": "2026-11-20T03:00:00Z", "day": "20800", "id": "0" * 32, "parent": "1" * 32, "host": "else"}
    metadata[f"s3napback-{name}"] = changed[name]
    site.store().put(key, BytesSource(site.fetch(key)), metadata)
    refused = restore(site, tmp_path / "out", "--require-signature", "--keys", key, expect=1)
    assert "another archive in its place" in refused
    assert not (tmp_path / "out").exists()


def test_a_copy_that_lost_its_metadata_is_judged_by_its_signature_alone(site: Site, keys: Keys, tmp_path: Path) -> None:
    site.configure_cycle("Diffs 6\nFulls 1", general=keys.directives(keys.signer))
    site.run()
    (key,) = site.archive_keys()
    site.store().put(key, BytesSource(site.fetch(key)), {})
    restore(site, tmp_path / "out", "--require-signature", "--keys", key)
    assert (tmp_path / f"out{site.source}" / "file").read_text() == "precious"
