"""Attacks on two readers: what looks harmless to one that checks, and is something else for tar that acts.

How tar reads is taken from its source (1.34, ``list.c`` and ``xheader.c``): it passes over blanks and tabs in front of
a keyword, goes on with the next block after a header with a wrong sum, takes sums of signed bytes as well, and ends
the records of an extended header at a NUL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.hostile.archives import (
    BLOCK,
    END,
    GNU,
    dumpdir,
    file,
    folder,
    hard_link,
    header,
    link,
    long_name,
    member,
    padded,
    pax,
    pax_record,
    raw,
)
from tests.hostile.attacks import Attacks, W, diff, full
from tests.hostile.world import SOURCE

_MODULUS = 65_521  # of Adler's checksum, whose half is a sum of bytes


def sums(out: str) -> Mapping[str, Sequence[bytes]]:
    """A header that only one reader believes, with members in what is content for the other."""
    hidden = _hidden(out)
    size = len(hidden)
    plain = header(f"{W}/f", size=size)
    total = _sum(plain)
    odd = {
        "larger by Adler's modulus": header(f"{W}/f", size=size, checksum=b"%07o" % (total + _MODULUS)),
        "smaller by Adler's modulus": _full_of_ones(size),
        "larger by 65536": header(f"{W}/f", size=size, checksum=b"%07o" % (total + 65_536)),
        "larger by 2**18": header(f"{W}/f", size=size, checksum=b"%07o" % (total + (1 << 18))),
        "of signed bytes": _signed(f"{W}/f\xff".encode("latin-1"), size),
        "of the field's own digits": header(f"{W}/f", size=size, checksum=b"%06o" % (total - 8 * 32)),
        "with blanks behind": header(f"{W}/f", size=size, checksum=b"%05o \0 " % total),
        "with blanks in front": header(f"{W}/f", size=size, checksum=b"  %05o\0" % total),
        "with a sign": header(f"{W}/f", size=size, checksum=b"-%06o" % (65_536 - total)),
        "in base 256": header(f"{W}/f", size=size, checksum=b"\x80" + total.to_bytes(7, "big")),
        "of nothing": header(f"{W}/f", size=size, checksum=b"\0" * 8),
        "of blanks": header(f"{W}/f", size=size, checksum=b" " * 8),
        "and something behind the digits": header(f"{W}/f", size=size, checksum=b"%06o\0x" % (total + _MODULUS)),
    }
    attacks = {f"a sum {name}": [full(each, hidden)] for name, each in odd.items()}
    wrong = odd["larger by Adler's modulus"]
    attacks["a wrong sum of an extended header"] = [
        full(header("x", b"x", size=size, checksum=b"%07o" % (_sum(header("x", b"x", size=size)) + _MODULUS)), hidden)
    ]
    attacks["a wrong sum in a later archive"] = [full(), diff(wrong, hidden)]
    return attacks


def _sum(block: bytes) -> int:
    return sum(block[:148]) + 8 * 32 + sum(block[156:])


def _full_of_ones(size: int) -> bytes:
    """So large a sum that it stays positive."""
    name, tail = raw(W) + b"/" + b"\xff" * 85, b"\xff" * 167
    total = _sum(header(name, size=size, tail=tail))
    return header(name, size=size, tail=tail, checksum=b"%07o" % (total - _MODULUS))


def _signed(name: bytes, size: int) -> bytes:
    block = header(name, size=size)
    total = sum(byte - 256 if byte > 127 else byte for byte in block[:148] + b" " * 8 + block[156:])
    return header(name, size=size, checksum=b"%06o\0 " % total)


def _hidden(out: str) -> bytes:
    """Members that no checking reader shall see."""
    return b"".join(
        [
            link(f"{W}/x", out),
            file("../../../beside/new2"),
            folder(SOURCE, [f"X{out}", f"R{W}/good", "T"]),
            file(f"{out}/new3"),
        ]
    )


def keywords(out: str) -> Mapping[str, Sequence[bytes]]:
    """Records whose keyword is written in another way."""
    rename = dumpdir([f"X{out}", f"R{W}/good", "T"])
    values: dict[str, tuple[str | bytes, str]] = {
        "path": ("../../../beside/new2", "0"),
        "linkpath": (f"{out}/precious", "1"),
        "GNU.dumpdir": (rename, "5"),
        "size": ("0", "0"),
        "GNU.sparse.name": (f"{out}/new2", "0"),
        "GNU.volume.filename": (f"{out}/new2", "0"),
    }
    ways = {
        "a blank in front": " %s",
        "a tab in front": "\t%s",
        "blanks in front": "   %s",
    }
    attacks = {}
    for keyword, (value, kind) in values.items():
        for way, form in ways.items():
            name = form % keyword
            content = _hidden(out) if keyword == "size" else b""
            target = member(f"{W}/f", kind.encode(), content, link=f"{W}/good" if kind == "1" else "", mode=0o755)
            attacks[f"{keyword} with {way}"] = [full(pax([(name, value)]) + target)]
    return attacks


def records(out: str) -> Mapping[str, Sequence[bytes]]:
    """Extended headers that end, or follow each other, in ways that readers may not agree on."""
    evil = pax_record("path", "../../../beside/new2")
    good = pax_record("path", f"{W}/f")
    lengths = {
        "a zero in front": b"0" + b"%d" % (len(evil) + 1) + evil[2:],
        "a plus in front": b"+" + evil,
        "a blank in front": b" " + evil,
        "a tab behind": evil.replace(b" ", b"\t", 1),
        "a line break in front": b"\n" + evil,
        "an end before": good + b"\0" * 10 + evil,
        "an end behind": evil + b"\0" + good,
        "a length that reaches over the next": b"%d" % (len(good) + len(evil)) + good[2:] + evil,
        "a NUL in the value": pax_record("path", b"../../../beside/new2\0" + W.encode()),
        "an empty value before": pax_record("path", "") + evil,
        "an empty value behind": evil + pax_record("path", ""),
        "another keyword with a NUL": pax_record("comment", b"x\0\n") + evil,
        "a keyword with an end in it": pax_record(b"path\0", "../../../beside/new2"),
        "no keyword": pax_record("", "../../../beside/new2"),
    }
    attacks = {f"records: {name}": [full(pax(content), file("x"))] for name, content in lengths.items()}
    up = pax(evil)
    back = pax(good)
    attacks |= {
        "two extended headers, the harmless one behind": [full(up, back, file("x"))],
        "two extended headers, the harmless one before": [full(back, up, file("x"))],
        "a global header between": [full(up, pax([("comment", "x")], b"g"), file("x"))],
        "a global header of sizes": [full(pax([("size", "0")], b"g"), member(f"{W}/f", b"0", _hidden(out)))],
        "a long name between": [full(up, long_name(f"{W}/f"), file("x"))],
        "an extended header between": [full(long_name("../../../beside/new2"), back, file("x"))],
        "an extended header, then an end": [full(up, END[:BLOCK], file("x"))],
        "a global header, then an end": [full(pax(evil, b"g"), END[:BLOCK], file("x"))],
        "an extended header for a header": [full(pax([("size", "0")]), pax([("path", W)]), file("x"))],
        "an extended header's size elsewhere": [
            full(pax([("size", str(len(_hidden(out))))]), header(f"{W}/f", size=0) + _hidden(out))
        ],
        "a size for a folder": [full(pax([("size", "1536")]), folder(f"{W}/d"), _hidden(out))],
        "a size for a link": [full(pax([("size", "1536")]), link(f"{W}/l", "good"), _hidden(out))],
        "a size for a hard link": [full(pax([("size", "0")]), hard_link(f"{W}/l", f"{W}/good"), _hidden(out))],
        "a size in a header for a folder": [full(member(f"{W}/d", b"5", _hidden(out), mode=0o755))],
        "a size in a header for a link": [full(member(f"{W}/l", b"2", _hidden(out), link="good"))],
        "a size in a header for a hard link": [full(member(f"{W}/l", b"1", _hidden(out), link=f"{W}/good"))],
        "a size in a header for a device": [full(member(f"{W}/l", b"3", _hidden(out)))],
        "a size in octal with a blank in front": [
            full(header(f"{W}/f", size=b" %010o " % len(_hidden(out))) + _hidden(out))
        ],
        "a size with a NUL in front": [full(header(f"{W}/f", size=b"\0%010o " % len(_hidden(out))) + _hidden(out))],
        "permissions in base 64": [full(file(f"{W}/f", mode=b"+000755\0"))],
        "a size in base 64": [full(header(f"{W}/f", size=b"+AAAAAAAAGA") + _hidden(out))],
        "a size in base 256, negative": [full(header(f"{W}/f", size=b"\xff" * 11 + b"\0") + _hidden(out))],
    }
    return attacks


def maps_and_lists(out: str) -> Mapping[str, Sequence[bytes]]:
    """Sparse files' maps, and old lists of entries, that end elsewhere for another reader."""
    hidden = _hidden(out)
    size = str(len(hidden))
    new = [("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.name", f"{W}/s")]
    listed = [("GNU.sparse.size", size), ("GNU.sparse.numblocks", "1")]
    old = {
        "a list of another length": [*listed, ("GNU.sparse.map", "0,512")],
        "a list of nothing": [*listed, ("GNU.sparse.map", "")],
        "a list with a file's end": [*listed, ("GNU.sparse.map", f"{size},0")],
        "a list by offsets": [*listed, ("GNU.sparse.offset", "0"), ("GNU.sparse.numbytes", "512")],
        "sizes that differ": [("size", size), ("GNU.sparse.size", "0"), ("GNU.sparse.numblocks", "0")],
    }
    attacks = {f"a sparse file: {name}": [full(pax(each), header(f"{W}/s", size=len(hidden)), hidden)]
               for name, each in old.items()}  # fmt: skip
    maps = {
        "no number": b"x\n",
        "more than there is": b"99999\n",
        "a region that is too short": b"1\n0\n512\n",
        "a region that is too long": b"1\n0\n999999\n",
        "a negative region": b"1\n-1\n-512\n",
        "a number without an end": b"1" * BLOCK,
        "blanks": b" 1\n 0\n 512\n",
    }
    for name, content in maps.items():
        data = padded(content) + hidden
        attacks[f"a sparse file's map: {name}"] = [
            full(pax([*new, ("GNU.sparse.realsize", size)]), header(f"{W}/s", size=len(data)), data)
        ]
    rename = dumpdir([f"X{out}", f"R{W}/good", "T"])
    for name, content in {"renames": rename, "an end, then renames": b"Ygood\0\0" + rename}.items():
        for magic, title in ((GNU, "GNU"), (b"ustar\x0000", "POSIX")):
            attacks[f"an old list of {name}, {title}"] = [full(member(W, b"D", content, mode=0o755, magic=magic))]
            attacks[f"a long old list of {name}, {title}"] = [
                full(member(W, b"D", b"Ngood\0" * 5000 + content, mode=0o755, magic=magic))
            ]
    attacks["an old list with a record"] = [
        full(pax([("GNU.dumpdir", rename)]), member(W, b"D", dumpdir(["Ngood"]), mode=0o755))
    ]
    attacks["an old list with a size of its own"] = [
        full(pax([("size", "0")]), member(W, b"D", padded(dumpdir(["Ngood"])) + hidden, mode=0o755))
    ]
    attacks["a name over the end of its field"] = [full(header(raw("d/" * 50), b"5"), header(b"n" * 100, size=0))]
    attacks["a prefix with GNU's magic"] = [full(header("new2", magic=GNU, tail=b"../../../beside"), file("x"))]
    attacks["a prefix and a name with a slash"] = [full(header("/../../../beside/new2", tail=W.encode()))]
    return attacks


DISAGREEMENTS: tuple[Attacks, ...] = (sums, keywords, records, maps_and_lists)
