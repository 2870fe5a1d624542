"""What hatchling does besides, when it builds a wheel: it makes the man pages, which come into ``share/man``."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import suppress
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManualPages(BuildHookInterface):  # type: ignore[type-arg]
    """Makes the man pages in a folder of their own, so that the checkout stays as it is."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make them, and say where they are and where they go."""
        # also a build that fails, of which nobody is told here, leaves nothing behind
        self._made = tempfile.TemporaryDirectory(prefix="s3napback-man-")
        folder = self._made.name
        generator = Path(self.root, ".packaging", "manual_pages")
        # in a process of its own, whose modules are those of this checkout, whatever is installed
        subprocess.run([sys.executable, "-B", generator, folder], check=True)
        for path in sorted(Path(folder).rglob("*.[1-8]")):
            build_data["shared_data"][str(path)] = f"share/man/{path.relative_to(folder)}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove them, and what Python has kept of this file: whoever builds finds the checkout as it was."""
        self._made.cleanup()
        compiled = Path(cache_from_source(__file__))
        compiled.unlink(missing_ok=True)
        with suppress(OSError):
            compiled.parent.rmdir()
