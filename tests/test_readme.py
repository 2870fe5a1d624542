"""The manual says what is true: its tables are those of the code, its examples load, its recipes recover."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import click
import pytest

from s3napback.cli import EXIT_CODES, command_line
from s3napback.config.loading import load_configuration
from s3napback.rotation import SimpleCycle
from tests import manual
from tests.faulty_s3 import Fault, FaultyS3, answer
from tests.gpg_keys import GpgHome, gpg_home
from tests.servers import S3Server
from tests.site import Site

BACKUPS = "backups@example.org"
NIGHTS = range(3)

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


def test_the_table_of_blocks_is_that_of_the_code() -> None:
    assert manual.block_table() in manual.readme(), f"README.md needs this table:\n{manual.block_table()}"


def test_the_table_of_directives_is_that_of_the_code() -> None:
    assert manual.directive_table() in manual.readme(), f"README.md needs this table:\n{manual.directive_table()}"


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


@pytest.mark.parametrize("name", sorted(command_line.commands))
def test_every_option_of_a_command_is_described(name: str) -> None:
    heading = next(each for each in manual.headings() if each == name or each.endswith(f": {name}"))
    own = options_of(command_line.commands[name])
    assert sorted(manual.first_column(manual.section(heading), "Option")) == sorted(own)


def test_every_exit_code_is_described() -> None:
    described = manual.first_column(manual.section("Exit codes"), "Code")
    assert described == re.findall(r"^  (\d+(?:, \d+)*) {2}", EXIT_CODES, re.MULTILINE)
    assert len(described) > 5


def test_the_defaults_that_the_text_tells_are_those_of_the_code() -> None:
    text = " ".join(manual.prose().split())
    assert "125 MB with the defaults" in text
    assert SimpleCycle(diffs=6, fulls=4).guaranteed == 22
    assert "22 with `Diffs 6` and `Fulls 4`" in text
    assert SimpleCycle(diffs=2, fulls=2).guaranteed == 4


# --- links, commands, examples ---


def test_every_link_leads_somewhere() -> None:
    targets = re.findall(r"\]\(([^)]+)\)", manual.prose())
    anchors = {manual.anchor(heading) for heading in manual.headings()}
    assert targets
    for target in targets:
        if target.startswith("#"):
            assert target[1:] in anchors, target
        elif "://" not in target:
            assert (manual.CHECKOUT / target).is_file(), target


def test_every_heading_of_the_second_level_is_in_the_table_of_contents() -> None:
    listed = re.findall(r"^- \[(.+)\]\(#", manual.readme(), re.MULTILINE)
    assert listed == re.findall(r"^## (.+)$", manual.prose(), re.MULTILINE)


def example_commands() -> Iterator[list[str]]:
    """Every call of s3napback in the manual's shell blocks, as an argument list."""
    for block in manual.blocks():
        if block.language in ("sh", "bash"):
            for line in block.text.splitlines():
                words = shlex.split(line, comments=True) if line.startswith("s3napback ") else []
                if words:
                    yield words[1 : words.index("|") if "|" in words else None]


@pytest.mark.parametrize("words", list(example_commands()), ids=" ".join)
def test_every_command_shown_is_understood(words: list[str]) -> None:
    with command_line.make_context("s3napback", list(words)) as context:
        rest = [*context._protected_args, *context.args]
        if rest:
            command_line.commands[rest[0]].make_context(rest[0], rest[1:], parent=context).close()


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
    (folder / "nightly.conf").write_text(text.replace("/var/lib/s3napback", str(tmp_path / "diffs")))
    configuration = load_configuration(folder / "nightly.conf")
    assert configuration.warnings == ()
    assert [job.target for job in configuration.jobs] == ["/etc", "/home", "/root"]
    assert {job.schedule for job in configuration.jobs} == {SimpleCycle(diffs=6, fulls=4)}


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


def test_the_line_for_cron_is_one() -> None:
    (line,) = manual.marked("cron line").splitlines()
    match = re.fullmatch(r"\d+ \d+ \* \* \* root /usr/local/bin/s3napback (.+)", line)
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


# --- recovery by hand ---


@pytest.fixture(scope="module")
def backups_key() -> Iterator[GpgHome]:
    with gpg_home() as home:
        home.make_key(f"Backups <{BACKUPS}>")
        yield home


def change(folder: Path, night: int) -> None:
    """What happens to a tree in one day: an edit, a deletion, a rename of a folder, new links."""
    (folder / "kept").write_text("never changed")
    (folder / "edited").write_text(f"edition {night}")
    (folder / f"new {night}").write_bytes(os.urandom(3000))
    (folder / f"new {night - 1}").unlink(missing_ok=True)
    (folder / f"folder {night}").mkdir()
    if night:
        (folder / f"folder {night - 1}").rename(folder / f"folder {night}" / "moved")
    (folder / f"link {night}").symlink_to("edited")
    (folder / f"folder {night}").chmod(0o710)


def back_up_three_nights(site: Site, home: GpgHome) -> list[str]:
    """Fill the store; returns the keys of the chain, without the folder that the source is in."""
    general = f"GpgHome {home.path}\nGpgRecipient {BACKUPS}"
    site.configure_cycle("Diffs 6\nFulls 2", general=general)
    for night in NIGHTS:
        change(site.source, night)
        site.run(day=night)
    assert site.slots() == ["0-FULL", "1-DIFF", "2-DIFF"]
    return site.slots()


def run_recipe(recipe: str, home: GpgHome, environment: Mapping[str, str] | None = None) -> str:
    """Run a block of the manual with bash, as a person would, and return what it prints."""
    environment = {**os.environ, "GNUPGHOME": str(home.path), **(environment or {})}
    done = subprocess.run(
        ["bash", "-c", recipe], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def adapted(mark: str, replacements: Mapping[str, str]) -> str:
    """A block of the manual with other names in it; each of them must be there."""
    text = manual.marked(mark)
    for old, new in replacements.items():
        assert old in text, f"{old!r} is not in the block {mark!r}"
        text = text.replace(old, new)
    return text


def assert_same_trees(one: Path, other: Path) -> None:
    """Names, kinds, modes, times and contents."""
    listing = ["find", ".", "-printf", r"%p %y %m %U %G %l %T@\n"]
    listed = [subprocess.run(listing, cwd=each, check=True, capture_output=True).stdout for each in (one, other)]
    assert sorted(listed[0].splitlines()) == sorted(listed[1].splitlines())
    subprocess.run(["diff", "-r", "--no-dereference", str(one), str(other)], check=True)


def assert_names_the_chain(printed: str, site: Site) -> None:
    """Each archive's id, and its parent's, can be read from what the recipe prints."""
    metadata = [site.metadata(f"{site.name()}-{slot}") for slot in site.slots()]
    for each in metadata:
        ids = [each["s3napback-id"], each.get("s3napback-parent", "")]
        assert all(identity in printed for identity in ids)
    assert printed.count(metadata[0]["s3napback-id"]) == 2
    assert printed.count(metadata[2]["s3napback-id"]) == 1


def test_recovery_by_hand_from_a_folder(tmp_path: Path, backups_key: GpgHome) -> None:
    site = Site(tmp_path / "site")
    slots = back_up_three_nights(site, backups_key)
    name = site.name()

    chain = adapted("chain in a folder", {"store=/srv/vault": f"store={site.vault}", "name=etc": f"name={name}"})
    printed = run_recipe(chain, backups_key)
    assert_names_the_chain(printed, site)

    sums = {"/srv/vault": str(site.vault), "etc-0-FULL": f"{name}-0-FULL", "etc-1-DIFF": f"{name}-1-DIFF"}
    assert run_recipe(adapted("checksum in a folder", sums), backups_key).count(": OK") == 2

    target = tmp_path / "recovered"
    names = {f"etc-{slot}": f"{name}-{slot}" for slot in slots}
    places = {"/srv/vault": str(site.vault), "/srv/recovered": str(target)}
    run_recipe(adapted("directory from a folder", {**names, **places}), backups_key)
    assert_same_trees(site.source, target / name)


def test_the_recipe_fails_where_an_archive_was_tampered_with(tmp_path: Path, backups_key: GpgHome) -> None:
    site = Site(tmp_path / "site")
    back_up_three_nights(site, backups_key)
    archive = site.vault / f"{site.name()}-1-DIFF"
    archive.write_bytes(archive.read_bytes()[:-10])
    names = {f"etc-{slot}": f"{site.name()}-{slot}" for slot in site.slots()}
    places = {"/srv/vault": str(site.vault), "/srv/recovered": str(tmp_path / "recovered")}
    with pytest.raises(AssertionError):
        run_recipe(adapted("directory from a folder", {**names, **places}), backups_key)


def test_recovery_by_hand_from_s3(tmp_path: Path, backups_key: GpgHome, rclone: S3Server) -> None:
    site = Site(tmp_path / "site", rclone)
    slots = back_up_three_nights(site, backups_key)
    server = replace(rclone)
    aws = {"aws ": f"aws --endpoint-url {server.endpoint} "}
    name = site.name()

    chain = adapted("chain on S3", {**aws, "bucket=my-backups": f"bucket={site.bucket}", "name=etc": f"name={name}"})
    printed = run_recipe(chain, backups_key, server.environment())
    assert_names_the_chain(printed, site)
    assert re.findall(r"-(\d-\w+)$", printed, re.MULTILINE) == slots

    sums = {**aws, "my-backups/etc-0-FULL": f"{site.bucket}/{name}-0-FULL"}
    first, second = run_recipe(adapted("checksum on S3", sums), backups_key, server.environment()).splitlines()
    assert first.split()[0] == second.split()[0]

    target = tmp_path / "recovered"
    names = {f"etc-{slot}": f"{name}-{slot}" for slot in slots}
    places = {"my-backups": site.bucket, "/srv/recovered": str(target)}
    run_recipe(adapted("directory from S3", {**aws, **names, **places}), backups_key, server.environment())
    assert_same_trees(site.source, target / name)


def test_only_what_the_perl_tool_left_is_deleted_by_its_recipe(
    tmp_path: Path, backups_key: GpgHome, moto: S3Server
) -> None:
    bucket = moto.make_bucket()
    chunks = ["/etc-0-FULL:0000000000000", "/etc-0-FULL:0000005000000", "/home/build-3-DIFF:0000000000000"]
    ours = ["etc-0-FULL", "etc-0-FULL.sha256", "MySQL/a:b-0", "srv/12:30-0-FULL"]
    for key in [*chunks, *ours]:
        moto.client().put_object(Bucket=bucket, Key=key, Body=b"x")
    command = adapted("Perl's objects", {"aws ": f"aws --endpoint-url {moto.endpoint} ", "my-backups": bucket})
    shown = run_recipe(command, backups_key, moto.environment())
    assert sorted(re.findall(rf"delete: s3://{bucket}/(.+)", shown)) == sorted(chunks)
    assert shown.count("(dryrun)") == len(chunks)
    run_recipe(command.replace(" --dryrun", ""), backups_key, moto.environment())
    left = [found["Key"] for found in moto.client().list_objects_v2(Bucket=bucket)["Contents"]]
    assert sorted(left) == sorted(ours)
