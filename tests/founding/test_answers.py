"""Whatever is answered, the configuration is read as it was meant."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3napback.config.key_file import read_key_file
from s3napback.config.lines import Shape, quoted, split_lines
from s3napback.config.loading import examine
from s3napback.config.problems import Problems
from s3napback.founding.answers import Answers, configuration_text, difference, key_file_text
from s3napback.founding.questions import path_of
from s3napback.founding.starting import Nightly, cron_line, cron_text, unit_name, units
from tests.manual import CHECKOUT

ODD = "a Z0\"'`\\#$%&*?<>=!{}[]|;:,~-_.@()^ü語\u2028\u00a0\u200b🙂"
WORDS = st.text(
    st.one_of(st.sampled_from(ODD), st.characters(exclude_categories=["Cs", "Cc"])), min_size=1, max_size=12
)
NAMES = WORDS.filter(lambda name: "/" not in name and name not in (".", "..") and len(name.encode()) < 200)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(lambda names: "/in/" + "/".join(names))
SHOWN = NAMES.filter(str.isprintable)
"""Settings of the file are refused if they cannot be shown; names of sources are not."""


@settings(deadline=None)
@given(WORDS)
def test_a_quoted_value_is_read_as_it_was(value: str) -> None:
    problems = Problems()
    (line,) = split_lines(f"Exclude {quoted(value)} # a comment\n", "x", problems)
    problems.raise_errors()
    assert (line.shape, line.values) == (Shape.DIRECTIVE, (value,))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("answers")


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_every_answer_is_read_as_it_was_given(root: Path, data: st.DataObject) -> None:
    """Names with blanks, quotes, number signs, dollar signs, percent signs, of any alphabet; in every place."""
    state = root / data.draw(SHOWN)
    state.mkdir(exist_ok=True)
    key_file = root / f"key {data.draw(SHOWN)}"
    key_file.write_text(key_file_text("a", "b"))
    directories = data.draw(st.lists(PATHS, min_size=1, max_size=3, unique=True))
    is_folder, is_plain = data.draw(st.booleans()), data.draw(st.booleans())
    answers = Answers(
        directories=tuple(path_of(each) for each in directories),
        diff_dir=str(state),
        folder=f"/store/{data.draw(SHOWN)}" if is_folder else "",
        bucket="" if is_folder else "my-backups",
        endpoint="" if is_folder else data.draw(st.sampled_from(["", "https://s3.example.org:9000"])),
        region="" if is_folder else data.draw(st.sampled_from(["", "eu-central-1"])),
        key_file="" if is_folder else str(key_file),
        recipient="" if is_plain else "0123456789ABCDEF0123456789ABCDEF01234567",
        user=data.draw(WORDS),
        gpg_home="" if is_plain else str(state),
    )
    configuration = examine(root / "x.conf", configuration_text(answers)).configuration
    assert difference(answers, configuration) == ""


def test_what_is_read_otherwise_is_noticed(root: Path) -> None:
    answers = Answers(("/etc",), str(root), folder="/srv/vault")
    configuration = examine(root / "x.conf", configuration_text(answers)).configuration
    assert difference(Answers(("/home",), str(root), folder="/srv/vault"), configuration) == "folders"
    assert difference(Answers(("/etc",), str(root), folder="/srv/other"), configuration) == "store"
    assert difference(Answers(("/etc",), str(root), folder="/srv/vault", recipient="A" * 40), configuration) == "key"


SECRETS = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1).map(str.strip).filter(bool)


@settings(deadline=None, max_examples=60)
@given(SECRETS, SECRETS)
def test_credentials_are_read_as_they_were_given(root: Path, key: str, secret: str) -> None:
    path = root / "key.txt"
    path.write_text(key_file_text(key, secret))
    path.chmod(0o600)
    read = read_key_file(path)
    assert (read.credentials.key, read.credentials.secret, read.warning) == (key, secret, "")


# --- what starts it ---

NIGHTLY = Nightly(["/opt/a b/bin/s3napback"], '/etc/s3n/50% $x "q".conf', "/root", ["/srv/va ult%"], ["/srv/va ult%"])


@settings(deadline=None)
@given(st.lists(PATHS, min_size=1, max_size=3), PATHS)
def test_cron_and_its_shell_read_the_line_as_it_was_meant(program: list[str], configuration: str) -> None:
    line = cron_line(Nightly(program, configuration, "/root"))
    *_, command = line.split(" ", 6)
    # crontab(5): a percent sign without a backslash ends the command; the backslash is taken away.
    assert "%" not in command.replace("\\%", "")
    assert shlex.split(command.replace("\\%", "%")) == [*program, "-c", configuration]
    assert "\n" not in line


def test_units_are_those_of_the_examples_with_the_paths_of_this_machine() -> None:
    for kind in ("service", "timer"):
        ours = CHECKOUT / "s3napback" / "founding" / f"s3napback.{kind}"
        assert ours.read_text() == (CHECKOUT / "examples" / f"s3napback.{kind}").read_text()
    made = units(NIGHTLY, "s3napback-x")
    service = made["s3napback-x.service"].splitlines()
    assert r'ExecStart="/opt/a b/bin/s3napback" -c "/etc/s3n/50%% $$x \"q\".conf"' in service
    assert 'ReadWritePaths="/srv/va ult%%"' in service
    assert 'RequiresMountsFor="/srv/va ult%%"' in service
    assert "Type=notify" in service
    assert "WantedBy=timers.target" in made["s3napback-x.timer"].splitlines()
    assert cron_text(NIGHTLY).endswith("\n")


@pytest.mark.parametrize(
    ("stem", "name"),
    [("s3napback", "s3napback"), ("weekly", "s3napback-weekly"), ("a b/ü%", "s3napback-a_b___")],
)
def test_units_have_names_that_systemd_takes(stem: str, name: str) -> None:
    assert unit_name(stem) == name
