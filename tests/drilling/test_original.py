"""What the original tool left is read back as well, if it is named."""

from __future__ import annotations

import gzip
import re
import subprocess
from pathlib import Path

import pytest

from tests.original.vectors import Bucket, Nights, bucket_of_six_nights
from tests.site import Site


@pytest.fixture
def six_nights(site: Site) -> Bucket:
    """An old bucket of a directory, copied into the store."""
    source = site.root / "src/etc"
    source.mkdir(parents=True)
    bucket = bucket_of_six_nights(site.root, source)
    site.configure("")
    return bucket


def stored(site: Site) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in site.vault.rglob("*") if path.is_file()}


def test_a_directory_of_the_original_is_restored_and_read(site: Site, six_nights: Bucket) -> None:
    etc = site.root / "src/etc"
    bases = {key.rpartition(":")[0] for key in six_nights.objects if "/etc-" in key}
    six_nights.objects = {key: data for key, data in six_nights.objects.items() if key.rpartition(":")[0] in bases}
    six_nights.copied_to(site.vault)
    before = stored(site)
    shown = site.run("drill", "--original").stdout
    assert re.search(r"etc-0-FULL of 2009-03-01, by the original tool: proven: \d files of 20.0 kB", shown), shown
    shown = site.run("drill", str(etc), "--at", f"{etc}-4-DIFF").stdout
    assert "etc-4-DIFF of 2009-03-01, by the original tool: proven: " in shown
    assert not list(site.temp_dir.iterdir())
    # Nothing is put beside it.
    assert stored(site) == before
    assert "there are no archives" in site.run("drill", expect=1).stderr


def test_an_archive_of_the_original_that_is_damaged_or_lacks_a_chunk_is_not_proven(
    site: Site, six_nights: Bucket
) -> None:
    six_nights.copied_to(site.vault)
    chunk = next(path for path in site.vault.rglob("etc-0-FULL:*1"))
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[:-200] + bytes(100) + whole[-100:])
    etc = str(site.root / "src/etc")
    assert "NOT PROVEN" in site.run("drill", etc, "--original", expect=1).stdout
    chunk.unlink()
    shown = site.run("drill", etc, "--original", expect=1).stdout
    assert "0-FULL of 2009-03-01 cannot be restored: chunk 1 is missing" in shown


def test_a_directory_that_the_original_knew_to_be_moved_is_proven(site: Site) -> None:
    source = site.root / "src"
    (source / "before").mkdir(parents=True)
    (source / "before/file").write_text("x")
    bucket = Bucket()
    nights = Nights(bucket, str(source), site.root / "snapshot")
    nights.run(0, "FULL")
    (source / "before").rename(source / "after")
    nights.run(1, "DIFF")
    site.configure("")
    bucket.copied_to(site.vault)
    assert re.search(r"src-1-DIFF of .*: proven: 1 file of 1 bytes, ", site.run("drill", "--original").stdout)


def test_a_repository_of_the_original_is_loaded(site: Site, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    subprocess.run(["svnadmin", "create", repository], check=True)
    subprocess.run(["svn", "mkdir", "-q", "-m", "x", f"file://{repository}/a"], check=True)
    dump = subprocess.run(["svnadmin", "dump", "-q", repository], check=True, capture_output=True).stdout
    bucket = Bucket()
    bucket.put("/srv/svn-0-FULL", gzip.compress(dump))
    site.configure("")
    bucket.copied_to(site.vault)
    assert "proven: revisions up to 1, verified by svnadmin" in site.run("drill", "Subversion /srv/svn").stdout


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("--due", "--due, --from and --against-live are for archives of our own: not with --original"),
        ("--against-live", "--due, --from and --against-live are for archives of our own: not with --original"),
        ("--from=x", "--due, --from and --against-live are for archives of our own: not with --original"),
        ("--at=1d", "--at names one state, so it needs a SOURCE"),
    ],
)
def test_what_does_not_go_with_the_original_is_refused(
    site: Site, six_nights: Bucket, option: str, reason: str
) -> None:
    six_nights.copied_to(site.vault)
    done = site.run("drill", "--original", option, expect=2)
    assert done.stdout == ""
    assert reason in done.stderr
