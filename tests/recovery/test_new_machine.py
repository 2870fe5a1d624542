"""A machine that has nothing of the old one but its configuration."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.gpg_keys import Key
from tests.site import Site


def test_the_whole_configuration_of_the_old_machine_will_do_without_its_folders_and_keyring(
    site: Site, key: Key, tmp_path: Path
) -> None:
    keyring = tmp_path / "backups.pub"
    keyring.write_bytes(key.home.export())
    general = f"TempDir {site.temp_dir}\nGpgKeyring {keyring}\nGpgRecipient {key.home.fingerprints()[0]}"
    site.configure_cycle("Fulls 2", general=f"{general}\nGpgHome {key.home.path}")
    (site.source / "file").write_text("content")
    site.run(day=0)
    keyring.unlink()
    shutil.rmtree(site.diff_dir)
    shutil.rmtree(site.temp_dir)
    where = tmp_path / "restored"
    site.run("restore", str(site.source), "--to", str(where), day=0)
    assert (where / site.name() / "file").read_text() == "content"
    assert f"GpgKeyring {keyring} cannot be read" in site.run(day=1, expect=2).stderr
