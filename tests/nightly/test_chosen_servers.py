"""Two servers that the environment chooses have buckets of the same name: each has DIFFs of its own FULL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from s3napback.state import StoreState
from tests.servers import S3Server
from tests.site import Site

NIGHTS = 2

Servers = tuple[S3Server, S3Server]
Choose = Callable[[Site, S3Server], None]


@pytest.fixture
def servers(moto: S3Server, seaweedfs: S3Server) -> Servers:
    return moto, seaweedfs


@pytest.fixture
def chosen(tmp_path: Path, servers: Servers) -> Site:
    """A site whose configuration does not say where its bucket is."""
    one, other = servers
    site = Site(tmp_path / "site", one)
    other.client().create_bucket(Bucket=site.bucket)
    site.configure_cycle("Diffs 6\nFulls 2")
    text = site.configuration.read_text()
    site.configuration.write_text(text.replace(f"Endpoint {one.endpoint}\n", ""))
    site.environment = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "AWS_CONFIG_FILE": str(tmp_path / "aws")}
    return site


def by_environment(site: Site, server: S3Server) -> None:
    site.environment["AWS_ENDPOINT_URL"] = server.endpoint


def by_profile(site: Site, server: S3Server) -> None:
    Path(site.environment["AWS_CONFIG_FILE"]).write_text(f"[default]\nendpoint_url = {server.endpoint}\n")


@pytest.mark.parametrize("choose", [by_environment, by_profile])
def test_each_server_has_chains_of_its_own(tmp_path: Path, chosen: Site, servers: Servers, choose: Choose) -> None:
    there: dict[str, set[str]] = {}
    for day in range(NIGHTS):
        for server in servers:
            (chosen.source / f"{server.kind}-{day}").write_text("content")
            choose(chosen, server)
            done = chosen.run(day=day)
            assert "WARNING" not in done.stderr
            assert f"source-{day}-{'DIFF' if day else 'FULL'}" in done.stderr
            there[server.kind] = {path.name for path in chosen.source.iterdir()}
    choose(chosen, servers[0])
    chosen.run("restore", str(chosen.source), "--to", str(tmp_path / "restored"), day=None)
    restored = {path.name for path in (tmp_path / "restored" / chosen.name()).iterdir()}
    assert restored == there[servers[0].kind]


def test_an_upgrade_makes_no_full_and_what_was_left_is_no_other_servers(chosen: Site, servers: Servers) -> None:
    one, other = servers
    by_environment(chosen, one)
    chosen.run(day=0)
    (own,) = (path for path in chosen.diff_dir.iterdir() if path.is_dir())
    (own / "server").unlink()
    former = StoreState(chosen.diff_dir, f"s3:/{chosen.bucket}", "").place.folder
    own.rename(former)
    by_environment(chosen, other)
    assert "1-FULL" in chosen.run("-t", day=1).stdout
    assert "source-1-FULL" in chosen.run(day=1).stderr
    assert former.exists()
    by_environment(chosen, one)
    assert "1-DIFF" in chosen.run("-t", day=1).stdout
    assert former.exists()
    done = chosen.run(day=1)
    assert "source-1-DIFF" in done.stderr
    assert "WARNING" not in done.stderr
    assert not former.exists()
    assert own.exists()
