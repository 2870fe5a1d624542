"""Buckets that give nothing back at once, and buckets that let nothing go."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.faulty_s3 import Answer, Fault, FaultyS3, Forward, Request, answer
from tests.servers import S3Server
from tests.site import Site
from tests.sources.trees import describe_tree, tree_differences


def classes(site: Site, server: S3Server) -> dict[str, str]:
    listing = server.client().list_objects_v2(Bucket=site.bucket)["Contents"]
    return {found["Key"]: found.get("StorageClass", "STANDARD") for found in listing}


def test_what_lies_in_cold_storage_is_restored_by_what_the_message_names(tmp_path: Path, moto: S3Server) -> None:
    site = Site(tmp_path / "site", moto)
    site.configure_cycle("Diffs 6", general="StorageClass GLACIER")
    (site.source / "file").write_text("words")
    site.run()
    (key,) = site.archive_keys()
    stored = classes(site, moto)
    assert f"{key}.sha256" in stored
    assert {name for name, kind in stored.items() if kind != "STANDARD"} == {key}
    asked = site.run("restore", str(site.source), "--to", str(tmp_path / "out"), expect=1)
    for named in [each for each in classes(site, moto) if f"{each} lies" in asked.stderr]:
        moto.client().restore_object(Bucket=site.bucket, Key=named, RestoreRequest={"Days": 1})
    done = site.run("restore", str(site.source), "--to", str(tmp_path / "out"))
    assert "checksum" not in done.stderr
    assert (tmp_path / "out" / site.name() / "file").read_text() == "words"
    site.run("verify", "--keyless")


def test_a_checksum_that_an_earlier_version_stored_cold_blocks_nothing(tmp_path: Path, moto: S3Server) -> None:
    site = Site(tmp_path / "site", moto)
    site.configure_cycle("Diffs 6", general="StorageClass GLACIER")
    (site.source / "file").write_text("words")
    site.run()
    (key,) = site.archive_keys()
    lies = f"{key}.sha256"
    moto.client().copy_object(Bucket=site.bucket, Key=lies, CopySource=f"{site.bucket}/{lies}", StorageClass="GLACIER")
    asked = site.run("restore", str(site.source), "--to", str(tmp_path / "out"), expect=1)
    assert f"{key}.sha256 lies there as well (GLACIER)" in asked.stderr
    moto.client().restore_object(Bucket=site.bucket, Key=key, RestoreRequest={"Days": 1})
    done = site.run("restore", str(site.source), "--to", str(tmp_path / "out"))
    assert "is restored without a look at its checksum" in done.stderr
    assert (tmp_path / "out" / site.name() / "file").read_text() == "words"
    # Whether the day is done is told by the checksum where DiffDir has been lost.
    shutil.rmtree(site.diff_dir)
    site.diff_dir.mkdir()
    assert "1 done, 0 skipped, 0 failed" in site.run().stderr


def test_what_the_store_is_bringing_out_already_is_not_to_be_asked_for_again(
    tmp_path: Path, moto: S3Server, faulty: Callable[[S3Server], FaultyS3]
) -> None:
    """Amazon refuses that (RestoreAlreadyInProgress); moto brings out at once."""
    proxy = faulty(moto)
    site = Site(tmp_path / "site", proxy.server)
    site.configure_cycle("Diffs 6", general="StorageClass GLACIER")
    for day in range(2):
        (site.source / f"file{day}").write_text("words")
        site.run(day=day)
    full, diff = sorted(site.archive_keys(), key=lambda key: key.endswith("DIFF"))

    def come_out(request: Request, forward: Forward) -> Answer | None:
        found = forward(request)
        return replace(found, headers={**found.headers, "x-amz-restore": 'ongoing-request="true"'})

    def told() -> str:
        site.environment["XDG_CACHE_HOME"] = str(tmp_path / f"cache{len(proxy.seen)}")
        return site.run("restore", str(site.source), "--to", str(tmp_path / "out"), day=1, expect=1).stderr

    proxy.add(Fault("HeadObject", come_out, key=full))
    some = told()
    assert f"{diff} lies in cold storage (GLACIER)\n" in some
    assert "Ask the store to bring each of them out whose restoration is not under way" in some
    proxy.add(Fault("HeadObject", come_out, key=diff))
    every = told()
    assert every.count("and its restoration is under way") == 2
    assert "Wait until the store has brought out what lies in cold storage" in every
    assert "restore-object" not in every


def locked_bucket(server: S3Server, name: str) -> str:
    client = server.client()
    client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    client.put_object_lock_configuration(
        Bucket=name,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}},
        },
    )
    return name


def as_amazon_refuses(request: Request, forward: Forward) -> Answer | None:
    """What is to be locked must bear a sum of its bytes there, which moto does not ask for."""
    if any(name.lower() == "content-md5" or name.lower().startswith("x-amz-checksum-") for name in request.headers):
        return forward(request)
    return answer(400, "InvalidRequest")(request, forward)


def test_a_bucket_with_object_lock_and_a_default_retention_takes_archives_of_one_part_and_of_several(
    tmp_path: Path, moto: S3Server, faulty: Callable[[S3Server], FaultyS3]
) -> None:
    proxy = faulty(moto)
    proxy.add(Fault("PutObject|UploadPart", as_amazon_refuses))
    site = Site(
        tmp_path / "site", proxy.server, bucket=locked_bucket(moto, f"locked-{tmp_path.name.replace('_', '-')[-20:]}")
    )
    site.configure_cycle("Fulls 1\nDiffs 1\nCompression none", general="ChunkSize 5242880")
    (site.source / "big").write_bytes(bytes(7 << 20))
    for night in range(3):
        (site.source / f"file{night}").write_text(f"{night}")
        site.run(day=night)
    site.run("verify", day=2)
    site.run("restore", str(site.source), "--to", str(tmp_path / "out"), day=2)
    assert not tree_differences(describe_tree(site.source), describe_tree(tmp_path / "out" / site.name()))


def test_what_a_store_has_put_away_by_itself_is_restored_by_what_the_message_names(
    tmp_path: Path, moto: S3Server, faulty: Callable[[S3Server], FaultyS3]
) -> None:
    """moto knows no tiers: what Amazon answers of an object of INTELLIGENT_TIERING that lies in its archive tier."""
    proxy = faulty(moto)
    site = Site(tmp_path / "site", proxy.server)
    site.configure_cycle("Diffs 6", general="StorageClass INTELLIGENT_TIERING")
    (site.source / "file").write_text("words")
    site.run()
    (key,) = site.archive_keys()

    def put_away(request: Request, forward: Forward) -> Answer | None:
        if request.method == "GET":
            return answer(403, "InvalidObjectState")(request, forward)
        found = forward(request)
        return replace(found, headers={**found.headers, "x-amz-archive-status": "ARCHIVE_ACCESS"})

    proxy.add(Fault("HeadObject|GetObject", put_away, key=re.escape(key)))
    restore = ("restore", str(site.source), "--to", str(tmp_path / "out"))
    said = site.run(*restore, expect=1).stderr
    assert f"{key} lies in cold storage (ARCHIVE_ACCESS)\n" in said
    assert "--key KEY --restore-request '{}'" in said
    assert "Days=" not in said
    assert "lies in cold storage (ARCHIVE_ACCESS)" in site.run("verify", expect=1).stdout
    proxy.clear()
    site.run(*restore)
    assert (tmp_path / "out" / site.name() / "file").read_text() == "words"
