from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from s3napback.config.option_rules import UNKNOWN
from s3napback.config.program_options import RULES, refused_options
from s3napback.config.tar_options import READ_FILES, TAR_RULES

HELP = {
    "mariadb-dump": ("MySQLOptions", ["mariadb-dump", "--no-defaults", "--help"]),
    "mysqldump": ("MySQLOptions", ["mysqldump", "--no-defaults", "--help"]),
    "pg_dump": ("PostgreSQLOptions", ["pg_dump", "--help"]),
    "pg_dumpall": ("PostgreSQLOptions", ["pg_dumpall", "--help"]),
}
SAMPLES = {
    "--column-statistics": "0",
    "--default-character-set": "utf8mb4",
    "--defaults-extra-file": "/dev/null",
    "--defaults-file": "/dev/null",
    "--encoding": "UTF8",
    "-E": "UTF8",
    "--ignore-table": "a.b",
    "--ignore-table-data": "a.b",
    "--include-foreign-data": "nothing",
    "--protocol": "socket",
    "--set-gtid-purged": "OFF",
    "--ssl-mode": "DISABLED",
}
"""Values for options that do not take a number."""


def help_of(program: str) -> str:
    command = HELP[program][1]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def options_in(text: str) -> set[str]:
    """Every option that a help text speaks of at the beginning of a line, short and long."""
    found: set[str] = set()
    for line in text.splitlines():
        if match := re.match(r" *(-[^\s,=-])?(?:, )?(--[a-z][a-z0-9_-]+)?", line):
            found |= {each.replace("_", "-") for each in match.groups() if each}
    return found


def words_with(name: str, option: str) -> list[str]:
    """An option of a directive as one word, with a value if it needs one."""
    if option in RULES[name].flags:
        return [option]
    value = SAMPLES.get(option, "1")
    return [f"{option}={value}"] if option.startswith("--") else [f"{option}{value}"]


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
    --exclude-caches-under --exclude-tag-under=TAG
    --exclude-vcs-ignores --exclude-ignore=.gitignore --exclude-ignore-recursive=.gitignore --exclude-vcs-i
    --exclude-from=relative --exclude-from=- --owner-map=map --group-map=./map --exclude-from
    """),
)
def test_tar_options_that_spoil_the_archive_or_run_programs_are_refused_with_a_reason(word: str) -> None:
    (problem,) = refused_options("TarOptions", [word])
    assert problem.startswith("TarOptions ")
    assert problem.partition(": ")[2]


def test_every_tar_option_that_is_let_through_is_one_of_gnu_tar(tmp_path: Path) -> None:
    options = [f"{name}=x" for name in sorted(TAR_RULES.values - {"--atime-preserve"})] + sorted(TAR_RULES.flags)
    for option in options:
        ran = subprocess.run(
            ["tar", "--create", "--file=-", option, "--directory", tmp_path, "."], capture_output=True, check=False
        )
        assert b"unrecognized option" not in ran.stderr, option
        assert b"requires an argument" not in ran.stderr, option
        assert b"doesn't allow an argument" not in ran.stderr, option


@pytest.mark.parametrize("option", sorted(TAR_RULES.values | TAR_RULES.flags))
def test_no_tar_option_that_is_let_through_waits_for_what_lies_in_the_tree(option: str, tmp_path: Path) -> None:
    for name in (".gitignore", ".cvsignore", ".bzrignore", ".hgignore", "CACHEDIR.TAG", "1"):
        (tmp_path / "tree" / name).mkdir(parents=True)
        subprocess.run(["mkfifo", tmp_path / "tree" / name / name], check=True)
        (tmp_path / "tree" / name / "link").symlink_to("/dev/zero")
    named = dict.fromkeys(READ_FILES, "/dev/null")
    values = {"--exclude-tag": "CACHEDIR.TAG", "--sort": "name", "--hole-detection": "raw", "--sparse-version": "1.0"}
    values |= {"--warning": "all", "--mode": "u+w", "--owner": "root", "--group": "root", "--atime-preserve": "system"}
    words = [option] if option in TAR_RULES.flags else [f"{option}={(values | named).get(option, 'CACHEDIR.TAG')}"]
    command = ["tar", "--create", "--file=/dev/null", *words, "--directory", str(tmp_path), "tree"]
    done = subprocess.run(command, capture_output=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("program", HELP)
def test_every_option_of_the_installed_programs_is_accepted_or_refused_for_a_reason_of_its_own(program: str) -> None:
    rules = RULES[HELP[program][0]]
    found = options_in(help_of(program))
    assert len(found) > 30
    assert found - rules.flags - rules.values - set(rules.reasons) == set()
    assert (rules.flags | rules.values).isdisjoint(rules.reasons)


@pytest.mark.parametrize("program", HELP)
def test_the_installed_programs_know_the_options_that_are_accepted(program: str, tmp_path: Path) -> None:
    """Those that only other versions have are told by the help, which does not speak of them."""
    name, _ = HELP[program]
    rules = RULES[name]
    is_mysql = name == "MySQLOptions"
    accepted = sorted(options_in(help_of(program)) & (rules.flags | rules.values))
    assert len(accepted) > 20
    for option in accepted:
        words = words_with(name, option)
        assert refused_options(name, words) == [], option
        if is_mysql:
            first = [] if option.startswith(("--defaults", "--no-defaults")) else ["--no-defaults"]
            command = [program, *first, *words, "--help"]
        else:
            command = [program, f"--host={tmp_path}", *(words if option not in ("-h", "--host") else [])]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        complaint = r"(unknown|unrecognized|invalid) (option|variable)|requires an argument|doesn't allow an argument"
        assert not re.search(complaint, done.stderr), (option, done.stderr)
        assert done.returncode == 0 or not is_mysql, (option, done.stderr)


@pytest.mark.parametrize("name", RULES)
def test_no_option_that_is_refused_passes_as_an_abbreviation_or_with_a_prefix(name: str) -> None:
    rules = RULES[name]
    accepted = rules.flags | rules.values
    for option in [each for each in rules.reasons if each.startswith("--")]:
        for end in range(3, len(option) + 1):
            for word in (option[:end], f"{option[:end]}=x"):
                assert word.partition("=")[0] in accepted or refused_options(name, [word]), word
        for prefix in ("loose-", "enable-", "maximum-", "skip-", "disable-", "loose_", "loose-skip-"):
            word = f"--{prefix}{option[2:]}"
            assert word in accepted or refused_options(name, [word, f"{word}=x"]), word


@pytest.mark.parametrize("name", ["MySQLOptions", "PostgreSQLOptions"])
def test_no_short_option_that_is_refused_passes_behind_another_one(name: str) -> None:
    rules = RULES[name]
    flags = [each for each in rules.flags if not each.startswith("--")]
    refused = [each for each in rules.reasons if not each.startswith("--")]
    assert flags
    assert refused
    for flag in flags:
        for option in refused:
            assert refused_options(name, [f"{flag}{option[1:]}/x"]), (flag, option)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("MySQLOptions", ["--defaults-extra-file=/etc/x", "-h", "localhost", "--host", "db", "--replace", "-uroot"]),
        ("MySQLOptions", ["--max_allowed_packet=1G", "--no-tablespaces", "--set-gtid-purged=OFF", "--master-data=2"]),
        ("MySQLOptions", ["--column-statistics=0", "--skip-add-locks", "--ignore-table=shop.sessions", "-P3307"]),
        ("MySQLOptions", ["--skip-ssl", "--default-character-set=binary", "--dump-history", "--verbose"]),
        ("PostgreSQLOptions", ["-h", "localhost", "-U", "bob", "--no-owner", "--port=5433", "--no-password", "-Ubob"]),
        ("PostgreSQLOptions", ["--exclude-table-data=log_*", "--role=reader", "--lock-wait-timeout=5000", "-O", "-x"]),
    ],
)
def test_ordinary_database_options_are_let_through(name: str, words: list[str]) -> None:
    assert refused_options(name, words) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        *(
            ("MySQLOptions", words)
            for words in [
                *(["-pSEKRIT"], ["--password=SEKRIT"], ["--pas=SEKRIT"], ["-p", "SEKRIT"], ["-vpSEKRIT"], ["-rx"]),
                *(["--result-file=x"], ["--result_file=x"], ["--res", "x"], ["--loose-result-file=F"], ["-vrF"]),
                *(
                    ["--tab=x"],
                    ["--tab", "x"],
                    ["--all-databases"],
                    ["-B"],
                    ["--databa"],
                    ["--xml"],
                    ["--xm"],
                    ["shop"],
                ),
                *(["--"], ["-"], ["--help"], ["--hel"], ["--print-defaults"], ["-?"], ["--where=a b"], ["-w", "a"]),
                *(["--no-data"], ["-d"], ["--no-create-info"], ["--no_data"], ["--triggers=0"], ["--events=FALSE"]),
                *(["--skip-comments"], ["--comments=0"], ["--delete-master-logs"], ["--flush-logs"], ["--force"]),
                *(["--plugin-dir=/x"], ["--default_auth=x"], ["--log-error=x"], ["--debug=d:t:o,/x"], ["--xml=1"]),
                *(["--default-character-set=latin1"], ["--default-character-set", "latin1"], ["--host="], ["-h"]),
                *(["--host", "--xml"], ["--master-data=3"], ["--protocol=pipe"], ["--loose-skip-triggers"]),
                *(["--dump-slave=2"], ["--lock-all-tables"], ["--defaults-extra-file", "/x"], ["--init-command=x"]),
            ]
        ),
        *(
            ("PostgreSQLOptions", words)
            for words in [
                *(["-W"], ["-fx"], ["--file=x"], ["--fil=F"], ["-vfF"], ["-Fc"], ["-OFc"], ["--format=c"], ["-j4"]),
                *(["--dbname=SEKRIT"], ["-d", "SEKRIT"], ["shop"], ["-Z9"], ["--compress=9"], ["--version"], ["-s"]),
                *(["--schema-only"], ["--data-only"], ["--table=x"], ["-t", "x"], ["--filter=/x"], ["-g"], ["--"]),
                *(
                    ["--create"],
                    ["-C"],
                    ["--enable-row-security"],
                    ["--no-blobs"],
                    ["--host", "-Fc"],
                    ["--section=data"],
                ),
                *(["--database=dbname=x password=SEKRIT"], ["-l", "postgresql://a:SEKRIT@b"], ["--no-owner=x"]),
            ]
        ),
    ],
)
def test_database_options_that_spoil_the_dump_or_show_a_password_are_refused(name: str, words: list[str]) -> None:
    problems = refused_options(name, words)
    assert problems
    assert all(problem.startswith(f"{name} ") for problem in problems)
    assert not any("SEKRIT" in problem for problem in problems)


def test_a_refused_option_of_a_known_kind_says_more_than_that_it_is_unknown() -> None:
    for name, option in (("MySQLOptions", "--no-data"), ("PostgreSQLOptions", "--schema-only")):
        (problem,) = refused_options(name, [option])
        assert "missing from the dump" in problem
    (problem,) = refused_options("MySQLOptions", ["--no-dat"])
    assert UNKNOWN in problem


def test_the_programs_of_these_tests_are_there() -> None:
    missing: Sequence[str] = [program for program in HELP if shutil.which(program) is None]
    assert missing == []
