"""Recipes of the manual, run as a person would."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping

from tests import manual
from tests.gpg_keys import GpgHome
from tests.site import Site

BACKUPS = "backups@example.org"
"""Whose key archives are encrypted to."""


def run_recipe(recipe: str, home: GpgHome, environment: Mapping[str, str] | None = None) -> str:
    """Run a block of the manual with bash, as a person would, and return what it prints."""
    environment = {**os.environ, "GNUPGHOME": str(home.path), **(environment or {})}
    done = subprocess.run(
        ["bash", "-c", recipe], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def adapted(mark: str, replacements: Mapping[str, str]) -> str:
    """A block of the manual with other names in it; each of them must be there."""
    text = manual.marked(mark)
    for old, new in replacements.items():
        assert old in text, f"{old!r} is not in the block {mark!r}"
        text = text.replace(old, new)
    return text


def encrypted(home: GpgHome) -> str:
    """What a configuration says to encrypt to the key of the backups."""
    return f"GpgHome {home.path}\nGpgRecipient {BACKUPS}"


def key_of(site: Site, name: str) -> str:
    """The one archive under a name."""
    (key,) = (key for key in site.archive_keys() if key.startswith(f"{name}-"))
    return key
