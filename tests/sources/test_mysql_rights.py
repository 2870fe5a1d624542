"""What a user of MySQL or MariaDB lacks for a dump, by what SHOW GRANTS prints."""

from __future__ import annotations

import pytest

from s3napback.sources.mysql_rights import missing_rights

TO = "TO `b`@`h`"
ENOUGH = [
    [f"GRANT ALL PRIVILEGES ON *.* {TO} WITH GRANT OPTION"],
    [f"GRANT SELECT, LOCK TABLES, TRIGGER ON *.* {TO} IDENTIFIED BY PASSWORD '*A ON B TO C'"],
    [f"GRANT USAGE ON *.* {TO}", f"GRANT ALL PRIVILEGES ON `my\\_shop`.* {TO}"],
    [f"GRANT SELECT, TRIGGER, EXECUTE ON `my\\_shop`.* {TO}"],
    [f"GRANT SELECT, TRIGGER, EXECUTE ON `my_sh%`.* {TO}"],
    [f"GRANT SELECT ON *.* {TO}", f"GRANT TRIGGER ON `my_shop`.* {TO}"],
    [f"GRANT SELECT, TRIGGER ON `my_shop`.* {TO}", f"GRANT SELECT ON `mysql`.`proc` {TO}"],
    [f"GRANT SHOW_ROUTINE ON *.* {TO}", f"GRANT SELECT, TRIGGER ON `my_shop`.* {TO}"],
]
NOT_ENOUGH = [
    ([f"GRANT USAGE ON *.* {TO}"], ["SELECT", "TRIGGER", "proc"]),
    ([f"GRANT SELECT, TRIGGER, EXECUTE ON `my_shop`.`a` {TO}"], ["SELECT", "TRIGGER", "proc"]),
    ([f"GRANT SELECT (`a`, `TRIGGER`), TRIGGER, EXECUTE ON `my_shop`.* {TO}"], ["SELECT"]),
    ([f"GRANT SELECT, TRIGGER, EXECUTE ON `other`.* {TO}"], ["SELECT", "TRIGGER", "proc"]),
    ([f"GRANT SELECT, TRIGGER, EXECUTE ON `my\\_sho`.* {TO}"], ["SELECT", "TRIGGER", "proc"]),
    ([f"GRANT ALL PRIVILEGES ON *.* {TO}", "REVOKE SELECT ON `my_shop`.* FROM `b`@`h`"], ["SELECT"]),
    ([f"GRANT SELECT, EXECUTE ON `my_shop`.* {TO}"], ["TRIGGER"]),
    ([f"GRANT SELECT, TRIGGER ON `my_shop`.* {TO}", f"GRANT EXECUTE ON PROCEDURE `my_shop`.`x` {TO}"], ["proc"]),
]


@pytest.mark.parametrize("grants", ENOUGH)
def test_nothing_is_asked_for_where_all_can_be_seen(grants: list[str]) -> None:
    assert missing_rights(grants, "my_shop", is_mariadb=True) == ""


@pytest.mark.parametrize(("grants", "wanted"), NOT_ENOUGH)
def test_what_hides_something_is_asked_for(grants: list[str], wanted: list[str]) -> None:
    named = {"SELECT": "GRANT SELECT ON `my\\_shop`.*", "TRIGGER": "GRANT TRIGGER ON `my\\_shop`.*"}
    named["proc"] = "GRANT SELECT ON `mysql`.`proc`"
    expected = "; ".join(f"{named[each]} {TO}" for each in wanted)
    assert missing_rights(grants, "my_shop", is_mariadb=True) == expected


def test_all_databases_take_rights_on_all() -> None:
    one = [f"GRANT ALL PRIVILEGES ON `my_shop`.* {TO}", f"GRANT ALL PRIVILEGES ON `%`.* {TO}"]
    assert missing_rights(one, "", is_mariadb=False).count("ON *.*") == 3
    whole = [f"GRANT SELECT, TRIGGER ON *.* {TO}"]
    assert missing_rights(whole, "", is_mariadb=False) == ""
    assert "SELECT" in missing_rights([*whole, "REVOKE SELECT ON `secret`.* FROM `b`@`h`"], "", is_mariadb=False)


def test_odd_names_are_quoted() -> None:
    assert "ON `a``b\\\\c\\%`.*" in missing_rights([], "a`b\\c%", is_mariadb=True)
