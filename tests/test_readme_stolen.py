"""What the manual tells to do when the key is stolen, done with plain tools."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.gpg_keys import GpgHome, gpg_home
from tests.past import FIRST, Past, Thief, past_server
from tests.recipes import BACKUPS, adapted, encrypted, run_recipe
from tests.servers import S3Server
from tests.site import Site


@pytest.fixture(scope="module")
def backups_key() -> Iterator[GpgHome]:
    with gpg_home() as home:
        home.make_key(f"Backups <{BACKUPS}>")
        yield home


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with past_server() as running:
        yield running


def test_what_a_thief_has_overwritten_and_deleted_comes_back_by_hand(
    tmp_path: Path, backups_key: GpgHome, server: S3Server
) -> None:
    past = Past.begin(server)
    site = Site(tmp_path / "site", server, past.bucket)
    site.configure_cycle("Diffs 1\nFulls 1", general=encrypted(backups_key))
    for night in range(2):
        (site.source / "edited").write_text(f"edition {night}")
        site.run(day=night)
        past.date_night(night)
    name, keys = site.name(), site.archive_keys()
    Thief(past).spoil(past.keys())
    Thief(past).delete(past.keys())
    past.date(FIRST + timedelta(days=3))

    aws = {"aws ": f"aws --endpoint-url {server.endpoint} "}
    names = {"bucket=my-backups": f"bucket={past.bucket}", "name=etc": f"name={name}"}
    chain = adapted("chain of versions", {**aws, **names, "time=2026-11-20T12:00:00": "time=2026-01-03T00:00:00"})
    printed = run_recipe(chain, backups_key, server.environment())
    found = dict(reversed(each) for each in re.findall(r"^\S+ \"\w+\" (\S+) (\S+)$", printed, re.MULTILINE))
    assert list(found) == keys
    ids = re.findall(r's3napback-(id|parent)": "([^"]+)"', printed)
    assert [word for word, _ in ids].count("parent") == 1
    assert dict(ids)["parent"] == ids[0][1]

    target = tmp_path / "recovered"
    places = {"/srv/recovered": str(target), "/srv/archive": str(tmp_path / "archive"), "my-backups": past.bucket}
    versions = {
        "etc-0-FULL VERSION-OF-FULL": f"{keys[0]} {found[keys[0]]}",
        "etc-1-DIFF VERSION-OF-DIFF": f"{keys[1]} {found[keys[1]]}",
    }
    run_recipe(adapted("directory from versions", {**aws, **places, **versions}), backups_key, server.environment())
    assert (target / name / "edited").read_text() == "edition 1"
