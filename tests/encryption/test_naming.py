"""How a key may be named, and which address a user id has."""

from __future__ import annotations

import pytest

from s3napback.encryption.naming import Form, address_of, read_key_name


@pytest.mark.parametrize(
    ("text", "form", "value"),
    [
        ("0x" + "a" * 40, Form.FINGERPRINT, "A" * 40),
        ("AAAA " * 9 + "AAAA", Form.FINGERPRINT, "A" * 40),
        ("b" * 64, Form.FINGERPRINT, "B" * 64),
        ("0123456789abcdef", Form.KEY_ID, "0123456789ABCDEF"),
        ("0xDEADBEEF", Form.SHORT_ID, "DEADBEEF"),
        ("a@b.org", Form.ADDRESS, "a@b.org"),
        ("<a@b.org>", Form.ADDRESS, "a@b.org"),
        ("A <a@b.org>", Form.USER_ID, "A <a@b.org>"),
        ("=a@b.org", Form.USER_ID, "a@b.org"),
        ("Ada Beade", Form.USER_ID, "Ada Beade"),
        ("c" * 41, Form.USER_ID, "c" * 41),
    ],
)
def test_a_name_is_understood(text: str, form: Form, value: str) -> None:
    name = read_key_name("GpgRecipient", text)
    assert (name.form, name.value, str(name)) == (form, value, f"GpgRecipient {text}")


@pytest.mark.parametrize(
    ("user_id", "address"),
    [
        ("a@b.org", "a@b.org"),
        ("A (c) <a@b.org>", "a@b.org"),
        ("x@y.org <a@b.org>", "a@b.org"),
        ("<a@b.org>", "a@b.org"),
        ("A <a@b.org> <c@d.org>", ""),
        ("A <a@b.org>.evil", ""),
        ("A <a@b.org> ", ""),
        ("A a@b.org", ""),
        ("A <<a@b.org>>", ""),
        ("A <a@b.org\n>", ""),
        ("a@b.org\n", ""),
        ("a@b@c.org", ""),
        ("A", ""),
    ],
)
def test_an_address_is_all_of_a_user_id_or_in_brackets_at_its_end(user_id: str, address: str) -> None:
    assert address_of(user_id) == address
