"""A PATH that is fetched in parts comes back as if its archives had been read whole, whatever it is."""

from __future__ import annotations

import logging
import os
import random
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from s3napback.catalogue.indexes import index_key
from s3napback.commands import backup
from s3napback.commands.restore import RestoreRequest, restore
from s3napback.config.loading import load_configuration
from s3napback.deciding.facts import BackupOptions
from s3napback.errors import S3napbackError
from s3napback.recovery import picking
from s3napback.recovery.opening import indexed
from tests.faulty_s3 import Answer, Fault, FaultyS3, Forward, Request
from tests.gpg_keys import Key
from tests.recovery.simulation import Weeks
from tests.servers import S3Server
from tests.site import FIRST_DAY, Site
from tests.sources.trees import describe_tree

WHOLE = "read whole"


@pytest.fixture(autouse=True)
def everything_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexed, "LEAST_SIZE", 1)
    monkeypatch.setattr(picking, "_WORTH_WHILE", 1000)


@pytest.fixture
def encrypted_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a message of a few thousand bytes gpg shows no order of lengths, or none, as the names in it are long."""
    monkeypatch.setattr(indexed, "LEAST_SIZE", 100_000)


def outcome(weeks: Weeks, where: Path, key: str, path: str) -> object:
    """What a restore of one path brings, or says."""
    try:
        return describe_tree(weeks.restore(where, at=key, paths=[path]))
    except S3napbackError as error:
        return str(error)


@pytest.mark.parametrize(("kind", "seed"), [("", 11), ("", 12), ("quiet", 13)])
def test_every_path_comes_back_as_from_whole_archives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kind: str, seed: int
) -> None:
    weeks = Weeks(Site(tmp_path / "site"), seed, is_quiet=bool(kind))
    weeks.pass_by(9)
    chooser = random.Random(seed)
    caplog.set_level(logging.INFO)
    count = 0
    for number, (key, record) in enumerate(weeks.restorable().items()):
        names = sorted(weeks.states[record.id])
        for name in [*chooser.sample(names, min(5, len(names))), "is not there", "name-1"]:
            path = str(weeks.site.source / name)
            with monkeypatch.context() as patch:
                patch.setattr(indexed, "LEAST_SIZE", 1 << 40)
                expected = outcome(weeks, tmp_path / f"whole-{number}-{count}", key, path)
            caplog.clear()
            found = outcome(weeks, tmp_path / f"parts-{number}-{count}", key, path)
            assert found == expected
            assert (WHOLE in caplog.text) == isinstance(expected, str)
            count += 1


def large_site(root: Path, general: str = "", settings: str = "", server: S3Server | None = None) -> tuple[Site, str]:
    """A site with a chain of three archives of two segments each; and the key of the FULL."""
    site = Site(root, server)
    (site.source / "deep" / "er").mkdir(parents=True)
    chance = random.Random(6)
    for number in range(14):
        (site.source / "deep" / f"noise {number:02}").write_bytes(chance.randbytes(400_000))
    (site.source / "deep" / "er" / "wanted\n").write_bytes(b"wanted " * 3000)
    (site.source / "deep" / "er" / "linked").hardlink_to(site.source / "deep" / "noise 07")
    site.configure_cycle(f"Diffs 6\nFulls 2\n{settings}", general=general)
    for night in range(3):
        (site.source / "deep" / "changed").write_text(f"{night}")
        back_up(site, night)
    return site, f"{site.name()}-0-FULL"


def back_up(site: Site, night: int, **options: bool) -> None:
    day = FIRST_DAY + timedelta(days=night)
    tally = backup.run(load_configuration(site.configuration), day, BackupOptions(**options))
    assert not tally.failed


def restored(site: Site, where: Path, name: str, *, at: str = "", signed: bool = False) -> Path:
    """Restore one path in this process; returns where it is then."""
    request = RestoreRequest(str(site.source), where, (name,), at, require_signature=signed)
    restore(load_configuration(site.configuration), request, date(2027, 1, 1), print, lambda _: None)
    return where / site.name() / name


WAYS = ["Compression gzip", "Compression zstd", "Compression none"]


@pytest.mark.usefixtures("encrypted_in_parts")
@pytest.mark.parametrize("compression", WAYS)
@pytest.mark.parametrize("signed", [False, True])
def test_one_file_of_an_encrypted_chain_comes_in_parts(
    tmp_path: Path, key: Key, caplog: pytest.LogCaptureFixture, compression: str, signed: bool
) -> None:
    general = f"GpgHome {key.home.path}\nGpgRecipient {key.fingerprint}\n"
    site, _ = large_site(tmp_path / "site", f"{general}{f'GpgSignKey {key.fingerprint}' * signed}\n", compression)
    caplog.set_level(logging.INFO)
    for number, name in enumerate(("deep/er/wanted\n", "deep/er/linked", "deep/changed")):
        back = restored(site, tmp_path / f"out {number}", name, signed=signed)
        assert back.read_bytes() == (site.source / name).read_bytes()
        assert back.stat().st_mtime_ns == (site.source / name).stat().st_mtime_ns
    assert WHOLE not in caplog.text


def _change(site: Site, key: str, change: Callable[[bytes], bytes]) -> None:
    path = site.vault / key
    path.write_bytes(change(path.read_bytes()))


def _flipped(data: bytes, place: int) -> bytes:
    changed = bytearray(data)
    changed[place] ^= 1
    return bytes(changed)


HARMS: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda data: data[: len(data) // 2],
    "empty": lambda _: b"",
    "rubbish": lambda data: b"x" * len(data),
    "a bit at its beginning": lambda data: _flipped(data, 60),
    "a bit at its end": lambda data: _flipped(data, len(data) - 40),
}
WANTED = "deep/er/wanted\n"


@pytest.mark.parametrize("harm", HARMS)
def test_an_index_that_does_not_count_costs_time_and_nothing_else(
    chain: tuple[Site, str], tmp_path: Path, caplog: pytest.LogCaptureFixture, harm: str
) -> None:
    site, key = chain
    caplog.set_level(logging.INFO)
    good = (site.vault / index_key(key)).read_bytes()
    _change(site, index_key(key), HARMS[harm])
    try:
        assert restored(site, tmp_path / "out", WANTED).read_bytes() == (site.source / WANTED).read_bytes()
    finally:
        (site.vault / index_key(key)).write_bytes(good)
    assert f"{key} is {WHOLE}" in caplog.text


def test_an_index_that_is_lost_or_of_an_older_archive_does_not_count(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site, key = large_site(tmp_path / "site")
    old = (site.vault / index_key(key)).read_bytes()
    back_up(site, 0, force=True, full=True)
    caplog.set_level(logging.INFO)
    (site.vault / index_key(key)).write_bytes(old)
    assert restored(site, tmp_path / "out", WANTED, at=key).exists()
    assert "it is of another archive" in caplog.text
    (site.vault / index_key(key)).unlink()
    assert restored(site, tmp_path / "again", WANTED, at=key).exists()


def test_a_part_that_was_changed_is_never_restored(
    chain: tuple[Site, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site, key = chain
    caplog.set_level(logging.INFO)
    good = (site.vault / key).read_bytes()
    status = (site.vault / key).stat()
    place = good.index(b"wanted wanted")
    (site.vault / key).write_bytes(_flipped(good, place))
    os.utime(site.vault / key, ns=(status.st_atime_ns, status.st_mtime_ns))
    try:
        with pytest.raises(S3napbackError, match="its bytes have been changed"):
            restored(site, tmp_path / "out", WANTED, at=key)
    finally:
        (site.vault / key).write_bytes(good)
        os.utime(site.vault / key, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert "is not the one of which its index has a sum" in caplog.text
    assert not (tmp_path / "out" / site.name()).exists()


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Site, str]:
    return large_site(tmp_path_factory.mktemp("chain") / "site", settings="Compression none")


def test_what_was_not_there_is_told_once(
    chain: tuple[Site, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site, _ = chain
    caplog.set_level(logging.INFO)
    with pytest.raises(S3napbackError, match=r"wantde was not there on that day; near it are: .*wanted"):
        restored(site, tmp_path / "out", "deep/er/wantde")
    assert "wanted" not in caplog.text
    assert caplog.text.count(WHOLE) == 1


@pytest.mark.parametrize("wrong", [0, 1, 2, 3])
def test_a_range_that_a_server_answers_wrongly_is_noticed(
    tmp_path: Path,
    rclone: S3Server,
    faulty: Callable[[S3Server], FaultyS3],
    caplog: pytest.LogCaptureFixture,
    wrong: int,
) -> None:
    proxy = faulty(rclone)
    site, key = large_site(tmp_path / "site", server=proxy.server)
    caplog.set_level(logging.INFO)

    def act(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        assert "Range" in request.headers
        return replace(answer, body=_flipped(answer.body, len(answer.body) // 2))

    if wrong:
        proxy.add(Fault("GetObject", act, nth=wrong, key=re.escape(key)))
    seen = len(proxy.seen)
    back = restored(site, tmp_path / "out", "deep/noise 12", at=key)
    assert back.read_bytes() == (site.source / "deep/noise 12").read_bytes()
    asked = [request for request in proxy.seen[seen:] if request.operation == "GetObject" and request.key == key]
    assert len(asked) > 2
    # Of the first range, the head, only the beginning is used.
    assert (WHOLE in caplog.text) == (wrong > 1)


@pytest.mark.usefixtures("encrypted_in_parts")
def test_a_signature_on_the_index_is_required_where_one_on_archives_is(
    tmp_path: Path, key: Key, caplog: pytest.LogCaptureFixture
) -> None:
    general = f"GpgHome {key.home.path}\nGpgRecipient {key.fingerprint}\nGpgSignKey {key.fingerprint}\n"
    site, full = large_site(tmp_path / "site", general)
    caplog.set_level(logging.INFO)
    text = key.home.decrypt((site.vault / index_key(full)).read_bytes())
    encrypt = ("-z", "0", "--trust-model", "always", "--recipient", key.fingerprint, "--encrypt")
    (site.vault / index_key(full)).write_bytes(key.home.run(*encrypt, stdin=text))
    restored(site, tmp_path / "out", WANTED)
    assert WHOLE not in caplog.text
    restored(site, tmp_path / "again", WANTED, signed=True)
    assert f"{full} is {WHOLE}" in caplog.text
    assert "it is not signed" in caplog.text
