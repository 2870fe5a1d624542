"""What holds before anything else is loaded, in whatever locale."""

from __future__ import annotations

import pytest

from tests.site import Site

# Without coercion, as Python does it by itself in the C locale, every locale but UTF-8 is like this one.
NO_UTF8 = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize("environment", [NO_UTF8, {**NO_UTF8, "LC_ALL": "POSIX"}], ids=["C", "POSIX"])
def test_names_outside_ascii_are_the_same_files_in_every_locale(site: Site, environment: dict[str, str]) -> None:
    source = site.root / "Müller €"
    source.mkdir()
    (source / "grün").write_text("x")
    site.configure(f'<Cycle c>\nDirectory "{source}"\n</Cycle>')
    done = site.run("--strict", environment=environment)
    assert "1 done, 0 skipped, 0 failed" in done.stderr
    # What is printed has the characters of the locale.
    assert "M\\xfcller" in site.run("list", environment=environment).stdout
    out = site.root / "out"
    site.run("restore", str(source), "--to", str(out), environment=environment)
    assert [path.name for path in out.rglob("gr*")] == ["grün"]
