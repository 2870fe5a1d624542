"""``init`` for an ordinary user: what he may not look at is said, and root's own configuration is not his."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from s3napback.beginning import init_command
from s3napback.cli import Invocation
from s3napback.commands import init
from s3napback.errors import UnusableConfiguration
from s3napback.founding.questions import Wishes
from s3napback.overview import status_command

USER = 12345


def test_without_c_it_makes_his_own_where_the_system_has_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system, own = tmp_path / "system.conf", tmp_path / "own.conf"
    system.touch()
    monkeypatch.setattr(init, "default_path", lambda: own)
    arguments = [f"--store={tmp_path}/vault", f"--directory={tmp_path}", "--no-encryption", "--start=none"]
    found = Invocation((system,), date(2026, 1, 1), test=True, is_named=False)
    done = CliRunner().invoke(init_command, arguments, obj=found)
    assert f"would write {own}:" in done.output
    done = CliRunner().invoke(init_command, arguments, obj=Invocation((system,), date(2026, 1, 1), test=True))
    assert isinstance(done.exception, UnusableConfiguration)


def test_who_names_none_where_init_has_made_one_is_told_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(init, "default_path", lambda: tmp_path / "own.conf")
    for hint in ("name one with -c CONF\n", f"name one with -c CONF, as -c {tmp_path}/own.conf, which is there\n"):
        done = CliRunner().invoke(status_command, [], obj=Invocation((), date(2026, 1, 1)))
        assert done.output.endswith(hint)
        (tmp_path / "own.conf").touch()


if os.geteuid() == 0:

    @pytest.fixture
    def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        """The home of an ordinary user who is at work, with a folder in it that he may not enter."""
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)
            Path(folder, "closed").mkdir(mode=0o700)
            Path(folder, "his").mkdir()
            os.chown(Path(folder, "his"), USER, USER)
            monkeypatch.setenv("HOME", f"{folder}/his")
            os.seteuid(USER)
            try:
                yield Path(folder, "his")
            finally:
                os.seteuid(0)

    @pytest.mark.parametrize(
        ("name", "wishes"),
        [
            ("../closed/sub/x.conf", {}),
            ("x.conf", {"directories": ("{}/closed/sub",)}),
            ("x.conf", {"diff_dir": "{}/closed/sub"}),
        ],
    )
    def test_what_he_may_not_look_at_is_said(
        home: Path, name: str, wishes: Mapping[str, str | tuple[str, ...]]
    ) -> None:
        usual: Mapping[str, str | tuple[str, ...]] = {"store": f"{home}/vault", "directories": (str(home),)}
        said = {
            key: value.format(home.parent) if isinstance(value, str) else tuple(v.format(home.parent) for v in value)
            for key, value in {**usual, **wishes}.items()
        }
        with pytest.raises(UnusableConfiguration, match="Permission denied"):
            init.found(home / name, Wishes(is_plain=True, start="none", **said), None, print, test=True)  # type: ignore[arg-type]

    def test_a_store_that_he_may_not_look_at_is_taken_for_one_that_is_to_be_made(home: Path) -> None:
        wishes = Wishes(f"{home.parent}/closed/sub", directories=(str(home),), is_plain=True, start="none")
        assert init.found(home / "x.conf", wishes, None, lambda *_: None, test=True) == 0
        with pytest.raises(UnusableConfiguration, match="closed/sub cannot be made: Permission denied"):
            init.found(home / "x.conf", wishes, None, print, test=False)
        assert list(home.iterdir()) == []

    def test_another_name_that_he_can_use_is_proposed(home: Path) -> None:
        home.joinpath("x.conf").touch()
        with pytest.raises(UnusableConfiguration, match=f"s3napback -c {home}/.config/s3napback/NAME.conf init"):
            init.found(home / "x.conf", Wishes(), None, print, test=True)
