"""What is wrong with a file that Python's ``configparser`` cannot read."""

from __future__ import annotations

import codecs

_BYTE_ORDER_MARKS = ("\ufeff", codecs.BOM_UTF8.decode("latin-1"))


def ini_flaw(error: BaseException) -> str:
    """It in a few words, without the text of lines, which can hold a password or a key; empty if it is something else.

    Args:
        error: what was raised over the file.
    """
    # It takes longer to load than most runs have need of it.
    import configparser  # noqa: PLC0415

    found = ""
    if isinstance(error, configparser.MissingSectionHeaderError):
        found = f"line {error.lineno} stands before any [section]"
        if error.lineno == 1 and str(error.line).startswith(_BYTE_ORDER_MARKS):
            found = "it begins with a byte order mark; save it without"
    elif isinstance(error, UnicodeDecodeError):
        line = error.object.count(b"\n", 0, error.start) + 1
        found = f"line {line} is not UTF-8; convert the file, for example with iconv"
    elif isinstance(error, configparser.ParsingError):
        found = f"line {error.errors[0][0]} is neither NAME=VALUE nor a [section]"
    elif isinstance(error, configparser.DuplicateSectionError):
        found = f"line {error.lineno} begins [{error.section}] a second time"
    elif isinstance(error, configparser.DuplicateOptionError):
        found = f"line {error.lineno} sets {error.option} a second time in [{error.section}]"
    elif isinstance(error, configparser.InterpolationError):
        found = f"[{error.section}] {error.option}: write a percent sign as %%"
    return found
