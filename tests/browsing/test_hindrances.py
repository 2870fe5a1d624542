"""``ls``, ``find`` and ``history`` where a key is missing, a source is there twice, or not all of it could be read."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.browsing.test_indexes import damaged, flipped
from tests.commands.test_index_objects import night
from tests.faulty_s3 import Fault, FaultyS3, answer
from tests.gpg_keys import GpgHome, Key, gpg_home
from tests.servers import S3Server
from tests.site import Site

LOOKING = (
    ["ls", "{0}"],
    ["ls", "{0}", "--json"],
    ["find", "file"],
    ["find", "*", "{0}", "-0"],
    ["history", "{0}/file"],
)


@pytest.fixture(scope="module")
def other() -> Iterator[GpgHome]:
    with gpg_home() as home:
        home.make_key("other@example.org")
        yield home


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory, key: Key) -> Site:
    """A night of an archive that is large enough to be entered."""
    site = Site(tmp_path_factory.mktemp("encrypted") / "site")
    (site.source / "file").write_bytes(os.urandom(700_000))
    site.configure_cycle("Diffs 2", general=key.directives)
    night(site, 0)
    return site


@pytest.mark.parametrize("words", LOOKING, ids=" ".join)
def test_without_the_secret_key_nothing_is_told_but_what_is_missing(
    encrypted: Site, other: GpgHome, words: list[str]
) -> None:
    encrypted.configure_cycle("Diffs 2", general=f"GpgHome {other.path}")
    done = encrypted.run(*(word.format(encrypted.source) for word in words), day=None, expect=1)
    if words[0] != "find":
        assert done.stdout == ""
    assert "file" not in done.stdout.replace('"pattern": "file"', "")
    assert "it is encrypted to a key that is not here" in done.stderr
    assert "import the secret key into gpg, or set GpgHome" in done.stderr
    assert "No secret key" in done.stderr
    assert "nothing fits" not in done.stderr
    assert "in none of" not in done.stderr


@pytest.mark.parametrize("words", LOOKING[::2], ids=" ".join)
def test_of_a_source_whose_key_is_here_it_is_told_and_the_other_makes_it_fail(
    tmp_path: Path, key: Key, other: GpgHome, words: list[str]
) -> None:
    site = Site(tmp_path / "site")
    (site.source / "file").write_text("x")
    (elsewhere := tmp_path / "elsewhere").mkdir()
    (elsewhere / "file").write_text("x")
    site.configure_cycle("Diffs 2")
    night(site, 0)
    site.configure(f"<Cycle b>\nDirectory {elsewhere}\n</Cycle>", general=key.directives)
    night(site, 0)
    site.configure_cycle("Diffs 2", general=f"GpgHome {other.path}")
    done = site.run(*(word.format(site.source) for word in words), day=None, expect=int(words[0] == "find"))
    assert ("a key that is not here" in done.stderr) == (words[0] == "find")


@pytest.fixture(scope="module")
def rotated(tmp_path_factory: pytest.TempPathFactory, key: Key, other: GpgHome) -> Site:
    """Two nights for a key, and two for the one in its place, which alone is there."""
    site = Site(tmp_path_factory.mktemp("rotated") / "site")
    (site.source / "file").write_bytes(os.urandom(700_000))
    site.configure_cycle("Diffs 6", general=key.directives)
    night(site, 0)
    night(site, 1)
    site.configure_cycle("Diffs 6", general=Key(other, "other@example.org").directives)
    night(site, 2)
    (site.source / "late").write_text("x")
    night(site, 3)
    return site


@pytest.mark.parametrize("words", [["find", "file"], ["find", "late", "{0}"], ["history", "{0}/file"]], ids=" ".join)
def test_a_replaced_key_hides_nothing_of_what_is_for_the_new_one(rotated: Site, words: list[str]) -> None:
    done = rotated.run(*(word.format(rotated.source) for word in words), day=None, expect=1)
    assert "2026-01-04" in done.stdout
    assert "2026-01-02" not in done.stdout
    assert done.stderr.count("nothing is told of") == 1
    assert "nothing is told of 2 backups, 2026-01-01 to 2026-01-02: " in done.stderr
    assert "it is encrypted to a key that is not here" in done.stderr


def test_what_is_told_of_chains_that_can_be_opened_counts_these_alone(rotated: Site) -> None:
    done = rotated.run("find", "file", "--json", day=None, expect=1)
    (match,) = json.loads(done.stdout)["matches"]
    (version,) = match["versions"]
    newest = sorted(key for key in rotated.archive_keys() if key.endswith(("16-FULL", "17-DIFF")))
    assert sorted(version["archives"]) == newest
    said = rotated.run("history", str(rotated.source), "none", day=None, expect=1).stderr
    assert "is in none of the 2 backups" in said


def test_of_a_chain_with_a_damaged_archive_the_nights_before_it_are_told(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    site.configure_cycle("Diffs 2")
    for number in range(5):
        (site.source / "file").write_text("x" * number)
        night(site, number)
    (second,) = (key for key in site.archive_keys() if key.endswith("-7-DIFF"))
    damaged(site, second, flipped)
    damaged(site, f"{second}.index", flipped)
    done = site.run("history", f"{site.source}/file", "--json", day=None, expect=1)
    days = [archive["day"] for each in json.loads(done.stdout)["history"] for archive in each["archives"]]
    assert days == ["2026-01-01", "2026-01-04", "2026-01-05"]
    assert "nothing is told of 2 backups, 2026-01-02 to 2026-01-03: " in done.stderr


def test_a_source_in_two_cycles_is_one_and_from_tells_them_apart(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    (site.source / "file").write_text("x")
    block = f"Directory {site.source}\n</Cycle>"
    site.configure(f"<Cycle daily>\nDiffs 6\n{block}\n<Cycle slow>\nFrequency 2\n{block}")
    night(site, 0)
    (site.source / "late").write_text("x")
    night(site, 1)
    source = str(site.source)
    daily = [key for key in site.archive_keys() if key.startswith("daily/")]
    slow = [key for key in site.archive_keys() if key.startswith("slow/")]
    assert (len(daily), len(slow)) == (2, 1)
    newest = next(key for key in daily if key.endswith("DIFF"))

    def found(*words: str) -> list[str]:
        (match,) = json.loads(site.run("find", *words, "--json", day=None).stdout)["matches"]
        return sorted(key for each in match["versions"] for key in each["archives"])

    assert found("file") == sorted(daily + slow)
    assert found("late", source) == [newest]
    assert "nothing fits" in site.run("find", "late", source, "--from", "slow", day=None, expect=1).stderr
    assert site.run("ls", source, "-0", day=None).stdout == "file\0late\0"
    assert site.run("ls", source, "-0", "--from", "slow", day=None).stdout == "file\0"
    assert json.loads(site.run("ls", source, "--json", day=None).stdout)["archive"] == newest


def of_host(site: Site, host: str, prefix: str = "", body: str = "") -> None:
    site.configure(body, general=f"Prefix {prefix}" if prefix else "")
    text = site.configuration.read_text()
    site.configuration.write_text(text.replace("HostName test-host", f"HostName {host}"))


def test_of_two_hosts_and_prefixes_only_what_is_meant_is_told(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    source = str(site.source)
    places = [("one", ""), ("two", ""), ("one", "other")]
    for number, place in enumerate(places):
        (site.source / f"of {number}").write_text("x")
        of_host(site, *place, body=f"<Cycle c{number}>\nDirectory {source}\n</Cycle>")
        night(site, number, take_over=True)
        (site.source / f"of {number}").unlink()
    for number, place in enumerate(places):
        of_host(site, *place)
        assert site.run("ls", source, "-0", day=None).stdout == f"of {number}\0"
        for each in (number, (number + 1) % 3):
            done = site.run("find", f"of {each}", day=None, expect=int(each != number))
            assert (f"{source}/of {each}" in done.stdout) == (each == number)
    of_host(site, "three")
    for words in (["ls", source], ["find", "of 0"], ["find", "*", source]):
        done = site.run(*words, day=None, expect=1)
        assert "only archives of hosts one, two, and this host is three" in done.stderr


def inside(top: Path, folders: list[str], name: str) -> None:
    folder = os.open(top, os.O_RDONLY)
    for each in folders:
        os.mkdir(each, dir_fd=folder)
        below = os.open(each, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=folder))
    os.close(folder)


def test_folders_in_a_thousand_others_are_listed_and_found(tmp_path: Path) -> None:
    """Deeper than Python calls itself. tar reads no path of more than 4,096 bytes, which two thousand levels have."""
    site = Site(tmp_path / "site")
    levels = 1100
    inside(site.source, ["d"] * levels, "bottom")
    try:
        site.configure_cycle("Diffs 2")
        assert night(site, 0) == []
    finally:
        # pytest itself does not get so deep.
        subprocess.run(["rm", "-rf", site.source], check=True)
    folders = ["/".join(["d"] * (level + 1)) for level in range(levels)]
    listed = site.run("ls", str(site.source), "-R", "-0", day=None).stdout.split("\0")[:-1]
    assert sorted(listed) == sorted([*folders, f"{folders[-1]}/bottom"])
    assert site.run("ls", str(site.source), folders[-1], "-0", day=None).stdout == "bottom\0"
    assert site.run("find", "bottom", "-0", day=None).stdout == f"{site.source}/{folders[-1]}/bottom\0"
    assert site.run("find", "d", "-0", day=None).stdout.count("\0") == levels
    assert site.run("history", f"{site.source}/{folders[-1]}", day=None).stdout.startswith("2026-01-01  d")


def test_what_lies_where_nothing_could_be_read_is_not_said_never_to_have_been(tmp_path: Path) -> None:
    """Here in too deep a folder, as elsewhere behind a lack of rights."""
    site = Site(tmp_path / "site")
    deep = ["x" * 250] * 20
    inside(site.source, deep, "bottom")
    (site.source / "top").write_text("x")
    site.configure_cycle("Diffs 2", general="Unreadable Warn")
    night(site, 0)
    (key,) = site.archive_keys()
    missed = f"and what is looked for may be in it: {key}.sha256 names it"
    assert f"something could not be read in the newest backup, {missed}" in site.run("find", "top", day=None).stderr
    for words in (
        ["find", "bottom"],
        ["find", "bottom", "--at", key],
        ["history", f"{site.source}/{'/'.join(deep)}/bottom"],
    ):
        assert f"something could not be read in 1 of 1 backup, {missed}" in site.run(*words, day=None, expect=1).stderr
    listed = site.run("ls", str(site.source), "-R", day=None).stdout.splitlines()
    lacking = [
        line for line in listed if line.startswith("?---------  could not be read that night, was gone, or is a socket")
    ]
    # By the length of the path here, tar names the first that it cannot enter, or that and the one in it.
    unread, *others = [line.split()[-1] for line in lacking]
    assert unread == "/".join(deep[: unread.count("/") + 1])
    assert others in ([], [f"{unread}/{deep[0]}"])
    assert site.run("ls", str(site.source), unread, day=None).stdout.split()[0] == "?---------"
    below = site.run("ls", str(site.source), "/".join(deep), day=None, expect=1).stderr
    assert "was not there" in below
    assert "could not be read when" in below
    night(site, 1)
    assert "in 2 of 2 backups, and" in site.run("find", "bottom", day=None, expect=1).stderr


def test_find_asks_the_newest_backup_of_each_directory_what_it_lacks(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    folders = [site.source / name for name in ("whole", "lacking", "late")]
    for folder in folders:
        folder.mkdir()
        (folder / "top").write_text("x")
    inside(folders[1], ["x" * 250] * 20, "bottom")
    directories = "\n".join(f"Directory {folder}" for folder in folders)
    site.configure(f"<Cycle nightly>\nDiffs 2\n{directories}\n</Cycle>", general="Unreadable Warn")
    night(site, 0)
    lacking = next(key for key in site.archive_keys() if "/lacking" in key)
    said = site.run("find", "top", day=None).stderr
    assert "something could not be read in the newest backups of 1 of 3 directories, and what is" in said
    assert f"{lacking}.sha256 names it" in said
    # what an older one lacks is not said where something was found
    subprocess.run(["rm", "-rf", folders[1] / ("x" * 250)], check=True)
    night(site, 1)
    assert "could not be read" not in site.run("find", "top", day=None).stderr
    assert "in 1 of 6 backups" in site.run("find", "bottom", day=None, expect=1).stderr


def test_where_all_could_be_read_nothing_is_said_of_that(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    (site.source / "file").write_text("x")
    site.configure_cycle("Diffs 2")
    night(site, 0)
    for words, code in ((["find", "never"], 1), (["find", "file"], 0), (["history", f"{site.source}/never"], 1)):
        assert "could not be read" not in site.run(*words, day=None, expect=code).stderr


def test_find_looks_in_what_is_this_hosts_where_others_share_the_store(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    (elsewhere := tmp_path / "elsewhere").mkdir()
    for folder in (site.source, elsewhere):
        (folder / "file").write_text("x")
    site.configure(f"Directory {elsewhere}", general="")
    site.configuration.write_text(site.configuration.read_text().replace("test-host", "neighbour"))
    night(site, 0)
    site.configure(f"Directory {site.source}")
    night(site, 1)
    for name in ("release-1", "release-1.sha256"):
        (site.vault / name).write_text("another program's")
    done = site.run("find", "file", "-0", day=None)
    assert (done.stdout, done.stderr) == (f"{site.source}/file\0", "")
    site.configuration.write_text(site.configuration.read_text().replace("test-host", "third"))
    said = site.run("find", "file", day=None, expect=1).stderr
    assert f"Directory {elsewhere}: there are only archives of host neighbour" in said
    assert "nothing fits" not in said


def test_that_the_rotation_has_gone_on_is_no_warning_of_find_and_history(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    (site.source / "file").write_text("x")
    site.configure_cycle("Diffs 1\nFulls 2")
    for number in range(5):
        night(site, number)
    assert "what it builds on was overwritten" in site.run("list", day=None).stdout
    for words in (("find", "file"), ("history", f"{site.source}/file")):
        assert site.run(*words, day=None).stderr == ""


def test_find_looks_in_all_sources_of_the_cycle_that_from_names_and_in_no_others(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    (elsewhere := tmp_path / "elsewhere").mkdir()
    for folder in (site.source, elsewhere):
        (folder / "file").write_text("x")
    site.configure(f"<Cycle a>\nDirectory {site.source}\n</Cycle>\n<Cycle b>\nDirectory {elsewhere}\n</Cycle>")
    night(site, 0)
    for cycle, folder in (("a", site.source), ("b", elsewhere)):
        done = site.run("find", "file", "-0", "--from", cycle, day=None)
        assert (done.stdout, done.stderr) == (f"{folder}/file\0", "")
    assert site.run("find", "file", "--from", "c", day=None, expect=1).stderr.count("are not in a Cycle or under") == 2


def test_a_source_that_is_younger_than_the_day_asked_for_keeps_find_from_no_other(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    (young := tmp_path / "young").mkdir()
    for folder in (site.source, young):
        (folder / "file").write_text("x")
    site.configure_cycle("Diffs 6")
    night(site, 0)
    site.configure(f"<Cycle nightly>\nDiffs 6\nDirectory {site.source} {young}\n</Cycle>")
    night(site, 1)
    done = site.run("find", "file", "-0", "--at", "2026-01-01", day=None)
    assert done.stdout == f"{site.source}/file\0"
    assert f"WARNING s3napback: Directory {young}: there is no archive as old as 2026-01-01" in done.stderr


def test_a_refusal_of_the_store_is_told_once(
    tmp_path: Path, moto: S3Server, faulty: Callable[[S3Server], FaultyS3]
) -> None:
    proxy = faulty(moto)
    site = Site(tmp_path, proxy.server, proxy.server.make_bucket())
    site.configure_cycle("Diffs 2")
    night(site, 0)
    proxy.add(Fault("GetObject", answer(403, "AccessDenied")))
    done = site.run("ls", str(site.source), day=None, expect=1)
    assert done.stderr.count("the credentials lack rights: s3:GetObject") == 1
