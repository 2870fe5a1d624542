"""What a dump of MySQL holds is read while it passes, wherever its blocks end."""

from __future__ import annotations

import pytest

from s3napback.sources.mysql_answers import read_answer
from s3napback.sources.mysql_inventory import MySQLInventory

DUMP = b"""-- MariaDB dump 10.19
--
-- Current Database: `shop`
--
-- Sequence structure for `numbers`
--
-- Table structure for table `odd ``name``; x`
--
INSERT INTO `x` VALUES (1,'\\n-- Table structure for table `none`\\n');
-- Temporary view structure for view `dear`
--
/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`a TRIGGER b`*/ /*!50003 TRIGGER remember AFTER INSERT ON x
/*!50106 CREATE*/ /*!50117 DEFINER=`root`@`localhost`*/ /*!50106 EVENT `tidy` ON SCHEDULE
CREATE DEFINER=`ro ot`@`localhost` FUNCTION `shout`(word TEXT)
CREATE DEFINER="root"@"localhost" PACKAGE BODY "pk" as function f return int
CREATE TABLE `a PROCEDURE b` (
-- Final view structure for view `dear`
--
-- Current Database: `mysql`
--
-- Table structure for table `user`
--
CREATE DEFINER=`root`@`localhost` PROCEDURE `AddGeometryColumn`()
-- Dump completed on 2026-01-01
"""


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_names_and_counts_do_not_depend_on_blocks(size: int) -> None:
    inventory = MySQLInventory()
    blocks = (memoryview(DUMP[start : start + size]) for start in range(0, len(DUMP), size))
    assert b"".join(map(bytes, inventory.passed(blocks))) == DUMP
    assert inventory.names == {"shop.numbers", "shop.odd `name`; x", "shop.dear", "mysql.user"}
    assert inventory.counts == {"triggers": 1, "events": 1, "routines": 2}


def test_an_answer_is_read_with_what_the_client_has_escaped() -> None:
    answer = read_answer(
        "s3napback\t10.11.1-MariaDB\ntable\t\ta\\tb\\\\c\tBASE TABLE\ndatabase\t\tshop\tlatin1\tlatin1_bin\n"
        "GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost`\nSET DEFAULT ROLE x\n"
    )
    assert answer.is_mariadb
    assert [row.name for row in answer.of("table")] == ["a\tb\\c"]
    assert [(row.more, row.collation) for row in answer.of("database")] == [("latin1", "latin1_bin")]
    assert answer.grants == ("GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost`",)


@pytest.mark.parametrize("text", ["", "+---+\n| s3napback | 10.11 |", "<?xml version='1.0'?>", "10.11.1\n"])
def test_what_is_no_answer_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="the client printed"):
        read_answer(text)
