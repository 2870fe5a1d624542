"""``init``: from a few answers to a night and a restore; nothing is overwritten, and nothing is left half made."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from s3napback.commands import init
from s3napback.commands.doctor import examine
from s3napback.config.loading import load_configuration
from s3napback.encryption import making as key_making
from s3napback.errors import UnusableConfiguration, UnusableTool
from s3napback.founding.questions import Wishes
from tests.founding.dialogue import Dialogue, dialogue
from tests.gpg_keys import GpgHome, gpg_home
from tests.servers import S3Server
from tests.site import START

ODD = "a b#c'\"$x ü%41"


@dataclass
class Bare:
    """A machine on which nothing is configured yet."""

    root: Path
    gpg: GpgHome

    @property
    def configuration(self) -> Path:
        return self.root / "etc" / "nightly.conf"

    @property
    def source(self) -> Path:
        return self.root / "source" / ODD

    def environment(self) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        home = {"HOME": str(self.root), "GNUPGHOME": str(self.gpg.path), "AWS_EC2_METADATA_DISABLED": "true"}
        return {**own, **home, "XDG_STATE_HOME": str(self.root / "state"), "TERM": "xterm"}

    def arguments(self, *more: str) -> list[str]:
        return ["-c", str(self.configuration), "init", "--diff-dir", str(self.root / "diffs"), *more]

    def run(self, *arguments: str, expect: int | None = 0) -> subprocess.CompletedProcess[str]:
        command = [*START, *arguments]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=self.environment(), check=False
        )
        assert expect is None or done.returncode == expect, f"{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    def asked(self, *more: str) -> AbstractContextManager[Dialogue]:
        return dialogue(*self.arguments(*more), environment=self.environment(), folder=self.root)

    def left(self) -> list[str]:
        """All that is there, but for what was there before."""
        return sorted(each.name for each in self.root.iterdir() if each.name not in ("source", "root"))


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Bare]:
    with gpg_home() as gpg:
        made = Bare(tmp_path, gpg)
        made.source.mkdir(parents=True)
        (made.source / "file").write_text("content")
        yield made


def night_and_restore(bare: Bare) -> None:
    """What was made passes ``-t`` and ``doctor`` at once, and does what it is for."""
    general = ["-c", str(bare.configuration)]
    assert bare.run(*general, "-t").stderr == ""
    rows = bare.run(*general, "doctor", expect=None).stdout
    assert rows.count("  NO  ") == 1 + rows.count("  NO  older versions: the bucket does not keep")
    assert "NO  nightly run: nothing starts it" in rows
    bare.run(*general)
    target = bare.root / "restored"
    bare.run(*general, "restore", str(bare.source), "--to", str(target))
    assert (target / bare.source.relative_to("/") / "file").read_text() == "content"


# --- at a terminal ---


def test_answers_at_a_terminal_make_all_that_a_night_and_a_restore_need(bare: Bare) -> None:
    """A store with a hostile name, a new key with a passphrase that was mistyped once, and mistakes on the way."""
    store = bare.root / f"va ult {ODD}"
    with bare.asked("--start", "none") as asked:
        asked.answer("Where do archives go?", "relative/path")
        asked.answer("the path must be absolute", str(bare.source / "file"))
        asked.answer("it is there, and is no folder", str(store))
        asked.answer("Folder:", "/no/such/folder")
        asked.answer("there is no such folder", str(bare.source))
        asked.answer("Folder:", b"/\xff")
        asked.answer("it is not UTF-8", "")
        asked.answer("  m or n [m]:", "7")
        asked.answer("one of these: m, n", "")
        asked.answer("Passphrase of the new key", "Xyzzy")
        asked.answer("Once more:", "other")
        asked.wait_for("They differ")
        asked.answer("Passphrase of the new key", "")
        assert asked.end() == 0
        assert "--export-secret-keys" in asked.seen
        assert "Xyzzy" not in asked.seen
        said = [*asked.seen.splitlines(), *bare.configuration.read_text().splitlines()]
    # On a terminal of 80 columns no word of ours is broken.
    assert [line for line in said if len(line) > 79 and str(bare.root) not in line] == []
    (key,) = bare.gpg.fingerprints()
    configuration = load_configuration(bare.configuration)
    assert configuration.encryption.recipients == (key,)
    assert configuration.store.folder == store
    assert [job.target for job in configuration.jobs] == [str(bare.source)]
    for made in (bare.configuration, store, bare.root / "diffs"):
        assert made.stat().st_mode & 0o077 == 0
    night_and_restore(bare)


def test_one_chooses_among_the_keys_that_there_are_and_none_needs_a_word(bare: Bare) -> None:
    key = bare.gpg.make_key("Somebody <somebody@example.org>")
    bare.gpg.make_key("Nobody <nobody@example.org>", usage="sign", algorithm="ed25519")
    with bare.asked("--start", "none", "--store", str(bare.root / "store")) as asked:
        asked.answer("Folder:", str(bare.source))
        asked.answer("Folder:", "")
        asked.answer("1  Somebody <somebody@example.org>", "")
        assert asked.end() == 0
        assert "nobody@" not in asked.seen
    assert load_configuration(bare.configuration).encryption.recipients == (key,)
    night_and_restore(bare)
    bare.configuration.unlink()
    with bare.asked("--start", "none", "--store", str(bare.root / "other"), "--directory", str(bare.source)) as asked:
        asked.answer("Number, m or n [1]:", "n")
        assert asked.end() == 0
        assert "Archives are not encrypted" in asked.seen
    assert load_configuration(bare.configuration).encryption.is_off


def test_credentials_of_s3_are_asked_for_and_never_shown(bare: Bare, moto: S3Server) -> None:
    bucket, secret = moto.make_bucket(), moto.credentials.secret
    with bare.asked("--start", "none", "--no-encryption", "--directory", str(bare.source)) as asked:
        asked.answer("Where do archives go?", bucket)
        asked.answer("Address of the S3 server", "no address")
        asked.answer("Endpoint is not a URL", moto.endpoint)
        asked.answer("Region of the bucket", "")
        asked.answer("Access key", moto.credentials.key)
        asked.answer("Secret key, which is not shown:", secret)
        assert asked.end() == 0
        assert secret not in asked.seen.replace(moto.credentials.key, "")
    key_file = bare.configuration.with_name("nightly.key.txt")
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert load_configuration(bare.configuration).store.key_file == key_file
    night_and_restore(bare)


def test_a_store_that_cannot_be_used_yet_is_told_and_everything_is_there(bare: Bare, moto: S3Server) -> None:
    more = [
        "--store",
        "no-such-bucket",
        "--endpoint",
        moto.endpoint,
        "--directory",
        str(bare.source),
        "--no-encryption",
    ]
    key_file = bare.root / "given.txt"
    key_file.write_text(moto.key_file_text())
    key_file.chmod(0o600)
    done = bare.run(*bare.arguments(*more, "--key-file", str(key_file), "--start", "none"), expect=1)
    assert "all is written, but the store cannot be used yet" in done.stderr
    assert load_configuration(bare.configuration).store.key_file == key_file


# --- nothing half, nothing overwritten ---


@pytest.mark.parametrize("question", ["Where do archives go?", "Folder:", "m or n"])
@pytest.mark.parametrize("key", [b"\x03", b"\x04"])
def test_whoever_goes_away_in_the_middle_leaves_nothing(bare: Bare, question: str, key: bytes) -> None:
    with bare.asked("--start", "none") as asked:
        for each, answer in (("Where do archives go?", str(bare.root / "s")), ("Folder:", str(bare.source))):
            if each == question:
                break
            asked.answer(each, answer)
        if question == "m or n":
            asked.answer("Folder:", "")
        asked.press(question, key)
        assert asked.end() == (128 + signal.SIGINT if key == b"\x03" else 1)
    assert bare.left() == []
    assert bare.gpg.fingerprints() == []


def test_what_fails_in_the_midst_is_undone_key_and_all(bare: Bare, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in bare.environment().items():
        monkeypatch.setenv(name, value)
    wishes = Wishes(store=str(bare.root / "store"), directories=(str(bare.source),), makes_key=True, start="none")

    def fail(*_arguments: object) -> None:
        raise UnusableConfiguration("it was read otherwise")

    monkeypatch.setattr(init, "_require_meant", fail)
    with pytest.raises(UnusableConfiguration, match="read otherwise"):
        init.found(bare.configuration, wishes, None, lambda *_lines: None, test=False)
    assert bare.left() == ["state"] * (bare.root / "state").exists()
    assert bare.gpg.fingerprints() == []
    assert [*bare.gpg.path.glob("openpgp-revocs.d/*")] == []
    monkeypatch.setattr(key_making, "_GPG", ("false",))
    with pytest.raises(UnusableTool, match="could not make a key"):
        init.found(bare.configuration, wishes, None, lambda *_lines: None, test=False)


def test_a_configuration_or_a_file_beside_it_that_is_there_stays_and_is_named(bare: Bare) -> None:
    bare.configuration.parent.mkdir()
    bare.configuration.symlink_to("nowhere")
    more = ["--store", str(bare.root / "s"), "--directory", str(bare.source), "--no-encryption", "--start", "none"]
    done = bare.run(*bare.arguments(*more), expect=2)
    assert f"{bare.configuration} exists already; nothing was changed" in done.stderr
    assert bare.configuration.readlink() == Path("nowhere")
    assert bare.left() == ["etc"]


@pytest.mark.parametrize("name", ["GNUPGHOME", "HOME"])
def test_no_key_is_made_where_somebody_else_decides_what_gpg_starts(
    bare: Bare, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """``gpg-agent.conf`` names programs and files."""
    others = tmp_path_factory.mktemp("others")
    own = {"HOME": str(bare.root), "GNUPGHOME": str(others) if name == "GNUPGHOME" else ""}
    monkeypatch.setattr(Bare, "environment", lambda _self: {**os.environ, **own, name: str(others)})
    for folder in (others, others / ".gnupg"):
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / "gpg-agent.conf").write_text(f"log-file {others}/started\n")
        for each in (folder, folder / "gpg-agent.conf"):
            os.chown(each, 65534, 65534)
    before = sorted(others.rglob("*"))
    more = ["--store", str(bare.root / "store"), "--directory", str(bare.source), "--start", "none", "--make-key"]
    done = bare.run(*bare.arguments(*more), expect=2)
    assert f"{others} belongs to another user" in done.stderr
    assert sorted(others.rglob("*")) == before
    assert bare.left() == []


def test_without_a_terminal_it_says_which_options_it_takes(bare: Bare) -> None:
    done = bare.run("-c", str(bare.configuration), "init", expect=2)
    missing = "--store; --directory; --recipient, --make-key or --no-encryption"
    assert f"there is no terminal to ask at; what is missing: {missing}" in done.stderr
    done = bare.run(*bare.arguments("--store", "/s", "--directory", "/no/such", "--make-key"), expect=2)
    assert "--directory /no/such: there is no such folder" in done.stderr
    assert bare.left() == []


def test_a_dry_run_shows_it_and_makes_nothing(bare: Bare) -> None:
    more = ["--store", str(bare.root / "s"), "--directory", str(bare.source), "--make-key", "--start", "none"]
    said = bare.run("-t", *bare.arguments(*more)).stdout
    assert "would make a gpg key, Backups of " in said
    assert f"would write {bare.configuration}:" in said
    assert "    <Cycle four-weeks>" in said
    assert bare.left() == []


def test_a_passphrase_protects_the_new_key(bare: Bare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GNUPGHOME", str(bare.gpg.path))
    # Otherwise the agent measures for seconds how much of a passphrase's stretching takes a tenth of one.
    (bare.gpg.path / "gpg-agent.conf").write_text("s2k-count 65536\n")
    key = key_making.make_key("Backups of ü (s3napback)", "correct horse")
    with pytest.raises(UnusableTool) as caught:
        key_making.make_key("Backups of ü (s3napback)", "")
    assert "encrypt for the one that is there: --recipient" in caught.value.lines[-1]
    loopback = ("--pinentry-mode", "loopback", "--passphrase-fd", "0", "--export-secret-keys", key)
    assert bare.gpg.run(*loopback, stdin=b"correct horse\n").startswith(b"\x94")
    # It forgets the passphrase, and answers when it has.
    subprocess.run(["gpg-connect-agent", "--homedir", str(bare.gpg.path), "reloadagent", "/bye"], check=True)
    with pytest.raises(AssertionError, match="Bad passphrase"):
        bare.gpg.run(*loopback, stdin=b"wrong\n")


def test_a_gpg_home_that_cannot_be_made_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GNUPGHOME", f"{tmp_path}/no/such")
    with pytest.raises(UnusableTool, match="no/such cannot be made: No such file or directory"):
        key_making.make_key("Backups", "")


# --- what starts it ---


def test_what_starts_it_is_written_where_doctor_finds_it(bare: Bare, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in bare.environment().items():
        monkeypatch.setenv(name, value)
    root = bare.root / "root"
    cron = root / "etc" / "cron.d"
    cron.mkdir(parents=True)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(init, "_program", lambda: ["/usr/local/bin/s3napback"])
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    wishes = Wishes(
        *(str(bare.root / "store"), None, None, None, (str(bare.source),)),
        is_plain=True,
        diff_dir=str(bare.root / "diffs"),
    )
    assert init.found(bare.configuration, wishes, None, lambda *_lines: None, test=False, root=root) == 0
    line = f"20 4 * * * root /usr/local/bin/s3napback -c {bare.configuration}"
    assert (cron / "s3napback-nightly").read_text().splitlines()[-1] == line
    assert (cron / "s3napback-nightly").stat().st_mode & 0o777 == 0o644
    rows: list[str] = []
    configuration = load_configuration(bare.configuration)
    assert examine(configuration.path, date.today(), lambda *more: rows.extend(more), root=root) == 0, rows
    # The second one would be overwritten.
    bare.configuration.unlink()
    with pytest.raises(UnusableConfiguration, match="s3napback-nightly exists already"):
        init.found(bare.configuration, wishes, None, lambda *_lines: None, test=False, root=root)


def test_a_unit_may_write_to_the_gpg_home_in_which_its_key_is(bare: Bare, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a new key gpg notes its trust there the first time it shows it, and shows none if it cannot."""
    for name, value in bare.environment().items():
        monkeypatch.setenv(name, value)
    units = bare.root / "root/etc/systemd/system"
    units.mkdir(parents=True)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(init, "_has_systemd", lambda: True)
    monkeypatch.setattr(init, "_enable", lambda _plan: True)
    wishes = Wishes(
        str(bare.root / "store"), directories=(str(bare.source),), makes_key=True, diff_dir=str(bare.root / "diffs")
    )
    assert init.found(bare.configuration, wishes, None, lambda *_lines: None, test=False, root=bare.root / "root") == 0
    line = f"ReadWritePaths={bare.root}/store {bare.root}/diffs {bare.gpg.path}"
    assert line in (units / "s3napback-nightly.service").read_text().splitlines()
