"""A name that is completed is the argument that was meant, in real shells, whatever characters it has."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3napback.shell_scripts import LastWord, split_line, typed
from tests.shells import Shell
from tests.site import Site

pytestmark = pytest.mark.long(30)

NAMES = ("a b", "e$f'g,h", "h:i=", 'j"k\\', "#(*`ü")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site with sources of hostile names."""
    made = Site(tmp_path_factory.mktemp("completing"))
    lines = []
    for name in NAMES:
        (made.source / name).mkdir()
        quoted = str(made.source / name).replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'Directory "{quoted}"')
    made.configure("\n".join(["<Cycle nightly>", *lines, "MySQL /run/x.sock:wiki", "</Cycle>"]))
    return made


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_what_tab_completes_is_what_the_command_gets(site: Site, name: str, tmp_path: Path) -> None:
    begin = f"s3napback -c {site.configuration} restore {site.source}"
    with Shell(name, tmp_path) as shell:
        for each in NAMES:
            start = "\\#" if each[0] == "#" else each[0]
            assert shell.completed(f"{begin}/{start}")[3:] == [f"{site.source}/{each}"]
        # Behind a blank, a colon and a quote that are typed already.
        assert shell.completed(f"{begin}/h:")[3:] == [f"{site.source}/h:i="]
        assert shell.completed(f's3napback -c {site.configuration} restore "{site.source}/e')[3:] == [
            f"{site.source}/e$f'g,h"
        ]
        assert shell.completed(f"s3napback -c {site.configuration} restore '{site.source}/j")[3:] == [
            f'{site.source}/j"k\\'
        ]
        # Commands and options, also where a value is joined to one.
        assert shell.completed("s3napback ini") == ["init"]
        assert shell.completed(f"s3napback verify --config={site.configuration} --from=night")[2:] == ["--from=nightly"]


ODD = st.text(st.sampled_from("a b\"'`\\#$%&*?<>=!{}[]|;:,~-_.@()^ü/"), min_size=1, max_size=10)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(ODD, st.integers(0, 10)), min_size=20, max_size=20))
def test_bash_reads_what_was_typed_and_what_is_inserted_as_the_name(pairs: list[tuple[str, int]]) -> None:
    """A name of which a beginning is typed, as the shell quotes it, and the rest inserted behind what it keeps."""
    lines, names = [], []
    for name, length in pairs:
        start = typed(name[:length], LastWord(""))
        words, last = split_line(f"s3napback restore {start}")
        assert (words, last.value, last.quote) == (["s3napback", "restore"], name[:length], "")
        # It keeps so much of what was typed, and replaces the rest.
        lines.append(f"{typed(name[: last.kept], LastWord(''))}{typed(name, last)}")
        names.append(name)
    said = subprocess.run(
        ["bash", "-c", "".join(f"printf '%s\\n' {line}\n" for line in lines)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.splitlines() == names


@pytest.mark.parametrize("quote", ["'", '"'])
@settings(deadline=None)
@given(name=ODD)
def test_what_is_inserted_behind_an_open_quote_is_the_name_once_it_is_closed(quote: str, name: str) -> None:
    words, last = split_line(f"s3napback restore {quote}")
    assert (words, last.quote) == (["s3napback", "restore"], quote)
    if "`" not in name and "$" not in name:
        assert shlex.split(f"{quote}{typed(name, last)}{quote}") == [name]


def test_words_are_cut_as_bash_cuts_them() -> None:
    words, last = split_line('s3napback  -c \'a b\' "c\\"d\\e" f\\ g ')
    assert (words, last) == (["s3napback", "-c", "a b", 'c"d\\e', "f g"], LastWord(""))
    assert split_line("s3napback --at=2026")[1] == LastWord("--at=2026", "", 5)
    assert split_line("s3napback x:y=", "")[1] == LastWord("x:y=")
