from __future__ import annotations

import time
from pathlib import Path

import pytest

from s3napback.config.loading import load_configuration, resolve_configuration_path
from s3napback.config.settings import JobSettings, Position
from s3napback.errors import ConfigurationError
from s3napback.rotation import HanoiCycle, SimpleCycle
from tests.config.helpers import in_block, load, only_job, problem_of, problems_of, warnings_of


def test_defaults_are_those_of_the_manual(tmp_path: Path) -> None:
    configuration = load(tmp_path, "<Directory /etc>\n</Directory>\n")
    job = only_job(configuration)
    assert job.schedule == SimpleCycle(frequency=1, phase=0, diffs=0, fulls=4)
    assert job.settings == JobSettings()
    assert job.position == Position(str(tmp_path / "test.conf"), 2)
    assert (configuration.store.chunk_size, configuration.store.upload_threads) == (25_000_000, 4)
    assert configuration.encryption.recipients == ()
    assert (configuration.diff_dir, configuration.temp_dir, configuration.host_name) == (None, None, "")


def test_every_general_setting_arrives(tmp_path: Path) -> None:
    for name in ("diff", "temp", "home"):
        (tmp_path / name).mkdir()
    (tmp_path / "ring").write_text("")
    configuration = load(
        tmp_path,
        f"""
        diffdir {tmp_path}/diff/
        TEMPDIR {tmp_path}//temp
        gpgHome {tmp_path}/home
        GpgKeyring {tmp_path}/ring
        GpgRecipient a@example.org b@example.org
        GpgRecipient c@example.org a@example.org
        HostName web-1
        Endpoint https://s3.example.org:9000/
        Region eu-central-1
        Prefix /nightly/web/
        StorageClass STANDARD_IA
        ServerSideEncryption AWS:KMS
        SseKmsKeyId alias/backup
        ChunkSize 8000000
        UploadThreads 64
        """,
    )
    store = configuration.store
    assert (configuration.diff_dir, configuration.temp_dir) == (tmp_path / "diff", tmp_path / "temp")
    assert configuration.host_name == "web-1"
    assert configuration.encryption.recipients == ("a@example.org", "b@example.org", "c@example.org")
    assert (configuration.encryption.keyring, configuration.encryption.home) == (tmp_path / "ring", tmp_path / "home")
    assert (store.bucket, store.folder, store.prefix) == ("example", None, "nightly/web")
    assert (store.endpoint, store.region) == ("https://s3.example.org:9000", "eu-central-1")
    assert (store.storage_class, store.server_side_encryption) == ("STANDARD_IA", "aws:kms")
    assert (store.sse_kms_key_id, store.chunk_size, store.upload_threads) == ("alias/backup", 8_000_000, 64)


def test_inner_blocks_inherit_and_override_while_excludes_add_up(tmp_path: Path) -> None:
    configuration = load(
        tmp_path,
        """
        <Cycle a>
            <Directory /home>
                Compression none
                TarOptions --sparse
                TarOptions --acls
                Exclude /home/x "*.o"
            </Directory>
            Directory /etc /usr
            Exclude /etc/cache/ *.o
            Diffs 6
            Compression zstd
            <MySQL all>
                UseTempFile yes
                Frequency 3
                Fulls 9
            </MySQL>
        </Cycle>
        Frequency 2
        CompressionLevel 15
        TarOptions --numeric-owner
        Exclude *~
        OneFileSystem True
        """,
    )
    etc, usr, home, mysql = configuration.jobs
    assert [job.name for job in configuration.jobs] == ["etc", "usr", "home", "MySQL/all"]
    assert {job.cycle for job in configuration.jobs} == {"a"}
    assert etc.schedule == usr.schedule == home.schedule == SimpleCycle(frequency=2, diffs=6)
    assert mysql.schedule == SimpleCycle(frequency=3, fulls=9)
    assert etc.settings == usr.settings
    assert etc.settings.exclude == ("*~", "/etc/cache", "*.o")
    assert etc.settings.tar_options == ("--numeric-owner",)
    assert (etc.settings.compression, etc.settings.compression_level) == ("zstd", 15)
    assert (etc.settings.use_temp_file, mysql.settings.use_temp_file) == (False, True)
    assert home.settings.exclude == ("*~", "/etc/cache", "*.o", "/home/x")
    assert home.settings.tar_options == ("--sparse", "--acls")
    assert (home.settings.compression, home.settings.compression_level) == ("none", None)
    assert all(job.settings.one_file_system for job in configuration.jobs)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("On", True),
        ("TRUE", True),
        ("yes", True),
        ("1", True),
        ("off", False),
        ("False", False),
        ("No", False),
        ("0", False),
    ],
)
def test_switches_are_understood_in_every_spelling(tmp_path: Path, word: str, meant: bool) -> None:
    text = f"<Directory /etc>\nCycleType hanoicycle\nArchiveOldestDisc {word}\n</Directory>"
    assert only_job(load(tmp_path, text)).schedule == HanoiCycle(archive_oldest_disc=meant)


def test_simple_settings_at_file_level_go_unused_in_a_hanoi_cycle(tmp_path: Path) -> None:
    text = "Diffs 6\nFulls 2\nPhase 1\nFrequency 2\nDiscs 3\n<Cycle a>\nCycleType HanoiCycle\nDirectory /a\n</Cycle>\n"
    text += "<Directory /b>\n</Directory>"
    hanoi, simple = load(tmp_path, text).jobs
    assert hanoi.schedule == HanoiCycle(frequency=2, discs=3)
    assert simple.schedule == SimpleCycle(frequency=2, phase=1, diffs=6, fulls=2)


@pytest.mark.parametrize(
    ("bucket", "name", "folder"),
    [
        ("my.bucket-1", "my.bucket-1", None),
        ("s3://mine/", "mine", None),
        ("file:///srv/vault/", "", "/srv/vault"),
        ("file:///srv/my%20vault%25", "", "/srv/my vault%"),
        ('"file:///srv/a b"', "", "/srv/a b"),
    ],
)
def test_a_bucket_is_a_name_or_a_folder(tmp_path: Path, bucket: str, name: str, folder: str | None) -> None:
    store = load(tmp_path, "", start=f"Bucket {bucket}\n").store
    assert (store.bucket, store.folder) == (name, Path(folder) if folder else None)


def test_source_blocks_outside_cycles_keep_the_plain_name(tmp_path: Path) -> None:
    text = "<Cycle a>\nDirectory /etc\n</Cycle>\n<Directory /etc/>\n</Directory>\n<Cycle b>\nDirectory /etc\n</Cycle>"
    assert [job.name for job in load(tmp_path, text).jobs] == ["a/etc", "etc", "b/etc"]


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("ChunkSize 1000\n", "test.conf:2: ChunkSize 1000 is raised to 5242880 bytes"),
        ("<Cycle a>\n</Cycle>\n", "test.conf:2: <Cycle a> holds no source"),
        (in_block("Fulls 1\nDiffs 6"), "test.conf:3: Fulls 1 with Diffs: from each new full backup on, no older day"),
        (
            "<Cycle a>\nDiffs 6\nFulls 2\nMySQL all\n</Cycle>",
            "test.conf:5: MySQL all is always full, so Diffs do not count",
        ),
        ("Diffs 6\n<PostgreSQL x>\n</PostgreSQL>", "test.conf:3: PostgreSQL x is always full"),
        (in_block("MySQLOptions --replace"), "test.conf:3: MySQLOptions has no effect on Directory"),
        (
            in_block("Compression none\nCompressionLevel 3"),
            "test.conf:4: CompressionLevel has no effect with Compression",
        ),
        (in_block("Exclude ~/x"), "test.conf:3: Exclude ~/x: ~ is not expanded"),
        ("GpgHome /etc\n", "test.conf:2: GpgHome without a GpgRecipient has no effect"),
        (
            "<Command x>\nRun mongodump --archive | gzip\n</Command>",
            "test.conf:3: Run: “|”: no shell is started, and the program gets it as it is",
        ),
        ("<Command x>\nRun dump 2>/dev/null\n</Command>", "test.conf:3: Run: “2>/dev/null”: no shell"),
        ("OnFailure mail -s failed root </dev/null\n", "test.conf:2: OnFailure: “</dev/null”: no shell"),
        ("OnSuccess bin/good\n", "test.conf:2: OnSuccess: write the program's name alone, or its whole path"),
        ("<Command x>\nRun dump --password $SECRET\n</Command>", "test.conf:3: Run: “$SECRET”: no shell"),
    ],
)
def test_what_is_allowed_and_probably_not_meant_is_a_warning(tmp_path: Path, text: str, warning: str) -> None:
    assert [found for found in warnings_of(tmp_path, text) if found.startswith(warning)]


def test_a_small_chunk_is_raised(tmp_path: Path) -> None:
    assert load(tmp_path, "ChunkSize 1000\n").store.chunk_size == 5 * 1024 * 1024


def test_a_database_whose_own_block_says_how_many_to_keep_gives_no_warning(tmp_path: Path) -> None:
    assert warnings_of(tmp_path, "Diffs 6\n<MySQL all>\nFulls 2\n</MySQL>") == []


def test_s3_settings_of_a_directory_store_give_warnings(tmp_path: Path) -> None:
    text = "Endpoint http://x\nS3Keyfile /none/such\n" + in_block("")
    found = warnings_of(tmp_path, text, start="Bucket file:///srv/vault\n")
    assert [warning.split(" has no")[0] for warning in found] == ["test.conf:2: Endpoint", "test.conf:3: S3Keyfile"]


def test_an_open_or_broken_key_file_is_told_at_its_directive(tmp_path: Path) -> None:
    key_file = tmp_path / "key.txt"
    key_file.write_text("key=a\nsecret=SEKRIT\n")
    key_file.chmod(0o644)
    text = f"S3Keyfile {key_file}\n" + in_block("")
    assert warnings_of(tmp_path, text) == [
        "test.conf:2: S3Keyfile key.txt is open to others; protect it with: chmod 600 key.txt"
    ]
    key_file.write_text("key=a\nSEKRIT\n")
    assert problem_of(tmp_path, text).startswith("test.conf:2: key.txt:2: this line is not of the form")


def test_a_bare_name_means_a_file_in_the_system_s_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("here", "web.conf"):
        (tmp_path / name).write_text("")
    assert resolve_configuration_path("web") == Path("/etc/s3napback/web.conf")
    assert resolve_configuration_path("web.d") == Path("/etc/s3napback/web.d.conf")
    assert resolve_configuration_path("web.conf") == Path("/etc/s3napback/web.conf")
    assert resolve_configuration_path("here") == Path("/etc/s3napback/here.conf")
    assert resolve_configuration_path("./web") == Path("web")
    assert resolve_configuration_path("./web.conf") == Path("web.conf")
    assert resolve_configuration_path("/x/web") == Path("/x/web")


def test_files_that_options_name_are_of_ours_and_named_in_full(tmp_path: Path) -> None:
    """A relative name would mean a file of the current folder."""
    for option in ("--exclude-from", "--owner-map", "--group-map"):
        assert "write the whole path" in problem_of(tmp_path, in_block(f"TarOptions {option}=list"))
    for option in ("--defaults-file", "--defaults-extra-file"):
        assert "write the whole path" in problem_of(tmp_path, f"<MySQL a>\nMySQLOptions {option}=list\n</MySQL>")
    option_file = tmp_path / "options"
    option_file.touch()
    block = f"<MySQL a>\nMySQLOptions --defaults-extra-file={option_file}\n</MySQL>"
    load(tmp_path, block)
    option_file.chmod(0o666)
    assert "options can be written by others" in problem_of(tmp_path, block)


def test_all_that_others_can_change_is_told_at_once(tmp_path: Path) -> None:
    text = ""
    for directive in ("DiffDir", "TempDir", "GpgHome"):
        folder = tmp_path / directive
        folder.mkdir()
        folder.chmod(0o777)
        text += f"{directive} {folder}\n"
    problems = problems_of(tmp_path, text)
    assert [problem.partition(" is not used")[0] for problem in problems] == [
        "test.conf:2: DiffDir DiffDir",
        "test.conf:3: TempDir TempDir",
        "test.conf:4: GpgHome GpgHome",
    ]


def test_temp_dir_may_be_one_that_everybody_shares(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    load(tmp_path, f"TempDir {folder}\n")
    assert "everybody may write" in problem_of(tmp_path, f"DiffDir {folder}\n")


def test_a_file_of_fifty_sources_loads_in_no_time(tmp_path: Path) -> None:
    blocks = "".join(f"<Directory /srv/{n}>\nFrequency 7\nDiffs 3\nExclude *.o\n</Directory>\n" for n in range(50))
    load(tmp_path, blocks)
    times = []
    for _ in range(5):
        start = time.process_time()
        load_configuration(tmp_path / "test.conf")
        times.append(time.process_time() - start)
    # It takes 14 milliseconds; the limit leaves room for a slower machine.
    assert min(times) < 0.2


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"Bucket x\0", "holds NUL bytes"),
        (b"Bucket x\n\xff\n", "line 2 is not UTF-8"),
        (b"#" * (1024 * 1024 + 1), "is larger than 1 MiB"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, content: bytes | None, problem: str) -> None:
    path = tmp_path / "x.conf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError) as raised:
        load_configuration(path)
    assert raised.value.problems[0].startswith(f"{path}: {problem}")


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is not a regular file"):
        load_configuration(tmp_path)


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    assert load(tmp_path, "", start="\ufeffBucket abc\r\n").store.bucket == "abc"
