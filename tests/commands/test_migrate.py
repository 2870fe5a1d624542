"""A configuration of the original's in today's words: it plans the same, and everything that was in it still is."""

from __future__ import annotations

import re
import stat
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from s3napback.cli import command_line
from s3napback.config.loading import examine, load_configuration
from s3napback.config.settings import Configuration
from tests.config.original_ways import Way, plan, ways
from tests.config.test_original_example import EXAMPLE

ACCEPTED = [way for way in ways() if not way.errors]
Written = Callable[[str], Path]
NAMELESS = (
    "<Cycle> has no name, and is called cycle-1 by its position; write <Cycle cycle-1>, or it is called otherwise when "
    "another Cycle is put before it"
)


@pytest.fixture
def old(tmp_path: Path) -> Written:
    """Writes the old configuration."""

    def write(text: str) -> Path:
        path = tmp_path / "old.conf"
        path.write_text(f"# the first line\nBucket file://{tmp_path}\n{text}")
        return path

    return write


def migrate(path: Path, *words: str, expect: int = 0) -> Result:
    result = CliRunner().invoke(command_line, ["-c", str(path), *words, "migrate"])
    assert result.exit_code == expect, result.output
    return result


def migrated(path: Path, target: Path) -> str:
    result = CliRunner().invoke(command_line, ["-c", str(path), "migrate", "--to", str(target)])
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    return target.read_text()


def told(configuration: Configuration) -> list[str]:
    """The warnings, without where they are."""
    return [re.sub(r"^[^ ]*:\d+: ", "", warning) for warning in configuration.warnings]


def is_in_order(old: str, new: str) -> bool:
    """Whether each line of the old file is in the new one, as it was or behind a remark that it was there."""
    lines = iter(new.split("\n"))
    return all(any(line in (wanted, f"# was: {wanted}") for line in lines) for wanted in old.split("\n"))


@pytest.mark.parametrize("way", ACCEPTED, ids=lambda way: way.name)
def test_what_is_written_plans_the_same_and_is_not_warned_of(tmp_path: Path, old: Written, way: Way) -> None:
    path = old(way.placed(tmp_path))
    text = migrated(path, tmp_path / "new.conf")
    new = examine(tmp_path / "new.conf")
    assert plan(new.configuration) == way.jobs
    assert [job.name for job in new.configuration.jobs] == [job.name for job in load_configuration(path).jobs]
    assert new.changes == ()
    explained = {change.message for change in examine(path).changes}
    assert told(new.configuration) == [line for line in told(load_configuration(path)) if line not in explained]
    assert is_in_order(path.read_text().rstrip(), text)


def test_the_manual_s_example_needs_no_change(tmp_path: Path, old: Written) -> None:
    text = "".join(
        line
        for line in EXAMPLE.read_text().splitlines(keepends=True)
        if not line.startswith(("DiffDir", "Bucket", "S3Keyfile"))
    )
    path = old(text)
    new = migrated(path, tmp_path / "new.conf")
    assert is_in_order(path.read_text(), new)
    assert "was:" not in new
    assert new.count("Diffs is left out") == 1


def test_each_change_is_explained_in_front_of_it(tmp_path: Path, old: Written) -> None:
    text = migrated(old("<Cycle>\n  UseTempFile # slow\n  MySQL all\n"), tmp_path / "new.conf")
    assert text.split("\n")[4:] == [
        *textwrap.wrap(NAMELESS, 110, initial_indent="# ", subsequent_indent="# "),
        "# was: <Cycle>",
        "<Cycle cycle-1>",
        "  # UseTempFile without a value is On",
        "# was:   UseTempFile # slow",
        "  UseTempFile On",
        "  MySQL all",
        "# <Cycle> is never closed, and so ends with the file; write </Cycle> where it is to end",
        "</Cycle>",
        "",
    ]


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("Frequency 7\n<Directory /a>\nDiffs 0\n</Directory>\n", "write Frequency 1 to have it as it was"),
        ("<Cycle a>\nUseTempFile\n<MySQL all>\n</MySQL>\n</Cycle>\n", "UseTempFile On of line 4 holds here, too"),
        ("<Directory /a>\n</Directory>\n", "Diffs is left out, which means 0"),
        ("Exclude *.o\n<Cycle a>\nDirectory /a\n</Cycle>\n", "Exclude *.o of line 3 holds here, too"),
        ("<Cycle a>\nExclude b\n<Directory /a>\n</Directory>\n</Cycle>\n", "Exclude b of line 4 holds here, too"),
        ("Directory /a\\\n  /b\n", "what follows is another value (the original joined them)"),
        ("<Cycle a>\nSubversion /a\n</Cycle>\n", "Diffs is left out, which means 0"),
        ("<Directory /a>\nDiffs 6 # a week\n</Directory>\n", "what stands behind # is a comment"),
        ("GpgRecipient a@b.example\nGpgRecipient c@d.example\n", "encrypted for c@d.example as well"),
    ],
)
def test_what_means_something_else_today_is_remarked(tmp_path: Path, old: Written, text: str, note: str) -> None:
    new = migrated(old(text), tmp_path / "new.conf")
    assert note in " ".join(line.strip(" #") for line in new.split("\n"))


@pytest.mark.parametrize(
    "text",
    [
        "Frequency 1\n<Directory /a>\nDiffs 0\n</Directory>\n",
        "<Directory /a>\nDiffs 3\n</Directory>\n",
        "<Cycle a>\nCycleType hanoicycle\nDirectory /a\n</Cycle>\n",
        "<MySQL all>\n</MySQL>\n",
        "Exclude *.o\n<MySQL all>\n</MySQL>\n",
        "Directory /a \\\n/b\\\n\nDiffs 1\n",
        "Exclude '*.o' \"/a # b\" /c#d\n",
    ],
)
def test_what_means_the_same_is_not_remarked(tmp_path: Path, old: Written, text: str) -> None:
    path = old(text)
    assert migrated(path, tmp_path / "new.conf") == path.read_text()
    assert migrate(path, "-t").stdout == ""


def test_what_has_no_effect_is_left_out_whatever_its_words(tmp_path: Path, old: Written) -> None:
    new = tmp_path / "new.conf"
    migrated(old("<Cycle a>\nCycleType HanoiCycle\nFulls 7 weeks\nMySQL all\n</Cycle>\n"), new)
    assert "\nFulls" not in new.read_text()
    assert not [warning for warning in told(load_configuration(new)) if "no effect" in warning]


def test_an_included_file_that_must_change_stands_in_the_new_one_and_others_are_found(
    tmp_path: Path, old: Written
) -> None:
    for name, text in (
        ("good", "<Directory /good>\nDiffs 1\n</Directory>\n"),
        ("bad", "# bad\nLogFile /x\n<Directory /bad>\nDiffs 1\n</Directory>"),
        ("outer", "Include bad.conf\n"),
    ):
        (tmp_path / f"{name}.conf").write_text(text)
    (tmp_path / "elsewhere").mkdir()
    path = old("Include good.conf\nInclude outer.conf\nIncludeOptional 'no ne.conf'\n")
    text = migrated(path, tmp_path / "elsewhere/new.conf")
    assert [job.target for job in load_configuration(tmp_path / "elsewhere/new.conf").jobs] == ["/good", "/bad"]
    assert f'Include "{tmp_path}/good.conf"\n' in text
    assert f'IncludeOptional "{tmp_path}/no ne.conf"\n' in text
    assert f"# from {tmp_path}/bad.conf:\n# bad\n" in text
    assert "# was: LogFile /x\n" in text
    assert text.count("# end of") == 2


def test_without_to_it_is_printed_and_with_t_it_is_a_diff(tmp_path: Path, old: Written) -> None:
    path = old("LogFile /x\n")
    assert "# was: LogFile /x\n" in migrate(path).stdout
    lines = migrate(path, "-t").stdout.split("\n")
    assert lines[:2] == [f"--- {path}", f"+++ {path}"]
    assert "-LogFile /x" in lines
    assert "+# was: LogFile /x" in lines
    result = CliRunner().invoke(command_line, ["-t", "-c", str(path), "migrate", "--to", str(tmp_path / "new.conf")])
    assert result.exit_code == 0
    assert sorted(each.name for each in tmp_path.iterdir()) == ["old.conf"]


def test_what_is_printed_is_the_file_that_would_be_written(tmp_path: Path, old: Written) -> None:
    path = old("<Cycle daily>\n\t# \x0c grün\u2028\n\tLogFile /x\n\tDirectory /etc\n</Cycle>\n")
    result = CliRunner(charset="latin-1").invoke(command_line, ["-c", str(path), "migrate"])
    assert result.stdout_bytes.decode() == migrated(path, tmp_path / "new.conf")
    assert "\t# \x0c grün\u2028\n" in result.stdout_bytes.decode()
    assert "-\tLogFile /x\n" in migrate(path, "-t").stdout


def test_a_file_that_exists_is_left_alone(tmp_path: Path, old: Written) -> None:
    path = old("LogFile /x\n")
    before = path.read_text()
    result = CliRunner().invoke(command_line, ["-c", str(path), "migrate", "--to", str(path)])
    assert result.exit_code == 2
    assert path.read_text() == before
    assert CliRunner().invoke(command_line, ["-c", str(path), "migrate", "--to", "/none/x"]).exit_code == 2


def test_what_is_refused_is_not_migrated(tmp_path: Path, old: Written) -> None:
    path = old("<Directory etc>\n</Directory>\n")
    assert migrate(path, expect=2).stdout == ""
    assert sorted(each.name for each in tmp_path.iterdir()) == ["old.conf"]


def test_what_would_plan_something_else_is_not_written(tmp_path: Path, old: Written) -> None:
    # Diffs has no effect in the Cycle, but one in the block, which inherits it.
    path = old(
        "<Cycle a>\nCycleType HanoiCycle\nDiffs 3\n<Directory /a>\nCycleType SimpleCycle\n</Directory>\n</Cycle>\n"
    )
    result = CliRunner().invoke(command_line, ["-c", str(path), "migrate", "--to", str(tmp_path / "new.conf")])
    assert result.exit_code == 2
    assert not (tmp_path / "new.conf").exists()


def test_lines_that_end_as_on_other_systems_are_read(tmp_path: Path, old: Written) -> None:
    path = old("")
    path.write_bytes(path.read_bytes() + b"LogFile /x\r\n<MySQL all>\r\n  Fulls \\\r\n  3\r\n")
    text = migrated(path, tmp_path / "new.conf")
    assert "\r" not in text
    assert "  Fulls \\\n  3\n" in text
    assert text.endswith("</MySQL>\n")
