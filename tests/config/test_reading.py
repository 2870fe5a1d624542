from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.helpers import load, problem_of, problems_of


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_included_files_stand_where_they_are_named_in_the_order_of_their_names(tmp_path: Path) -> None:
    write(tmp_path, "conf.d/2.conf", "Directory /b # two\n")
    write(tmp_path, "conf.d/1.conf", "Directory /a")
    write(tmp_path, "conf.d/.3.conf", "rubbish of an editor")
    write(tmp_path, "conf.d/sub/x.conf", "include ../y.inc\n")
    write(tmp_path, "conf.d/y.inc", "<Directory /d>\n</Directory>\n")
    configuration = load(
        tmp_path,
        f"""
        <Cycle one>
            Include conf.d/*.conf  # all of them
            Directory /c
        </Cycle>
        INCLUDE "{tmp_path}/conf.d/sub/x.conf" none/*.conf
        IncludeOptional absent.conf
        """,
    )
    assert [(job.target, job.cycle) for job in configuration.jobs] == [
        ("/a", "one"),
        ("/b", "one"),
        ("/c", "one"),
        ("/d", ""),
    ]
    assert str(configuration.jobs[0].position) == f"{tmp_path}/conf.d/1.conf:1"


def test_errors_name_the_included_file(tmp_path: Path) -> None:
    write(tmp_path, "inner.conf", "\nFoo 1\nBucket other\nExclude 'x\n")
    assert problems_of(tmp_path, "Include inner.conf\nBar 2\n") == [
        "test.conf:3: unknown directive Bar",
        "inner.conf:2: unknown directive Foo",
        "inner.conf:4: a quote ' is opened and not closed on this line",
    ]


def test_a_plain_name_must_exist(tmp_path: Path) -> None:
    assert problem_of(tmp_path, "\nInclude absent.conf\n") == (
        "test.conf:3: absent.conf cannot be read: No such file or directory"
    )


@pytest.mark.parametrize("line", ["Include", 'Include ""', "Include ~/x.conf", f"Include {'x' * 300}", "Include ."])
def test_an_include_that_names_no_file_is_an_error(tmp_path: Path, line: str) -> None:
    assert problem_of(tmp_path, f"{line}\n").startswith("test.conf:2: ")


def test_includes_that_go_round_in_a_circle_are_an_error(tmp_path: Path) -> None:
    write(tmp_path, "a.conf", "Include b.conf\n")
    write(tmp_path, "b.conf", "\nInclude ./a.conf\n")
    assert problem_of(tmp_path, "Include a.conf\n") == (
        "b.conf:2: a.conf is being read already: the Includes go round in a circle"
    )
    (tmp_path / "loop.conf").symlink_to("loop.conf")
    assert problem_of(tmp_path, "Include loop.conf\n").startswith("test.conf:2: loop.conf cannot be read")


def test_includes_that_multiply_without_end_are_an_error(tmp_path: Path) -> None:
    for number in range(12):
        write(tmp_path, f"{number}.conf", f"Include {number + 1}.conf\n" * 3)
    write(tmp_path, "12.conf", "")
    assert "is one file too many" in problems_of(tmp_path, "Include 0.conf\n")[0]
