"""The sources' part: whether what is to be backed up is there, where it is a matter of files."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from s3napback.answering import PATIENCE, is_foreign, silent_among
from s3napback.chains import SourceState
from s3napback.config.settings import Configuration, Job
from s3napback.deciding.facts import Alarm
from s3napback.doctor.checks import Check, bad, good, unknown
from s3napback.errors import S3napbackError, without_subject
from s3napback.formatting import counted
from s3napback.kinds import kind_of
from s3napback.mounts import current_mounts
from s3napback.records import dataclass
from s3napback.sources.registry import Tools, expand_job, make_source
from s3napback.surroundings import find_gnu_tar

PART = "sources"


def check_sources(configuration: Configuration, states: Sequence[SourceState]) -> Iterator[Check]:
    """Whether directories, repositories and SQLite databases are there and hold something, as a night would look.

    What a Before brings about may not be there now. Of database servers and programs nothing is asked.
    """
    patient = [replace(job, settings=replace(job.settings, stall_timeout=int(PATIENCE))) for job in configuration.jobs]
    jobs = [job for job in patient if kind_of(job.kind).is_path]
    silent = set(silent_among([job.target for job in jobs], PATIENCE)) if _may_hang() else set()
    look = _Look(patient, {state.name: state for state in states}, _tools())
    there = 0
    for job in jobs:
        if job.target in silent:
            yield bad(PART, str(job.source), f"its file system has not answered for {PATIENCE:g} seconds: it hangs")
            continue
        found = list(look.at(job))
        there += not found
        yield from (_wrong(job, without_subject(each, str(job.source))) for each in found)
    if there:
        yield good(PART, "files", f"{counted(there, 'source')} of files can be looked at")


@dataclass(frozen=True)
class _Look:
    """Looks at sources.

    Attributes:
        jobs: all of the configuration.
        states: what is remembered, by name.
        tools: as a run has them.
    """

    jobs: Sequence[Job]
    states: Mapping[str, SourceState]
    tools: Tools

    def at(self, job: Job) -> Iterator[str]:
        """What is wrong with what a job stands for."""
        try:
            expansion = expand_job(job, self.jobs)
        except S3napbackError as error:
            yield str(error)
            return
        yield from (text for level, text in expansion.remarks if level >= logging.WARNING)
        for inner in expansion.jobs:
            state = self.states.get(inner.name)
            memory = state.newest.memory if state and state.newest else None
            try:
                notes = make_source(inner, self.tools).check(
                    had_content=bool(state and state.had_content), remembered=memory.notes if memory else {}
                )
            except S3napbackError as error:
                yield str(error)
            else:
                yield from (note for note in notes if isinstance(note, Alarm))


def _wrong(job: Job, found: str) -> Check:
    if job.settings.before:
        return unknown(PART, str(job.source), f"as it is now, without Before: {found}")
    return bad(PART, str(job.source), found)


def _may_hang() -> bool:
    return any(map(is_foreign, current_mounts()))


def _tools() -> Tools:
    try:
        return Tools(find_gnu_tar())
    except S3napbackError:  # told of among the tools
        return Tools()
