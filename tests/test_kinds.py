"""The kinds of source: one row for each, and nothing of what is in it anywhere else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import s3napback
from s3napback.errors import SourceError, UnknownKind
from s3napback.kinds import KINDS, SourceName, kind_called, kind_of
from s3napback.recovery.registry import RECOVERIES, recovery_of
from s3napback.sources.registry import EXPANDERS, MAKERS, expand_job, make_source, needs_tar
from s3napback.targets import InvalidNameError
from tests.catalogues import job

PACKAGE = Path(s3napback.__file__).parent


@pytest.mark.parametrize(
    ("kind", "written", "target", "base"),
    [
        ("Directory", "/etc/", "/etc", "etc"),
        ("Directory", "/", "/", ""),
        ("Directory", "/Straße/a b", "/Straße/a b", "Straße/a b"),
        ("Subversion", "/srv/svn/x", "/srv/svn/x", "srv/svn/x"),
        ("SubversionDir", "/srv/svn/", "/srv/svn", "srv/svn"),
        ("MySQL", "all", "all", "MySQL/all"),
        ("MySQL", "shop", "shop", "MySQL/shop"),
        ("MySQL", "/run//my.sock:shop", "/run/my.sock:shop", "MySQL/run/my.sock/shop"),
        ("PostgreSQL", "all", "all", "PostgreSQL/all"),
        ("PostgreSQL", "bob@shop", "bob@shop", "PostgreSQL/shop"),
        ("PostgreSQL", "bob@host@shop", "bob@host@shop", "PostgreSQL/shop"),
        ("PostgreSQL", "a:b", "a:b", "PostgreSQL/a:b"),
        ("MySQL", "-x", "-x", "MySQL/-x"),
    ],
)
def test_each_kind_of_source_has_its_key_base(kind: str, written: str, target: str, base: str) -> None:
    row = kind_of(kind)
    assert row.grammar.normalised(written) == target
    assert row.key_base(target) == base


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("MySQL", ""),
        ("MySQL", ".."),
        ("MySQL", "../x"),
        ("MySQL", "a//b"),
        ("MySQL", "a\tb"),
        ("MySQL", "host:db"),
        ("MySQL", ":db"),
        ("MySQL", "/sock:"),
        ("PostgreSQL", "@db"),
        ("PostgreSQL", "bob@"),
        ("PostgreSQL", "bob@."),
        ("PostgreSQL", "postgresql://bob:secret@host/db"),
        ("PostgreSQL", "dbname=x password = secret"),
    ],
)
def test_databases_that_would_leave_the_store_or_hold_a_password_are_refused(kind: str, target: str) -> None:
    with pytest.raises(InvalidNameError) as raised:
        kind_of(kind).grammar.normalised(target)
    assert "secret" not in str(raised.value)


def test_every_kind_is_dumped_and_restored_or_is_a_folder_of_one_that_is() -> None:
    for kind in KINDS.values():
        if kind.folder_of:
            assert kind.name in EXPANDERS
            assert not kind_of(kind.folder_of).folder_of
        else:
            assert kind.name in MAKERS
        assert recovery_of(SourceName(kind.name, "x"))
    assert {*MAKERS, *EXPANDERS} == set(KINDS)
    assert set(RECOVERIES) == set(MAKERS)


def test_an_unknown_kind_is_refused_and_never_taken_for_another_one() -> None:
    for name in ("", "Oracle", "directory"):
        with pytest.raises(UnknownKind, match="no kind of source"):
            kind_of(name)
    with pytest.raises(SourceError, match=r"Oracle /a\.db.* plain tools"):
        recovery_of(SourceName.parse("Oracle /a.db"))
    assert kind_called("oracle") is None
    assert kind_called("SUBVERSIONdir") is KINDS["SubversionDir"]


def test_a_kind_that_is_only_a_row_is_refused_by_both_registries(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (replace(KINDS["MySQL"], name="Ledger"), replace(KINDS["SubversionDir"], name="LedgerDir")):
        monkeypatch.setitem(KINDS, kind.name, kind)
    monkeypatch.setitem(KINDS, "SubversionDir", replace(KINDS["SubversionDir"], folder_of="Ledger"))
    with pytest.raises(UnknownKind, match="could back up sources of the kind 'Ledger'"):
        make_source(job(source="Ledger x"))
    with pytest.raises(UnknownKind, match="could back up sources of the kind 'LedgerDir'"):
        expand_job(job(source="LedgerDir /x"), ())
    for source in ("Ledger x", "SubversionDir /x"):
        with pytest.raises(UnknownKind, match="could restore sources of the kind"):
            recovery_of(SourceName.parse(source))


def test_gnu_tar_is_asked_for_where_a_directory_is_backed_up_and_nowhere_else() -> None:
    jobs = [job(source=f"{kind} x") for kind in KINDS]
    assert [each.kind for each in jobs if needs_tar(each)] == ["Directory"]


@given(st.one_of(st.text(), st.builds("{} {}".format, st.sampled_from([*KINDS, "Oracle"]), st.text())))
def test_what_a_source_calls_itself_is_kept_as_it_is(text: str) -> None:
    name = SourceName.parse(text)
    assert str(name) == text
    assert SourceName.parse(str(name)) == name
    assert not name.kind or name.kind in KINDS


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Directory /etc", SourceName("Directory", "/etc")),
        ("Directory /two words", SourceName("Directory", "/two words")),
        ("MySQL all", SourceName("MySQL", "all")),
        ("Directory", SourceName("", "Directory")),
        ("Directory ", SourceName("", "Directory ")),
        ("directory /etc", SourceName("", "directory /etc")),
        ("Oracle /a.db", SourceName("", "Oracle /a.db")),
        ("", SourceName("", "")),
    ],
)
def test_a_source_is_called_by_its_kind_and_its_target(text: str, name: SourceName) -> None:
    assert SourceName.parse(text) == name


def _literals(path: Path) -> Iterator[tuple[int, str]]:
    """The line and value of each string that is not a docstring, pieces of f-strings among them."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    descriptions = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in descriptions:
            yield node.lineno, node.value


def test_no_module_but_that_of_the_kinds_calls_one_by_its_name() -> None:
    """Within a sentence a name is for people; alone, or with the mark behind it, it is data."""
    found = [
        f"{path.relative_to(PACKAGE)}:{line}: {text!r}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path != PACKAGE / "kinds.py"
        for line, text in _literals(path)
        if text.strip(" /:") in KINDS
    ]
    assert found == []
