"""Bad input: a clear message, the right exit code, and nothing begun (2) or only the one source missing (1)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.gpg_keys import GpgHome, Key, gpg_home
from tests.servers import S3Server, free_port
from tests.site import Site

WRONG_BODIES = {
    "<Cycle a>\nDirectorry {source}\n</Cycle>": "Directory",
    "<Cycle a>\nFrequency seven\nDirectory {source}\n</Cycle>": "Frequency",
    "<Cycle a>\nFrequency 7\nPhase 7\nDirectory {source}\n</Cycle>": "Phase",
    "<Cycle a>\nDirectory {source}\n</Cicle>": "Cicle",
    "DiffDir /nonexistent/diffs\n<Cycle a>\nDirectory {source}\n</Cycle>": "mkdir",
}


@pytest.mark.parametrize("body", WRONG_BODIES)
def test_a_wrong_configuration_names_file_and_line_and_nothing_begins(body: str, site: Site) -> None:
    site.configure(body.format(source=site.source))
    if "DiffDir" in body:
        text = site.configuration.read_text()
        site.configuration.write_text(text.replace(f"DiffDir {site.diff_dir}\n", ""))
    done = site.run(expect=2)
    assert f"{site.configuration}:" in done.stderr
    assert WRONG_BODIES[body] in done.stderr
    assert (site.archive_keys(), list(site.diff_dir.iterdir())) == ([], [])


def test_a_missing_bucket_directive_is_an_error(site: Site) -> None:
    site.configuration.write_text(f"DiffDir {site.diff_dir}\n<Directory {site.source}>\n</Directory>\n")
    assert "Bucket" in site.run(expect=2).stderr


def test_a_bad_configuration_does_not_stop_a_good_one(site: Site, tmp_path: Path) -> None:
    (site.source / "file").touch()
    site.configure_cycle("")
    bad = tmp_path / "bad.conf"
    bad.write_text("Nonsense on\n")
    command = [*site.command(), "-c", str(site.configuration)]
    command[command.index("-c") + 1] = str(bad)
    done = subprocess.run(command, capture_output=True, text=True, env=site.full_environment(), check=False)
    assert done.returncode == 2
    assert "Nonsense" in done.stderr
    assert len(site.archive_keys()) == 1


def test_a_folder_store_that_is_not_there_is_noticed(site: Site) -> None:
    site.configure_cycle("")
    site.vault.rmdir()
    done = site.run(expect=2)
    assert str(site.vault) in done.stderr
    assert not site.vault.exists()


def test_a_store_disk_that_is_not_mounted_fails_its_sources(site: Site) -> None:
    """The mount point is there, but the mark in it is not, and state remembers archives there."""
    (site.source / "file").touch()
    site.configure_cycle("")
    site.run(day=0)
    site.vault.rename(site.root / "away")
    site.vault.mkdir()
    done = site.run(day=1, expect=1)
    assert "mounted" in done.stderr
    assert list(site.vault.iterdir()) == []
    site.run("-f", day=1)
    assert len(site.archive_keys()) == 1


def test_credentials_that_are_refused_and_missing_buckets_are_told_apart(tmp_path: Path, rclone: S3Server) -> None:
    site = Site(tmp_path / "site", rclone)
    site.configure_cycle("")
    text = site.configuration.read_text()
    site.configuration.write_text(text.replace(site.bucket, "no-such-bucket"))
    assert "no-such-bucket" in site.run(expect=2).stderr
    site.configuration.write_text(text)
    (site.root / "key.txt").write_text("key=WRONGKEY\nsecret=hidden-secret\n")
    done = site.run(expect=2)
    assert "key" in done.stderr.lower()
    assert "hidden-secret" not in done.stderr
    (site.root / "key.txt").unlink()
    assert "key.txt" in site.run(expect=2).stderr


def test_an_endpoint_that_does_not_answer_fails_every_source(tmp_path: Path, rclone: S3Server) -> None:
    site = Site(tmp_path / "site", rclone.behind(f"http://127.0.0.1:{free_port()}"), "bucket")
    (site.source / "file").touch()
    site.configure_cycle("", general="StallTimeout 3")  # which shortens the patience with a store
    done = site.run(expect=1)
    assert str(site.source) in done.stderr
    assert "1 failed" in done.stderr


def test_sources_that_cannot_be_backed_up_do_not_stop_the_others(site: Site) -> None:
    (site.source / "file").touch()
    emptied = site.root / "emptied"
    emptied.mkdir()
    (emptied / "file").touch()
    file = site.root / "file"
    file.touch()
    site.configure(f"<Cycle c>\nDirectory {emptied} {site.source}\n</Cycle>")
    site.run(day=0)
    (emptied / "file").unlink()
    site.configure(f"<Cycle c>\nDirectory {emptied} /nonexistent/here {file} {site.source}\n</Cycle>")
    done = site.run(day=1, expect=1)
    assert "1 done, 0 skipped, 3 failed" in done.stderr
    assert "/nonexistent/here FAILED: does not exist" in done.stderr
    assert f"{file} FAILED: is not a directory" in done.stderr
    assert f"{emptied} FAILED: is empty" in done.stderr
    done = site.run("-f", day=1, expect=1)
    assert "2 done" in done.stderr


def test_one_unreadable_file_fails_its_source(site: Site) -> None:
    """A tar that left a file out must not pass for a backup."""
    unreadable = site.source / "unreadable"
    unreadable.touch()
    site.configure_cycle("")
    site.fake_program("tar", 'case "$1" in --version) exec REAL "$@";; esac\nexec REAL "$@" missing-file')
    done = site.run(expect=1)
    assert "missing-file" in done.stderr
    assert site.archive_keys() == []


def test_an_exclude_that_leaves_nothing_is_a_failure(site: Site) -> None:
    (site.source / "file").touch()
    site.configure_cycle(f"Exclude {site.source}")
    done = site.run(expect=1)
    assert "Exclude" in done.stderr
    assert site.archive_keys() == []


def test_a_full_disk_under_the_store_fails_the_source(site: Site) -> None:
    (site.source / "big").write_bytes(bytes(range(256)) * 20_000)
    site.configure_cycle("Compression none")
    limited = ["prlimit", "--fsize=1000000", *site.command()]
    done = subprocess.run(limited, capture_output=True, text=True, env=site.full_environment(), check=False)
    assert done.returncode == 1
    assert str(site.vault) in done.stderr
    assert site.archive_keys() == []


def test_a_tar_that_is_not_gnu_tar_is_refused_and_gtar_is_tried(site: Site) -> None:
    (site.source / "file").touch()
    site.configure_cycle("")
    gnu_tar = site.fake_program("tar", 'exec REAL "$@"').read_text()
    site.fake_program("tar", "echo bsdtar 3.6")
    assert "GNU tar" in site.run(expect=2).stderr
    gtar = site.root / "bin" / "gtar"
    gtar.write_text(gnu_tar)
    gtar.chmod(0o755)
    site.run()
    assert len(site.archive_keys()) == 1


def unusable(home: GpgHome, kind: str) -> str:
    """Make a key of a kind in ``home`` and return what GpgRecipient says."""
    if kind == "missing":
        home.make_key("Somebody else <else@example.org>")
        return "nobody@example.org"
    if kind == "expired":
        return home.make_key("Old <old@example.org>", made="20200101T000000", expires="2020-02-01")
    if kind == "sign-only":
        return home.make_key("Signer <sign@example.org>", usage="sign", algorithm="ed25519")
    with gpg_home() as elsewhere:
        fingerprint = elsewhere.make_key("Stranger <stranger@example.org>")
        home.take_in(elsewhere.export(fingerprint))
    return fingerprint


@pytest.mark.parametrize(
    ("kind", "words"),
    [("missing", "nobody@example.org"), ("expired", "expired"), ("sign-only", "encrypt"), ("untrusted", "trust")],
)
def test_a_key_that_cannot_be_used_stops_everything_before_it_begins(kind: str, words: str, site: Site) -> None:
    (site.source / "file").touch()
    with gpg_home() as home:
        recipient = unusable(home, kind)
        site.configure_cycle("", general=f"GpgHome {home.path}\nGpgRecipient {recipient}")
        done = site.run(expect=2)
    assert words in done.stderr
    assert site.archive_keys() == []


def test_nothing_readable_is_left_in_temp_dir_or_diff_dir(site: Site, key: Key) -> None:
    """UseTempFile keeps the encrypted stream, in a file without a name."""
    (site.source / "secret").write_text("the secret words")
    site.configure_cycle("Diffs 1\nUseTempFile on", general=key.directives)
    site.run(day=0)
    site.run(day=1)
    assert len(site.archive_keys()) == 2
    assert list(site.temp_dir.iterdir()) == []
    for path in site.diff_dir.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    assert all(b"the secret words" not in data for data in site.contents().values())


def test_a_store_within_the_source_is_left_out(site: Site, tmp_path: Path) -> None:
    """Otherwise every archive would hold all those before it, and a part of itself."""
    store = site.source / "a [store]*"
    (store / "sub").mkdir(parents=True)
    (site.source / "file").touch()
    site.configure_cycle("Diffs 6")
    text = site.configuration.read_text()
    quoted = str(store).replace(" ", "%20")
    site.configuration.write_text(text.replace(f"file://{site.vault}", f"file://{quoted}"))
    for night in range(3):
        site.run(day=night)
    archives = [path for path in store.rglob("*-*-*") if path.name.endswith(("-FULL", "-DIFF")) and path.is_file()]
    assert len(archives) == 3
    for archive in archives:
        listed = subprocess.run(["tar", "-tzf", str(archive)], capture_output=True, text=True, check=True).stdout
        assert "[store]" not in listed
    site.configuration.write_text(
        site.configuration.read_text().replace(f"Directory {site.source}", f'Directory "{store}/sub"')
    )
    assert "lies in the store" in site.run(day=4, expect=2).stderr
