"""A pipeline's reader sees the end only if every stage ended well, and nothing of it outlives it."""

from __future__ import annotations

import fcntl
import gc
import hashlib
import io
import logging
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from s3napback.config.settings import EncryptionSettings
from s3napback.encryption import prepare_encryption
from s3napback.errors import Interrupted, PipelineError
from s3napback.interrupts import deferred_signals
from s3napback.pipeline import Filter, Measured, Pipeline, Stage, make_filter, spool
from s3napback.pipes import PIPE_SIZE, open_pipe
from tests.gpg_keys import gpg_home

GZIP = make_filter("gzip")
ENDLESS = Stage(("cat", "/dev/zero"))
HANGING = "exec sleep 1000"
Fake = Callable[[str, str], Stage]


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    """Make a program of any name out of lines for the shell."""

    def make(name: str, script: str) -> Stage:
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return Stage((str(program),))

    return make


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No test may leave a descriptor, a thread, a child or an unclosed object behind."""
    descriptors, threads = open_descriptors(), threading.active_count()
    yield
    gc.collect()
    assert open_descriptors() == descriptors
    assert threading.active_count() == threads
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def open_descriptors() -> dict[str, str]:
    links = {}
    for path in Path("/proc/self/fd").iterdir():
        try:
            links[path.name] = str(path.readlink())
        except FileNotFoundError:  # the one that listed the folder
            continue
    return links


def read_all(source: Pipeline | Measured) -> bytes:
    buffer = memoryview(bytearray(100_000))
    collected = bytearray()
    while count := source.readinto(buffer):
        collected += buffer[:count]
    return bytes(collected)


def failure_of(*elements: Stage | Filter, stall_timeout: float | None = None) -> str:
    """Read until the pipeline says what is wrong; it must say so again when asked again."""
    with Pipeline(elements, stall_timeout=stall_timeout) as pipeline:
        with pytest.raises(PipelineError) as caught:
            read_all(pipeline)
        with pytest.raises(PipelineError):
            read_all(pipeline)
    return str(caught.value)


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def becomes(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


# A good stream


def test_a_tree_comes_back_out_of_tar_compression_and_gpg(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    content = os.urandom(3_000_000)
    (tree / "noise").write_bytes(content)
    with gpg_home() as home:
        home.make_key("vault@example.org")
        settings = EncryptionSettings(("vault@example.org",), home=home.path)
        with prepare_encryption(settings, date(2030, 1, 1)) as encryption:
            assert encryption is not None
            tar = Stage(("tar", "--create", "--file=-", f"--directory={tmp_path}", "tree"))
            with Pipeline([tar, GZIP, Stage(encryption.command)]) as pipeline:
                stored = read_all(pipeline)
        archive = home.decrypt(stored)
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as unpacked:
        member = unpacked.extractfile("tree/noise")
        assert member is not None
        assert member.read() == content
    assert pipeline.bytes_produced > len(content)
    assert pipeline.head[257:262] == b"ustar"
    assert pipeline.warnings == []


@pytest.mark.parametrize(
    "elements", [(), (Stage(("cat",)),), (Stage(("cat",)), Stage(("cat",))), (make_filter("none"),)]
)
def test_stages_and_filters_join_in_any_order(elements: tuple[Stage | Filter, ...]) -> None:
    with Pipeline([Stage(("seq", "300000")), *elements]) as pipeline:
        output = read_all(pipeline)
        assert pipeline.readinto(memoryview(bytearray(1))) == 0, "the end stays the end"
    assert output == b"".join(b"%d\n" % number for number in range(1, 300_001))
    assert pipeline.bytes_produced == len(output)
    assert pipeline.head == output[:512]


def test_a_pipeline_begins_with_a_process() -> None:
    with pytest.raises(TypeError):
        Pipeline([GZIP])


def test_an_empty_buffer_is_refused_for_it_would_look_like_the_end() -> None:
    with Pipeline([Stage(("echo",))]) as pipeline:
        with pytest.raises(ValueError, match="empty buffer"):
            pipeline.readinto(memoryview(b""))
        assert read_all(pipeline) == b"\n"


def test_the_first_stage_reads_nothing_and_speaks_english(fake: Fake) -> None:
    script = 'echo "$(readlink /proc/self/fd/0) $LC_ALL $EXTRA"'
    command = fake("probe", script).command
    with Pipeline([Stage(command, environment={"LC_ALL": "de_DE.UTF-8", "EXTRA": "more"})]) as pipeline:
        assert read_all(pipeline) == b"/dev/null C more\n"


def test_ctrl_c_in_a_terminal_does_not_reach_the_stages(fake: Fake) -> None:
    with Pipeline([fake("probe", 'cut -d" " -f5 "/proc/$$/stat"')]) as pipeline:
        assert int(read_all(pipeline)) != os.getpgid(0)


def test_pipes_hold_a_mebibyte() -> None:
    reader, writer = open_pipe()
    size = fcntl.fcntl(writer.fileno(), fcntl.F_GETPIPE_SZ)
    reader.close()
    writer.close()
    assert size == PIPE_SIZE


def test_memory_stays_flat_for_a_long_stream() -> None:
    program = """
import resource
from s3napback.pipeline import *
with Pipeline([Stage(("head", "--bytes=1G", "/dev/zero")), make_filter("none"), Stage(("cat",))]) as pipeline:
    measured, buffer = Measured(pipeline), memoryview(bytearray(1 << 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    while measured.readinto(buffer):
        pass
assert measured.size == pipeline.bytes_produced == 1 << 30
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert int(done.stdout) < 16_000, "kilobytes"


# Stages that fail


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo why >&2; exit 3", "tar failed with exit status 3:\n  why"),
        ("head -c 5000000 /dev/zero; exit 3", "tar failed with exit status 3"),
        ("seq 1000; exec >&-; sleep 0.2; exit 3", "tar failed with exit status 3"),
        ("seq 1000; kill -KILL $$", "tar was killed by SIGKILL, perhaps for want of memory"),
        ("seq 1000; kill -PIPE $$", "tar was killed by SIGPIPE"),
        ("exit 0", "tar produced nothing"),
    ],
    ids=["at the start", "in the middle", "after the last byte", "killed", "by a pipe of its own", "empty"],
)
@pytest.mark.parametrize("later", [(), (GZIP, Stage(("cat",)))], ids=["alone", "with later stages that end well"])
def test_a_failure_of_the_first_stage_is_no_end(
    fake: Fake, script: str, expected: str, later: tuple[Stage | Filter, ...]
) -> None:
    assert failure_of(fake("tar", script), *later) == expected


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo why >&2; exit 3", "gpg failed with exit status 3:\n  why"),
        ("head -c 50000; exit 3", "gpg failed with exit status 3"),
        ("kill -KILL $$", "gpg was killed by SIGKILL, perhaps for want of memory"),
        ("exit 0", "gpg ended before it had read everything"),
        ("head -c 50000", "gpg ended before it had read everything"),
        ("exec >&-; exec <&-; exit 0", "gpg ended before it had read everything"),
    ],
    ids=["at the start", "in the middle", "killed", "ends at once", "ends in the middle", "closes everything"],
)
@pytest.mark.parametrize("later", [(), (Stage(("cat",)),)], ids=["last", "in the middle"])
def test_a_failure_of_a_later_stage_is_told_and_not_what_follows_from_it(
    fake: Fake, script: str, expected: str, later: tuple[Stage | Filter, ...]
) -> None:
    assert failure_of(ENDLESS, GZIP, fake("gpg", script), *later) == expected


def test_a_later_stage_that_fails_after_the_last_byte_is_no_end(fake: Fake) -> None:
    assert failure_of(Stage(("seq", "9")), GZIP, fake("gpg", "cat; exit 3")) == "gpg failed with exit status 3"


def test_a_dump_that_complains_of_its_dead_reader_comes_second(fake: Fake) -> None:
    dump = fake("svnadmin", 'trap "" PIPE; head -c 9000000 /dev/urandom || { echo broken pipe >&2; exit 1; }')
    message = failure_of(dump, GZIP, fake("gpg", "echo no space >&2; exit 2"))
    assert message.splitlines()[:2] == ["gpg failed with exit status 2:", "  no space"]
    assert "svnadmin failed with exit status 1:" in message


def test_a_later_stage_that_complains_of_a_cut_stream_comes_second(fake: Fake) -> None:
    message = failure_of(fake("tar", "seq 9; exit 2"), fake("gpg", "cat >/dev/null; exit 1"))
    assert message.splitlines() == ["tar failed with exit status 2", "gpg failed with exit status 1"]


def test_a_dead_stage_is_told_at_once_though_the_dump_hangs(fake: Fake) -> None:
    began = time.monotonic()
    assert failure_of(fake("tar", f"echo; {HANGING}"), GZIP, fake("gpg", "exit 3")) == "gpg failed with exit status 3"
    assert failure_of(fake("tar", f"echo; {HANGING}"), GZIP, fake("gpg", "exit 0")).startswith("gpg ended before")
    assert time.monotonic() - began < 4


class FailingOnTheSecondBlock:
    """A compressor that breaks while the stream runs."""

    def __init__(self) -> None:
        self._blocks = 0

    def compress(self, block: memoryview, /) -> bytes:
        self._blocks += 1
        if self._blocks == 2:
            raise MemoryError("no room")
        return bytes(block)

    def finish(self) -> bytes:
        return b""


@pytest.mark.parametrize("later", [(), (Stage(("cat",)),)])
def test_a_failure_of_a_filter_is_told(later: tuple[Stage, ...]) -> None:
    assert failure_of(ENDLESS, Filter("squeeze", FailingOnTheSecondBlock), *later) == (
        "squeeze failed: MemoryError('no room')"
    )


def test_a_missing_program_is_named_and_the_others_are_ended() -> None:
    with pytest.raises(PipelineError, match="cannot start no-such-program: it is not installed"):
        with Pipeline([ENDLESS, GZIP, Stage(("no-such-program",))]):
            pass


def test_a_program_that_cannot_be_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=f"cannot start {tmp_path}: Permission denied"):
        with Pipeline([Stage((str(tmp_path),))]):
            pass


def test_arguments_that_no_program_can_take_are_an_error_of_the_pipeline() -> None:
    with pytest.raises(PipelineError, match="null byte"):
        with Pipeline([Stage(("echo", "a\0b"))]):
            pass


# What stages say


def test_a_file_that_grows_under_tar_is_a_warning(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(bytes(20_000_000))
    tar = Stage(("tar", "--create", "--file=-", f"--directory={tmp_path}", "log"), frozenset({1}))
    with Pipeline([tar]) as pipeline:
        assert pipeline.readinto(memoryview(bytearray(1000)))
        with log.open("ab") as file:
            file.write(b"grown")
        read_all(pipeline)
    assert pipeline.warnings == ["tar: log: file changed as we read it"]


def test_a_warning_code_without_words_is_a_warning_all_the_same(fake: Fake) -> None:
    stage = Stage(fake("tar", "echo; exit 1").command, frozenset({1}))
    with Pipeline([stage]) as pipeline:
        read_all(pipeline)
    assert pipeline.warnings == ["tar ended with exit status 1"]


def test_remarks_of_a_stage_that_ended_well_are_only_logged(fake: Fake, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "s3napback.pipeline"):
        with Pipeline([fake("tar", "echo; echo by the way >&2")]) as pipeline:
            read_all(pipeline)
    assert pipeline.warnings == []
    assert ("s3napback.pipeline", logging.DEBUG, "tar: by the way") in caplog.record_tuples


def test_a_flood_of_messages_neither_blocks_nor_fills_memory(fake: Fake) -> None:
    stage = Stage(fake("tar", "seq 200000 >&2; echo; exit 1").command, frozenset({1}))
    with Pipeline([stage, GZIP]) as pipeline:
        read_all(pipeline)
    numbers = [str(number) for number in range(1, 200_001)]
    assert pipeline.warnings == [*numbers[:20], "… 199930 lines left out …", *numbers[-50:]]


def test_a_message_without_an_end_is_cut(fake: Fake) -> None:
    message = failure_of(fake("tar", "tr '\\0' x </dev/zero | head -c 9000000 >&2; exit 1"))
    assert message == f"tar failed with exit status 1:\n  {'x' * 500}…"


def test_messages_cannot_command_a_terminal(fake: Fake) -> None:
    message = failure_of(fake("tar", r"printf 'a\033[2Jb\377c\000d\re\r\nlast' >&2; exit 1"))
    assert message.splitlines() == ["tar failed with exit status 1:", r"  a\x1b[2Jb�c\x00d\re", "  last"]


def test_only_the_last_lines_are_quoted_in_an_error(fake: Fake) -> None:
    message = failure_of(fake("tar", "seq 100 >&2; exit 1"))
    assert message.split() == ["tar", "failed", "with", "exit", "status", "1:", *map(str, range(91, 101))]


# Silence


def test_a_silent_dump_is_named(fake: Fake) -> None:
    message = failure_of(fake("tar", f"echo; echo waiting >&2; {HANGING}"), GZIP, Stage(("cat",)), stall_timeout=0.3)
    assert message == "tar has been silent for 0.3 seconds:\n  waiting"


def test_a_stage_that_stops_reading_is_named(fake: Fake) -> None:
    message = failure_of(ENDLESS, fake("gpg", HANGING), Stage(("cat",)), stall_timeout=0.3)
    assert message == "gpg has been silent for 0.3 seconds"


class Dozing:
    """A compressor that takes its time over the first block."""

    def compress(self, block: memoryview, /) -> bytes:
        time.sleep(1)
        return bytes(block)

    def finish(self) -> bytes:
        return b""


def test_a_filter_that_takes_too_long_is_named() -> None:
    message = failure_of(ENDLESS, Filter("squeeze", Dozing), Stage(("cat",)), stall_timeout=0.2)
    assert message == "squeeze has been silent for 0.2 seconds"


def test_a_stage_that_does_not_end_is_named(fake: Fake) -> None:
    message = failure_of(Stage(("echo",)), fake("gpg", f"cat; exec >&-; {HANGING}"), stall_timeout=0.3)
    assert message == "gpg closed its output but did not end within 0.3 seconds"


def test_a_slow_upload_is_no_silence() -> None:
    with Pipeline([Stage(("seq", "300000"))], stall_timeout=0.2) as pipeline:
        assert pipeline.readinto(memoryview(bytearray(1)))
        time.sleep(0.5)
        read_all(pipeline)


def test_progress_that_has_not_reached_the_output_is_no_silence(fake: Fake) -> None:
    slow = fake("tar", "for n in 1 2 3 4 5 6; do echo $n; sleep 0.1; done")
    with Pipeline([slow, Stage(("sort", "--reverse"))], stall_timeout=0.3) as pipeline:
        assert read_all(pipeline) == b"6\n5\n4\n3\n2\n1\n"


# The end of everything, whenever it comes


@pytest.mark.parametrize("reads", [0, 1])
def test_leaving_early_ends_everything_at_once(reads: int) -> None:
    began = time.monotonic()
    with Pipeline([ENDLESS, GZIP, Stage(("cat",))]) as pipeline:
        for _ in range(reads):
            assert pipeline.readinto(memoryview(bytearray(10)))
    assert time.monotonic() - began < 1.5


def test_leaving_early_ends_stages_that_ignore_it_and_what_they_started(fake: Fake, tmp_path: Path) -> None:
    note = tmp_path / "note"
    stubborn = fake("tar", f'trap "" TERM; echo; sleep 1000 & echo $! $$ >{note}.new; mv {note}.new {note}; wait; wait')
    with Pipeline([stubborn, GZIP]):
        assert becomes(note.exists)
    assert not any(is_running(int(word)) for word in note.read_text().split())


def test_what_runs_on_in_the_background_does_not_keep_us(fake: Fake, tmp_path: Path) -> None:
    note = tmp_path / "note"
    began = time.monotonic()
    with Pipeline([fake("dump", f"echo; setsid sleep 1000 >/dev/null & echo $! >{note}")]) as pipeline:
        assert read_all(pipeline) == b"\n"
    assert time.monotonic() - began < 10
    os.kill(int(note.read_text()), signal.SIGKILL)


@pytest.mark.parametrize(
    "elements",
    [(Stage(("sh", "-c", HANGING)), GZIP), (Stage(("sh", "-c", f"exec >&-; {HANGING}")),)],
    ids=["waiting for bytes", "waiting for the end of a process"],
)
def test_an_interrupt_comes_out_of_a_blocked_read(elements: tuple[Stage | Filter, ...]) -> None:
    def interrupt(number: int, _frame: object) -> None:
        raise Interrupted(number)

    previous = signal.signal(signal.SIGTERM, interrupt)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM))
    try:
        timer.start()
        with pytest.raises(Interrupted):
            with Pipeline(elements) as pipeline:
                read_all(pipeline)
    finally:
        signal.signal(signal.SIGTERM, previous)
        timer.join()


def test_stages_die_with_us_even_when_we_are_killed(fake: Fake, tmp_path: Path) -> None:
    program = f"""
import time
from s3napback.pipeline import *
with Pipeline([Stage(("{fake("dump", 'echo $$ >"$0.pid"; exec cat /dev/zero').command[0]}",)), Stage(("cat",))]):
    time.sleep(1000)
"""
    note = tmp_path / "dump.pid"
    parent = subprocess.Popen([sys.executable, "-c", program])
    try:
        assert becomes(lambda: note.exists() and note.read_text().endswith("\n"))
        child = int(note.read_text())
        assert is_running(child)
    finally:
        parent.kill()
        parent.wait()
    assert becomes(lambda: not is_running(child))


def test_signals_wait_until_a_protected_stretch_is_over() -> None:
    events = []

    def interrupt(number: int, _frame: object) -> None:
        events.append("handled")
        raise Interrupted(number)

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        with pytest.raises(Interrupted):
            with deferred_signals():
                os.kill(os.getpid(), signal.SIGTERM)
                os.kill(os.getpid(), signal.SIGTERM)
                events.append("finished")
        assert signal.getsignal(signal.SIGTERM) is interrupt
    finally:
        signal.signal(signal.SIGTERM, previous)
    assert events == ["finished", "handled"]


# Between pipeline and store


def test_what_passes_is_measured_and_the_buffer_filled() -> None:
    expected = b"".join(b"%d\n" % number for number in range(1, 1_000_001))
    with Pipeline([Stage(("seq", "1000000"))]) as pipeline:
        measured = Measured(pipeline)
        buffer = memoryview(bytearray(3_000_000))
        counts = [measured.readinto(buffer) for _ in range(4)]
    assert counts == [3_000_000, 3_000_000, len(expected) - 6_000_000, 0]
    assert measured.size == len(expected)
    assert measured.sha256 == hashlib.sha256(expected).hexdigest()


def test_a_failure_passes_through_the_measuring(fake: Fake) -> None:
    with Pipeline([fake("tar", "seq 9; exit 2")]) as pipeline:
        with pytest.raises(PipelineError, match="tar failed"):
            Measured(pipeline).readinto(memoryview(bytearray(1000)))


def test_a_spooled_stream_is_read_again_from_a_file_without_a_name(tmp_path: Path) -> None:
    with Pipeline([Stage(("seq", "300000")), GZIP]) as pipeline:
        with spool(pipeline, tmp_path) as spooled:
            assert list(tmp_path.iterdir()) == []
            links = [name for name, target in open_descriptors().items() if target.startswith(str(tmp_path))]
            assert [os.fstat(int(name)).st_mode & 0o777 for name in links] == [0o600]
            measured = Measured(spooled)
            output = read_all(measured)
    assert subprocess.run(["gzip", "-d"], input=output, capture_output=True, check=True).stdout.endswith(b"\n300000\n")
    assert spooled.size == measured.size == len(output)


def test_a_failed_stream_is_not_spooled(fake: Fake, tmp_path: Path) -> None:
    with Pipeline([fake("dump", "seq 9; exit 2")]) as pipeline:
        with pytest.raises(PipelineError, match="dump failed"):
            with spool(pipeline, tmp_path):
                pytest.fail("there is nothing to read")


def test_a_folder_that_takes_no_file_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    with Pipeline([ENDLESS]) as pipeline:
        with pytest.raises(PipelineError, match=f"{missing}: No such file or directory; set TempDir"):
            with spool(pipeline, missing):
                pass


def test_a_full_disk_is_told_with_the_name_of_the_folder(tmp_path: Path) -> None:
    program = f"""
import resource
from pathlib import Path
from s3napback.errors import PipelineError
from s3napback.pipeline import *
resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))
try:
    with Pipeline([Stage(("cat", "/dev/zero"))]) as pipeline, spool(pipeline, Path({str(tmp_path)!r})):
        pass
except PipelineError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.startswith(f"cannot write a temporary file in {tmp_path}: File too large; make room")


def test_a_spooled_file_that_loses_its_end_is_told(tmp_path: Path) -> None:
    with Pipeline([Stage(("seq", "300000"))]) as pipeline:
        with spool(pipeline, tmp_path) as spooled:
            (name,) = [name for name, target in open_descriptors().items() if target.startswith(str(tmp_path))]
            os.truncate(int(name), 1000)
            with pytest.raises(PipelineError, match="has lost its end"):
                read_all(Measured(spooled))
