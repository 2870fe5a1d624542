"""When a run makes which archive: due, done, made up, forced, and every reason for a FULL in the place of a DIFF."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faulty_s3 import Fault, FaultyS3, answer
from tests.gpg_keys import Key
from tests.recovery.helpers import overwrite
from tests.servers import S3Server
from tests.site import Site
from tests.stores.sources import BytesSource


@pytest.fixture
def diffs(site: Site) -> Site:
    """A source with a FULL of night 0 and a DIFF of night 1, in a group of seven."""
    (site.source / "file").write_text("0")
    site.configure_cycle("Diffs 6\nFulls 2")
    for night in range(2):
        (site.source / f"night-{night}").write_text(str(night))
        site.run(day=night)
    assert site.slots() == ["0-FULL", "1-DIFF"]
    return site


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_is_done_already_is_skipped(diffs: Site) -> None:
    before = diffs.contents()
    done = diffs.run("--strict", day=1)
    assert "done already today\n" in done.stderr
    assert "0 done, 1 skipped, 0 failed" in done.stderr
    assert diffs.contents() == before


def test_force_on_the_newest_slot_loses_nothing(diffs: Site, tmp_path: Path) -> None:
    """The new DIFF builds on the parent of the one it replaces, so it holds what that one held, too."""
    (diffs.source / "later").touch()
    diffs.run("-f", day=1)
    (diffs.source / "next").touch()
    diffs.run("-f", day=1)
    assert diffs.slots() == ["0-FULL", "1-DIFF"]
    recovered = diffs.recover(diffs.archive_keys(), tmp_path / "recovered")
    assert names_in(recovered) == {"file", "night-0", "night-1", "later", "next"}
    diffs.run(day=2)
    assert diffs.slots() == ["0-FULL", "1-DIFF", "2-DIFF"]


def test_a_missed_night_is_made_up_and_the_rhythm_stays(site: Site) -> None:
    (site.source / "file").touch()
    site.configure_cycle("Frequency 7\nDiffs 3")
    site.run(day=3)
    assert site.slots() == []
    site.run(day=7)
    assert "not due until 2026-01-15" in site.run(day=9).stderr
    site.run(day=16)
    done = site.run(day=17)
    assert "not due until 2026-01-22" in done.stderr
    site.run(day=21)
    assert [slot.split("-")[0] for slot in site.slots()] == ["11", "12", "13"]


def test_a_day_is_that_of_today_also_for_the_slot_of_an_archive(diffs: Site) -> None:
    assert diffs.metadata(f"{diffs.name()}-1-DIFF")["s3napback-day"] == "20455"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("Diffs 5\nFulls 2", "the cycle changed"),
        ("Diffs 6\nFulls 3", "the cycle changed"),
        ("Diffs 6\nFulls 2\nExclude /elsewhere", "Exclude changed"),
        ("Diffs 6\nFulls 2\nOneFileSystem on", "OneFileSystem changed"),
        ("Diffs 6\nFulls 2\nTarOptions --sparse", "TarOptions changed"),
    ],
)
def test_a_change_of_what_shapes_archives_makes_a_full(change: str, words: str, diffs: Site) -> None:
    diffs.configure_cycle(change)
    done = diffs.run(day=2)
    assert words in done.stderr
    assert [slot for slot in diffs.slots() if slot.endswith("FULL")] != ["0-FULL"]


def test_a_change_of_recipients_makes_a_full(diffs: Site, key: Key) -> None:
    diffs.configure_cycle("Diffs 6\nFulls 2", general=key.directives)
    assert "GpgRecipient changed" in diffs.run(day=2).stderr
    assert diffs.slots() == ["0-FULL", "1-DIFF", "2-FULL"]


def test_full_on_request(diffs: Site) -> None:
    diffs.run("--full", day=2)
    assert diffs.slots() == ["0-FULL", "1-DIFF", "2-FULL"]
    diffs.run(day=3)
    assert diffs.slots()[-1] == "3-DIFF"
    parent = diffs.metadata(f"{diffs.name()}-2-FULL")["s3napback-id"]
    assert diffs.metadata(f"{diffs.name()}-3-DIFF")["s3napback-parent"] == parent


def test_a_full_in_the_place_of_a_diff_removes_the_old_diff_of_its_slot(diffs: Site) -> None:
    for night in range(2, 14):
        diffs.run(day=night)
    diffs.run(day=14)
    diffs.run("--full", day=15)
    assert "1-FULL" in diffs.slots()
    assert "1-DIFF" not in diffs.slots()
    assert f"{diffs.name()}-1-DIFF.sha256" not in diffs.archive_keys(sums=True)


def test_a_chain_of_another_group_is_not_built_on(diffs: Site) -> None:
    """The machine was off when the FULL of the next group was due."""
    done = diffs.run(day=8)
    assert "another group" in done.stderr
    assert diffs.slots()[-1] == "8-FULL"


def test_a_diff_is_not_put_into_the_slot_of_its_own_ancestor(site: Site) -> None:
    """With Fulls 1 the FULL that was made late lies where a later DIFF of the same group would go."""
    (site.source / "file").touch()
    site.configure_cycle("Diffs 6\nFulls 1")
    site.run(day=3)
    assert site.slots() == ["3-FULL"]
    site.run(day=4)
    state_file = next(site.diff_dir.rglob("state.json"))
    state = json.loads(state_file.read_text())
    state["history"]["chain"][0]["key"] = f"{site.name()}-5-DIFF"
    state_file.write_text(json.dumps(state))
    assert "holds an archive that the DIFF would build on" in site.run(day=5).stderr


@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_a_chain_that_is_not_whole_in_the_store_is_not_built_on(how: str, diffs: Site) -> None:
    full = f"{diffs.name()}-0-FULL"
    metadata = dict(diffs.metadata(full))
    diffs.store().delete(full)
    if how == "replaced":
        diffs.store().put(full, BytesSource(b""), {**metadata, "s3napback-id": "another"})
    done = diffs.run(day=2)
    assert full in done.stderr
    assert diffs.slots()[-1] == "2-FULL"


@pytest.mark.parametrize("how", ["missing", "damaged", "cut short", "from the future"])
def test_a_snapshot_that_cannot_be_trusted_makes_a_full(how: str, diffs: Site) -> None:
    for snapshot in diffs.diff_dir.rglob("*.snapshot"):
        data = snapshot.read_bytes()
        if how == "missing":
            snapshot.unlink()
        elif how == "damaged":
            snapshot.write_bytes(data[:-10] + b"x" + data[-9:])
        elif how == "cut short":
            snapshot.write_bytes(data[: len(data) // 2])
    if how == "from the future":
        set_snapshot_time(diffs, int(time.time()) + 100_000)
    done = diffs.run(day=2)
    assert "snapshot" in done.stderr
    assert diffs.slots()[-1] == "2-FULL"


@pytest.mark.parametrize("how", ["missing", "damaged"])
def test_an_index_that_cannot_be_trusted_makes_a_full(how: str, diffs: Site) -> None:
    for index in diffs.diff_dir.rglob("*.index"):
        data = bytearray(index.read_bytes())
        index.unlink()
        if how == "damaged":
            data[-10] ^= 1
            index.write_bytes(data)
    done = diffs.run(day=2)
    assert f"the index of the last backup is {how}" in done.stderr
    assert diffs.slots()[-1] == "2-FULL"
    diffs.run(day=3)
    assert diffs.slots()[-1] == "3-DIFF"


def set_snapshot_time(site: Site, seconds: int) -> None:
    """Make the snapshots look like those of a run under a clock that was ahead."""
    state_file = next(site.diff_dir.rglob("state.json"))
    state = json.loads(state_file.read_text())
    for link in state["history"]["chain"]:
        if link["memory"]:
            snapshot = state_file.parent / link["memory"]["snapshot"]
            header, rest = snapshot.read_bytes().split(b"\n", 1)
            data = b"\n".join([header, b"\0".join([str(seconds).encode(), *rest.split(b"\0")[1:]])])
            snapshot.write_bytes(data)
            link["memory"]["snapshot_sha256"] = hashlib.sha256(data).hexdigest()
    state_file.write_text(json.dumps(state))


def test_a_clock_set_back_fails_the_source_and_names_the_clock(diffs: Site) -> None:
    before = diffs.contents()
    done = diffs.run(day=-1, expect=1)
    assert "clock" in done.stderr
    assert "2026-01-02" in done.stderr
    assert "which is tomorrow here" in diffs.run(day=0).stderr
    assert diffs.contents() == before
    diffs.run("-f", day=0)


def test_damaged_state_is_said_and_makes_a_full(diffs: Site) -> None:
    next(diffs.diff_dir.rglob("state.json")).write_text("{ not json")
    done = diffs.run(day=2)
    (line,) = (line for line in done.stderr.splitlines() if "state.json is damaged" in line)
    assert " WARNING " in line
    assert diffs.slots()[-1] == "2-FULL"
    diffs.run(day=3)
    assert diffs.slots()[-1] == "3-DIFF"


def test_a_lost_diff_dir_costs_one_full(diffs: Site) -> None:
    for path in sorted(diffs.diff_dir.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    diffs.run(day=2)
    assert diffs.slots() == ["0-FULL", "1-DIFF", "2-FULL"]


def test_a_store_that_will_not_say_fails_the_source_rather_than_making_a_full(
    tmp_path: Path, rclone: S3Server, faulty: Callable[[S3Server], FaultyS3]
) -> None:
    """A hiccup must not become a FULL of two terabytes."""
    proxy = faulty(rclone)
    site = Site(tmp_path / "site", proxy.server)
    (site.source / "file").touch()
    site.configure_cycle("Diffs 6\nFulls 2")
    site.run(day=0)
    full = f"{site.name()}-0-FULL"
    # What is as the listing had it is not asked for.
    overwrite(site, full, site.fetch(full)[:-1] + b"\1")
    before = site.contents()
    proxy.add(Fault("HeadObject", answer(403, "AccessDenied"), key=full))
    done = site.run(day=1, expect=1)
    proxy.clear()
    assert full in done.stderr
    assert site.contents() == before
    site.run(day=1)
    assert site.slots() == ["0-FULL", "1-DIFF"]


def test_cycles_without_diffs_keep_no_snapshot(site: Site) -> None:
    (site.source / "file").touch()
    site.configure_cycle("Fulls 3")
    site.run(day=0)
    assert list(site.diff_dir.rglob("*.snapshot")) == []
    assert "--listed-incremental" not in site.run("-t", "-d", day=1).stdout


def test_names_that_become_qualified_are_said_once(site: Site) -> None:
    (site.source / "file").touch()
    site.configure(f"<Cycle one>\nDirectory {site.source}\n</Cycle>")
    site.run(day=0)
    site.configure(f"<Cycle one>\nDirectory {site.source}\n</Cycle>\n<Cycle two>\nDirectory {site.source}\n</Cycle>")
    words = f"was kept as '{site.name()}' and is kept as 'one/{site.name()}'"
    assert words in site.run(day=1).stderr
    assert words not in site.run(day=2).stderr
