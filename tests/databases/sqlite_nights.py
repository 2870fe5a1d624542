"""Nights and restores of SQLite databases, within this process."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from s3napback.backup.tally import Tally
from s3napback.commands import backup, restore, verify
from s3napback.config.loading import load_configuration
from s3napback.deciding.facts import BackupOptions
from tests.site import FIRST_DAY, Site


def night(site: Site, body: str, number: int = 0, *, force: bool = False, general: str = "") -> Tally:
    """Back up what a configuration's body says."""
    site.configure(body, general=general)
    configuration = load_configuration(site.configuration)
    return backup.run(configuration, FIRST_DAY + timedelta(days=number), BackupOptions(force=force))


def restored(site: Site, word: str, where: Path) -> Path:
    """Restore the newest archive of a source."""
    configuration = load_configuration(site.configuration)
    request = restore.RestoreRequest(word, where)
    assert restore.restore(configuration, request, FIRST_DAY, print, lambda _question: None) == 0
    return where


def verified(site: Site, word: str) -> tuple[int, str]:
    """Verify the newest archive of a source: the exit code, and what was said."""
    lines: list[str] = []
    code = verify.verify(load_configuration(site.configuration), verify.VerifyRequest(word), FIRST_DAY, lines.append)
    return code, "\n".join(lines)
