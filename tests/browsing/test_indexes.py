"""Which indexes are believed when somebody looks into archives, and that a cache of them costs nothing but time."""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from s3napback.catalogue.indexes import index_key
from s3napback.commands import ls
from s3napback.commands.looking import LookRequest, OutputForm
from s3napback.config.loading import load_configuration
from s3napback.errors import S3napbackError
from tests.browsing.looking import TODAY, Caught, listed, seen, tree_as_seen
from tests.faulty_s3 import FaultyS3
from tests.gpg_keys import Key
from tests.recovery.test_picking import back_up
from tests.servers import S3Server
from tests.site import Site
from tests.stores.sources import BytesSource

WHOLE = "is read whole"


def site_of(root: Path, key: Key | None, server: S3Server | None = None, *, signed: bool = False) -> Site:
    """A FULL that can be entered, and a DIFF that is too short for that."""
    site = Site(root, server)
    (site.source / "folder").mkdir()
    chance = random.Random(3)
    for number in range(3):
        (site.source / "folder" / f"noise {number}").write_bytes(chance.randbytes(250_000))
    general = f"{key.directives}\n" if key else ""
    general += f"GpgSignKey {key.fingerprint}\n" if key and signed else ""
    site.configure_cycle("Diffs 6\nFulls 2", general=general)
    back_up(site, 0)
    (site.source / "changed").write_text("changed")
    (site.source / "folder" / "noise 2").unlink()
    back_up(site, 1)
    return site


def is_listed_right(site: Site) -> bool:
    return seen(listed(site, ""), site.source) == tree_as_seen(site.source)


def damaged(site: Site, key: str, change: Callable[[bytes], bytes]) -> None:
    """Something else lies under a key, with the same metadata."""
    metadata = site.metadata(key)
    site.store().put(key, BytesSource(change(site.fetch(key))), metadata)


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.mark.parametrize("signed", [False, True])
def test_encrypted_archives_are_listed_by_their_indexes(
    tmp_path: Path, key: Key, caplog: pytest.LogCaptureFixture, signed: bool
) -> None:
    site = site_of(tmp_path / "site", key, signed=signed)
    caplog.set_level(logging.INFO)
    caught = Caught(OutputForm.JSON)
    request = LookRequest(str(site.source), require_signature=signed)
    ls.show(load_configuration(site.configuration), request, ("", True), TODAY, caught.output)
    assert seen(caught.document["entries"], site.source) == tree_as_seen(site.source)
    assert WHOLE not in caplog.text


CHANGES = [("flipped", flipped), ("cut", lambda data: data[:-20]), ("empty", lambda _: b"")]


@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize(("name", "change"), CHANGES)
def test_a_damaged_index_is_told_and_its_archive_read_whole(
    tmp_path: Path,
    key: Key,
    caplog: pytest.LogCaptureFixture,
    name: str,
    change: Callable[[bytes], bytes],
    encrypted: bool,
) -> None:
    site = site_of(tmp_path / "site", key if encrypted else None)
    damaged(site, index_key(f"{site.name()}-0-FULL"), change)
    caplog.set_level(logging.INFO)
    assert is_listed_right(site)
    assert f"{site.name()}-0-FULL {WHOLE}" in caplog.text
    assert f"{site.name()}-1-DIFF {WHOLE}" not in caplog.text


def test_the_index_of_another_archive_is_not_believed(
    tmp_path: Path, key: Key, caplog: pytest.LogCaptureFixture
) -> None:
    site = site_of(tmp_path / "site", key)
    other = site.fetch(index_key(f"{site.name()}-1-DIFF"))
    damaged(site, index_key(f"{site.name()}-0-FULL"), lambda _: other)
    caplog.set_level(logging.INFO)
    assert is_listed_right(site)
    assert "it is of another archive" in caplog.text


def test_without_a_signature_nothing_is_told_where_one_is_required(tmp_path: Path, key: Key) -> None:
    site = site_of(tmp_path / "site", key)
    text = site.configuration.read_text()
    site.configuration.write_text(f"GpgSignKey {key.fingerprint}\n{text}")
    caught = Caught(OutputForm.JSON)
    request = LookRequest(str(site.source), require_signature=True)
    with pytest.raises(S3napbackError, match="not signed"):
        ls.show(load_configuration(site.configuration), request, ("", True), TODAY, caught.output)
    assert caught.lines == []


def test_what_was_fetched_once_is_not_fetched_again_and_what_is_damaged_of_it_is(
    tmp_path: Path, rclone: S3Server, key: Key, faulty: Callable[[S3Server], FaultyS3], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    proxy = faulty(rclone)
    site = site_of(tmp_path / "site", key, proxy.server)
    folder = tmp_path / "cache" / "s3napback"

    def fetched() -> set[str]:
        before = len(proxy.seen)
        assert is_listed_right(site)
        keys = (request.key for request in proxy.seen[before:] if request.operation == "GetObject")
        return {key.removeprefix(site.name()) for key in keys if not key.endswith((".sha256", ".json"))}

    def is_kept() -> bool:
        """The beginning of an archive that gpg has not read to its end, since it knew enough, may be fetched again."""
        return fetched() <= beginnings

    beginnings = {"-0-FULL", "-1-DIFF"}
    everything = {"-0-FULL", "-0-FULL.index", "-1-DIFF", "-1-DIFF.index"}
    assert fetched() == everything
    assert is_kept()
    kept = sorted(folder.glob("kept-*"))
    assert len(everything - beginnings) <= len(kept) <= len(everything)
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in kept)
    assert not any(b"noise" in path.read_bytes() for path in kept)
    for path in kept:
        path.write_bytes(flipped(path.read_bytes()))
    assert fetched() == everything
    assert is_kept()
    for path in folder.glob("kept-*"):
        path.write_bytes(b"")
    assert fetched() == everything
    back_up(site, 2)
    assert fetched() - beginnings == {"-2-DIFF", "-2-DIFF.index"}


def test_a_cache_that_cannot_be_written_hinders_nothing(
    tmp_path: Path, rclone: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert is_listed_right(site_of(tmp_path / "site", None, rclone))


def test_what_is_kept_and_can_be_neither_read_nor_removed_hinders_nothing(
    tmp_path: Path, rclone: S3Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    site = site_of(tmp_path / "site", None, rclone)
    caplog.set_level(logging.INFO)
    assert is_listed_right(site)
    damaged(site, index_key(f"{site.name()}-0-FULL"), flipped)
    kept = sorted((tmp_path / "cache" / "s3napback").glob("kept-*"))
    assert kept
    for path in kept:
        path.unlink()
        path.mkdir()
    caplog.clear()
    assert is_listed_right(site)
    assert f"{site.name()}-0-FULL {WHOLE}" in caplog.text


def test_what_is_no_plain_file_of_ours_in_the_cache_is_not_read(
    tmp_path: Path, rclone: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A FIFO would be waited for, and a device read, without end."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    site = site_of(tmp_path / "site", None, rclone)
    assert is_listed_right(site)
    kept = sorted((tmp_path / "cache" / "s3napback").glob("kept-*"))
    assert kept
    for path in kept:
        path.unlink()
        os.mkfifo(path)
    assert is_listed_right(site)
    link = next(iter(kept))
    link.unlink()
    link.symlink_to("/dev/zero")
    assert is_listed_right(site)
