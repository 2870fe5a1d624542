"""Fixtures for tests of the stores: an empty folder, and a bucket with an old object in it, behind a faulty proxy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from s3napback.stores.directory import DirectoryStore
from s3napback.stores.s3_client import _Beginning
from tests.faulty_s3 import FaultyS3
from tests.servers import S3Server
from tests.stores.s3_bench import S3Bench


@pytest.fixture
def on_moto(moto: S3Server, faulty: Callable[[S3Server], FaultyS3]) -> S3Bench:
    """moto does not look at signatures, so that bodies may be changed on the way."""
    return S3Bench(moto, faulty(moto))


@pytest.fixture
def on_rclone(rclone: S3Server, faulty: Callable[[S3Server], FaultyS3]) -> S3Bench:
    """rclone looks at signatures, and takes parts of any size."""
    return S3Bench(rclone, faulty(rclone))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of a directory store."""
    folder = tmp_path / "vault"
    folder.mkdir()
    return folder


@pytest.fixture
def store(root: Path) -> DirectoryStore:
    """The store of that folder."""
    return DirectoryStore(root)


@pytest.fixture(autouse=True)
def _beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this process knows of who gives no credentials is another test's."""
    monkeypatch.setattr("s3napback.stores.s3_client._BEGINNING", _Beginning())
