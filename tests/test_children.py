"""Every process that the package starts gets its environment from one place."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import s3napback
from tests.databases.repository import begin
from tests.gpg_keys import gpg_home
from tests.site import Site

PACKAGE = Path(s3napback.__file__).parent
STARTERS = {
    *("subprocess.run", "subprocess.Popen", "subprocess.call", "subprocess.check_call", "subprocess.check_output"),
    *("subprocess.getoutput", "subprocess.getstatusoutput"),
}
OTHER_WAYS = ("os.system", "os.popen", "os.exec", "os.spawn", "os.posix_spawn", "os.fork", "pty.", "asyncio.")
"""Ways to start a process that the package does without."""
ALLOWED = {
    ("start.py", "os.execv"),  # at its start the program may take its own place, in another locale
    ("paging.py", "os.execve"),  # a pager takes the place of a program that has nothing more to do
    ("sources/sqlite_room.py", "os.fork"),  # a child, which got its environment, leaves somebody to tidy up after it
}

SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "SEKRIT-AWS",
    "MYSQL_PWD": "SEKRIT-MYSQL",
    "PGPASSWORD": "SEKRIT-PG",
    "TAR_OPTIONS": "--checkpoint=1",
    "SVN_EDITOR": "SEKRIT-EDITOR",
}


def calls() -> Iterator[tuple[str, ast.Call, dict[str, str]]]:
    """Every call in the package, with file and line, and what the names in its file are assigned."""
    for path in sorted(PACKAGE.rglob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        assigned = {
            ast.unparse(node.targets[0]): ast.unparse(node.value) for node in nodes if isinstance(node, ast.Assign)
        }
        for node in nodes:
            if isinstance(node, ast.Call):
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}", node, assigned


def test_every_process_is_given_an_environment_that_was_made_in_the_one_place() -> None:
    found = 0
    for place, call, assigned in calls():
        name = ast.unparse(call.func)
        assert not name.startswith(OTHER_WAYS) or (place.partition(":")[0], name) in ALLOWED, place
        if name not in STARTERS:
            continue
        found += 1
        given = [ast.unparse(keyword.value) for keyword in call.keywords if keyword.arg == "env"]
        assert given, f"{place} starts a process with our own environment"
        environment = assigned.get(given[0], given[0])
        assert "child_environment(os.environ, " in environment, place
        assert environment.count("os.environ") == 1, place
    assert found >= 7


def test_processes_are_started_under_these_names_only() -> None:
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert node.module not in ("subprocess", "multiprocessing", "pty"), path
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    assert alias.name not in ("multiprocessing", "pty"), path
                    assert alias.name != "subprocess" or alias.asname is None, path


@pytest.fixture
def spied(tmp_path: Path) -> Site:
    """A site whose children write down what they were given before they do their work."""
    site = Site(tmp_path / "site")
    given = tmp_path / "given"
    given.mkdir()
    for program in ("tar", "gpg", "mariadb", "psql", "svnadmin", "svnlook", "cp"):
        site.fake_program(program, f'cat /proc/self/environ >>{given}/{program}; exec REAL "$@"')
    return site


def given_to(site: Site, program: str) -> dict[str, str]:
    """All that a program's processes were given together."""
    words = (site.root.parent / "given" / program).read_bytes().split(b"\0")
    return dict(word.decode().split("=", 1) for word in words if word)


def test_children_of_a_night_and_of_a_restore_see_no_secret_of_others(spied: Site, tmp_path: Path) -> None:
    begin(tmp_path / "repository", tmp_path / "scratch")
    with gpg_home() as home:
        fingerprint = home.make_key("Backup <backup@example.org>")
        sources = f"Directory {spied.source}\nMySQL a\nPostgreSQL a\nSubversion {tmp_path}/repository\n"
        spied.configure(f"<Cycle c>\n{sources}</Cycle>", general=f"GpgRecipient {fingerprint}")
        (spied.source / "file").write_text("x")
        spied.environment.update(SECRETS)
        spied.environment["GNUPGHOME"] = str(home.path)
        spied.environment["PGHOST"] = str(tmp_path)
        # There are no database servers.
        spied.run(expect=1)
        spied.run("restore", str(spied.source), "--to", str(tmp_path / "files"))
        spied.run("restore", str(tmp_path / "repository"), "--to", str(tmp_path / "loaded"))
        spied.run("verify", str(spied.source), "--compare")
    common = {"PATH", "HOME", "LC_ALL", "PWD", "_", "SHLVL", "OLDPWD", "TZ", "USER", "LOGNAME", "TMPDIR"}
    expected = {
        "tar": {},
        "svnadmin": {},
        "svnlook": {},
        "gpg": {"GNUPGHOME": str(home.path)},
        "mariadb": {"MYSQL_PWD": "SEKRIT-MYSQL"},
        "psql": {"PGPASSWORD": "SEKRIT-PG", "PGHOST": str(tmp_path)},
    }
    for program, more in expected.items():
        given = given_to(spied, program)
        assert {name: value for name, value in given.items() if name not in common and name not in MACHINE} == more
    assert given_to(spied, "svnadmin")["LC_ALL"] == "C.UTF-8"
    assert given_to(spied, "tar")["LC_ALL"] == "C"


MACHINE = {
    *("TERM", "DISPLAY", "XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "XDG_SESSION_TYPE"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR"),
}
"""What gpg and clients of databases may get that a developer's machine has set."""
