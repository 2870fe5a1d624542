"""What boto3 is told and can make nothing of is told as such: it is neither a bug of ours nor an outage."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from s3napback.errors import UnusableStore
from s3napback.stores.s3 import S3Store
from tests.servers import ACCESS_KEY, SECRET_KEY, S3Server
from tests.site import Site

CODE = """role_arn = arn:aws:iam::1:role/x
mfa_serial = arn:aws:iam::1:mfa/u
source_profile = other
[profile other]
aws_access_key_id = x
aws_secret_access_key = y"""
NUMBERS = json.dumps({"Version": 1, "AccessKeyId": 7, "SecretAccessKey": 8})


@pytest.mark.parametrize(
    ("text", "variable", "value", "reason"),
    [
        ("s3 = nonsense", "", "", "~/.aws, or .*makes no sense.*no attribute"),
        ("metadata_service_timeout = soon", "", "", "metadata_service_timeout in ~/.aws, is no number"),
        ("", "AWS_METADATA_SERVICE_NUM_ATTEMPTS", "x", "AWS_METADATA_SERVICE_NUM_ATTEMPTS, or .* is no number"),
        ("", "AWS_EC2_METADATA_SERVICE_ENDPOINT", "nonsense", "no usable credentials: Invalid endpoint.*nonsense"),
        ("", "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "nonsense", "no usable credentials: Invalid.*mode: nonsense"),
        ("", "AWS_ENDPOINT_URL", "http://127.0.0.1:1 ", "not a valid URI"),
        ("", "AWS_DEFAULT_REGION", "us-east-1\n", "a request cannot be sent: Region, .* holds a line break"),
        (
            "",
            "AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES",
            "-5",
            "Invalid value .-5.*correct it in ~/.aws, or in a variable",
        ),
        (
            "credential_process = HELPER",
            "",
            "",
            "no usable credentials: credential_process [^ ]*/helper: the access key is no text",
        ),
        ("secret", "", "", "/config cannot be read: line 2 is neither NAME=VALUE nor a .section.$"),
        ("region = a\nregion = b", "", "", "/config cannot be read: line 3 sets region a second time in .default.$"),
        ("", "AWS_PROFILE", "nobody", "no usable credentials: AWS_PROFILE names a profile .* not have, nobody .set"),
        ("", "AWS_PROFILE", "", "no usable credentials: AWS_PROFILE is set and empty .set"),
        ("", "AWS_CREDENTIAL_EXPIRATION", "2001-01-01T00:00:00Z", "environment .*AWS_CREDENTIAL_EXPIRATION .* expired"),
        (CODE, "", "", "no usable credentials: .* a code .mfa_serial.*nobody is there"),
    ],
)
def test_settings_of_boto3_that_make_no_sense_are_neither_a_bug_nor_an_outage(
    text: str, variable: str, value: str, reason: str, tmp_path: Path, moto: S3Server
) -> None:
    site = Site(tmp_path / "site")
    settings, helper = tmp_path / "config", tmp_path / "helper"
    helper.write_text(f"#!/bin/sh\necho '{NUMBERS}'\n")
    helper.chmod(0o700)
    settings.write_text(f"[default]\n{text.replace('HELPER', str(helper))}\n")
    site.configuration.write_text(f"Bucket some-bucket\nDiffDir {site.diff_dir}\nDirectory {site.source}\n")
    variables = {"AWS_CONFIG_FILE": str(settings), "AWS_EC2_METADATA_DISABLED": "false"}
    variables |= {"AWS_ENDPOINT_URL": moto.endpoint, "AWS_DEFAULT_REGION": "us-east-1"}
    if "credentials" not in reason:
        variables |= {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    site.environment |= {**variables, "HOME": str(tmp_path), **({variable: value} if variable else {})}
    said = site.run("list", expect=2).stderr
    assert re.search(f"cannot be used: .*{reason}", said, re.MULTILINE), said


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", r"Expecting value: .*\(JSONDecodeError\)"),
        ("'; exit 3; '", "it has failed, and has not said why: run it by hand"),
        ("'; echo locked >&2; exit 1; '", "Error when retrieving credentials from custom-process: locked"),
        ('{"Version": 1, "AccessKeyId": null, "SecretAccessKey": null}', "the access key is empty"),
        ('{"Version": 1, "AccessKeyId": "a", "SecretAccessKey": ""}', "the secret key is empty"),
        ("null", "what gives them has given something that makes no sense: .*NoneType"),
    ],
)
def test_what_gives_credentials_and_gives_none_is_told(
    answer: str, reason: str, tmp_path: Path, moto: S3Server
) -> None:
    site = Site(tmp_path / "site")
    (helper := tmp_path / "helper").write_text(f"#!/bin/sh\necho '{answer}'\n")
    helper.chmod(0o700)
    (tmp_path / "config").write_text(f"[default]\ncredential_process = {helper}\n")
    site.configuration.write_text(f"Bucket some-bucket\nDiffDir {site.diff_dir}\nDirectory {site.source}\n")
    site.environment |= {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_ENDPOINT_URL": moto.endpoint}
    said = site.run("list", expect=2, environment={"AWS_DEFAULT_REGION": "us-east-1", "HOME": str(tmp_path)}).stderr
    assert re.search(f"cannot be used: no usable credentials: credential_process {helper}: {reason}", said), said


def test_a_file_that_openssl_cannot_write_to_is_told(moto: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    store = S3Store(moto.settings(moto.make_bucket()), moto.credentials)
    monkeypatch.setenv("SSLKEYLOGFILE", "/nonexistent/keys")
    with pytest.raises(UnusableStore, match=r"TLS cannot be set up: .*'/nonexistent/keys'; look at SSLKEYLOGFILE"):
        store.check()
