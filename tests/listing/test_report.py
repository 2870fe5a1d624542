"""What ``list`` reports, of catalogues written down by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from s3napback.catalogue.claims import Claims, unprotected
from s3napback.catalogue.contents import Catalogue
from s3napback.listing.json_text import json_lines
from s3napback.listing.plain import aligned, plain_lines
from s3napback.listing.report import Report, Shown, make_report, runs
from tests.catalogues import HOST, archive, catalogue, group, job, keys, nameless


def report_on(
    found: Catalogue, *, configured: bool = True, prefix: str = "", unread: Mapping[str, int] | None = None
) -> Report:
    claims = Claims(HOST, (job(),) if configured else ())
    shown = Shown(found.archives, unprotected(found, claims), unread=unread or {})
    return make_report(found, shown, claims, location="s3://bucket", prefix=prefix)


def test_archives_of_a_source_stand_together_the_newest_first_and_nameless_ones_last() -> None:
    found = [*group("etc", 0, 10, 3), archive("www", 5, 40, source="Directory /www"), nameless("old-0", "old", 99)]
    rows = report_on(catalogue(found)).rows
    assert keys(row.archive for row in rows) == ["etc-2-DIFF", "etc-1-DIFF", "etc-0-FULL", "www-5-FULL", "old-0"]


def test_a_chain_is_told_by_its_slots_and_a_broken_one_by_its_problem() -> None:
    whole, broken = group("etc", 0, 10, 4), group("www", 0, 10, 3, source="Directory /www")
    rows = {row.archive.key: row for row in report_on(catalogue([*whole, broken[0], broken[2]])).rows}
    assert [rows[f"etc-{end}"].chain_slots for end in ("0-FULL", "1-DIFF", "3-DIFF")] == ["0", "0-1", "0-3"]
    assert rows["www-0-FULL"].restorable
    assert not rows["www-2-DIFF"].restorable
    assert rows["www-2-DIFF"].chain_slots == ""
    assert rows["www-2-DIFF"].chain.problem


def test_days_are_those_to_which_a_source_can_be_restored() -> None:
    found = group("etc", 0, 10, 4)
    del found[2]
    (source,) = report_on(catalogue(found)).sources
    # the DIFF of day 13 built on that of day 12
    assert source.days == (10, 11)
    assert source.newest == "etc-1-DIFF"
    (nothing,) = report_on(catalogue(found[2:])).sources
    assert (nothing.days, nothing.newest, nothing.day_ranges) == ((), "", "none")


def test_the_same_source_of_two_hosts_is_two_sources() -> None:
    found = [archive("etc", 0, 10), archive("etc", 1, 11, host="other")]
    report = report_on(catalogue(found))
    assert [(source.owner.host, source.days) for source in report.sources] == [("other", (11,)), (HOST, (10,))]


def test_how_many_paths_could_not_be_read_stands_beside_each_archive() -> None:
    report = report_on(catalogue(group("etc", 0, 10, 2)), unread={"etc-1-DIFF": 3})
    assert [row.unread for row in report.rows] == [3, 0]
    assert [each["unread"] for each in json.loads("".join(json_lines(report)))["archives"]] == [3, 0]
    headings, newest, oldest = (line.split() for line in list(plain_lines(report))[3:6])
    column = headings.index("UNREAD") + 3  # source, begin and size are two words each
    assert (newest[column], oldest[column]) == ("3", "-")
    assert "Archives that lack what could not be read that night: 1." in report.remarks()[0]


def test_remarks_are_made_only_of_what_is_there() -> None:
    assert report_on(catalogue([archive("etc", 0, 10)])).remarks() == []
    assert report_on(catalogue([]), prefix="below").remarks() == ["There are no archives in s3://bucket/below."]
    chunks = ["etc-0-FULL:0000000000001", "etc-0-FULL:0000000000002", "notes.txt"]
    found = catalogue([nameless("x-0", "x")], sums=["gone-0-FULL"], others=chunks)
    nameless_one, others, sums = report_on(found).remarks()
    assert "Objects without metadata among these: 1." in nameless_one
    assert (
        others
        == "Objects in s3://bucket that are not s3napback's: 3, 2 of them chunks of the original tool's archives."
    )
    assert sums == "Checksums whose archive is gone: 1. `prune` tells when they can go."


def test_a_lost_checksum_or_proof_is_no_archive_that_is_gone() -> None:
    found = replace(
        catalogue([archive("etc", 0, 10)]),
        gone=("etc-0-FULL.sha256", "etc-0-FULL.proven", "s3napback-status/a/b.json", "etc-1-DIFF"),
    )
    (gone,) = report_on(found).remarks()
    assert gone == "Archives that are gone, of which the store still has notes: etc-1-DIFF."


def test_a_configuration_without_blocks_claims_nothing() -> None:
    found = catalogue([archive("etc", 0, 10)])
    assert json.loads("".join(json_lines(report_on(found, configured=False))))["archives"][0]["claim"] is None
    assert json.loads("".join(json_lines(report_on(found))))["archives"][0]["claim"] == "current"


@pytest.mark.parametrize(
    ("numbers", "found"),
    [((), []), ((3,), [(3, 3)]), ((3, 1, 2, 7), [(1, 3), (7, 7)]), ((2, 2, 3, 3), [(2, 3)]), ((-1, 0, 1), [(-1, 1)])],
)
def test_runs_are_found_whatever_the_order(numbers: tuple[int, ...], found: list[tuple[int, int]]) -> None:
    assert runs(numbers) == found


# --- as plain text ---


def test_columns_are_aligned_and_numbers_stand_right() -> None:
    assert aligned(("SOURCE", "SLOT", "KEY"), [("Directory /etc", "7", "x"), ("", "123", "")]) == [
        "SOURCE          SLOT  KEY",
        "Directory /etc     7  x",
        "-                123  -",
    ]


def test_plain_text_has_a_part_for_days_archives_and_remarks_as_far_as_there_are_any() -> None:
    everything = list(plain_lines(report_on(catalogue([archive("etc", 0, 10)], others=["notes.txt"]))))
    days, archives, remarks = "\n".join(everything).split("\n\n")
    assert days.splitlines()[1].split() == ["Directory", "/etc", HOST, "1", "1970-01-11"]
    assert archives.startswith("SOURCE")
    assert remarks == "Objects in s3://bucket that are not s3napback's: 1."
    assert list(plain_lines(report_on(catalogue([]), configured=False))) == ["There are no archives in s3://bucket."]


def test_every_line_has_the_same_columns_whatever_is_unknown() -> None:
    shown = list(plain_lines(report_on(catalogue([archive("etc", 0, 10), nameless("x-0", "x")]))))
    table = "\n".join(shown).split("\n\n")[1].splitlines()
    begin = table[0].index("KEY")
    assert [line[begin:].split()[0] for line in table] == ["KEY", "etc-0-FULL", "x-0"]
