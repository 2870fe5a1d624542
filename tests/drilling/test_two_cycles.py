"""What is proven of a source in one Cycle says nothing of its archives in another one."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from tests.drilling.spoiling import spoil
from tests.site import Site


def test_a_source_is_proven_in_each_of_its_cycles(site: Site) -> None:
    (site.source / "file").write_text("payload")
    cycles = [
        f"<Cycle {name}>\nFrequency {days}\nFulls 2\nDirectory {site.source}\n</Cycle>\n"
        for name, days in (("daily", 1), ("weekly", 7))
    ]
    site.configure("".join(cycles), general=f"DrillEvery 7\nMetricsFile {site.root}/metrics.prom")
    site.run(day=1)
    shown = site.run("drill", "--due", expect=1).stdout
    assert f"Directory {site.source}: NOT PROVEN: it is configured, and there is no whole backup of it\n" in shown
    assert ": proven: " in shown
    lines = (site.root / "metrics-drill.prom").read_text().splitlines()
    failed = [line for line in lines if line.startswith("s3napback_last_drill_failed{")]
    assert [line.rpartition(" ")[2] for line in failed] == ["1"], "node_exporter refuses what it reads twice"
    site.run(day=7)
    site.run(day=8)
    shown = site.run("drill", "--due").stdout
    assert f"Directory {site.source} (Cycle weekly) of " in shown, "the newest of all is daily, and was proven"
    assert site.run("drill", "--due").stdout == "nothing is due\n"
    (weekly,) = (key for key in site.archive_keys() if key.startswith("weekly/") and not key.endswith("proven"))
    spoil(site, weekly, lambda content: content[:100])
    shown = site.run("drill", expect=1).stdout
    assert f"Directory {site.source} (Cycle daily) of " in shown
    assert f"Directory {site.source} (Cycle weekly) of " in shown
    assert "NOT PROVEN" in shown


def test_what_a_pattern_stands_for_is_proven_in_each_cycle(site: Site) -> None:
    with closing(sqlite3.connect(site.source / "data.db")) as connection, connection:
        connection.execute("CREATE TABLE t (a)")
    names = ("one", "two")
    cycles = [f"<Cycle {name}>\nFulls 2\nSQLite {site.source}/*.db\n</Cycle>\n" for name in names]
    site.configure("".join(cycles), general="DrillEvery 7")
    site.run()
    for options in (["--due"], []):
        shown = site.run("drill", *options).stdout
        assert [f"data.db (Cycle {name}) of " in shown for name in names] == [True, True]
