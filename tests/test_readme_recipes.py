"""The manual's recipes for recovering by hand, taken from its text and run with plain tools only."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gpg_keys import GpgHome, gpg_home
from tests.original.vectors import Bucket as OriginalBucket
from tests.original.vectors import Nights as OriginalNights
from tests.recipes import BACKUPS, adapted, encrypted, run_recipe
from tests.servers import S3Server
from tests.site import Site

pytestmark = pytest.mark.long(30)

NIGHTS = range(3)


@pytest.fixture(scope="module")
def backups_key() -> Iterator[GpgHome]:
    with gpg_home() as home:
        home.make_key(f"Backups <{BACKUPS}>")
        yield home


def change(folder: Path, night: int) -> None:
    """What happens to a tree in one day: an edit, a deletion, a rename of a folder, new links."""
    (folder / "kept").write_text("never changed")
    (folder / "edited").write_text(f"edition {night}")
    (folder / f"new {night}").write_bytes(os.urandom(3000))
    (folder / f"new {night - 1}").unlink(missing_ok=True)
    (folder / f"folder {night}").mkdir()
    if night:
        (folder / f"folder {night - 1}").rename(folder / f"folder {night}" / "moved")
    (folder / f"link {night}").symlink_to("edited")
    (folder / f"folder {night}").chmod(0o710)


def back_up_three_nights(site: Site, home: GpgHome) -> list[str]:
    """Fill the store; returns the keys of the chain, without the folder that the source is in."""
    site.configure_cycle("Diffs 6\nFulls 2", general=encrypted(home))
    for night in NIGHTS:
        change(site.source, night)
        site.run(day=night)
    assert site.slots() == ["0-FULL", "1-DIFF", "2-DIFF"]
    return site.slots()


def assert_same_trees(one: Path, other: Path) -> None:
    """Names, kinds, modes, times and contents."""
    listing = ["find", ".", "-printf", r"%p %y %m %U %G %l %T@\n"]
    listed = [subprocess.run(listing, cwd=each, check=True, capture_output=True).stdout for each in (one, other)]
    assert sorted(listed[0].splitlines()) == sorted(listed[1].splitlines())
    subprocess.run(["diff", "-r", "--no-dereference", str(one), str(other)], check=True)


def assert_names_the_chain(printed: str, site: Site) -> None:
    """Each archive's id, and its parent's, can be read from what the recipe prints."""
    metadata = [site.metadata(f"{site.name()}-{slot}") for slot in site.slots()]
    for each in metadata:
        ids = [each["s3napback-id"], each.get("s3napback-parent", "")]
        assert all(identity in printed for identity in ids)
    assert printed.count(metadata[0]["s3napback-id"]) == 2
    assert printed.count(metadata[2]["s3napback-id"]) == 1


def test_recovery_by_hand_from_a_folder(tmp_path: Path, backups_key: GpgHome) -> None:
    site = Site(tmp_path / "site")
    slots = back_up_three_nights(site, backups_key)
    name = site.name()

    chain = adapted("chain in a folder", {"store=/srv/vault": f"store={site.vault}", "name=etc": f"name={name}"})
    printed = run_recipe(chain, backups_key)
    assert_names_the_chain(printed, site)

    sums = {"/srv/vault": str(site.vault), "etc-0-FULL": f"{name}-0-FULL", "etc-1-DIFF": f"{name}-1-DIFF"}
    assert run_recipe(adapted("checksum in a folder", sums), backups_key).count(": OK") == 2

    target = tmp_path / "recovered"
    names = {f"etc-{slot}": f"{name}-{slot}" for slot in slots}
    places = {"/srv/vault": str(site.vault), "/srv/recovered": str(target)}
    index = {"/srv/vault": str(site.vault), "etc-0-FULL": f"{name}-0-FULL"}
    told = run_recipe(adapted("index in a folder", index), backups_key)
    assert told.startswith("s3napback-index 1\narchive ")
    members = {line.rpartition(" ")[2] for line in told.splitlines()}
    assert {path.name for path in site.source.iterdir() if path.is_file()} & members
    run_recipe(adapted("directory from a folder", {**names, **places}), backups_key)
    assert_same_trees(site.source, target / name)


def test_the_recipe_fails_where_an_archive_was_tampered_with(tmp_path: Path, backups_key: GpgHome) -> None:
    site = Site(tmp_path / "site")
    back_up_three_nights(site, backups_key)
    archive = site.vault / f"{site.name()}-1-DIFF"
    content = archive.read_bytes()
    # gpg writes out all of it before it comes to the end mark, so gzip and tar find nothing wrong
    archive.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    names = {f"etc-{slot}": f"{site.name()}-{slot}" for slot in site.slots()}
    places = {"/srv/vault": str(site.vault), "/srv/recovered": str(tmp_path / "recovered")}
    with pytest.raises(AssertionError):
        run_recipe(adapted("directory from a folder", {**names, **places}), backups_key)


def test_recovery_by_hand_from_s3(tmp_path: Path, backups_key: GpgHome, rclone: S3Server) -> None:
    site = Site(tmp_path / "site", rclone)
    slots = back_up_three_nights(site, backups_key)
    aws = {"aws ": f"aws --endpoint-url {rclone.endpoint} "}
    name = site.name()
    # It leaves a note beside the newest archive.
    site.run("verify", "--keyless", day=None)

    chain = adapted("chain on S3", {**aws, "bucket=my-backups": f"bucket={site.bucket}", "name=etc": f"name={name}"})
    printed = run_recipe(chain, backups_key, rclone.environment())
    assert_names_the_chain(printed, site)
    assert [line for line in printed.splitlines() if line.startswith(name)] == [f"{name}-{slot}" for slot in slots]

    sums = {**aws, "my-backups/etc-0-FULL": f"{site.bucket}/{name}-0-FULL"}
    first, second = run_recipe(adapted("checksum on S3", sums), backups_key, rclone.environment()).splitlines()
    assert first.split()[0] == second.split()[0]

    target = tmp_path / "recovered"
    names = {f"etc-{slot}": f"{name}-{slot}" for slot in slots}
    places = {"my-backups": site.bucket, "/srv/recovered": str(target)}
    run_recipe(adapted("directory from S3", {**aws, **names, **places}), backups_key, rclone.environment())
    assert_same_trees(site.source, target / name)


def test_only_what_the_perl_tool_left_is_deleted_by_its_recipe(
    tmp_path: Path, backups_key: GpgHome, moto: S3Server
) -> None:
    bucket = moto.make_bucket()
    chunks = [f"/etc-0-FULL:{0:020d}", f"/etc-0-FULL:{1:020d}", f"/home/build-3-DIFF:{0:020d}"]
    ours = ["etc-0-FULL", "etc-0-FULL.sha256", "MySQL/a:b-0", "srv/12:30-0-FULL"]
    for key in [*chunks, *ours]:
        moto.client().put_object(Bucket=bucket, Key=key, Body=b"x")
    command = adapted("Perl's objects", {"aws ": f"aws --endpoint-url {moto.endpoint} ", "my-backups": bucket})
    shown = run_recipe(command, backups_key, moto.environment())
    assert sorted(re.findall(rf"delete: s3://{bucket}/(.+)", shown)) == sorted(chunks)
    assert shown.count("(dryrun)") == len(chunks)
    run_recipe(command.replace(" --dryrun", ""), backups_key, moto.environment())
    left = [found["Key"] for found in moto.client().list_objects_v2(Bucket=bucket)["Contents"]]
    assert sorted(left) == sorted(ours)


def test_what_the_original_left_comes_back_by_hand(tmp_path: Path, backups_key: GpgHome, moto: S3Server) -> None:
    source = tmp_path / "etc"
    source.mkdir()
    (source / "big").write_bytes(os.urandom(30_000))
    (source / "gone").touch()
    bucket = OriginalBucket()
    nights = OriginalNights(bucket, str(source), tmp_path / "snapshot")
    (recipient,) = backups_key.fingerprints()

    def encrypted_by_it(data: bytes) -> bytes:
        return backups_key.run("-r", recipient, "-e", stdin=data)

    nights.run(3, "FULL", encrypted_by_it)
    (source / "gone").unlink()
    (source / "new").write_text("new")
    nights.run(4, "DIFF", encrypted_by_it)
    name = moto.make_bucket()
    for key, (_, data) in bucket.objects.items():
        moto.client().put_object(Bucket=name, Key=key, Body=data)
    target = tmp_path / "recovered"
    changes = {
        "aws ": f"aws --endpoint-url {moto.endpoint} ",
        "my-backups": name,
        "/srv/recovered": str(target),
        "/etc-": f"{source}-",
    }
    shown = run_recipe(adapted("original's archives by hand", changes), backups_key, moto.environment())
    assert len(shown.splitlines()) == len(bucket.objects)
    # The original's tar kept whole seconds.
    subprocess.run(["diff", "-r", str(source), str(target / str(source)[1:])], check=True)
