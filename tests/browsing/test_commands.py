"""``ls``, ``find``, ``history`` and ``diff`` as they are written on a command line, and what they say."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from s3napback.browsing.nodes import OLDER, Node
from s3napback.browsing.showing import FROM_OLDER, line_of
from tests.commands.test_index_objects import night
from tests.site import Site

ODD = (
    "new\nline",
    "esc\x1b[31m",
    os.fsdecode(b"inv\xff"),
    "tab\t",
    "star*",
    "[a-z]?",
    "back\\slash",
    "\u202eabc",
    "-rf",
)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A chain of four nights."""
    site = Site(tmp_path_factory.mktemp("looking") / "site")
    for folder in ("etc/ssh", "odd", "empty", "becomes"):
        (site.source / folder).mkdir(parents=True)
    for name in ODD:
        (site.source / "odd" / name).write_text(name, errors="surrogateescape")
    (site.source / "etc" / "hosts").write_text("0123456789")
    (site.source / "etc" / "ssh" / "sshd_config").write_text("x" * 1200)
    (site.source / "link").symlink_to("etc/hosts")
    (site.source / "hard").hardlink_to(site.source / "etc" / "hosts")
    (site.source / "left out").write_text("")
    site.configure_cycle('Diffs 6\nFulls 2\nExclude "left out"')
    night(site, 0)
    (site.source / "etc" / "hosts").write_text("0123456789 and more")
    night(site, 1)
    (site.source / "etc" / "hosts").unlink()
    (site.source / "becomes").rmdir()
    (site.source / "becomes").write_text("a file")
    night(site, 2)
    (site.source / "etc" / "new").write_text("")
    night(site, 3)
    return site


def said(site: Site, *words: str, expect: int = 0) -> tuple[list[str], str]:
    done = site.run(*words, day=None, expect=expect)
    return done.stdout.splitlines(), done.stderr


def names(site: Site, *words: str) -> list[str]:
    """What is printed with ``-0``."""
    whole = site.run(*words, "-0", day=None).stdout
    assert not whole or whole.endswith("\0")
    return whole.split("\0")[:-1]


def test_a_folder_is_listed_with_what_its_names_are(filled: Site) -> None:
    lines, _ = said(filled, "ls", str(filled.source))
    assert [line.split("  ")[-1] for line in lines] == [
        "becomes",
        "empty/",
        "etc/",
        "hard",
        "link -> etc/hosts",
        "odd/",
    ]
    (hard,) = (line for line in lines if line.endswith("hard"))
    owners = rf"{os.geteuid()}:{os.getegid()}"
    assert re.fullmatch(rf"-rw-r--r--  {owners} +19  20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.\d{{9}}[+-]\d{{4}}  hard", hard)


@pytest.mark.parametrize("path", ["etc", "etc/", "./etc", "etc/../etc", "ABSOLUTE"])
def test_a_path_is_absolute_or_relative_to_its_source(filled: Site, path: str) -> None:
    written = str(filled.source / "etc") if path == "ABSOLUTE" else path
    assert names(filled, "ls", str(filled.source), written, "--at", "2026-01-02") == ["hosts", "ssh"]


def test_a_path_alone_is_looked_for_in_the_source_that_it_lies_in(filled: Site) -> None:
    assert names(filled, "ls", str(filled.source / "etc"), "--at", "2026-01-01") == ["hosts", "ssh"]
    assert names(filled, "ls", str(filled.source / "etc" / "ssh" / "sshd_config")) == ["sshd_config"]


def test_names_of_every_kind_are_escaped_in_lines_and_exact_with_a_nul_behind_them(filled: Site) -> None:
    assert sorted(names(filled, "ls", str(filled.source), "odd")) == sorted(ODD)
    lines, _ = said(filled, "ls", str(filled.source), "odd")
    assert len(lines) == len(ODD)
    assert all(line.isprintable() for line in lines)
    assert {line.split("  ")[-1] for line in lines} >= {"new\\nline", "esc\\x1b[31m", "inv\\xff", "\\u202eabc", "-rf"}
    for name in ODD:
        assert names(filled, "ls", str(filled.source), f"odd/{name}") == [name]


def test_all_below_a_folder_is_listed_with_paths_from_there_on(filled: Site) -> None:
    assert names(filled, "ls", str(filled.source), "etc", "-R") == ["new", "ssh", "ssh/sshd_config"]


def test_json_tells_the_same_and_of_odd_names_their_bytes(filled: Site) -> None:
    lines, _ = said(filled, "ls", str(filled.source), "odd", "--json")
    document = json.loads("".join(lines))
    assert document["day"] == "2026-01-04"
    paths = [
        bytes.fromhex(each["path_hex"]) if "path_hex" in each else each["path"].encode() for each in document["entries"]
    ]
    assert {Path(os.fsdecode(path)).name for path in paths} == set(ODD)
    assert {each["type"] for each in document["entries"]} == {"file"}


@pytest.mark.parametrize(("target", "more"), [(b"caf\xe9", {"target_hex": "636166e9"}), ("café".encode(), {})])
def test_json_tells_what_a_link_says_byte_for_byte(site: Site, target: bytes, more: dict[str, str]) -> None:
    (site.source / "link").symlink_to(os.fsdecode(target))
    site.configure_cycle("Diffs 6")
    night(site, 0)
    (entry,) = json.loads("".join(said(site, "ls", str(site.source), "--json")[0]))["entries"]
    assert {name: entry[name] for name in entry if name.startswith("target")} == {
        "target": target.decode(errors="replace"),
        **more,
    }


def test_what_was_not_there_is_an_error_that_names_what_is_near_and_what_to_do(filled: Site) -> None:
    lines, errors = said(filled, "ls", str(filled.source), "etc/ssh/sshd_confg", expect=1)
    assert lines == []
    assert f"was not there on 2026-01-04; near it are: {filled.source}/etc/ssh/sshd_config" in errors
    assert "history" in errors
    _, errors = said(filled, "ls", str(filled.source), "/elsewhere", expect=1)
    assert "does not lie in" in errors
    _, errors = said(filled, "ls", str(filled.source), "--at", "2025-12-31", expect=1)
    assert "no archive as old as" in errors


def test_of_a_name_that_looks_the_same_it_is_told_how_to_write_it(site: Site, tmp_path: Path) -> None:
    """macOS writes an accented letter as two characters, and keyboards as one."""
    (site.source / "u\u0308bung").mkdir()
    (site.source / "u\u0308bung/cafe\u0301").write_text("content")
    site.configure_cycle("Diffs 6")
    night(site, 0)
    there, typed = f"{site.source}/u\u0308bung", f"{site.source}/\xfcbung"
    for words in (
        ("ls", str(site.source), typed),
        ("restore", str(site.source), f"{typed}/caf\xe9", "--to", tmp_path / "out"),
    ):
        _, errors = said(site, *map(str, words), expect=1)
        assert f"; {there} was, which looks the same: accented letters are one character or two" in errors
        assert "near it are" not in errors
    assert "letters are one character or two: 'caf*' fits both" in said(site, "find", "caf\xe9", expect=1)[1]
    assert "letters are one character or two: copy" in said(site, "dump", str(site.source), typed, expect=1)[1]


def test_a_name_is_found_in_all_backups_in_which_it_is(filled: Site) -> None:
    lines, _ = said(filled, "find", "h*")
    assert [(line.partition(")")[0], line.rpartition("/")[2]) for line in lines] == [
        ("2026-01-01 (1", "hard"),
        ("2026-01-02 to 2026-01-04 (3", "hard"),
        ("2026-01-01 (1", "hosts"),
        ("2026-01-02 (1", "hosts"),
    ]
    assert names(filled, "find", "h*", str(filled.source)) == [f"{filled.source}/hard", f"{filled.source}/etc/hosts"]
    assert names(filled, "find", "h*", "--at", "2026-01-03") == [f"{filled.source}/hard"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("star\\*", ["odd/star*"]),
        ("[[]a-z[]][?]", ["odd/[a-z]?"]),
        ("*[x\\]]?", ["odd/[a-z]?"]),
        ("[b\\-z]rf", ["odd/-rf"]),
        ("inv?", ["odd/" + os.fsdecode(b"inv\xff")]),
        ("*\n*", ["odd/new\nline"]),
        ("*/ssh/*", ["etc/ssh/sshd_config"]),
        ("[!a-z]*", [f"odd/{name}" for name in sorted(("-rf", "[a-z]?", "\u202eabc"))]),
        ("ne[a-v]", []),
        ("ne[v-x]", ["etc/new"]),
        ("becomes", ["becomes"]),
        ("*/etc//ssh/", ["etc/ssh"]),
        ("*/ssh/./sshd_config", ["etc/ssh/sshd_config"]),
        ("ssh/", ["etc/ssh"]),
        ("./hard", ["hard"]),
    ],
)
def test_a_pattern_fits_whole_names_and_with_a_slash_paths(filled: Site, pattern: str, expected: list[str]) -> None:
    if not expected:
        assert "nothing fits" in said(filled, "find", pattern, expect=1)[1]
        return
    assert names(filled, "find", pattern) == [f"{filled.source}/{name}" for name in expected]


def test_a_question_mark_stands_for_one_character_of_however_many_bytes(site: Site) -> None:
    wide, bytes_of_none = ("é", "日", "\U0001f600"), os.fsdecode(b"\xed\xa0\x80")
    for name in (*wide, bytes_of_none):
        (site.source / name).write_text("")
    site.configure_cycle("Diffs 6")
    night(site, 0)

    def fitting(pattern: str) -> set[str]:
        return {Path(path).name for path in names(site, "find", pattern)}

    assert fitting("?") == fitting("[!a]") == fitting("[à-\U0010ffff]") == set(wide)
    # What is no character counts byte by byte.
    assert fitting("???") == fitting("[!a][!a][!a]") == {bytes_of_none}
    assert fitting("*??").isdisjoint(wide)
    for pattern in ("??", "[!é][!日]", "é?", "[z-a]"):
        assert "nothing fits" in said(site, "find", pattern, expect=1)[1]


def test_a_folder_in_place_of_a_source_is_where_names_are_found(filled: Site) -> None:
    etc = filled.source / "etc"
    ssh = [f"{etc}/ssh", f"{etc}/ssh/sshd_config"]
    assert names(filled, "find", "*s*", str(etc)) == [f"{etc}/hosts", *ssh]
    assert names(filled, "find", "*s*", str(etc), "--at", "2026-01-03") == ssh
    assert names(filled, "find", "/*/etc/*", str(etc / "ssh")) == ssh
    assert "nothing fits 'hard' in /" in said(filled, "find", "hard", str(etc), expect=1)[1]


def test_where_nothing_fits_a_pattern_it_is_said_how_parts_of_names_are_found(filled: Site) -> None:
    assert "'*osts*' fits parts of them" in said(filled, "find", "osts", expect=1)[1]
    assert "'*ssh/sshd*' fits parts of them" in said(filled, "find", "ssh//sshd", expect=1)[1]
    # With a backslash in it, the same would fit nothing either.
    assert "fits parts" not in said(filled, "find", "os\\ts", expect=1)[1]
    assert "whole paths: '*/etc/host?' fits the ends" in said(filled, "find", "etc/host?", expect=1)[1]
    for pattern in ("/etc/host?", "*/x/host?", "hosts?"):
        assert "fits the ends" not in said(filled, "find", pattern, expect=1)[1]


def test_a_pattern_behind_its_source_is_not_taken_for_one(filled: Site) -> None:
    told = said(filled, "find", str(filled.source), "hosts", expect=1)[1]
    assert f"PATTERN comes first, then SOURCE: find hosts {filled.source}" in told


def test_a_history_tells_what_a_path_was_and_when_it_was_gone(filled: Site) -> None:
    lines, _ = said(filled, "history", str(filled.source / "etc" / "hosts"))
    key = f"{filled.name()}-"
    assert [line.split("  ")[0].strip() for line in lines] == ["2026-01-01", "2026-01-02", "2026-01-03 to 2026-01-04"]
    assert [line.split("  ")[-1] for line in lines] == [f"{key}0-FULL", f"{key}1-DIFF", f"{key}2-DIFF and 1 more"]
    assert " 19  " in lines[1]
    assert "not there" in lines[2]
    lines, _ = said(filled, "history", str(filled.source), "becomes", "--json")
    history = json.loads("".join(lines))["history"]
    assert [(each["type"], len(each["archives"])) for each in history] == [("folder", 2), ("file", 2)]


def test_a_folder_that_was_not_read_has_no_slash_without_a_name() -> None:
    folder = Node(b"", b"etc", "d", 0o755, 0, 0, 0, 0, 0, b"", OLDER)
    assert line_of(folder, b"", is_exact=False).endswith(f"1970-01-01 00:00  ({FROM_OLDER})")
    assert line_of(folder, b"etc", is_exact=False).endswith(f"1970-01-01 00:00  etc/  ({FROM_OLDER})")


def test_a_history_of_what_never_was_is_an_error(filled: Site) -> None:
    assert "is in none of the 4 backups" in said(filled, "history", str(filled.source / "never"), expect=1)[1]
    assert "not absolute" in said(filled, "history", "never", expect=1)[1]
    assert "accented letters" not in said(filled, "history", str(filled.source / "never"), expect=1)[1]
    accented = said(filled, "history", str(filled.source / "résumé"), expect=1)[1]
    assert "its accented letters are one character or two: copy it from what ls shows" in accented


def test_of_two_cycles_the_newest_is_compared_with_the_day_before(
    site: Site,
) -> None:
    site.configure("\n".join(f"<Cycle {name}>\nFulls 3\nDirectory {site.source}\n</Cycle>" for name in ("a", "b")))
    night(site, 0)
    assert said(site, "diff", str(site.source))[0] == []
    (site.source / "new").touch()
    night(site, 1)
    assert said(site, "diff", str(site.source))[0] == [f"+  {site.source}/new"]


def test_what_differs_between_two_days_is_told_with_a_letter(filled: Site) -> None:
    source = filled.source
    assert said(filled, "diff", str(source))[0] == [f"+  {source}/etc/new"]
    expected = [f"T {source}/becomes", f"+ {source}/etc/new", f"- {source}/etc/hosts", f"M {source}/hard"]
    assert sorted(names(filled, "diff", str(source), "2026-01-01")) == sorted(expected)
    lines, errors = said(filled, "diff", str(source), "2026-01-02", "2026-01-01")
    assert sorted(lines) == [f"M  {source}/etc/hosts", f"M  {source}/hard"]
    assert "2 differences: 2 changed" in errors
    assert said(filled, "diff", str(source), "2026-01-02", "2026-01-02")[0] == []


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("ls", "SOURCE", "-0", "--json"), "--json and -0 do not go together"),
        (("ls", "SOURCE", ""), "a word is empty"),
        (("diff", "SOURCE", "2026-01-01", "2026-01-02", "2026-01-03"), "diff takes two DAYs at most"),
        (("history", "a", "b", "c"), "history takes one PATH"),
        (("find", ""), "a word is empty"),
    ],
)
def test_words_that_make_no_sense_are_refused(filled: Site, words: tuple[str, ...], reason: str) -> None:
    given = [str(filled.source) if word == "SOURCE" else word for word in words]
    lines, errors = said(filled, *given, expect=2)
    assert lines == []
    assert f"Error: {reason}" in errors


def test_a_reader_that_has_had_enough_is_no_error(filled: Site) -> None:
    for words in (("ls", "-R", str(filled.source)), ("ls", "-R", "-0", str(filled.source)), ("find", "*", "--json")):
        command = shlex.join(filled.command(*words, day=None))
        done = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {command} | head -c 5"], capture_output=True, check=False, text=True
        )
        assert (done.returncode, len(done.stdout)) == (0, 5), done.stderr


def test_of_what_is_dumped_as_a_whole_it_is_said_which_archives_there_are(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    site.configure("<Cycle nightly>\nFulls 2\n<Command words>\nRun echo many words\nLeastBytes 1\n</Command>\n</Cycle>")
    site.run("-q")
    lines, _ = said(site, "ls", "Command words")
    assert "dumped as a whole" in lines[0]
    assert lines[1].startswith("2026-01-01")
    # What is advised can be typed as it stands.
    errors = said(site, "diff", "Command words", expect=1)[1]
    advised = re.search("hold no files: “(.+)” shows them", errors)
    assert advised
    assert "Command/words-0" in site.run(*shlex.split(advised[1]), day=None).stdout
    assert "no archives of directories" in said(site, "find", "x", expect=1)[1]


def test_no_time_and_no_size_is_too_large_to_be_told(site: Site) -> None:
    site.configure_cycle("Diffs 6")
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(site.source)], check=True)
    try:
        (site.source / "late").write_text("late")
        os.utime(site.source / "late", (0, 4_000_000_000_000_000_000))
        (site.source / "large").touch()
        os.truncate(site.source / "large", 4_000_000_000_000_000_000)
        for day in range(2):
            site.run(day=day)
            told = json.loads(site.run("ls", str(site.source), "--json", day=None).stdout)["entries"]
            assert [(each["path"], each["size"]) for each in told] == [
                (f"{site.source}/large", 4_000_000_000_000_000_000),
                (f"{site.source}/late", 4),
            ]
            assert told[1]["modified_ns"] == 4_000_000_000_000_000_000 * 10**9
    finally:
        subprocess.run(["umount", str(site.source)], check=True)
