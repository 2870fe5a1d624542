"""Clients are made from less than the whole description of S3: it must be enough."""

from __future__ import annotations

import json
import re
from pathlib import Path

import botocore
import botocore.session
import pytest
from botocore import xform_name
from botocore.loaders import Loader

import s3napback.stores
from s3napback.stores.s3_model import OPERATIONS, use_model

WHOLE = Loader().load_service_model("s3", "service-2")
METHODS = {xform_name(operation): operation for operation in WHOLE["operations"]}


def session() -> botocore.session.Session:
    made = botocore.session.Session()
    use_model(made)
    made.set_credentials("key", "secret")
    return made


def operations_in(*files: Path) -> set[str]:
    text = "".join(file.read_text() for file in files)
    return {operation for method, operation in METHODS.items() if re.search(rf"\.{method}\(", text)}


def test_a_client_has_a_method_for_whatever_is_asked_of_it_by_us_and_by_botocore_itself() -> None:
    ours = operations_in(*Path(*s3napback.stores.__path__).glob("*.py"))
    assert {"PutObject", "UploadPart", "ListObjectsV2", "PutBucketPolicy"} <= ours
    folder = Path(botocore.__file__).parent
    theirs = operations_in(*(folder / name for name in ("utils.py", "handlers.py", "client.py", "endpoint.py")))
    assert {"CreateSession", "HeadBucket"} <= theirs
    assert ours | theirs == OPERATIONS


def test_what_is_left_of_the_description_is_as_botocore_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # botocore changes what it has once read for a request; this is read anew, since it is looked for here as well.
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))
    model = session().get_component("data_loader").load_service_model("s3", "service-2")
    assert {**model, "operations": {}} == {**WHOLE, "operations": {}}
    assert model["operations"] == {name: WHOLE["operations"][name] for name in OPERATIONS}


def test_credentials_can_be_had_from_other_services() -> None:
    client = session().create_client("sts", region_name="eu-west-1")
    assert client.meta.endpoint_url == "https://sts.eu-west-1.amazonaws.com"
    assert hasattr(client, "assume_role")


def test_a_description_of_ones_own_is_taken_as_botocore_takes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "s3" / WHOLE["metadata"]["apiVersion"]
    folder.mkdir(parents=True)
    named = {**WHOLE, "metadata": {**WHOLE["metadata"], "serviceFullName": "a store of our own"}}
    (folder / "service-2.json").write_text(json.dumps(named))
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))
    client = session().create_client("s3", region_name="eu-west-1")
    assert client.meta.service_model.metadata["serviceFullName"] == "a store of our own"
