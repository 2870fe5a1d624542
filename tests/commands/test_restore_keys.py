"""``restore`` of archives whose metadata the store does not have any more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3napback.stores import Store
from tests.gpg_keys import Key
from tests.recovery.helpers import nights
from tests.site import Site
from tests.sources.trees import RandomTree, assert_same_tree
from tests.stores.sources import BytesSource

GROUPS = "Diffs 6\nFulls 2"
"""The first day fills slot 0 with a FULL."""


def test_keys_restore_a_chain_that_lost_its_metadata(site: Site, key: Key, tmp_path: Path) -> None:
    site.configure_cycle(f"{GROUPS}\nCompression zstd", general=key.directives)
    nights(site, 2)
    copy = tmp_path / "copy"
    for found in site.archive_keys():
        (copy / found).parent.mkdir(parents=True, exist_ok=True)
        (copy / found).write_bytes(site.fetch(found))
    site.configuration.write_text(f"Bucket file://{copy}\nGpgHome {key.home.path}\n")
    refused = site.run("restore", str(site.source), "--to", str(tmp_path / "x"), day=None, expect=1)
    assert "--keys" in refused.stderr
    keys = [f"{site.name()}-{end}" for end in ("0-FULL", "1-DIFF")]
    site.run("restore", str(site.source), "--to", str(tmp_path / "out"), "--keys", *keys, day=None)
    assert_same_tree(site.source, tmp_path / "out" / site.name())
    missing = site.run(
        "restore", str(site.source), "--to", str(tmp_path / "x"), "--keys", "etc-0-FULL", day=None, expect=1
    )
    assert "etc-0-FULL" in missing.stderr


def test_keys_that_are_no_chain_are_restored_and_do_not_pass_for_a_night(site: Site, tmp_path: Path) -> None:
    site.configure_cycle(GROUPS)
    nights(site, 3)
    named = [f"{site.name()}-{end}" for end in ("0-FULL", "2-DIFF")]
    for where, keys in (("gap", named), ("no-full", named[1:])):
        words = ("restore", str(site.source), "--to", str(tmp_path / where), "--keys", *keys)
        done = site.run(*words, day=None, expect=1)
        assert f"what was restored is not what Directory {site.source} held in any night" in done.stderr
        assert (tmp_path / where / site.name()).is_dir()
        assert site.run("-t", *words[:3], str(tmp_path / "no"), *words[4:], day=None, expect=1).stdout


def forget(store: Store, keys: Iterator[str]) -> None:
    """Store objects anew as a program does that copies bytes alone."""
    for key in keys:
        store.put(key, BytesSource(b"".join(store.read(key))), {})


def test_what_was_copied_without_metadata_is_restored_by_what_the_checksums_tell(
    any_site: Site, key: Key, tmp_path: Path
) -> None:
    """The AWS command line of version 1 drops those of what is copied in parts, from one bucket to another."""
    site = any_site
    site.configure_cycle(GROUPS, general=f"{key.directives}\nPrefix some/where")
    tree = RandomTree(site.source, 11)
    for night in range(3):
        tree.edit(10)
        site.copy_source(tmp_path / f"as-of-{night}")
        site.run(day=night)
    forget(site.store(), iter(site.archive_keys()))
    site.configure_cycle(GROUPS, general=f"{key.directives}\nGpgHome {key.home.path}\nPrefix some/where")
    listed = json.loads(site.run("list", "--json").stdout)
    assert [each["restorable"] for each in listed["archives"]] == [True] * 3
    assert listed["archives"][0]["day"] == "2026-01-03"
    for night in range(3):
        where = tmp_path / f"restored-{night}"
        site.run("restore", str(site.source), "--to", str(where), "--at", f"2026-01-0{night + 1}", day=None)
        assert_same_tree(tmp_path / f"as-of-{night}", where / site.name(), hard_links=False)
    said = site.run("verify", "--keyless", "--all", day=None)
    assert said.stdout.count(": good") == 3
    assert said.stderr.count("the store has no metadata of") == 1
    refused = site.run("-f", "--full", expect=1).stderr
    assert "belongs to something other than s3napback, or a store that forgot its metadata" in refused


def test_a_copy_without_metadata_tells_what_its_original_tells(any_site: Site, tmp_path: Path) -> None:
    site = any_site
    site.configure_cycle(GROUPS)
    (site.source / "file").write_text("x")
    site.run()
    store, (archive,) = site.store(), site.archive_keys()
    unread = f"# unread 1\n# unread path /{site.name()}/lost\n".encode()
    noted = b"".join(store.read(f"{archive}.sha256")) + unread
    forget(store, iter([archive, f"{archive}.index"]))
    store.put(f"{archive}.sha256", BytesSource(noted), {})
    restored = site.run("restore", str(site.source), "--to", str(tmp_path / "out"), day=None)
    assert f"/{site.name()}/lost could not be read when {archive} of 2026-01-01 was made" in restored.stderr
    for words in (("verify", "--keyless"), ("verify",), ("drill",)):
        said = site.run(*words, day=None).stderr
        assert "is of no use" not in said
        assert "was replaced while" not in said
    (listed,) = json.loads(site.run("list", "--json").stdout)["archives"]
    assert listed["unread"] == 1
    assert {f"{archive}.proven", f"{archive}.verified"} <= {found.key for found in store.list("")}
    forget(store, iter([archive]))
    store.put(f"{archive}.index", BytesSource(b"another"), {})
    said = site.run("verify", "--keyless", day=None).stderr
    assert f"{archive}.index is of no use" in said
    assert "its SHA-256 is not the one in" in said


@pytest.mark.parametrize("is_longer", [False, True])
def test_a_checksum_does_not_speak_for_another_archive(site: Site, key: Key, tmp_path: Path, is_longer: bool) -> None:
    site.configure_cycle(GROUPS, general=f"{key.directives}\nGpgHome {key.home.path}")
    (site.source / "file").write_text("one")
    site.run()
    before = site.fetch(f"{site.name()}-0-FULL")
    while len(site.fetch(f"{site.name()}-0-FULL")) != len(before) or site.fetch(f"{site.name()}-0-FULL") == before:
        site.run("-f")
    other = before + b"x" * is_longer
    site.store().put(f"{site.name()}-0-FULL", BytesSource(other), {})
    said = "it has no metadata" if is_longer else "is damaged: its SHA-256"
    for words in (("restore", str(site.source), "--to", str(tmp_path / "out")), ("verify", "--keyless")):
        done = site.run(*words, day=None, expect=1)
        assert said in done.stdout + done.stderr


def test_a_day_that_is_still_to_come_is_said_to_be_that(site: Site, tmp_path: Path) -> None:
    site.configure_cycle(GROUPS)
    for day in (0, 400):
        site.run("-f", day=day)
    doubt = "of 2027-02-05, a day that is still to come; --at KEY chooses another"
    assert doubt in site.run("restore", str(site.source), "--to", str(tmp_path / "a"), day=1).stderr
    for day, options in ((400, ()), (1, ("--at", f"{site.name()}-8-FULL")), (1, ("--at", "2026-01-01"))):
        where = str(tmp_path / f"{day} {options}")
        assert "to come" not in site.run("restore", str(site.source), "--to", where, *options, day=day).stderr
