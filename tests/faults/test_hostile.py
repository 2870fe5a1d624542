"""Whoever names a folder, writes into a folder of ours, or can write to the store, gains nothing by it."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.faults.runner import Runner
from tests.faults.subjects import MARIADB_CLIENT, NO_DUMP
from tests.faulty_s3 import Answer, Fault, FaultyS3, change_answer
from tests.gpg_keys import gpg_home
from tests.servers import S3Server
from tests.site import Site
from tests.stores.sources import BytesSource

pytestmark = pytest.mark.long(60)

NAMES = (
    "-rf",
    "--checkpoint-action=exec=touch PWNED",
    "--use-compress-program=touch PWNED",
    "$(touch PWNED)",
    "`touch PWNED`",
    "; touch PWNED;",
    "| touch PWNED",
    "a' 'b",
    'a"b',
    "back\\slash",
    "{a,b}",
    "*",
    "%s%n",
    "..x",
    "~root",
)


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def test_names_are_neither_options_nor_shell_code(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [site.source / name for name in NAMES]
    for folder in folders:
        folder.mkdir()
        (folder / "file").write_text("content")
    site.configure("<Cycle a>\n" + "\n".join(f"Directory {quoted(str(folder))}" for folder in folders) + "\n</Cycle>")
    done = site.run()
    assert f"{len(NAMES)} done" in done.stderr
    assert "\x1b" not in done.stderr
    for number, folder in enumerate(folders):
        (key,) = [key for key in site.archive_keys() if key.startswith(f"{site.name(folder)}-")]
        recovered = site.recover([key], tmp_path / str(number))
        assert (recovered / folder.name / "file").read_text() == "content"
    assert not list(Path.cwd().glob("PWNED*"))
    assert not list(tmp_path.rglob("PWNED"))


@pytest.mark.parametrize(
    ("directive", "code"),
    [
        ('Exclude "--checkpoint-action=exec=touch PWNED"', 0),
        ('TarOptions --checkpoint=1 "--checkpoint-action=exec=touch PWNED"', 2),
        ('TarOptions "--to-command=touch PWNED"', 2),
        ('TarOptions -I "touch PWNED"', 2),
        ("GpgRecipient --output=PWNED", 2),
        ("HostName $(touch${IFS}PWNED)", 0),
        ("Prefix ../../PWNED", 2),
        ("Prefix $(touch${IFS}PWNED)", 0),
        ("Bucket file:///../PWNED", 2),
        ("Bucket file:///../PWNED/..", 2),
        ('Compression "touch PWNED"', 2),
        ("MySQL --result-file=PWNED", 1),
        ('MySQL "a;touch PWNED"', 1),
        ("PostgreSQL --file=PWNED", 1),
        ('PostgreSQL "dbname=x|touch PWNED"', 1),
        ('Subversion "/x;touch PWNED"', 1),
        ("MySQLOptions --result-file=PWNED", 2),
        ("PostgreSQLOptions --file=PWNED", 2),
    ],
)
def test_directives_are_neither_options_nor_shell_code(site: Site, directive: str, code: int) -> None:
    """Refused or taken as they are: nothing is run, and no file comes to be where none belongs."""
    (site.source / "file").write_text("content of several of tar's records, each of which is a checkpoint" * 10_000)
    name = directive.partition(" ")[0]
    inside = name in ("Exclude", "TarOptions", "MySQL", "PostgreSQL", "Subversion", "MySQLOptions", "PostgreSQLOptions")
    site.configure(f"<Cycle a>\nDirectory {site.source}\n{directive if inside else ''}\n</Cycle>")
    if not inside:
        # Of two of one name the first would count.
        lines = [line for line in site.configuration.read_text().splitlines() if line.partition(" ")[0] != name]
        site.configuration.write_text("\n".join([directive, *lines, ""]))
    site.run(expect=code)
    # By the whole name: folders of the store and of DiffDir are named after Prefix, as far as there is room.
    below = [path for path in site.root.rglob("*") if path.is_dir()]
    places = [Path.cwd(), Path("/"), site.root.parent, site.root, *below]
    assert [place for place in places if os.path.lexists(place / "PWNED")] == []


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    file = tmp_path / "victim"
    file.write_text("precious")
    return file


@pytest.mark.parametrize("where", ["lock", "STATE/state.json.new", "STATE/working.snapshot", "STATE", "STORE", "TEMP"])
def test_links_planted_in_our_folders_are_not_followed(site: Site, victim: Path, where: str) -> None:
    """Whether the run goes on without them or refuses to: what they point to stays as it is."""
    (site.source / "file").write_text("content")
    site.configure_cycle("Diffs 6\nUseTempFile on")
    site.run(day=0)
    (state,) = [path.parent for path in site.diff_dir.rglob("state.json")]
    if where in ("STATE", "STORE"):
        folder = state if where == "STATE" else state.parent
        aside = folder.rename(site.root / "aside")
        folder.symlink_to(aside)
        before = {path: path.read_bytes() for path in aside.rglob("*") if path.is_file()}
    elif where == "TEMP":
        for number in range(50):
            (site.temp_dir / f"tmp{number}").symlink_to(victim)
        before = {}
    else:
        path = Path(str(site.diff_dir / where).replace(str(site.diff_dir / "STATE"), str(state)))
        path.unlink(missing_ok=True)
        path.symlink_to(victim)
        before = {}
    site.run(day=1, expect=None)
    assert victim.read_text() == "precious"
    assert {path: path.read_bytes() for path in before} == before


LIES = {
    "a day beyond all calendars": {"day": "999999999999"},
    "a day before all calendars": {"day": "-999999"},
    "a slot without end": {"slot": "9" * 400},
    "a parent that it is itself": {"parent": "SELF", "type": "DIFF"},
    "a source that leads out": {"source": "Directory%20/../../../../tmp/evil"},
    "a source of no kind": {"source": "Directory"},
    "a host that paints the terminal": {"host": "%1b%5b31mred%0aline", "cycle": "%1b%5b2J%07"},
    "a compression that it has not": {"compression": "none"},
    "a compression that there is not": {"compression": "lzma"},
    "a moment at the end of time": {"started": "9999-12-31T23:59:59Z"},
    "a moment at its beginning": {"started": "0001-01-01T00:00:00Z"},
    "bytes that are no text": {"host": "%ff%fe"},
    "recipients that are options": {"recipients": "--output,x"},
    "an id that leads out": {"id": "../../../x"},
}
COMMANDS = ((), ("-t",), ("list",), ("verify",), ("prune",), ("restore", "SOURCE", "--to", "TARGET"))


@pytest.mark.parametrize("lie", LIES)
def test_metadata_that_lies_leads_to_clean_answers(site: Site, runner: Runner, lie: str) -> None:
    (site.source / "file").write_text("content")
    site.configure_cycle("Diffs 6\nFulls 2")
    site.run(day=0)
    (key,) = site.archive_keys()
    metadata = dict(site.metadata(key))
    told = {
        f"s3napback-{name}": metadata["s3napback-id"] if value == "SELF" else value for name, value in LIES[lie].items()
    }
    site.store().put(key, BytesSource(site.fetch(key)), {**metadata, **told})
    target = site.root / "target"
    places = {"SOURCE": str(site.source), "TARGET": str(target)}
    for command in COMMANDS:
        arguments = site.command(*(places.get(word, word) for word in command), day=1)[3:]
        done = runner.run(arguments, site.full_environment())
        assert done.code in (0, 1, 2), done.stderr
        assert "bug" not in done.stderr
        assert "\x1b" not in done.stdout + done.stderr
    assert {path.name for path in site.root.iterdir()} <= {"vault", "diffs", "temp", "source", "site.conf", "target"}
    if target.exists():
        assert (target / site.name() / "file").read_text() == "content"


def test_a_store_whose_names_lead_out_writes_nothing_outside(
    tmp_path: Path, moto: S3Server, faulty: Callable[[S3Server], FaultyS3]
) -> None:
    proxy = faulty(moto)
    site = Site(tmp_path / "deep/down/site", proxy.server)
    (site.source / "file").write_text("content")
    site.configure_cycle("Diffs 6")
    site.run()
    (key,) = site.archive_keys()

    def mislead(reply: Answer) -> Answer:
        return Answer(reply.status, reply.headers, reply.body.replace(key.encode(), b"../../../../evil-0-FULL"))

    proxy.add(Fault("ListObjectsV2", change_answer(mislead)))
    before = {path for path in tmp_path.rglob("*") if "target" not in path.parts}
    for command in COMMANDS[2:]:
        places = {"SOURCE": "/../../../../evil", "TARGET": str(site.root / "target")}
        site.run(*(places.get(word, word) for word in command), day=1, expect=None)
    assert {path for path in tmp_path.rglob("*") if "target" not in path.parts} == before
    assert not Path("/evil").exists()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 1 << 40), "is larger than"),
        (lambda path: path.write_bytes(os.urandom(1_000_000)), "is this a configuration"),
        (lambda path: path.write_bytes(b"Bucket x\n" + bytes(100)), "NUL bytes"),
        (lambda path: path.write_text("x" * 1_000_000), ""),
        (lambda path: path.write_text("<Cycle a>\n" * 20_000), ""),
        (lambda path: path.write_text("Bucket x\n" * 90_000), ""),
        (lambda path: path.write_text('Bucket "' + "\\" * 900_000), ""),
        (lambda path: path.write_text(f"Include {path}\n" * 100), ""),
        (os.mkfifo, "is not a regular file"),
        (lambda path: path.mkdir(), "is not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "is not a regular file"),
        (lambda path: path.symlink_to("/proc/self/mem"), ""),
    ],
    ids=[
        "terabyte",
        "random",
        "NUL",
        "one line",
        "nested",
        "repeated",
        "backslashes",
        "circle",
        "fifo",
        "folder",
        "zero",
        "mem",
    ],
)
def test_a_configuration_that_is_none_is_refused_soon(site: Site, make: Callable[[Path], object], words: str) -> None:
    make(site.configuration)
    done = site.run(expect=2)
    assert words in done.stderr
    assert str(site.configuration) in done.stderr
    assert len(done.stderr) < 200_000


SECRETS = ("TOPSECRETKEY", "TOPSECRETTOKEN", "TOPSECRETPASSPHRASE", "TOPSECRETPASSWORD")


@contextmanager
def watched_command_lines() -> Iterator[set[str]]:
    """The command lines and environments' names of all processes that appear meanwhile, as anybody can see them."""
    seen: set[str] = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            for entry in Path("/proc").glob("[0-9]*"):
                with suppress(OSError):
                    seen.add((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def test_secrets_are_neither_logged_nor_shown_to_other_users(
    tmp_path: Path, moto: S3Server, faulty: Callable[[S3Server], FaultyS3]
) -> None:
    """Seen live, with ``-d``, in a run that succeeds and one that fails, and in a restore."""
    site = Site(tmp_path / "site", faulty(moto).server)
    (site.source / "file").write_bytes(os.urandom(6_000_000))
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("TOPSECRETPASSPHRASE\n")
    home_folder = tmp_path / "home"
    home_folder.mkdir()
    (home_folder / ".my.cnf").write_text("[client]\npassword=TOPSECRETPASSWORD\n")
    site.environment["HOME"] = str(home_folder)
    with gpg_home() as home:
        home.run(
            "--passphrase-file", str(passphrase), "--pinentry-mode", "loopback", "--quick-generate-key", "B <b@e.org>"
        )
        subprocess.run(["gpgconf", "--homedir", str(home.path), "--kill", "gpg-agent"], check=True)
        general = f"GpgHome {home.path}\nGpgRecipient b@e.org\nChunkSize 5242880"
        site.configure(f"<Cycle a>\nDirectory {site.source}\nMySQL shop\n</Cycle>", general=general)
        (site.root / "key.txt").write_text("key=KEY\nsecret=TOPSECRETKEY\ntoken=TOPSECRETTOKEN\n")
        site.fake_program("mariadb", MARIADB_CLIENT)
        site.fake_program(
            "mariadb-dump",
            f'{NO_DUMP}; echo "-- MariaDB dump"; sleep 0.3; echo "-- Dump completed"',
        )
        with watched_command_lines() as seen:
            good = site.run("-d", expect=0)
            restored = site.run(
                *("-d", "restore", str(site.source), "--to", str(tmp_path / "out")),
                *("--passphrase-file", str(passphrase)),
            )
            site.fake_program("mariadb-dump", "exit 1")
            bad = subprocess.run(
                site.command("-d", day=1), capture_output=True, text=True, env=site.full_environment(), check=False
            )
    assert bad.returncode == 1
    assert any("gpg" in line and "--encrypt" in line for line in seen)
    assert any("gpg" in line and "--decrypt" in line for line in seen)
    shown = "\n".join([*seen, *(text for done in (good, restored, bad) for text in (done.stdout, done.stderr))])
    stored = json.dumps({key: data.decode(errors="replace") for key, data in site.diff_dir_contents().items()})
    for secret in SECRETS:
        assert secret not in shown
        assert secret not in stored
