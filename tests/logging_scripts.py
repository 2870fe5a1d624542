"""Lines of Python that log, run in a process of their own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import s3napback

PREPARE = """
import logging, sys
from pathlib import Path
from s3napback.errors import UnusableConfiguration
from s3napback.logs import configure_logging, logger_for
def start(log_config=None, configuration="/nonexistent/s3napback.conf", debug=False):
    try:
        configure_logging(log_config and Path(log_config), [Path(configuration)], debug)
    except UnusableConfiguration as error:
        logging.getLogger("s3napback").error("still heard")
        sys.exit(f"refused: {error}")
"""


def run(script: str, *arguments: object, redirect_errors: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run lines of Python after ``PREPARE``; ``sys.argv[1:]`` are the arguments."""
    command = [sys.executable, "-W", "error", "-c", PREPARE + script, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(Path(s3napback.__file__).parent.parent)}
    with contextlib.ExitStack() as stack:
        errors = stack.enter_context(redirect_errors.open("w")) if redirect_errors else subprocess.PIPE
        return subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd="/",
            env=environment,
            text=True,
            check=False,
            timeout=60,
        )


def log_lines(script: str, *arguments: object) -> list[str]:
    """The lines on standard error of a script that succeeds."""
    result = run(script, *arguments)
    assert result.returncode == 0, result.stderr
    return result.stderr.split("\n")[:-1]
