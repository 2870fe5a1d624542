"""What verify leaves beside archives, and where it is shown: when they were last read, and what came of that."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from s3napback.catalogue.marking import leave_mark
from s3napback.catalogue.reading import read_catalogue
from s3napback.watch.proofs import Proof, ReadBack
from tests.commands.test_list import without_privileges
from tests.gpg_keys import Key, gpg_home
from tests.recovery.helpers import nights, overwrite
from tests.site import Site

GROUPS = "Diffs 2\nFulls 2\nGrace 3650"


def marks(site: Site) -> set[str]:
    """What lies beside archives, without the name."""
    ends = tuple(mark.value for mark in ReadBack)
    return {key.removeprefix(f"{site.name()}-") for key in site.archive_keys(sums=True) if key.endswith(ends)}


def told(site: Site, command: str) -> Any:
    return json.loads(site.run(command, "--json", day=None).stdout)


def standing(site: Site) -> tuple[str, str | None, str]:
    """State, what verify has found, and why it is so."""
    (source,) = told(site, "status")["sources"]
    return source["state"], source["verified"], "; ".join(source["reasons"])


def spoil(site: Site, slot: str) -> bytes:
    """Change a byte of an archive; returns what it was. It is as old as before."""
    key = f"{site.name()}-{slot}"
    data = site.fetch(key)
    overwrite(site, key, data[:-20] + bytes([data[-20] ^ 1]) + data[-19:])
    return data


def test_the_newest_archive_of_a_good_chain_is_marked_and_shown(any_site: Site) -> None:
    site = any_site
    site.configure_cycle(GROUPS)
    nights(site, 2)
    assert "VERIFIED" not in site.run("status", day=None).stdout + site.run("list", day=None).stdout
    site.run("verify", day=None)
    assert marks(site) == {"1-DIFF.verified"}
    assert standing(site)[1] == "content"
    assert {each["key"][-6:]: each["verified"] for each in told(site, "list")["archives"]} == {
        "1-DIFF": "content",
        "0-FULL": None,
    }
    assert " VERIFIED " in site.run("list", day=None).stdout
    assert " 0 d ago " in site.run("status", day=None).stdout
    # Nothing is mistaken for an archive, or for somebody else's.
    assert told(site, "list")["others"]["count"] == 0
    site.run("verify", "--all", day=None)
    assert marks(site) == {"0-FULL.verified", "1-DIFF.verified"}


def test_sums_alone_are_told_apart_and_the_other_is_taken_back(site: Site, key: Key) -> None:
    site.configure_cycle(GROUPS, general=key.directives)
    nights(site, 1)
    site.run("verify", "--keyless", day=None)
    assert (marks(site), standing(site)[1]) == ({"0-FULL.intact"}, "sums")
    assert " (sums)" in site.run("status", day=None).stdout
    site.run("verify", day=None)
    assert (marks(site), standing(site)[1]) == ({"0-FULL.verified"}, "content")


@pytest.mark.parametrize("options", [(), ("--keyless",)])
def test_damage_in_the_newest_chain_is_critical_until_it_is_mended(site: Site, options: tuple[str, ...]) -> None:
    site.configure_cycle(GROUPS)
    nights(site, 3)
    data = spoil(site, "1-DIFF")
    site.run("verify", "--all", *options, day=None, expect=1)
    good = "intact" if options else "verified"
    # What builds on it is as bad as it.
    assert marks(site) == {f"0-FULL.{good}", "1-DIFF.damaged"}
    state, found, why = standing(site)
    assert (state, found) == ("CRITICAL", "damaged")
    assert why.startswith(f"verify found {site.name()}-1-DIFF damaged, at ")
    assert ": DAMAGED" in site.run("status", day=None).stdout
    assert ", and is DAMAGED" in site.run("list", day=None).stdout
    overwrite(site, f"{site.name()}-1-DIFF", data)
    site.run("verify", "--all", *options, day=None)
    assert standing(site)[:2] == ("OK", "sums" if options else "content")


@pytest.mark.parametrize("options", [(), ("--keyless",)])
@pytest.mark.parametrize("slots", [("1-DIFF",), ("0-FULL", "1-DIFF", "2-DIFF")])
def test_what_the_store_knows_to_be_changed_is_critical_too(
    site: Site, options: tuple[str, ...], slots: tuple[str, ...]
) -> None:
    """A folder of archives that were written to, or copied without their times: of these nothing is told."""
    site.configure_cycle(GROUPS)
    nights(site, 3)
    site.run("verify", day=None)
    times = {path: path.stat().st_mtime_ns for path in (site.vault / f"{site.name()}-{slot}" for slot in slots)}
    for path, time_before in times.items():
        spoil(site, path.name.rpartition("source-")[2])
        # The store counts in seconds: what it takes now is to be the younger one.
        os.utime(path, ns=(time_before - 1, time_before - 1))
    site.run("verify", *options, "-t", day=None, expect=1)
    assert standing(site)[0] == "OK"
    site.run("verify", *options, day=None, expect=1)
    assert {f"{slot}.damaged" for slot in slots} <= marks(site)
    assert standing(site)[:2] == ("CRITICAL", "damaged")


@pytest.mark.parametrize(
    "trouble",
    [
        "kill -9 $$",
        "echo 'gpg: error while loading shared libraries: libz.so.1' >&2; exit 127",
        "echo 'gpg: fatal: out of core' >&2; exit 2",
        "echo 'gpg: handle plaintext failed: No space left on device' >&2; exit 2",
    ],
)
def test_a_gpg_that_cannot_work_here_is_no_damage(
    site: Site, key: Key, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    site.configure_cycle(GROUPS, general=key.directives)
    nights(site, 1)
    programs = tmp_path / "programs"
    programs.mkdir()
    real = shutil.which("gpg")
    gpg = programs / "gpg"
    gpg.write_text(f'#!/bin/sh\ncase "$*" in *--decrypt*) {trouble};; *) exec {real} "$@";; esac\n')
    gpg.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    said = site.run("verify", day=None, expect=1).stdout
    assert "cannot be decoded: gpg cannot work here, which says nothing of its bytes" in said
    assert marks(site) == set()


@pytest.mark.parametrize(
    "setting",
    ["trust-model nonsense", "pinentry-mode nonsense", "keyring /no/such", "passphrase-file /no/such", "weak-digest X"],
)
def test_a_setting_by_which_gpg_cannot_work_is_no_damage(site: Site, key: Key, setting: str) -> None:
    """It is wrong where archives are read, be it that they were made elsewhere, or before."""
    with gpg_home() as home:
        shutil.copytree(key.home.path, home.path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("S.*"))
        site.configure_cycle(GROUPS, general=key.directives)
        nights(site, 1)
        site.configure_cycle(GROUPS, general=key.directives.replace(str(key.home.path), str(home.path)))
        (home.path / "gpg.conf").write_text(f"{setting}\n")
        said = site.run("verify", day=None, expect=1).stdout
        assert "cannot be decoded: gpg cannot work here, which says nothing of its bytes" in said
        said = site.run("drill", day=None, expect=1).stdout
        assert "cannot be decoded: gpg cannot work here, which says nothing of its bytes" in said
        assert marks(site) == set()
        spoil(site, "0-FULL")
        (home.path / "gpg.conf").write_text("")
        assert "its bytes" in site.run("verify", day=None, expect=1).stdout
        assert marks(site) == {"0-FULL.damaged"}


def test_what_gpg_makes_nothing_of_is_damage_where_it_works(site: Site, key: Key) -> None:
    """It has words of its own for each, and none of them says that the bytes are to blame."""
    site.configure_cycle(GROUPS, general=key.directives)
    (site.source / "large").write_bytes(os.urandom(20_000))
    nights(site, 1)
    name = f"{site.name()}-0-FULL"
    data = site.fetch(name)
    site.store().delete(f"{name}.sha256")
    for damaged in (data[:100], data[:5000], data[:2] + b"\x56" + data[3:], data[:290] + os.urandom(5000)):
        overwrite(site, name, damaged)
        site.store().delete(f"{name}.damaged")
        assert "its bytes are damaged" in site.run("verify", day=None, expect=1).stdout
        assert marks(site) == {"0-FULL.damaged"}


def test_a_passphrase_that_comes_once_is_refused(site: Site, tmp_path: Path) -> None:
    site.configure_cycle(GROUPS)
    nights(site, 1)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    said = site.run("verify", "--passphrase-file", str(pipe), day=None, expect=2).stderr
    assert "is a pipe, which gives its content once: write it into a file of mode 600" in " ".join(said.split())


def test_damage_that_only_older_days_need_is_a_warning_until_it_is_replaced(site: Site) -> None:
    site.configure_cycle(GROUPS)
    nights(site, 4)
    spoil(site, "1-DIFF")
    site.run("verify", "--all", day=None, expect=1)
    assert marks(site) == {"0-FULL.verified", "1-DIFF.damaged", "3-FULL.verified"}
    state, found, why = standing(site)
    # A newer archive is good, and does not hide it.
    assert (state, found) == ("WARNING", "damaged")
    assert why.endswith("; only older days need it")
    time.sleep(2.0)  # a folder tells every second second
    nights(site, 4, first=4)
    assert standing(site) == ("OK", "content", "")


def test_what_this_machine_lacks_says_nothing_of_an_archive(site: Site, key: Key) -> None:
    site.configure_cycle(GROUPS, general=key.directives)
    nights(site, 1)
    with gpg_home() as other:
        site.configure("", general=f"GpgHome {other.path}")
        site.run("verify", day=None, expect=1)
        site.store().delete(f"{site.name()}-0-FULL.sha256")
        site.run("verify", "--keyless", day=None, expect=1)
    assert marks(site) == set()


def test_a_rehearsal_and_a_machine_that_may_only_read_leave_nothing_and_do_not_fail(site: Site) -> None:
    site.configure_cycle(GROUPS)
    nights(site, 2)
    assert ": good" in site.run("-t", "verify", day=None).stdout
    assert marks(site) == set()
    folders = [site.vault, *(path for path in site.vault.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o500)
    command = without_privileges(site.command("verify", "--all", day=None))
    done = subprocess.run(command, env=site.full_environment(), capture_output=True, text=True, check=False)
    for folder in folders:
        folder.chmod(0o700)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": good") == 2
    assert done.stderr.count("is not noted in the store") == 1
    assert marks(site) == set()


def test_an_archive_that_was_replaced_while_it_was_read_gets_no_mark(site: Site) -> None:
    site.configure_cycle(GROUPS)
    nights(site, 1)
    (archive,) = read_catalogue(site.store(), "").archives
    assert archive.record is not None
    proof = Proof(archive.record.id, "host", datetime.now(timezone.utc), is_good=True, said="")
    site.run("-f", "--full", day=0)
    leave_mark(site.store(), archive, ReadBack.VERIFIED, proof)
    assert marks(site) == set()
    site.store().put(f"{site.name()}-0-FULL.verified", io.BytesIO(b""), {})
    assert marks(site) == {"0-FULL.verified"}


def test_prune_takes_away_what_lies_beside_an_archive_that_it_deletes(site: Site) -> None:
    site.configure_cycle(GROUPS)
    nights(site, 4)
    site.run("verify", "--all", day=None)
    assert len(marks(site)) == 4
    site.configure_cycle("Diffs 0\nFulls 2")
    site.run("-f", "prune", "--yes", "--unowned", day=40, expect=None)
    site.run("prune", "--yes", "--unowned", day=40)
    left = {key.rpartition(".")[0] for key in site.archive_keys(sums=True) if key.endswith(".verified")}
    assert left <= set(site.archive_keys())
