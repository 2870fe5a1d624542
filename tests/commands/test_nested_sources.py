"""A path that lies in several sources, of this machine and of others: which is meant, and what is said of it."""

from __future__ import annotations

import json

import pytest

from tests.commands.test_index_objects import night
from tests.site import Site

LATER = "as well, which was backed up later, on 2026-01-02, and may hold it as it was then"


def configure(site: Site, *folders: str, host: str = "test-host") -> None:
    """A Cycle of the source, or of folders in it."""
    lines = "\n".join(f"Directory {site.source / folder}" for folder in folders)
    site.configure(f"<Cycle nightly>\nDiffs 6\nFulls 2\n{lines}\n</Cycle>")
    text = site.configuration.read_text()
    site.configuration.write_text(text.replace("HostName test-host", f"HostName {host}"))


@pytest.fixture
def nested(site: Site) -> Site:
    """A folder that has been a source of its own in the first of two nights."""
    (site.source / "inner").mkdir()
    (site.source / "inner" / "file").write_text("older")
    configure(site, ".", "inner")
    night(site, 0)
    (site.source / "inner" / "file").write_text("as it was then")
    configure(site, ".")
    night(site, 1)
    return site


@pytest.mark.parametrize("command", [["dump"], ["ls"], ["history"], ["restore", "--to", "-"]], ids=" ".join)
def test_a_source_that_is_not_backed_up_any_more_tells_where_its_files_are_newer(
    nested: Site, command: list[str]
) -> None:
    done = nested.run(command[0], str(nested.source / "inner/file"), *command[1:], day=None)
    assert done.stderr.count(f"{nested.source}/inner/file lies in Directory {nested.source} {LATER}") == 1
    assert nested.run("dump", str(nested.source), "inner/file", day=None).stdout == "as it was then"


def test_as_of_a_day_on_which_both_were_backed_up_nothing_is_told(nested: Site) -> None:
    done = nested.run("dump", str(nested.source / "inner/file"), "--at", "2026-01-01", day=None)
    assert done.stdout == "older"
    assert "as well" not in done.stderr


def test_a_source_itself_tells_it_unless_it_is_in_the_configuration(nested: Site) -> None:
    inner = str(nested.source / "inner")
    assert LATER in nested.run("ls", inner, day=None).stderr
    configure(nested, ".", "inner")
    assert "as well" not in nested.run("ls", inner, day=None).stderr


def test_an_archive_that_is_named_decides_which_source_is_meant(nested: Site) -> None:
    done = nested.run("dump", str(nested.source / "inner/file"), "--at", f"{nested.name()}-1-DIFF", day=None)
    assert done.stdout == "as it was then"


def test_a_day_before_the_inner_one_was_a_source_is_looked_for_in_the_outer_one(site: Site) -> None:
    (site.source / "inner").mkdir()
    (site.source / "inner" / "file").write_text("older")
    configure(site, ".")
    night(site, 0)
    configure(site, ".", "inner")
    night(site, 1)
    assert site.run("dump", str(site.source / "inner/file"), "--at", "2026-01-01", day=None).stdout == "older"


@pytest.mark.parametrize("command", [["ls"], ["history"], ["restore", "--to", "WHERE"]], ids=" ".join)
@pytest.mark.parametrize("path", ["theirs", "theirs/file"])
def test_another_machines_source_does_not_hide_what_lies_in_ours(site: Site, command: list[str], path: str) -> None:
    (site.source / "theirs").mkdir()
    (site.source / "theirs" / "file").write_text("ours")
    configure(site, "theirs", host="another")
    night(site, 0)
    configure(site, ".")
    night(site, 0)
    options = [word.replace("WHERE", str(site.root / "out")) for word in command[1:]]
    site.run(command[0], str(site.source / path), *options, day=None)
    if options:
        assert (site.root / "out" / site.name() / "theirs/file").read_text() == "ours"


def test_find_tells_of_a_name_once_with_the_backups_of_all_sources_that_hold_it(nested: Site) -> None:
    path = str(nested.source / "inner/file")
    assert nested.run("find", "file", "-0", day=None).stdout == f"{path}\0"
    assert nested.run("find", "file", "-0", "--at", "2026-01-01", day=None).stdout == f"{path}\0"
    lines = nested.run("find", "file", day=None).stdout.splitlines()
    assert [(line.split("  ")[0], line.endswith(f"  {path}")) for line in lines] == [
        ("2026-01-01 (2)", True),
        ("2026-01-02 (1)", True),
    ]
    matches = json.loads(nested.run("find", "file", "--json", day=None).stdout)["matches"]
    assert sorted((each["source"], len(each["versions"])) for each in matches) == [
        (f"Directory {nested.source}", 2),
        (f"Directory {nested.source}/inner", 1),
    ]


def test_find_tells_of_all_names_in_the_order_of_their_paths_whatever_sources_hold_them(nested: Site) -> None:
    (nested.source / "inner-beside").mkdir()
    (nested.source / "inner-beside" / "file").touch()
    (nested.source / "inner" / "new").touch()
    configure(nested, ".", "inner", "inner-beside")
    night(nested, 2)
    names = nested.run("find", "*", "-0", day=None).stdout.split("\0")[:-1]
    assert len(set(names)) == len(names)
    inner = nested.source / "inner"
    assert {f"{inner}/new", f"{inner}/file", f"{inner}-beside/file", str(inner), f"{inner}-beside"} <= {*names}
