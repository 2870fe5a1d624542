"""Errors carry the lines of their messages; a line end within one is somebody's data."""

from __future__ import annotations

from s3napback.errors import ConfigurationError, OutOfParts, S3napbackError


def test_lines_are_data() -> None:
    error = S3napbackError("first of a\nname:", "  second", "  third")
    assert error.lines == ("first of a\nname:", "  second", "  third")
    assert error.under("Directory /etc FAILED") == (
        "Directory /etc FAILED: first of a\nname:",
        "    second",
        "    third",
    )


def test_what_an_error_is_about_is_named_once() -> None:
    assert S3napbackError("Directory /a does not exist").under("Directory /a FAILED") == (
        "Directory /a FAILED: does not exist",
    )
    assert S3napbackError("Directory /a: no room").under("Directory /a") == ("Directory /a: no room",)
    assert S3napbackError("Directory /a/b is there").under("Directory /a") == ("Directory /a: Directory /a/b is there",)


def test_an_error_within_another_message_is_one_line() -> None:
    assert str(S3napbackError("tar failed:", "  one", "  two", "gpg failed")) == "tar failed: one; two; gpg failed"
    assert str(S3napbackError("alone")) == "alone"
    assert str(S3napbackError()) == ""
    assert S3napbackError().under("x") == ("x: ",)


def test_subclasses_keep_their_lines() -> None:
    assert ConfigurationError(["a.conf:1: x", "a.conf:2: y"]).lines == ("a.conf:1: x", "a.conf:2: y")
    assert OutOfParts("too large", 5).lines == ("too large",)
