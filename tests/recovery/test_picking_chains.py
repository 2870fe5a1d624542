"""PATHs of chains whose indexes are partly lost, foreign or old come back right; the session key is shown nowhere."""

from __future__ import annotations

import logging
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from s3napback.catalogue.indexes import index_key
from s3napback.errors import S3napbackError
from s3napback.recovery import picking
from s3napback.recovery.opening import indexed, ranges
from tests.gpg_keys import Key
from tests.recovery.simulation import Weeks
from tests.recovery.test_picking import back_up, large_site, outcome, restored
from tests.servers import S3Server
from tests.site import Site


@pytest.fixture(autouse=True)
def everything_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexed, "LEAST_SIZE", 1)
    monkeypatch.setattr(picking, "_WORTH_WHILE", 1000)


@pytest.mark.parametrize("seed", [21])
def test_every_path_comes_back_where_indexes_are_lost_foreign_or_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    weeks = Weeks(Site(tmp_path / "site"), seed, is_quiet=bool(seed % 2))
    weeks.pass_by(6)
    chooser = random.Random(seed)
    files = sorted(path for path in weeks.site.vault.rglob("*.index") if path.is_file())
    contents = [path.read_bytes() for path in files]
    for file in files:
        fate = chooser.randrange(4)
        if fate == 0:
            file.unlink()
        elif fate == 1:
            file.write_bytes(chooser.choice(contents))
    count = 0
    for key, record in weeks.restorable().items():
        names = sorted(weeks.states[record.id])
        for name in [*chooser.sample(names, min(3, len(names))), "is not there"]:
            path = str(weeks.site.source / name)
            with monkeypatch.context() as patch:
                patch.setattr(indexed, "LEAST_SIZE", 1 << 40)
                expected = outcome(weeks, tmp_path / f"whole-{count}", key, path)
            assert outcome(weeks, tmp_path / f"parts-{count}", key, path) == expected
            count += 1


@pytest.mark.parametrize(
    "what", ["none in the middle", "another's in the middle", "again with -f on its parent", "a DIFF turned FULL"]
)
def test_chains_of_every_shape_give_the_newest_state_of_a_path(tmp_path: Path, what: str) -> None:
    site, full = large_site(tmp_path / "site")
    diff = f"{site.name()}-1-DIFF"
    if what == "none in the middle":
        (site.vault / index_key(diff)).unlink()
    elif what == "another's in the middle":
        (site.vault / index_key(diff)).write_bytes((site.vault / index_key(full)).read_bytes())
    else:
        (site.source / "deep/changed").write_text("again")
        back_up(site, 2, force=True, full=what == "a DIFF turned FULL")
    expected = (site.source / "deep/changed").read_text()
    assert restored(site, tmp_path / "out", "deep/changed").read_text() == expected
    wanted = "deep/er/wanted\n"
    assert restored(site, tmp_path / "again", wanted).read_bytes() == (site.source / wanted).read_bytes()


@pytest.mark.parametrize("is_distant", [False, True])
def test_an_archive_that_is_replaced_between_its_index_and_its_parts_is_not_mixed_with_the_new_one(
    tmp_path: Path, rclone: S3Server, monkeypatch: pytest.MonkeyPatch, is_distant: bool
) -> None:
    site, full = large_site(tmp_path / "site", server=rclone if is_distant else None)
    look_up = indexed.look_up
    replaced: list[str] = []

    def late(*arguments: Any) -> object:
        content = look_up(*arguments)
        if not replaced:
            replaced.append(full)
            (site.source / "deep/noise 00").write_bytes(b"another")
            back_up(site, 0, force=True, full=True)
        return content

    monkeypatch.setattr(picking, "look_up", late)
    with pytest.raises(S3napbackError, match="replaced"):
        restored(site, tmp_path / "out", "deep/noise 12", at=full)
    assert replaced
    assert not (tmp_path / "out" / site.name()).exists()


def test_the_session_key_is_in_no_log_no_argument_and_no_frame_of_an_error(
    tmp_path: Path,
    key: Key,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The key's home says that gpg shall log to a file, and a part of the archive fails after it was decrypted."""
    monkeypatch.setattr(indexed, "LEAST_SIZE", 100_000)
    site, full = large_site(tmp_path / "site", key.directives)
    done = subprocess.run(
        ["gpg", "--homedir", str(key.home.path), "--batch", "--show-session-key", "--decrypt", str(site.vault / full)],
        capture_output=True,
        check=True,
    )
    value = done.stderr.decode().partition("session key: '9:")[2].partition("'")[0]
    assert len(value) == 64
    log = tmp_path / "gpg.log"
    (key.home.path / "gpg.conf").write_text(f"log-file {log}\nverbose\nshow-session-key\n")
    site.fake_program("gpg", f'printf "%s\\n" "$@" >>{tmp_path}/arguments\nexec REAL "$@"')
    monkeypatch.setenv("PATH", site.environment["PATH"])
    caplog.set_level(logging.DEBUG)
    errors: list[str] = []
    whole = ranges.Content._segment

    def failing(content: ranges.Content, number: int) -> bytes:
        whole(content, number)
        raise ranges.Irregular("a part is not the one")

    def noting(content: ranges.Content, number: int) -> bytes:
        try:
            return failing(content, number)
        except ranges.Irregular as error:
            errors.append(str(pytest.ExceptionInfo.from_exception(error).getrepr(showlocals=True)))
            raise

    wanted = "deep/er/wanted\n"
    try:
        restored(site, tmp_path / "out", wanted)
        monkeypatch.setattr(ranges.Content, "_segment", noting)
        restored(site, tmp_path / "again", wanted)
    finally:
        (key.home.path / "gpg.conf").unlink()
    assert errors
    said = capfd.readouterr()
    arguments = (tmp_path / "arguments").read_text()
    assert "--show-session-key" in arguments
    logged = log.read_text() if log.exists() else ""
    for text in (caplog.text, said.out, said.err, arguments, logged, *errors):
        assert value.upper() not in text.upper()
        assert repr(bytes.fromhex(value))[2:-1] not in text
