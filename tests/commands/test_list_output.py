"""How ``list`` shows its result: on a terminal, in a pipe, and what no output may hold."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess

from s3napback.rotation import day_number
from tests.catalogues import archive, group
from tests.commands.filling import CYCLE, nights, put
from tests.site import FIRST_DAY, Site

FIRST = day_number(FIRST_DAY)


def on_terminal(command: list[str], environment: dict[str, str], columns: int = 100) -> str:
    """Run a command with its output on a terminal, and return what appears there."""
    main, other = pty.openpty()
    environment = {**environment, "COLUMNS": f"{columns}", "TERM": "xterm", "TZ": "UTC"}
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=other, env=environment) as process:
        os.close(other)
        output = b""
        try:
            while block := os.read(main, 65536):
                output += block
        except OSError:
            pass  # Linux reports the end of a terminal so
        finally:
            os.close(main)
    assert process.returncode == 0
    return output.decode()


def test_a_terminal_gets_tables(site: Site) -> None:
    site.configure_cycle(CYCLE)
    old, new = group("etc", 0, FIRST, 3), [*group("etc", 3, FIRST + 3, 3), archive("etc", 0, FIRST + 6)]
    for each in (*old[1:], *new):
        assert each.record is not None
        put(site, each.key, each.record.to_metadata())
    put(site, "unknown-0")
    raw = on_terminal(site.command("list"), site.full_environment())
    shown = re.sub(r"\x1b\[[\d;]*m", "", raw)
    assert "\x1b[1m" in raw
    lines = [line.strip() for line in shown.splitlines()]
    assert lines[0].startswith("NOTHING of Directory")
    assert f"Restorable from {site.store().location}" in lines
    assert "2026-01-04 to" in shown
    assert "keys unknown-SLOT" in shown
    assert re.search(r"\n +5 +DIFF +2026-01-06 03:00 +\d+ bytes +3-5 +yes", shown)
    assert re.search(r"\n +1 +DIFF +2026-01-02 .* - +no: its FULL was", shown)
    assert "Objects without metadata" in shown


def test_a_very_narrow_terminal_gets_whole_words(site: Site) -> None:
    site.configure_cycle(CYCLE)
    nights(site, 1)
    shown = on_terminal(site.command("list"), site.full_environment(), columns=20)
    assert f"Directory {site.source}  FULL" in shown


def test_control_characters_never_reach_the_output(site: Site) -> None:
    site.configure_cycle(CYCLE)
    nights(site, 1)
    metadata = {**site.metadata(f"{site.name()}-0-FULL"), "s3napback-source": "Directory /e%1B%5B31m%0Atc"}
    put(site, "e\x1b[31mtc-0-FULL", metadata)
    plain = site.run("list").stdout
    assert "\x1b" not in plain
    assert "Directory /e\\x1b[31m\\ntc" in plain
    terminal = on_terminal(site.command("list"), site.full_environment())
    assert "/e\x1b" not in terminal
    assert terminal.count("/e\\x1b[31m\\ntc") == 1
    document = json.loads(site.run("list", "--json").stdout)
    assert document["archives"][0]["source"] == "Directory /e\x1b[31m\ntc"


def test_a_name_that_the_output_cannot_encode_is_shown_all_the_same(site: Site) -> None:
    (site.source / "ä").mkdir()
    (site.source / "ä/x").write_text("x")
    site.configure(f"<Directory {site.source}/ä>\n</Directory>")
    site.run()
    assert "source/\\xe4" in site.run("list", environment={"PYTHONIOENCODING": "ascii"}).stdout
    assert "source/ä" in site.run("list", environment={"PYTHONIOENCODING": "utf-8"}).stdout


def test_a_pipe_needs_no_rich_and_a_reader_may_leave_early(site: Site) -> None:
    site.configure_cycle(CYCLE)
    nights(site, 1)
    imported = site.run("list", environment={"PYTHONPROFILEIMPORTTIME": "1"}).stderr
    assert "s3napback.listing.report" in imported
    assert not re.search(r"\| +(rich|boto3|botocore)\b", imported)
    for number in range(400):
        (site.vault / f"etc{number}-0-FULL").write_text("x")
    reader, writer = os.pipe()
    process = subprocess.Popen(site.command("list"), env=site.full_environment(), stdout=writer, stderr=subprocess.PIPE)
    os.close(reader)
    os.close(writer)
    _, errors = process.communicate()
    assert (process.returncode, errors) == (0, b"")
