"""``verify`` holds an index against its archive: one of no use is told, one that tells something else is a failure."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

import pytest
import zstandard

from s3napback.catalogue.indexes import index_key
from s3napback.commands.verify import VerifyRequest, verify
from s3napback.config.loading import load_configuration
from s3napback.index.document import first_part
from s3napback.index.head import secret_in
from s3napback.index.lines import Lines
from s3napback.streams.segments import Segment, Segments
from tests.gpg_keys import Key, gpg_home
from tests.recovery.helpers import file_member, put_archive, tar_of
from tests.recovery.test_picking import HARMS, back_up, large_site
from tests.site import Site
from tests.stores.sources import BytesSource

OF_NO_USE = "is of no use"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Site, str]:
    return large_site(tmp_path_factory.mktemp("plain") / "site", settings="Compression zstd")


def verified(site: Site, *, keyless: bool = False) -> tuple[int, str]:
    """The exit code, and the report."""
    lines: list[str] = []
    code = verify(
        load_configuration(site.configuration), VerifyRequest(keyless=keyless), date(2027, 1, 1), lines.append
    )
    return code, "\n".join(lines)


def changed(site: Site, key: str, data: bytes) -> Callable[[], object]:
    """Change the bytes of an object and nothing else that the store tells of it; returns what undoes it."""
    path = site.vault / key
    good, status = path.read_bytes(), path.stat()

    def put(content: bytes) -> None:
        path.write_bytes(content)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    put(data)
    return lambda: put(good)


@pytest.mark.parametrize("settings", ["Compression gzip", "Compression zstd\nCompressionLevel 12"])
def test_a_good_index_is_not_worth_a_word(
    tmp_path: Path, key: Key, caplog: pytest.LogCaptureFixture, settings: str
) -> None:
    site, _ = large_site(tmp_path / "site", key.directives, settings)
    (site.source / "link").symlink_to("some\nwhere")
    os.mknod(site.source / "pipe", 0o010640)
    os.mknod(site.source / "device", 0o020600, os.makedev(1, 3))
    with (site.source / "deep" / "holes").open("wb") as file:
        file.truncate(1 << 24)
    back_up(site, 3)
    caplog.clear()
    for keyless in (False, True):
        code, report = verified(site, keyless=keyless)
        assert (code, report.count(": good")) == (0, 4)
    assert caplog.text == ""


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("keyless", [False, True])
def test_one_that_is_damaged_is_told_and_the_archive_is_good(
    plain: tuple[Site, str], caplog: pytest.LogCaptureFixture, harm: str, keyless: bool
) -> None:
    site, key = plain
    undo = changed(site, index_key(key), HARMS[harm]((site.vault / index_key(key)).read_bytes()))
    try:
        code, report = verified(site, keyless=keyless)
    finally:
        undo()
    assert (code, report.count(": good")) == (0, 3)
    assert f"{index_key(key)} {OF_NO_USE}" in caplog.text
    assert caplog.text.count(OF_NO_USE) == 1


@pytest.mark.parametrize("keyless", [False, True])
def test_one_that_is_missing_or_of_another_archive_is_told(
    plain: tuple[Site, str], caplog: pytest.LogCaptureFixture, keyless: bool
) -> None:
    site, key = plain
    diff = f"{site.name()}-1-DIFF"
    store = site.store()
    undo = changed(site, index_key(key), site.fetch(index_key(diff)))
    try:
        assert verified(site, keyless=keyless)[0] == 0
    finally:
        undo()
    assert f"{index_key(key)} {OF_NO_USE}" in caplog.text
    caplog.clear()
    head, data = store.head(index_key(diff)), site.fetch(index_key(diff))
    assert head is not None
    store.delete(index_key(diff))
    assert verified(site, keyless=keyless)[0] == 0
    assert f"{index_key(diff)} {OF_NO_USE}" in caplog.text
    assert "there is none" in caplog.text
    caplog.clear()
    put(site, index_key(diff), data, head.metadata)
    assert verified(site, keyless=keyless)[0] == 0
    assert caplog.text == ""


def put(site: Site, key: str, data: bytes, metadata: Mapping[str, str]) -> None:
    site.store().put(key, BytesSource(data), dict(metadata))


def test_without_the_secret_key_metadata_and_sum_tell(
    tmp_path: Path, key: Key, caplog: pytest.LogCaptureFixture
) -> None:
    site, full = large_site(tmp_path / "site", key.directives)
    with gpg_home() as other:
        site.configure("", general=f"GpgHome {other.path}")
        assert verified(site)[0] == 1
        assert verified(site, keyless=True)[0] == 0
        assert OF_NO_USE not in caplog.text
        stored = site.fetch(index_key(full))
        changed(site, index_key(full), stored[:-30] + bytes([stored[-30] ^ 1]) + stored[-29:])
        assert verified(site, keyless=True)[0] == 0
    assert f"{index_key(full)} {OF_NO_USE}" in caplog.text
    assert f"its SHA-256 is not the one in {full}.sha256" in caplog.text


def lying(site: Site, key: str, lie: Callable[[bytes], bytes]) -> bytes:
    """An index that counts, and tells something else: only who can read the archive can make it."""
    secret = secret_in(zstandard.ZstdDecompressor().decompressobj().decompress(site.fetch(key)))
    assert secret is not None
    text = gzip.decompress(site.fetch(index_key(key)))
    first, _, members = text.partition(b"\nhmac ")
    members = lie(members.partition(b"\n")[2])
    first = lie(first)
    segment_key = re.search(rb"segment-key ([0-9a-f]+)", first)
    assert segment_key is not None
    segments = Segments(bytes.fromhex(segment_key[1].decode()))
    for length, found in re.findall(rb"\nsegment ([0-9]+) ([0-9a-f]+)", first):
        segments.append(Segment(int(length), bytes.fromhex(found.decode())))
    segments.is_whole = True
    lines = Lines(site.vault, secret, len(members), hashlib.sha256(members).digest())
    return first_part(site.metadata(key)["s3napback-id"], segments, lines) + gzip.compress(members)


LIES: dict[str, Callable[[bytes], bytes]] = {
    "a name": lambda text: text.replace(b" noise 07\n", b" noise 70\n"),
    "a member less": lambda text: re.sub(rb"\n[^\n]* noise 13\n", b"\n", text),
    "a time": lambda text: re.sub(rb"[0-9](\.[0-9]+)? noise 05\n", b"3 noise 05\n", text),
    "a size": lambda text: re.sub(rb" 400000 ([^\n]*) noise 05\n", rb" 400001 \1 noise 05\n", text),
    "permissions": lambda text: re.sub(rb"(kind [0-9]+ file) [0-7]+", rb"\1 4755", text),
    "what a link leads to": lambda text: text.replace(b"\tsource", b"\tsauce").replace(b"noise 07", b"noise 08"),
    "a member more": lambda text: text + b":99999 nowhere\n1 5 1 file\n",
    "sums": lambda text: re.sub(rb"(\nsegment [0-9]+ )[0-9a-f]{4}", rb"\1abcd", text),
    "lengths": lambda text: re.sub(rb"(\nsegment )([0-9]+)", lambda each: each[1] + b"%d" % (int(each[2]) - 1), text),
    "a segment less": lambda text: re.sub(rb"\nsegment [^\n]*(\nmembers)", rb"\1", text),
}


@pytest.mark.parametrize("lie", LIES)
def test_one_that_tells_something_else_than_its_archive_holds_is_a_failure(plain: tuple[Site, str], lie: str) -> None:
    site, key = plain
    undo = changed(site, index_key(key), lying(site, key, LIES[lie]))
    try:
        code, report = verified(site)
    finally:
        undo()
    assert (code, report.count(": good")) == (1, 2)
    assert f"{key}: FAILED: its index is wrong, {index_key(key)}" in report


def test_one_that_was_made_anew_and_tells_the_same_is_good(
    plain: tuple[Site, str], caplog: pytest.LogCaptureFixture
) -> None:
    site, key = plain
    undo = changed(site, index_key(key), lying(site, key, lambda text: text))
    try:
        assert verified(site)[0] == 0
    finally:
        undo()
    assert caplog.text == ""


def test_a_damaged_archive_is_not_its_indexs_fault(plain: tuple[Site, str]) -> None:
    site, key = plain
    data = site.fetch(key)
    undo = changed(site, key, data[:-200] + bytes([data[-200] ^ 1]) + data[-199:])
    try:
        code, report = verified(site)
    finally:
        undo()
    assert code == 1
    assert "index" not in report


def test_archives_of_the_form_before_have_none(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.configure("")
    put_archive(site, 0, tar_of((file_member("etc/x"), b"x" * 9000)), source="Directory /etc", name="etc")
    assert verified(site)[0] == 0
    assert OF_NO_USE not in caplog.text
