"""What comes out of a pipeline is what its stages make of the stream."""

from __future__ import annotations

import fcntl
import io
import os
import subprocess
import sys
import tarfile
from datetime import date
from pathlib import Path

import pytest

from s3napback.config.settings import EncryptionSettings
from s3napback.encryption.gpg import prepare_encryption
from s3napback.streams.compression import make_compression
from s3napback.streams.pipeline import Pipeline
from s3napback.streams.pipes import PIPE_SIZE, open_pipe
from s3napback.streams.processes import Stage
from s3napback.streams.transformations import Transformation
from tests.gpg_keys import gpg_home
from tests.streams.helpers import GZIP, Fake, read_all


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
    assert pipeline.warnings == []


@pytest.mark.parametrize(
    "elements", [(), (Stage(("cat",)),), (Stage(("cat",)), Stage(("cat",))), (make_compression("none"),)]
)
def test_stages_and_transformations_join_in_any_order(elements: tuple[Stage | Transformation, ...]) -> None:
    with Pipeline([Stage(("seq", "300000")), *elements]) as pipeline:
        output = read_all(pipeline)
        assert pipeline.readinto(memoryview(bytearray(1))) == 0, "the end stays the end"
    assert output == b"".join(b"%d\n" % number for number in range(1, 300_001))


def test_a_pipeline_begins_with_a_process() -> None:
    with pytest.raises(TypeError):
        Pipeline([GZIP])


def test_an_empty_buffer_is_refused_for_it_would_look_like_the_end() -> None:
    with Pipeline([Stage(("echo",))]) as pipeline:
        with pytest.raises(ValueError, match="empty buffer"):
            pipeline.readinto(memoryview(b""))
        assert read_all(pipeline) == b"\n"


def test_the_first_stage_does_not_read_what_we_are_given() -> None:
    program = """
from s3napback.streams.pipeline import Pipeline
from s3napback.streams.processes import Stage
with Pipeline([Stage(("sh", "-c", "cat; echo end"))]) as pipeline:
    buffer = memoryview(bytearray(100))
    print(bytes(buffer[:pipeline.readinto(buffer)]))
"""
    done = subprocess.run([sys.executable, "-c", program], input=b"given", check=True, capture_output=True)
    assert done.stdout == b"b'end\\n'\n"


@pytest.mark.parametrize(
    ("own", "expected"), [({"EXTRA": "more"}, b"home C more\n"), ({"LC_ALL": "C.UTF-8"}, b"home C.UTF-8 \n")]
)
def test_stages_speak_english_and_have_what_they_need_of_our_environment_and_their_own(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, own: dict[str, str], expected: bytes
) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SEKRIT")
    command = fake("probe", 'echo "${HOME:+home} $LC_ALL $EXTRA$AWS_SECRET_ACCESS_KEY"').command
    with Pipeline([Stage(command, environment=own)]) as pipeline:
        assert read_all(pipeline) == expected


def test_ctrl_c_in_a_terminal_does_not_reach_the_stages(fake: Fake) -> None:
    with Pipeline([fake("probe", 'cut -d" " -f5 "/proc/$$/stat"')]) as pipeline:
        assert int(read_all(pipeline)) != os.getpgid(0)


def test_pipes_hold_a_mebibyte() -> None:
    reader, writer = open_pipe()
    size = fcntl.fcntl(writer.fileno(), fcntl.F_GETPIPE_SZ)
    reader.close()
    writer.close()
    assert size == PIPE_SIZE


def test_memory_stays_flat_for_a_long_stream_and_a_long_message() -> None:
    program = """
import resource
from s3napback.streams.compression import make_compression
from s3napback.streams.pipeline import Pipeline
from s3napback.streams.processes import Stage
from s3napback.streams.spooling import Measured
dump = Stage(("sh", "-c", "head -c 200M /dev/zero >&2; head -c 1G /dev/zero"))
with Pipeline([dump, make_compression("none"), Stage(("cat",))]) as pipeline:
    measured, buffer = Measured(pipeline), memoryview(bytearray(1 << 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    while measured.readinto(buffer):
        pass
assert measured.size == 1 << 30
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert int(done.stdout) < 16_000, "kilobytes"
