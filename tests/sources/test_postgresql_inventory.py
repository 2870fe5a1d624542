"""What a dump of PostgreSQL holds is read while it passes, and what it must hold depends on PostgreSQLOptions."""

from __future__ import annotations

import pytest

from s3napback.sources.postgresql_answers import definition_at
from s3napback.sources.postgresql_inventory import DatabaseContents, PostgreSQLInventory, Thing, read_things

DUMP = b"""--
-- PostgreSQL database cluster dump
--
--
-- Database "shop" dump
--
--
-- Name: odd; Type: TABLE; x; Type: TABLE; Schema: b\xc3\xbcro; Owner: postgres
--
--
-- Name: numbers; Type: SEQUENCE; Schema: public; Owner: postgres
--
-- Name: numbers; Type: SEQUENCE OWNED BY; Schema: public; Owner: postgres
--
-- Name: tidy(before bigint); Type: PROCEDURE; Schema: public; Owner: postgres
--
-- Name: PROCEDURE tidy(before bigint); Type: COMMENT; Schema: public; Owner: postgres
--
-- Name: orders remember; Type: TRIGGER; Schema: public; Owner: postgres
--
-- Name: far; Type: SERVER; Schema: -; Owner: postgres
--
--
-- Data for Name: orders; Type: TABLE DATA; Schema: public; Owner: postgres
--
COPY public.orders (text) FROM stdin;
\\n-- Name: none; Type: TABLE; Schema: public; Owner: postgres
\\.
SELECT pg_catalog.lo_open('424242', 131072);
"""


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_names_and_counts_do_not_depend_on_blocks(size: int) -> None:
    inventory = PostgreSQLInventory()
    blocks = (memoryview(DUMP[start : start + size]) for start in range(0, len(DUMP), size))
    assert b"".join(map(bytes, inventory.passed(blocks))) == DUMP
    assert inventory.names == {
        "the database shop",
        "the table büro.odd; Type: TABLE; x of the database shop",
        "the sequence public.numbers of the database shop",
        "the server far of the database shop",
        "rows of the table public.orders of the database shop",
    }
    assert inventory.counts == {
        "routines of the database shop": 1,
        "triggers of the database shop": 1,
        "large objects of the database shop": 1,
    }


def _rows_of(name: str, text: str) -> str:
    return f"-- Data for Name: {name}; Type: TABLE DATA; Schema: public; Owner: postgres\n--\n\n{text}\n\n--\n"


WRITTEN = (
    _rows_of("copied", "COPY public.copied (a) FROM stdin;\n1\n2\n\\.")
    + _rows_of("part", "-- load via partition root public.all\n\nCOPY public.all (a) FROM stdin;\n1\n\\.")
    + _rows_of("bare", "COPY public.bare (a) FROM stdin;\n\\.")
    + _rows_of("stated", "INSERT INTO public.stated VALUES (1);")
    + _rows_of("a part", "-- load via partition root public.all\n\nINSERT INTO public.all VALUES (1);")
    + _rows_of("none stated", "")
    + _rows_of("no part", "-- load via partition root public.all\n\n")
)


@pytest.mark.parametrize("size", [1, 7, 50, 10_000])
def test_rows_are_counted_or_known_to_be_none_however_they_are_written(size: int) -> None:
    inventory = PostgreSQLInventory()
    data = memoryview(b"--\n" + WRITTEN.encode())
    for _ in inventory.passed(data[start : start + size] for start in range(0, len(data), size)):
        pass
    assert inventory.rows == {("public", "copied"): 2, ("public", "part"): 1, ("public", "bare"): 0}
    assert inventory.uncounted == {("public", "stated"), ("public", "a part")}
    assert inventory.without_rows == {("public", name) for name in ("bare", "none stated", "no part")}


THINGS = [
    Thing("schema", "", "sales", ""),
    Thing("table", "sales", "Orders", "p"),
    Thing("triggers", "sales", "Orders", ""),
    Thing("view", "public", "grün", ""),
    Thing("extension", "", "hstore", ""),
    Thing("publication", "", "news", ""),
]
ALL = {
    "the schema sales",
    "the table sales.Orders",
    "rows of the table sales.Orders",
    "1 triggers",
    "the view public.grün",
    "the extension hstore",
    "the publication news",
}
OF_ORDERS = {"the table sales.Orders", "rows of the table sales.Orders", "1 triggers"}


@pytest.mark.parametrize(
    ("options", "left_out"),
    [
        ((), set()),
        (("--exclude-schema=s*",), {*OF_ORDERS, "the schema sales"}),
        (("-N", "Sales"), {*OF_ORDERS, "the schema sales"}),
        (("--exclude-table=orders",), set()),
        (('--exclude-table="Orders"',), OF_ORDERS),
        (("-T", 'sales."Orders"'), OF_ORDERS),
        (("-T", '"sales.Orders"'), set()),
        (("-T", 'public."Orders"'), set()),
        (("--exclude-table-and-children=other",), {*OF_ORDERS, "the view public.grün"}),
        (('--exclude-table-data="Orders"',), {"rows of the table sales.Orders"}),
        (("--exclude-table-data-and-children=other",), {"rows of the table sales.Orders"}),
        (("--exclude-extension=hst*",), {"the extension hstore"}),
        (("--no-publications",), {"the publication news"}),
        (("--encoding=LATIN1",), {"the view public.grün"}),
    ],
)
def test_what_options_leave_out_is_not_missed(options: tuple[str, ...], left_out: set[str]) -> None:
    contents = DatabaseContents(THINGS, options)
    wanted = {*contents.names(), *(f"{count} {what}" for what, count in contents.counts().items())}
    assert wanted == ALL - left_out
    assert not contents.is_empty


def test_only_relations_keep_a_database_from_being_empty() -> None:
    assert DatabaseContents([Thing("extension", "", "hstore", ""), Thing("routines", "public", "", "")], ()).is_empty


def test_what_is_no_answer_is_told() -> None:
    assert read_things("table\tpublic\todd\nname\tp\0") == [THINGS[1]._replace(schema="public", name="odd\nname")]
    for text in ("+----+\t| x |\ta\tb", "view\tpublic\twith\ttab\t\0"):
        with pytest.raises(ValueError, match="psql printed"):
            read_things(text)


def test_a_row_that_looks_like_the_definition_of_a_database_is_none() -> None:
    head = "--| CREATE DATABASE x;\n--| COMMENT ON DATABASE x IS '\n--|  y';\n--\n-- PostgreSQL database dump\n--\n"
    row = "COPY public.t (a) FROM stdin;\n--| DROP ROLE y;\n\\.\n"
    assert definition_at(head + row) == "CREATE DATABASE x;\nCOMMENT ON DATABASE x IS '\n y';\n"
    assert not definition_at(row)
