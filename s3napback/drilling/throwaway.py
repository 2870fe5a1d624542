"""A server of databases for one proof: started in a scratch folder, on a socket there, and gone afterwards.

What a dump makes of it is its maker's business, who may be a thief. So the server, and every client of it, has the
rights of nobody, can change nothing but the scratch folder, gets no network and nothing of our environment by which a
live server could be found.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import field
from pathlib import Path

from s3napback.drilling.blame import lacks_room
from s3napback.drilling.complaints import ClientWords, Complaints, in_short
from s3napback.drilling.scratch import Scratch
from s3napback.environment import Family, child_environment
from s3napback.errors import PipelineError, S3napbackError
from s3napback.formatting import readable, shell_command
from s3napback.records import dataclass
from s3napback.streams.confinement import start_confined
from s3napback.streams.processes import Stage, rights_of, start_problem
from s3napback.streams.receiving import Receiver
from s3napback.streams.reviews import Review

_STARTING = 120.0  # seconds that a server may take to answer
_STEP = 0.1
_QUOTED_LINES = 10
_LEAST_ROOM = 1 << 20  # bytes; what wants more has failed by then
_MORE_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/libexec")


class NotTried(S3napbackError):
    """What an archive holds cannot be tried here, whatever it is."""


def find_server(names: Sequence[str], advice: str, folders: Sequence[Path] = ()) -> str:
    """The path of the first of several programs that is installed; those of servers are often not on PATH.

    Args:
        names: what it may be called.
        advice: what to do if there is none.
        folders: where to look first.

    Raises:
        NotTried: there is none.
    """
    places = os.pathsep.join((*map(str, folders), os.environ.get("PATH", os.defpath), *_MORE_FOLDERS))
    for name in names:
        if (found := shutil.which(name, path=places)) is not None:
            return found
    raise NotTried(f"{' or '.join(names)} is missing, so the dump cannot be loaded here: {advice}")


@dataclass(frozen=True)
class TrialTools:
    """Programs that work in a scratch folder.

    Attributes:
        scratch: the folder.
        environment: what they get.
    """

    scratch: Scratch
    environment: dict[str, str] = field(default_factory=dict)

    def stage(self, *command: str, review: Review | None = None) -> Stage:
        """One of them."""
        return Stage(
            command,
            environment={"HOME": str(self.scratch.path), "TMPDIR": str(self.scratch.path), **self.environment},
            folder=self.scratch.descriptor,
            offline=True,
            family=Family.PLAIN,
            user=self.scratch.user,
            review=review,
        )

    def answer(self, *command: str, text: str = "") -> str:
        """What one of them writes to its standard output.

        Args:
            command: the program and its arguments.
            text: what it reads.

        Raises:
            PipelineError: it failed; its own words are in the message.
        """
        stage = self.stage(*command)

        def start(path: str) -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**child_environment(os.environ, stage.family, stage.user), **stage.environment},
                cwd=path,
                start_new_session=True,
                **rights_of(stage.user),
            )

        try:
            process = start_confined(self.scratch.descriptor, start, offline=True)
        except OSError as error:
            raise PipelineError(start_problem(command[0], stage.user, error)) from error
        with process:
            try:
                found, said = process.communicate(text.encode(errors="surrogateescape"))
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            words = [f"  {readable(line)}" for line in said.splitlines()[-_QUOTED_LINES:]]
            raise PipelineError(f"{Path(command[0]).name} failed with exit status {process.returncode}:", *words)
        return found.decode(errors="surrogateescape")


@dataclass
class _ServerWords(ClientWords):
    """Reads along with a server, which may wait for ever for room on a full disk, and ends it then.

    Attributes:
        end: ends it.
    """

    end: Callable[[], None] | None = None

    def read(self, line: bytes) -> None:
        """See ``Review``."""
        text = readable(line)
        if lacks_room([text]):
            self.note(self.not_here, text)
            if self.end is not None:
                self.end()


@dataclass(frozen=True)
class Server:
    """A server that runs, or did.

    Attributes:
        process: its own.
        words: what it said.
        scratch: where it keeps everything.
    """

    process: Receiver
    words: ClientWords
    scratch: Scratch

    def obstacle(self, client: Complaints, name: str) -> tuple[str, ...]:
        """Why a dump could not be tried here, whatever it is; empty if nothing kept it from that.

        Args:
            client: what the client said that loads it.
            name: of the client.
        """
        folder = self.scratch.path.parent
        room = os.statvfs(self.scratch.path)
        is_full = bool(room.f_blocks) and room.f_bavail * room.f_frsize < _LEAST_ROOM
        if is_full or self.words.not_here or lacks_room([*client.flaws, *client.not_here]):
            said = (*self.words.not_here, *client.not_here, *client.flaws)
            return (f"there is not enough room in {folder}: name another folder with --scratch", *in_short(said))
        if client.not_here:
            return (
                f"the dump cannot be tried here, since the server lacks what it needs; {name} said:",
                *(in_short(client.not_here)),
            )
        if client.has_died or self.process.has_ended:
            # Its last words come with its end.
            return ("the server for the proof has ended before its time; it said last:", *in_short(self.said()))
        return ()

    def said(self) -> list[str]:
        """Its last words."""
        return [readable(word.encode(errors="surrogateescape")) for word in self.process.words()]


@contextmanager
def running(tools: TrialTools, command: Sequence[str], ping: Sequence[str]) -> Iterator[Server]:
    """Run a server until the end of the block.

    Args:
        tools: where.
        command: the server's.
        ping: a command that succeeds as soon as it answers.

    Raises:
        NotTried: it does not start; its own words are in the message.
    """
    words = _ServerWords()
    with Receiver(tools.stage(*command, review=words)) as server:
        words.end = server.end
        deadline = time.monotonic() + _STARTING
        while True:
            try:
                tools.answer(*ping)
            except PipelineError:
                if server.has_ended or time.monotonic() > deadline:
                    raise NotTried(*_not_started(command, server.words())) from None
                time.sleep(_STEP)
            else:
                break
        yield Server(server, words, tools.scratch)


def _not_started(command: Sequence[str], words: Sequence[str]) -> Iterator[str]:
    yield f"the server for the proof does not start: {shell_command(command)}" + ":" * bool(words)
    yield from (f"  {readable(word.encode(errors='surrogateescape'))}" for word in words)
    if any("Permission denied" in word or "Errcode: 13" in word for word in words) and _is_armoured():
        yield (
            "  AppArmor may keep it from the scratch folder: allow it there (/etc/apparmor.d/local), or name a folder "
            "that it may use with --scratch"
        )


def _is_armoured() -> bool:
    return Path("/sys/module/apparmor").is_dir()
