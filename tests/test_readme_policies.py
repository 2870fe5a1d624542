"""The manual's three keys: what comes of each deed with each of them, on a server that enforces their policies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests import manual
from tests.past import FIRST, Past, past_server, written
from tests.policies import ADMINISTRATOR, NIGHTLY, RESTORER, enforced, key_to
from tests.site import Site

WHO = {"nightly": NIGHTLY, "restorer": RESTORER, "administrator": ADMINISTRATOR}


@dataclass(frozen=True)
class Keyring:
    """A site of two nights, and what each key makes of the server."""

    past: Past
    sites: dict[str, Site]


@pytest.fixture(scope="module")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyring]:
    with past_server() as server:
        past = Past.begin(server)
        sites = {
            who: Site(tmp_path_factory.mktemp(who), key_to(server, past.bucket, who, marks), past.bucket)
            for who, marks in WHO.items()
        }
        with enforced():
            yield Keyring(past, prepared(past, sites))


def prepared(past: Past, sites: dict[str, Site]) -> dict[str, Site]:
    """Two nights with the nightly key; of one slot, so that there is an older version."""
    first = sites["nightly"]
    for site in sites.values():
        site.configure("<Cycle nightly>\nFulls 1\n" + f"Directory {first.source}\n</Cycle>")
    for night in range(2):
        (first.source / "file").write_text(f"edition {night}")
        first.run(day=night)
        past.date_night(night)
    return sites


def then() -> str:
    return written(FIRST + timedelta(hours=12))


@pytest.mark.parametrize(
    ("who", "expect", "text"),
    [("nightly", 0, ""), ("restorer", 1, "s3:PutObject"), ("administrator", 0, "")],
)
def test_a_nightly_run(keyring: Keyring, who: str, expect: int, text: str) -> None:
    done = keyring.sites[who].run("-f", day=2, expect=expect)
    assert text in done.stderr
    assert "s3:" in done.stderr if expect else "lack rights" not in done.stderr


@pytest.mark.parametrize("who", WHO)
def test_reading_what_is_there(keyring: Keyring, who: str, tmp_path: Path) -> None:
    site, source = keyring.sites[who], keyring.sites["nightly"].source
    assert str(source) in site.run("list").stdout
    site.run("restore", str(source), "--to", str(tmp_path / "now"))
    site.run("verify", "--keyless", str(source))


@pytest.mark.parametrize(("who", "expect"), [("nightly", 2), ("restorer", 0), ("administrator", 0)])
def test_reading_what_was(keyring: Keyring, who: str, expect: int, tmp_path: Path) -> None:
    site, source = keyring.sites[who], keyring.sites["nightly"].source
    done = site.run("restore", str(source), "--to", str(tmp_path / "then"), "--as-of", then(), expect=expect)
    if expect:
        assert "s3:ListBucketVersions" in done.stderr
    else:
        restored = tmp_path / "then" / str(source).lstrip("/") / "file"
        assert restored.read_text() == "edition 0"
    for command in (("list",), ("verify", "--keyless", str(source)), ("ls", str(source)), ("find", "file")):
        told = site.run(*command, "--as-of", then(), expect=expect).stderr
        assert ("s3:ListBucketVersions" in told) == bool(expect)
    versions = site.run("list", "--versions", expect=1 if expect else 0)
    assert ("s3:ListBucketVersions" in versions.stderr) == bool(expect)


@pytest.mark.parametrize("who", WHO)
def test_what_destroys_backups_is_for_the_administrator_alone(keyring: Keyring, who: str) -> None:
    server = keyring.sites[who].server
    assert server is not None
    client, bucket = server.client(), keyring.past.bucket
    rule: Any = {"ID": "x", "Status": "Enabled", "Filter": {"Prefix": "none/"}}
    rules: Any = {"Rules": [rule | {"NoncurrentVersionExpiration": {"NoncurrentDays": 1}}]}
    suspended: Any = {"Status": "Suspended"}
    enabled: Any = {"Status": "Enabled"}
    deeds: list[Callable[[], object]] = [
        lambda: client.delete_object(Bucket=bucket, Key="none", VersionId="null"),
        lambda: client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=suspended),
        lambda: client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=rules),
        lambda: client.put_bucket_policy(Bucket=bucket, Policy='{"Version": "2012-10-17", "Statement": []}'),
    ]
    for deed in deeds:
        if who == "administrator":
            deed()
        else:
            with pytest.raises(ClientError, match=r"AccessDenied|403"):
                deed()
    if who == "administrator":
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=enabled)
        client.delete_bucket_lifecycle(Bucket=bucket)
        client.delete_bucket_policy(Bucket=bucket)


@pytest.mark.parametrize("who", ["nightly", "restorer"])
def test_the_doctor_finds_nothing_that_these_keys_should_not_have(keyring: Keyring, who: str) -> None:
    said = " ".join(keyring.sites[who].run("doctor", expect=None).stdout.split())
    for right in ("DeleteObjectVersion", "PutBucketVersioning", "PutLifecycleConfiguration", "PutBucketPolicy"):
        assert f"ok the present key, s3:{right}: it may not" in said
    assert ("? older versions" in said) == (who == "nightly")


@pytest.mark.parametrize(("who", "expect"), [("restorer", 1), ("nightly", 0)])
def test_pruning(keyring: Keyring, who: str, expect: int) -> None:
    """The second deletes what the first could not."""
    key = f"{keyring.sites['nightly'].name()}-9-FULL.sha256"
    nightly = keyring.sites["nightly"]
    assert nightly.server is not None
    own = nightly.store().head(f"{nightly.name()}-0-FULL.sha256")
    assert own is not None
    nightly.server.client().put_object(
        Bucket=nightly.bucket, Key=key, Body=nightly.fetch(own.key), Metadata=dict(own.metadata)
    )
    done = keyring.sites[who].run("prune", "--yes", day=400, expect=expect)
    if expect:
        assert "s3:DeleteObject" in done.stderr
    else:
        assert f"hidden        {key}" in done.stdout


def test_the_table_has_what_was_tried(keyring: Keyring) -> None:
    table = manual.topic("locks").partition("| | Nightly | Restorer | Administrator |")[2].partition("\n\n")[0]
    assert len(table.strip().splitlines()) == 8
