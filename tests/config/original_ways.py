"""Reads ``original_ways.txt``: configurations as they were written for the original, and what is expected of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from s3napback.config.settings import Configuration, Job


@dataclass(frozen=True)
class Way:
    """One configuration. What is expected is ``LINE TEXT``, or of a job ``SOURCE SCHEDULE``."""

    name: str
    text: str
    warnings: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)

    def placed(self, folder: Path) -> str:
        """The text, with a folder to include."""
        included = folder / "conf.d"
        (included / "ignored").mkdir(parents=True, exist_ok=True)
        (included / ".hidden").write_text("<Directory /from/hidden>\n</Directory>\n")
        (included / "plain.conf").write_text("<Directory /from/plain>\n</Directory>\n")
        return self.text.replace("FOLDER", "conf.d")


def ways() -> list[Way]:
    _, *parts = Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").split("\n=== ")
    found = []
    for part in parts:
        name, *lines = part.rstrip().split("\n")
        said = [line[2:].split(" ", 1) for line in lines if line.startswith("! ")]
        text = "".join(f"{line}\n" for line in lines if not line.startswith("! "))
        kinds = {kind: [rest for word, rest in said if word == kind] for kind in ("warning", "error", "job")}
        found.append(Way(name, text, kinds["warning"], kinds["error"], kinds["job"]))
    return found


def described(job: Job) -> str:
    """A job as the file of expectations writes it."""
    settings = job.settings
    more = ["UseTempFile"] * settings.use_temp_file + list(settings.mysql_options)
    return " ".join([str(job.source), job.schedule.describe(), *more])


def plan(configuration: Configuration) -> list[str]:
    """All that is planned, in order."""
    return [described(job) for job in configuration.jobs]
