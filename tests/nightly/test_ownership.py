"""Nothing overwrites what it does not own."""

from __future__ import annotations

import pytest

from tests.site import Site
from tests.stores.sources import BytesSource


def as_host(site: Site, name: str) -> None:
    """Pretend to be another machine, with a DiffDir of its own."""
    text = site.configuration.read_text()
    lines = [f"HostName {name}" if line.startswith("HostName") else line for line in text.splitlines()]
    folder = site.root / f"diffs-{name}"
    folder.mkdir(exist_ok=True)
    lines = [f"DiffDir {folder}" if line.startswith("DiffDir") else line for line in lines]
    site.configuration.write_text("\n".join(lines) + "\n")


@pytest.fixture
def shared_site(any_site: Site) -> Site:
    """A store into which host ``first`` has put a week's archives."""
    (any_site.source / "file").write_text("of the first host")
    any_site.configure_cycle("Diffs 1\nFulls 2")
    as_host(any_site, "first")
    for night in range(4):
        any_site.run(day=night)
    return any_site


def test_a_slot_of_another_host_is_refused_and_says_whose_it_is(shared_site: Site) -> None:
    before = shared_site.contents()
    as_host(shared_site, "second")
    for options in ((), ("-f",)):
        done = shared_site.run(*options, day=4, expect=1)
        assert f"Directory {shared_site.source} of host first" in done.stderr
        assert "--take-over" in done.stderr
    assert shared_site.contents() == before


def test_ownership_is_looked_at_before_done_today(shared_site: Site) -> None:
    """The other host's archive of today does not count as ours."""
    as_host(shared_site, "second")
    assert "belongs to" in shared_site.run(day=3, expect=1).stderr


def test_take_over_is_remembered(shared_site: Site) -> None:
    as_host(shared_site, "second")
    shared_site.run("--take-over", day=4)
    for night in (5, 6, 7):
        shared_site.run(day=night)
    hosts = {shared_site.metadata(key)["s3napback-host"] for key in shared_site.archive_keys()}
    assert hosts == {"second"}
    as_host(shared_site, "first")
    assert "of host second" in shared_site.run(day=8, expect=1).stderr


def test_taking_over_on_the_same_day_is_not_taken_for_done(shared_site: Site) -> None:
    as_host(shared_site, "second")
    shared_site.run("--take-over", day=3)
    assert {shared_site.metadata(key)["s3napback-host"] for key in shared_site.archive_keys()} == {"first", "second"}


def test_an_object_of_unknown_origin_is_refused(site: Site) -> None:
    (site.source / "file").touch()
    site.configure_cycle("")
    site.run(day=0)
    (key,) = site.archive_keys()
    site.store().delete(key)
    (site.vault / key).parent.mkdir(parents=True, exist_ok=True)
    (site.vault / key).write_bytes(b"of the Perl tool")
    done = site.run(day=0, expect=1)
    assert "other than s3napback" in done.stderr
    assert site.fetch(key) == b"of the Perl tool"
    site.run("--take-over", day=0)
    assert site.metadata(key)["s3napback-host"] == "test-host"


def test_another_kind_of_source_of_the_same_name_is_another_owner(site: Site) -> None:
    (site.source / "file").touch()
    site.configure_cycle("")
    site.run(day=0)
    (key,) = site.archive_keys()
    metadata = {**site.metadata(key), "s3napback-source": "Subversion%20/elsewhere"}
    site.store().put(key, BytesSource(b""), metadata)
    assert "belongs to Subversion /elsewhere of host test-host" in site.run(day=0, expect=1).stderr


def test_a_changed_prefix_keeps_two_hosts_apart(shared_site: Site) -> None:
    as_host(shared_site, "second")
    text = shared_site.configuration.read_text()
    shared_site.configuration.write_text(f"Prefix second\n{text}")
    shared_site.run(day=4)
    assert f"second/{shared_site.name()}-2-FULL" in shared_site.archive_keys()
    assert len(shared_site.archive_keys()) == 5
