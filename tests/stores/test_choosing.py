"""Which server is meant is known without asking it, as boto3 chooses it, and tells stores apart."""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import botocore
import botocore.session
import pytest

from s3napback.config.settings import Chosen, Configuration, StoreSettings
from s3napback.stores import aws_settings
from s3napback.stores.aws_settings import read_aws_settings
from s3napback.stores.choosing import AwsSettings, chosen_server, former_identity_of, identity_of
from s3napback.surroundings import store_settings

PLAIN = StoreSettings(bucket="backups")
FILE = """
[default]
endpoint_url = http://default.example:1
[profile plain]
region = cn-north-1
[profile own]
endpoint_url = http://own.example:1
[profile parts]
services = local
endpoint_url = http://second.example:1
[profile others]
services = without
endpoint_url = http://others.example:1
[profile ignoring]
ignore_configured_endpoint_urls = true
endpoint_url = http://ignored.example:1
[services local]
s3 =
  endpoint_url = http://parts.example:1
[services without]
dynamodb =
  endpoint_url = http://dynamodb.example:1
"""


@pytest.fixture
def settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "config"
    path.write_text(FILE)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return path


def as_boto3_chooses() -> str:
    """Where botocore would send a request; empty for Amazon's."""
    client = botocore.session.Session().create_client(
        "s3", "eu-west-1", aws_access_key_id="k", aws_secret_access_key="s"
    )
    url = client.meta.endpoint_url
    return "" if "amazonaws.com" in url else url


@pytest.mark.parametrize(
    "variables",
    [
        *({"AWS_PROFILE": name} for name in ("default", "plain", "own", "parts", "others", "ignoring")),
        {},
        {"AWS_ENDPOINT_URL": "http://all.example:2"},
        {"AWS_ENDPOINT_URL": "", "AWS_PROFILE": "own"},
        {"AWS_ENDPOINT_URL": "http://all.example:2", "AWS_ENDPOINT_URL_S3": "http://s3.example:2"},
        {"AWS_ENDPOINT_URL_S3": "http://s3.example:2", "AWS_PROFILE": "parts"},
        {"AWS_ENDPOINT_URL": "http://all.example:2", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "TRUE"},
        {"AWS_ENDPOINT_URL": "http://all.example:2", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "no"},
        {"AWS_PROFILE": "ignoring", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false"},
        {"AWS_DEFAULT_PROFILE": "own", "AWS_PROFILE": "parts"},
    ],
    ids=str,
)
def test_the_server_is_the_one_that_boto3_chooses(
    settings_file: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    chosen = store_settings(Configuration(settings_file, store=PLAIN)).chosen
    assert chosen.endpoint == as_boto3_chooses()
    expected = f"{chosen.endpoint or 's3:'}/backups" if chosen.region != "cn-north-1" else "s3:aws-cn/backups"
    assert identity_of(replace(PLAIN, chosen=chosen)) == expected


def test_a_server_may_stand_beside_the_credentials(settings_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings_file.unlink()
    settings_file.with_name("credentials").write_text("[default]\nendpoint_url = http://beside.example:1\n")
    assert chosen_server(found(has_key_file=False)).endpoint == "http://beside.example:1" == as_boto3_chooses()


def found(*, has_key_file: bool) -> AwsSettings:
    return read_aws_settings(os.environ, has_key_file=has_key_file)


def test_a_profile_that_is_not_there_does_not_matter_beside_a_key_file(
    settings_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert chosen_server(found(has_key_file=True)).endpoint == "http://default.example:1"
    assert chosen_server(found(has_key_file=False)).endpoint == ""


@pytest.mark.parametrize(
    "text", ["[profile x\nendpoint_url", "endpoint_url", "[profile default]\nservices = gone\nregion = x"]
)
def test_settings_that_make_no_sense_choose_nothing(settings_file: Path, text: str) -> None:
    settings_file.write_text(text)
    assert chosen_server(found(has_key_file=False)).endpoint == ""


def test_what_the_environment_chooses_is_as_good_as_endpoint() -> None:
    url = "https://s3.example.org:9000"
    for written in (url, f"{url}/"):
        chosen = replace(PLAIN, chosen=Chosen(written))
        assert identity_of(chosen) == identity_of(replace(PLAIN, endpoint=url)) == f"{url}/backups"
        assert former_identity_of(chosen) == "s3:/backups"
    assert not former_identity_of(replace(PLAIN, endpoint=url))


def test_names_stay_as_they_are_where_nothing_is_chosen() -> None:
    for store in (PLAIN, replace(PLAIN, region="eu-central-1"), replace(PLAIN, chosen=Chosen(region="us-west-2"))):
        assert identity_of(store) == "s3:/backups"
        assert not former_identity_of(store)
    folder = StoreSettings(folder=Path("/srv/vault"), chosen=Chosen("http://somewhere"))
    assert identity_of(folder) == "file:///srv/vault"
    assert not former_identity_of(folder)


@pytest.mark.parametrize(
    "url",
    [
        "https://s3.eu-west-1.amazonaws.com",
        "https://bucket.vpce-1.s3.us-east-1.vpce.amazonaws.com/",
        "https://x.amazonaws.eu",
    ],
)
def test_another_way_to_amazons_buckets_is_no_other_server(url: str) -> None:
    assert identity_of(replace(PLAIN, chosen=Chosen(url))) == "s3:/backups"


@pytest.mark.parametrize("url", ["https://notamazonaws.com", "https://amazonaws.com.example.org", "http://[broken"])
def test_a_server_that_is_only_called_like_amazons_is_another(url: str) -> None:
    assert identity_of(replace(PLAIN, chosen=Chosen(url))) == f"{url}/backups"


def test_neither_user_nor_password_of_a_server_become_a_name() -> None:
    chosen = chosen_server(AwsSettings({"AWS_ENDPOINT_URL": "http://user:pass@word@host:1/path@x"}))
    assert chosen.endpoint == "http://host:1/path@x"


def test_each_part_of_amazon_has_buckets_of_its_own() -> None:
    file = Path(botocore.__file__).parent / "data" / "partitions.json"
    partitions = json.loads(file.read_text())["partitions"]
    regions = {region: each["id"] for each in partitions for region in each["regions"] if "global" not in region}
    assert len(set(regions.values())) > 6
    for region, name in regions.items():
        expected = f"s3:{'' if name == 'aws' else name}/backups"
        assert identity_of(replace(PLAIN, region=region)) == expected
        assert identity_of(replace(PLAIN, chosen=Chosen(region=region))) == expected
        assert former_identity_of(replace(PLAIN, region=region)) == ("" if name == "aws" else "s3:/backups")


def test_what_can_be_read_only_once_is_left_to_whoever_needs_credentials(settings_file: Path) -> None:
    path = settings_file.with_name("credentials")
    os.mkfifo(path)
    writer = os.open(path, os.O_RDWR)
    os.write(writer, b"[default]\nendpoint_url = http://once.example:1\n")
    assert chosen_server(found(has_key_file=False)).endpoint == ""
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    assert os.read(reader, 100).startswith(b"[default]")
    os.close(reader)
    os.close(writer)


def test_a_disk_that_is_away_holds_nobody_up(settings_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_settings, "_SECONDS", 0.05)
    is_back = threading.Event()
    monkeypatch.setattr(aws_settings, "_may_matter", lambda _path: is_back.wait(60))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://environment.example:1")
    began = time.monotonic()
    assert chosen_server(found(has_key_file=False)).endpoint == "http://environment.example:1"
    assert time.monotonic() - began < 30
    is_back.set()
