"""The manual says what is true: its tables are those of the code, its examples load, its rights suffice."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from s3napback.archives import archive_key
from s3napback.cli import EXIT_CODES, command_line
from s3napback.config.loading import load_configuration
from s3napback.rotation import ArchiveType, SimpleCycle
from tests import manual
from tests.faults.matrix_table import as_markdown
from tests.faulty_s3 import Fault, FaultyS3, answer
from tests.rotations import guaranteed
from tests.servers import S3Server
from tests.site import Site

RIGHTS = {
    "AbortMultipartUpload": {"s3:AbortMultipartUpload"},
    "CompleteMultipartUpload": {"s3:PutObject"},
    "CreateMultipartUpload": {"s3:PutObject"},
    "DeleteObject": {"s3:DeleteObject"},
    "GetObject": {"s3:GetObject"},
    "HeadObject": {"s3:GetObject", "s3:ListBucket"},
    "ListMultipartUploads": {"s3:ListBucketMultipartUploads"},
    "ListObjectsV2": {"s3:ListBucket"},
    "PutObject": {"s3:PutObject"},
    "UploadPart": {"s3:PutObject"},
}
"""What Amazon's user guide demands for each operation ("Required permissions for Amazon S3 API operations")."""


# --- tables ---


def test_the_fault_matrix_is_shown_as_it_is() -> None:
    assert as_markdown() in manual.topic("tested")


def test_the_table_of_blocks_is_that_of_the_code() -> None:
    assert manual.block_table() in manual.topic("configuration"), "python -m tests.manual writes it anew"


@pytest.mark.parametrize("text", [manual.readme, lambda: manual.topic("directives")], ids=["README", "topic"])
def test_the_table_of_directives_is_that_of_the_code(text: Callable[[], str]) -> None:
    assert manual.directive_table() in text(), "python -m tests.manual writes it anew"


def options_of(command: click.Command) -> list[str]:
    """Every option as the manual's tables write it: ``-c``, ``--config CONF``."""
    context = click.Context(command)
    shown = []
    for option in command.params:
        if isinstance(option, click.Option):
            names = [f"`{name}`" for name in option.opts]
            metavar = "" if option.is_flag else option.make_metavar(context)
            shown.append(f"{', '.join(names)[:-1]}{' ' * bool(metavar)}{metavar}`")
    return shown


def test_every_option_of_the_nightly_run_is_described() -> None:
    described = manual.first_column(manual.section("Options of the nightly run"), "Option")
    assert sorted(described) == sorted([*options_of(command_line), "`-h`, `--help`"])


@pytest.mark.parametrize("name", sorted(command_line.every()))
def test_every_option_of_a_command_is_described(name: str) -> None:
    heading = next(each for each in manual.headings() if each == name or each.endswith(f": {name}"))
    own = options_of(command_line.every()[name])
    assert sorted(manual.first_column(manual.section(heading), "Option")) == sorted(own)


def test_every_exit_code_is_described() -> None:
    described = manual.first_column(manual.section("Exit codes"), "Code")
    assert described == re.findall(r"^  (\d+(?:, \d+)*) {2}", EXIT_CODES, re.MULTILINE)
    assert len(described) > 5
    table = manual.section("Exit codes").strip().partition("\n\n")[0]
    assert table in manual.section("What an exit code means")


def test_the_defaults_that_the_text_tells_are_those_of_the_code() -> None:
    text = " ".join(manual.prose().split())
    assert "125 MB with the defaults" in text
    assert guaranteed(SimpleCycle(diffs=6, fulls=4)) == 22
    assert "22 with `Diffs 6` and `Fulls 4`" in text
    assert guaranteed(SimpleCycle(diffs=2, fulls=2)) == 4


# --- links, commands, examples ---


LINKING = [page.path for page in manual.pages()] + sorted((manual.CHECKOUT / ".github").glob("*.md"))


@pytest.mark.parametrize("path", LINKING, ids=lambda path: str(path.relative_to(manual.CHECKOUT)))
def test_every_link_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", manual.Page(path).prose):
        name, _, heading = target.partition("#")
        if "://" not in target:
            found = (path.parent / name).resolve() if name else path
            assert found.is_file(), target
            assert not heading or heading in manual.Page(found).anchors, target


def test_every_heading_of_the_second_level_is_in_the_table_of_contents() -> None:
    listed = re.findall(r"^- \[(.+)\]\(#", manual.readme(), re.MULTILINE)
    assert listed == re.findall(r"^## (.+)$", manual.Page(manual.README).prose, re.MULTILINE)


def test_the_readme_is_short_and_leads_to_every_topic() -> None:
    assert len(manual.readme().splitlines()) <= 400
    assert manual.list_of_topics() in manual.readme(), "python -m tests.manual writes it anew"
    assert len(manual.topics()) > 20


@pytest.mark.parametrize("page", manual.topics(), ids=lambda page: page.path.stem)
def test_a_topic_has_one_title_and_below_it_one_sentence(page: manual.Page) -> None:
    assert re.fullmatch(r"[a-z]+", page.path.stem)
    title, empty, sentence, after = page.text.split("\n")[:4]
    assert (title[:2], empty, after) == ("# ", "", "")
    assert sentence.endswith(".")
    assert len(sentence) < 100
    assert len(re.findall(r"^# ", page.prose, re.MULTILINE)) == 1
    assert len(page.anchors) == len(page.headings)


def shown_lines() -> Iterator[str]:
    """Lines of the manual's shell blocks, and what README's tables tell to type."""
    for block in manual.blocks():
        if block.language in ("sh", "bash"):
            yield from block.text.splitlines()
    for cell in re.findall(r"^\|.*", manual.Page(manual.README).prose, re.MULTILINE):
        yield from (line.replace("\\|", "|") for line in re.findall(r"`(s3napback [^`]+)`", cell))


def example_commands() -> Iterator[list[str]]:
    """Every call of s3napback that is shown, as an argument list."""
    for line in shown_lines():
        words = shlex.split(line, comments=True) if line.startswith("s3napback ") else []
        if words:
            yield words[1 : words.index("|") if "|" in words else None]


@pytest.mark.parametrize("words", list(example_commands()), ids=" ".join)
def test_every_command_shown_is_understood(words: list[str]) -> None:
    if words == ["--version"]:
        return
    with command_line.make_context("s3napback", list(words)) as context:
        at = next((number for number, word in enumerate(words) if word in command_line.every()), None)
        if at is not None:
            command_line.every()[words[at]].make_context(words[at], words[at + 1 :], parent=context).close()


def test_every_shell_block_is_well_formed() -> None:
    for block in manual.blocks():
        if block.language in ("sh", "bash"):
            subprocess.run([block.language, "-n", "-c", block.text], check=True)


def test_the_first_configuration_loads_without_a_warning(tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "key.txt").write_text("key=a\nsecret=b\n")
    (folder / "key.txt").chmod(0o600)
    (folder / "backups.pub").touch()
    (tmp_path / "diffs").mkdir()
    text = manual.marked("first configuration").replace("/etc/s3napback", str(folder))
    (folder / "s3napback.conf").write_text(text.replace("/var/lib/s3napback", str(tmp_path / "diffs")))
    configuration = load_configuration(folder / "s3napback.conf")
    assert configuration.warnings == ()
    assert [job.target for job in configuration.jobs] == ["/etc", "/home", "/root"]
    assert {job.schedule for job in configuration.jobs} == {SimpleCycle(diffs=6, fulls=4)}


def test_the_configuration_of_one_machine_of_several_keeps_its_keys_apart(tmp_path: Path) -> None:
    (tmp_path / "key.txt").write_text("key=a\nsecret=b\n")
    (tmp_path / "key.txt").chmod(0o600)
    (tmp_path / "backups.pub").touch()
    path = tmp_path / "machine.conf"
    path.write_text(manual.marked("machine").replace("/etc/s3napback", str(tmp_path)))
    configuration = load_configuration(path)
    assert configuration.warnings == ()
    assert configuration.store.prefix == "atlas"
    assert f"`{archive_key('atlas', 'Directory', 'etc', 0, ArchiveType.FULL)}`" in manual.topic("machines")


def test_the_space_that_the_manual_reckons_is_right() -> None:
    told = re.search(r"= (\d+) × \((\d+) GB \+ (\d+) × (\d+) GB\) = (\d+) GB", manual.topic("cost"))
    assert told
    fulls, full, diffs, diff, sum_ = map(int, told.groups())
    assert fulls * (full + diffs * diff) == sum_
    assert SimpleCycle(diffs=diffs, fulls=fulls) == SimpleCycle(diffs=6, fulls=4)


def test_the_example_of_the_syntax_means_what_is_said_of_it(tmp_path: Path) -> None:
    path = tmp_path / "test.conf"
    path.write_text(manual.marked("syntax"))
    configuration = load_configuration(path)
    jobs = {job.target: job for job in configuration.jobs}
    assert list(jobs) == ["/etc", "/home", "/srv/with blanks", "wiki", "/"]
    assert jobs["/etc"].settings.exclude == ("*.o", "/home/My Music", "/home/#old", "/var/cache", "/var/tmp")
    assert jobs["wiki"].schedule == SimpleCycle(fulls=14)
    assert jobs["/"].schedule == SimpleCycle(diffs=6)
    assert jobs["/"].settings.one_file_system


def test_the_examples_of_commands_are_what_they_seem(tmp_path: Path) -> None:
    path = tmp_path / "test.conf"
    path.write_text(f"Bucket my-backups\nEncryption Off\n{manual.marked('commands')}")
    configuration = load_configuration(path)
    assert configuration.warnings == ()
    jobs = {job.target: job.settings for job in configuration.jobs}
    assert jobs["gitea"].run[:3] == ("docker", "exec", "--user")
    assert jobs["gitea"].run[-3:] == ("pg_dump", "--no-password", "gitea")
    assert jobs["etcd"].environment[0] == ("ETCDCTL_API", "3")
    assert (jobs["etcd"].run_as, jobs["ldap"].least_bytes) == ("etcd", 10_000)


def columns(text: str) -> list[dict[str, str]]:
    """The table of archives in what `list` prints, by its headings; two blanks and more part the columns."""
    heading, *lines = text.partition("\n\n")[2].splitlines()
    names = re.split(r" {2,}", heading)
    return [dict(zip(names, re.split(r" {2,}", line), strict=True)) for line in lines if line]


def test_what_is_shown_of_list_is_what_it_prints(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    site.configure(f"<Cycle four-weeks>\nDiffs 6\nFulls 4\nDirectory {site.source}\n</Cycle>")
    for day in range(14, 17):
        (site.source / "file").write_text(f"of day {day}")
        site.run(day=day)
    printed = site.run("list", str(site.source), day=16).stdout
    shown = manual.marked("list").partition("\n")[2]
    assert shown.splitlines()[0].split() == printed.splitlines()[0].split()
    same = ("TYPE", "SLOT", "UNREAD", "CYCLE", "BLOCK", "CHAIN", "RESTORABLE")
    rows = [[{name: row[name] for name in same} for row in columns(text)] for text in (shown, printed)]
    assert rows[0] == rows[1]
    assert list(columns(shown)[0]) == list(columns(printed)[0])


def test_the_line_for_cron_is_one() -> None:
    (line,) = manual.marked("cron line").splitlines()
    match = re.fullmatch(r"\d+ \d+ \* \* \* root /usr/local/bin/s3napback(.*)", line)
    assert match
    command_line.make_context("s3napback", shlex.split(match[1])).close()


# --- rights in S3 ---


def policy_actions() -> set[str]:
    """What the manual's policy allows, on the resources on which S3 knows the actions."""
    on_bucket, on_objects = json.loads(manual.marked("policy"))["Statement"]
    assert (on_bucket["Effect"], on_objects["Effect"]) == ("Allow", "Allow")
    assert on_objects["Resource"] == f"{on_bucket['Resource']}/*"
    assert all("Bucket" in action for action in on_bucket["Action"])
    assert not any("Bucket" in action for action in on_objects["Action"])
    return {*on_bucket["Action"], *on_objects["Action"]}


def test_the_policy_allows_what_is_asked_of_s3_and_no_more(
    tmp_path: Path, moto: S3Server, faulty: Callable[[S3Server], FaultyS3]
) -> None:
    """Nights with archives of one and of several parts, one that fails, leftovers, a DIFF replaced, and a recovery."""
    proxy = faulty(moto)
    site = Site(tmp_path / "site", proxy.server, moto.make_bucket())
    (site.source / "noise").write_bytes(os.urandom(11_000_000))
    site.configure_cycle("Diffs 6\nFulls 2", general="ChunkSize 5242880")
    proxy.add(Fault("UploadPart", answer(403, "AccessDenied"), nth=2))
    site.run(day=0, expect=1)
    key = f"{site.name()}-0-FULL"
    moto.client().create_multipart_upload(Bucket=site.bucket, Key=key)
    site.run(day=0)
    assert moto.unfinished_uploads(site.bucket) == []
    site.run(day=1)
    site.run("--full", "-f", day=1)
    assert site.slots() == ["0-FULL", "1-FULL"]
    site.run("list", day=1)
    site.run("restore", str(site.source), "--to", str(tmp_path / "recovered"), day=1)
    seen = set(proxy.operations())
    assert seen == set(RIGHTS)
    assert set().union(*(RIGHTS[operation] for operation in seen)) == policy_actions()


def test_the_lifecycle_rule_is_taken_by_a_server(moto: S3Server) -> None:
    bucket = moto.make_bucket()
    moto.client().put_bucket_lifecycle_configuration(
        Bucket=bucket, LifecycleConfiguration=json.loads(manual.marked("lifecycle"))
    )
    (rule,) = moto.client().get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert "Expiration" not in rule
