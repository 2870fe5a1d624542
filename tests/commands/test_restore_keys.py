"""``restore`` of archives whose metadata the store does not have any more."""

from __future__ import annotations

from pathlib import Path

from tests.gpg_keys import Key
from tests.recovery.helpers import nights
from tests.site import Site
from tests.sources.trees import assert_same_tree

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
