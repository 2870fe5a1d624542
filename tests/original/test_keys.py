from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3napback.archives import archive_key, split_key
from s3napback.original.keys import before_wildcards, parse_base, split_chunk_key
from s3napback.rotation import ArchiveType


@pytest.mark.parametrize(
    ("key", "parts"),
    [
        ("/etc-0-FULL:00000000000000000007", ("/etc-0-FULL", 7)),
        ("/etc-0-FULL:0000000000007", ("/etc-0-FULL", 7)),
        ("/etc-0-FULL:7", ("/etc-0-FULL", 7)),
        ("/srv/12:30-0-FULL:00", ("/srv/12:30-0-FULL", 0)),
        ("MySQL/a:b-0:01", ("MySQL/a:b-0", 1)),
        ("srv/12:30-0-FULL", None),
        ("MySQL/a:b-0", None),
        ("/etc-0-FULL:000000000000000000001", None),
        ("/etc-0-FULL:", None),
        ("/etc-0-FULL:-1", None),
        ("/etc-0-FULL:١", None),
        (":0", None),
        ("0", None),
    ],
)
def test_a_chunk_s_key_is_split_at_the_last_colon(key: str, parts: tuple[str, int] | None) -> None:
    assert split_chunk_key(key) == parts


@pytest.mark.parametrize(
    ("base", "series", "slot", "type_", "sources"),
    [
        ("/etc-0-FULL", "/etc", 0, "FULL", ["Directory /etc", "Subversion /etc"]),
        ("/etc/-12-DIFF", "/etc/", 12, "DIFF", ["Directory /etc", "Subversion /etc"]),
        ("//srv//a:b/-1-FULL", "//srv//a:b/", 1, "FULL", ["Directory /srv/a:b", "Subversion /srv/a:b"]),
        ("home/x-0-DIFF", "home/x", 0, "DIFF", ["Directory /home/x", "Subversion /home/x"]),
        ("./tmp//h-0-FULL", "./tmp//h", 0, "FULL", ["Directory /tmp/h", "Subversion /tmp/h"]),
        ("/-0-FULL", "/", 0, "FULL", ["Directory /", "Subversion /"]),
        ("-0-FULL", "", 0, "FULL", ["Directory /", "Subversion /"]),
        ("/a-1-2-FULL", "/a-1", 2, "FULL", ["Directory /a-1", "Subversion /a-1"]),
        ("/srv/svn/p-3", "/srv/svn/p", 3, "FULL", ["Subversion /srv/svn/p"]),
        ("MySQL/wiki-0", "MySQL/wiki", 0, "FULL", ["MySQL wiki"]),
        ("MySQL/--all-databases-3", "MySQL/--all-databases", 3, "FULL", ["MySQL all"]),
        ("MySQL/all-2", "MySQL/all", 2, "FULL", ["MySQL all"]),
        ("MySQL//run/m.sock/wiki-1", "MySQL//run/m.sock/wiki", 1, "FULL", ["MySQL /run/m.sock:wiki"]),
        ("MySQL/run/m.sock/all-1", "MySQL/run/m.sock/all", 1, "FULL", ["MySQL /run/m.sock:all"]),
        ("PostgreSQL/-4", "PostgreSQL/", 4, "FULL", ["PostgreSQL all"]),
        ("PostgreSQL/a-b-4", "PostgreSQL/a-b", 4, "FULL", ["PostgreSQL a-b"]),
        ("PostgreSQL/d-0-FULL", "PostgreSQL/d", 0, "FULL", ["Directory /PostgreSQL/d", "Subversion /PostgreSQL/d"]),
    ],
)
def test_a_base_tells_what_it_is_of(base: str, series: str, slot: int, type_: str, sources: list[str]) -> None:
    name = parse_base(base)
    assert name is not None
    assert (name.base, name.series, name.slot, name.type.value) == (base, series, slot, type_)
    assert [str(source) for source in name.sources] == sources


@pytest.mark.parametrize(
    "base", ["photos", "/etc-00-FULL", "/etc-01", "/etc-0-full", "/etc-FULL", "a-9999999999", "-0"]
)
def test_what_the_original_never_wrote_is_no_base(base: str) -> None:
    assert parse_base(base) is None


@given(st.text(min_size=1), st.integers(0, 999), st.sampled_from(ArchiveType))
def test_no_key_of_ours_is_taken_for_a_chunk(name: str, slot: int, archive_type: ArchiveType) -> None:
    for kind in ("Directory", "MySQL"):
        assert split_chunk_key(archive_key("", kind, name, slot, archive_type)) is None


@given(st.text(), st.integers(0, 10**20 - 1), st.integers(1, 20))
def test_no_chunk_is_taken_for_an_archive_of_ours(base: str, number: int, digits: int) -> None:
    key = f"{base}-0-FULL:{number:0{digits}d}"
    assert split_key(key) is None
    assert split_chunk_key(key) == (f"{base}-0-FULL", number)


@pytest.mark.parametrize(
    ("path", "folder"),
    [("/home/*", "/home"), ("/*", "/"), ("/srv/a?/b", "/srv"), ("/srv/[ab]", "/srv"), ("/srv/a", "/srv/a"), ("/", "/")],
)
def test_what_a_shell_expanded_lies_in_a_folder(path: str, folder: str) -> None:
    assert before_wildcards(path) == folder
