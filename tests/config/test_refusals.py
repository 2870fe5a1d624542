from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.helpers import in_block, problem_of, problems_of


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("DifDir /x", "test.conf:2: unknown directive DifDir; did you mean DiffDir?"),
        ("Xyzzy /x", "test.conf:2: unknown directive Xyzzy"),
        ("<Cycel a>\n</Cycel>", "test.conf:2: unknown block Cycel; did you mean Cycle?"),
        ("Cycle a", "test.conf:2: Cycle is a block: write <Cycle VALUE> … </Cycle>"),
        ("<Frequency 1>\n</Frequency>", "test.conf:2: Frequency is not a block: write “Frequency VALUE”"),
        (in_block("MySQL all"), "test.conf:3: MySQL cannot stand in a source's block; it belongs at file level, in a"),
        (in_block("Region x"), "test.conf:3: Region cannot stand in a source's block; it belongs at file level"),
        (
            in_block("<Cycle x>\n</Cycle>"),
            "test.conf:3: <Cycle x> cannot stand in a source's block; it belongs at file",
        ),
        (
            in_block("<MySQL x>\n</MySQL>"),
            "test.conf:3: <MySQL x> cannot stand in a source's block; it belongs at file",
        ),
        ("Frequency", "test.conf:2: Frequency needs a value: whole number"),
        ("UploadThreads 1 2", "test.conf:2: UploadThreads takes one value and got 2; put a value with blanks in"),
        ("Directory: /etc", "test.conf:2: write “Directory VALUE” without “:”"),
        ("Frequency 0", "test.conf:2: Frequency takes a whole number from 1 to 36,500; 0 is out of range"),
        ("Frequency 1.5", "test.conf:2: Frequency takes a whole number from 1 to 36,500, not “1.5”"),
        ("Frequency ١", "test.conf:2: Frequency takes a whole number"),
        ("Diffs -1", "test.conf:2: Diffs takes a whole number from 0"),
        ("Fulls 0", "test.conf:2: Fulls takes a whole number from 1"),
        ("Discs 31", "test.conf:2: Discs takes a whole number from 1 to 30"),
        ("UploadThreads 65", "test.conf:2: UploadThreads takes a whole number from 1 to 64"),
        ("ChunkSize 0", "test.conf:2: ChunkSize takes a whole number from 1"),
        ("ChunkSize 5368709121", "test.conf:2: ChunkSize takes a whole number from 1 to 5,368,709,120"),
        ("ChunkSize 25M", "test.conf:2: ChunkSize takes a whole number"),
        ("UseTempFile maybe", "test.conf:2: UseTempFile takes On or Off, not “maybe”"),
        ("Compression bzip2", "test.conf:2: Compression takes gzip, zstd or none, not “bzip2”"),
        ("CycleType Tower", "test.conf:2: CycleType takes SimpleCycle or HanoiCycle, not “Tower”"),
        ("HostName 'a b'", "test.conf:2: HostName is one word"),
        ('HostName ""', "test.conf:2: HostName is empty"),
        ('Exclude ""', "test.conf:2: Exclude got an empty value"),
        ("Exclude //", "test.conf:2: Exclude // would leave out everything"),
        (in_block("Phase 1"), "test.conf:3: Phase 1 must be less than Frequency, which is 1 by default"),
        (in_block("Frequency 2\nPhase 2"), "test.conf:4: Phase 2 must be less than Frequency, which is 2 at "),
        (in_block("Fulls 10000\nDiffs 10"), "test.conf:3: Fulls × (Diffs + 1) is 110,000 slots"),
        (
            in_block("CompressionLevel 10"),
            "test.conf:3: CompressionLevel 10 is out of range: it is 1 to 9 with Compression",
        ),
        (
            in_block("TarOptions --gzip"),
            "test.conf:3: TarOptions --gzip: compression is set by the Compression directive",
        ),
        ("<Cycle a b>\n</Cycle>", "test.conf:2: <Cycle a b>: a block takes one value; put blanks in it in quotes"),
        ("<Cycle ..>\n</Cycle>", "test.conf:2: <Cycle ..>: a Cycle's name becomes part of keys"),
        ("<Cycle a>\n</Cycle>\n<Cycle a>\n</Cycle>", "test.conf:4: there is a <Cycle a> already, at "),
        ("<Directory>\n</Directory>", "test.conf:2: <Directory> needs what to back up: <Directory VALUE>"),
        ("<Cycle a>\nDirectory\n</Cycle>", "test.conf:3: Directory needs a value: what to back up"),
        ("<Directory etc>\n</Directory>", "test.conf:2: Directory “etc”: the path must be absolute"),
        ("<Directory ~/x>\n</Directory>", "test.conf:2: Directory “~/x”: ~ is not expanded"),
        (f"<Directory /{'x' * 250}>\n</Directory>", "test.conf:2: Directory: its keys would have a component of"),
        ("DiffDir diffs", "test.conf:2: DiffDir “diffs”: the path must be absolute"),
        (
            "DiffDir /none/such",
            "test.conf:2: DiffDir /none/such does not exist; create it with: mkdir -m 700 -p /none/such",
        ),
        (
            "TempDir /none/such",
            "test.conf:2: TempDir /none/such does not exist; create it with: mkdir -m 700 -p /none/",
        ),
        ("DiffDir /etc/passwd", "test.conf:2: DiffDir /etc/passwd is not a folder that can be used"),
        ("GpgHome /none/such", "test.conf:2: GpgHome /none/such is not a folder"),
        ("GpgKeyring /none/such", "test.conf:2: GpgKeyring /none/such cannot be read; is there such a file?"),
        ("GpgRecipient --output", "test.conf:2: GpgRecipient “--output” is no address, id or fingerprint"),
        ("S3Keyfile /none/such", "test.conf:2: S3Keyfile /none/such cannot be read: No such file or directory"),
        ("Endpoint s3.example.org", "test.conf:2: Endpoint is not a URL such as"),
        ("Endpoint ftp://x", "test.conf:2: Endpoint is not a URL such as"),
        ("Endpoint http://my_host:9000", "test.conf:2: Endpoint: a host's name consists of letters of a to z, digits"),
        ("Endpoint http://x:99999", "test.conf:2: Endpoint is not a URL such as"),
        ("Endpoint https://x/?a", "test.conf:2: Endpoint is not a URL such as"),
        (
            "Endpoint https://u:SEKRIT@x",
            "test.conf:2: Endpoint holds a user or password; credentials go into S3Keyfile",
        ),
        ("Region 'eu central'", "test.conf:2: Region is a name such as"),
        ("StorageClass cold", "test.conf:2: StorageClass is a name in capitals"),
        ("ServerSideEncryption rot13", "test.conf:2: ServerSideEncryption takes AES256, aws:kms or aws:kms:dsse"),
        ("SseKmsKeyId x", "test.conf:2: SseKmsKeyId needs ServerSideEncryption aws:kms"),
        ("Prefix a//b", "test.conf:2: Prefix: the prefix has an empty component"),
        ("<MySQL postgresql://u:SEKRIT@h/x>\n</MySQL>", "test.conf:2: MySQL: a connection string is not understood"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line(tmp_path: Path, text: str, problem: str) -> None:
    found = problem_of(tmp_path, text)
    assert found.startswith(problem)
    assert "SEKRIT" not in found


@pytest.mark.parametrize(
    ("bucket", "problem"),
    [
        ("a/b", "a bucket's name has no slash; what stands before every key goes into Prefix"),
        ("s3://a/b", "a bucket's name has no slash"),
        ("https://s3.example.org/a", "write the bucket's name alone; an S3 server's address goes into Endpoint"),
        ("/srv/vault", "a directory store is written file:///srv/vault"),
        ("file://srv/vault", "a directory store is written file:///FOLDER, with three slashes"),
        ("file:/srv/vault", "a directory store is written file:///FOLDER, with three slashes"),
        ("file:///", "the root directory cannot be a store"),
        ("file:///a%ff", "what follows a percent sign is not UTF-8"),
        ("file:///a%00", "control characters"),
        ("a:b", "a bucket's name consists of"),
        ("..", "a bucket's name consists of"),
    ],
)
def test_a_bucket_that_is_neither_is_refused_with_the_right_form(tmp_path: Path, bucket: str, problem: str) -> None:
    found = problem_of(tmp_path, "", start=f"Bucket {bucket}\n")
    assert found.startswith(f"test.conf:1: Bucket {bucket}: {problem}")


def test_a_bucket_with_a_password_in_it_is_not_shown(tmp_path: Path) -> None:
    assert "SEKRIT" not in problem_of(tmp_path, "", start="Bucket https://u:SEKRIT@h/b\n")


def test_a_missing_bucket_is_told(tmp_path: Path) -> None:
    assert problem_of(tmp_path, "", start="# nothing\n").startswith("test.conf:1: Bucket is missing; write")


def test_all_errors_are_told_in_the_order_of_lines(tmp_path: Path) -> None:
    text = (
        "DiffDir /none/such\nFoo 1\n<Cycle a>\nPhase 3\nDirectory etc\nFulls 'x\n</Cicle>\nDiscs 99\nUploadThreads 0\n"
    )
    found = problems_of(tmp_path, text, start="")
    lines = [int(problem.split(":")[1]) for problem in found]
    assert lines == [1, 1, 2, 4, 5, 6, 7, 8, 9]


def test_sources_that_would_use_one_name_are_told_with_both_lines(tmp_path: Path) -> None:
    text = "<Directory /srv/x>\n</Directory>\n<Subversion /srv/x>\n</Subversion>\n"
    found = problem_of(tmp_path, text)
    assert found.startswith("test.conf:4: Subversion /srv/x would use the name srv/x, as Directory /srv/x at ")
    assert "test.conf:2 does" in found
    text = "<Cycle a>\nDirectory /etc\nDirectory /etc/\n</Cycle>"
    found = problem_of(tmp_path, text)
    assert found.startswith("test.conf:4: Directory /etc is listed already at ")
    assert found.endswith("test.conf:3")
    text = "<Cycle a>\nDirectory /etc\n</Cycle>\n<Cycle b>\nDirectory /etc\n</Cycle>\n<Directory /a/etc>\n</Directory>"
    assert "would use the name a/etc" in problem_of(tmp_path, text)
    text = "<PostgreSQL u1@db>\n</PostgreSQL>\n<PostgreSQL u2@db>\n</PostgreSQL>"
    assert "would use the name PostgreSQL/db" in problem_of(tmp_path, text)
