from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from s3napback.config.program_options import _TAR_FLAGS, _TAR_VALUES, refused_options


@pytest.mark.parametrize(
    "words",
    [
        ["--sparse", "-S", "-hS", "--numeric-owner", "--exclude=*.o", "--exclude-from=/etc/x", "--atime-preserve"],
        ["--atime-preserve=replace", "--warning=no-file-changed", "--owner=root:0", "--ignore-failed-read"],
    ],
)
def test_harmless_tar_options_are_let_through(words: list[str]) -> None:
    assert refused_options("TarOptions", words) == []


@pytest.mark.parametrize(
    "word",
    shlex.split("""--create -c --file=x --file -f -fx --listed-incremental=x -g --gzip -z -j -J -I --zstd -a
    --use-compress-program=x
    --remove-files --to-command=x --checkpoint-action=exec=x --checkpoint --rsh-command=x --rmt-command=x --directory=/
    -C -C/ --transform=s/a/b/ --xform=x --strip-components=1 --info-script=x -F --new-volume-script=x -M --files-from=x
    -T --blocking-factor=64 --record-size=9K
    --add-file=x --format=gnu --pax-option=x --level=0 --newer=x -N --anchored --no-recursion -P --absolute-names
    --check-device --remove-f --to-c=x --use=x --unknown etc /etc - -- -Sz -Sf --exclude --sparse=x --help --version
    """),
)
def test_tar_options_that_spoil_the_archive_or_run_programs_are_refused_with_a_reason(word: str) -> None:
    (problem,) = refused_options("TarOptions", [word])
    assert problem.startswith("TarOptions ")
    assert problem.partition(": ")[2]


def test_every_tar_option_that_is_let_through_is_one_of_gnu_tar(tmp_path: Path) -> None:
    options = [f"{name}=x" for name in sorted(_TAR_VALUES - {"--atime-preserve"})] + sorted(_TAR_FLAGS)
    for option in options:
        ran = subprocess.run(
            ["tar", "--create", "--file=-", option, "--directory", tmp_path, "."], capture_output=True, check=False
        )
        assert b"unrecognized option" not in ran.stderr, option
        assert b"requires an argument" not in ran.stderr, option
        assert b"doesn't allow an argument" not in ran.stderr, option


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("MySQLOptions", ["--defaults-extra-file=/etc/x", "-h", "localhost", "--where=a b", "--replace", "-uroot"]),
        ("PostgreSQLOptions", ["-h", "localhost", "-U", "bob", "--no-owner", "--port=5433", "--no-password"]),
    ],
)
def test_ordinary_database_options_are_let_through(name: str, words: list[str]) -> None:
    assert refused_options(name, words) == []


@pytest.mark.parametrize(
    ("name", "word"),
    [
        *(
            ("MySQLOptions", word)
            for word in ["-pSEKRIT", "--password=SEKRIT", "--pas=SEKRIT", "-rx", "--result-file=x"]
        ),
        *(
            ("MySQLOptions", word)
            for word in ["--tab=x", "--all-databases", "-B", "--xml", "shop", "--", "--help", "--print-defaults", "-?"]
        ),
        *(
            ("PostgreSQLOptions", word)
            for word in ["-W", "-fx", "--file=x", "-Fc", "--format=c", "-j4", "--dbname=SEKRIT"]
        ),
        *(("PostgreSQLOptions", word) for word in ["shop", "-Z9", "--compress=9", "--version"]),
    ],
)
def test_database_options_that_spoil_the_dump_or_show_a_password_are_refused(name: str, word: str) -> None:
    (problem,) = refused_options(name, [word])
    assert problem.startswith(f"{name} ")
    assert "SEKRIT" not in problem
