"""A MySQL database that holds one of everything."""

from __future__ import annotations

EVERYTHING = """
CREATE TABLE customers (
    id INT AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(100) NOT NULL,
    parent INT NULL,
    UNIQUE KEY by_name (name),
    CONSTRAINT family FOREIGN KEY (parent) REFERENCES customers (id) ON DELETE SET NULL
) ENGINE=InnoDB COMMENT='Kundschaft – “alle”';
CREATE TABLE orders (
    id INT PRIMARY KEY,
    customer INT NOT NULL,
    price DECIMAL(12, 4) NOT NULL,
    doubled DECIMAL(13, 4) AS (price * 2) STORED,
    placed TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    flags BIT(12) NOT NULL DEFAULT b'0',
    mood ENUM('grün', 'rot; --') NULL,
    details JSON,
    CONSTRAINT buyer FOREIGN KEY (customer) REFERENCES customers (id) ON UPDATE CASCADE,
    CONSTRAINT positive CHECK (price >= 0)
) ENGINE=InnoDB;
CREATE TABLE pictures (id INT PRIMARY KEY, data LONGBLOB, digest BINARY(8), place POINT) ENGINE=InnoDB;
CREATE TABLE old_text (id INT PRIMARY KEY, word VARCHAR(50) CHARACTER SET latin1) ENGINE=MyISAM;
CREATE TABLE `odd ``name``; DROP TABLE x` (`a column` INT, `order` TEXT);
CREATE TABLE log (id BIGINT AUTO_INCREMENT PRIMARY KEY, line TEXT);
INSERT INTO customers VALUES (1, 'Ärger & Söhne', NULL), (2, 'O''Reilly \\\\ "quoted"', 1), (3, '日本語 🦆', 1);
SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO';
INSERT INTO customers VALUES (0, '', 3);
SET time_zone = '+05:30';
INSERT INTO orders (id, customer, price, placed, flags, mood, details) VALUES
    (1, 1, 19.9900, '2026-03-29 02:30:00.123456', b'101010101010', 'grün', '{"a": [1, null, "ß"]}'),
    (2, 3, 0, '1999-12-31 23:59:59', b'1', NULL, NULL);
INSERT INTO pictures VALUES
    (1, UNHEX('00010A0D1A22275C5CFF80FEC3A4C328F09F'), UNHEX('0000000000000000'), POINT(1.5, -2)),
    (2, '', UNHEX('FFFFFFFFFFFFFFFF'), NULL), (3, NULL, NULL, NULL);
INSERT INTO old_text VALUES (1, 'naïve Übung'), (2, NULL);
INSERT INTO `odd ``name``; DROP TABLE x` VALUES (1, 'tab\\tnewline\\nreturn\\rnul\\0end'), (NULL, NULL);
CREATE VIEW dear AS SELECT c.name, SUM(o.price) AS spent
    FROM customers c JOIN orders o ON o.customer = c.id GROUP BY c.id;
CREATE VIEW dearest AS SELECT name FROM dear WHERE spent > 10;
DELIMITER //
CREATE TRIGGER remember AFTER INSERT ON orders FOR EACH ROW
BEGIN
    INSERT INTO log (line) VALUES (CONCAT('Bestellung „', NEW.id, '“; ', NEW.price));
END//
CREATE PROCEDURE pay(IN amount DECIMAL(12, 4), OUT total DECIMAL(12, 4))
BEGIN
    SELECT SUM(price) + amount INTO total FROM orders; -- größer
END//
CREATE FUNCTION shout(word TEXT) RETURNS TEXT DETERMINISTIC RETURN CONCAT(UPPER(word), '¡')//
CREATE EVENT tidy ON SCHEDULE EVERY 1 DAY STARTS '2026-01-01 03:00:00' ON COMPLETION PRESERVE DISABLE
DO BEGIN DELETE FROM log WHERE id < 10; END//
DELIMITER ;
INSERT INTO log (line) VALUES ('the first');
"""
"""SQL for the client, with definitions that need one another and values that quoting gets wrong easily."""

OF_MARIADB = """
CREATE SEQUENCE numbers START WITH 5 INCREMENT BY 3;
CREATE TABLE numbered (id INT PRIMARY KEY DEFAULT NEXTVAL(numbers), word TEXT);
INSERT INTO numbered (word) VALUES ('first'), ('second');
SET timestamp = 1700000000;
CREATE TABLE prices (id INT PRIMARY KEY, price INT) WITH SYSTEM VERSIONING;
INSERT INTO prices VALUES (1, 10), (2, 20);
SET timestamp = 1700000100;
UPDATE prices SET price = 11 WHERE id = 1;
SET timestamp = DEFAULT;
CREATE TABLE hidden (shown INT, secret INT INVISIBLE DEFAULT 3, u UUID, i INET6);
INSERT INTO hidden (shown, secret, u, i) VALUES (1, 2, '123e4567-e89b-12d3-a456-426614174000', '::1');
SET sql_mode = ORACLE;
DELIMITER //
CREATE PACKAGE parcel AS FUNCTION weight RETURN INT; END//
CREATE PACKAGE BODY parcel AS FUNCTION weight RETURN INT AS BEGIN RETURN 1; END; END//
DELIMITER ;
SET sql_mode = DEFAULT;
"""
"""What MySQL does not know."""

LARGE_PICTURE = (
    "INSERT INTO pictures VALUES (4, REPEAT(UNHEX('00FF275C0A80'), 3500000), UNHEX('27005C5C0A0D1A22'), NULL)"
)
"""A row that is larger than what the dump programs take by default."""

NAMES = (
    "plain",
    "with space",
    'it\'s "quoted"',
    "-dash",
    "--all-databases-",
    "grüße-数",
    "a=b;c",
    "back`tick",
    "$HOME *",
    "#hash",
)
"""Names of databases that a shell, an option parser or SQL would trip over."""
