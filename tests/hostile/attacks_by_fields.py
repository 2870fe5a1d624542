"""Attacks by names, kinds of members, numbers, and extended headers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.hostile.archives import (
    GNU,
    Records,
    file,
    folder,
    hard_link,
    header,
    link,
    long_name,
    member,
    node,
    padded,
    pax,
    pax_record,
)
from tests.hostile.attacks import GOOD, ORDINARY, Attacks, W, diff, full
from tests.hostile.world import SOURCE

_CAPABILITY = b"\x01\0\0\x02\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"  # cap_setuid, permitted and effective
TOKEN = 32


def names(out: str) -> Mapping[str, Sequence[bytes]]:
    """Names that lead out, or that are used by the restore itself."""
    ups = ["../" * depth + "new2" for depth in range(1, 7)]
    return {
        "names upwards": [full(*map(file, ups), file(f"{W}/../../../../../beside/precious"))],
        "folders upwards": [
            full(*(folder(name, mode=0o777) for name in ups), folder("..", mode=0o777), folder("../.."))
        ],
        "names upwards in a later archive": [ORDINARY, diff(*map(file, ups))],
        "full paths": [full(file(f"{out}/new2"), file(f"/{out}/new2"), folder(f"{out}/folder", mode=0o777))],
        "dots and slashes": [
            full(file(".//estate//wing/./f"), folder("././"), file("./../new2"), file("estate/wing/."))
        ],
        "empty names": [full(file(""), folder(""), link("", out), hard_link("", f"{W}/good"), file("/"), folder("//"))],
        "no names in extended headers": [
            full(pax([("path", "")]), file("../new2"), pax([("linkpath", "")]), link(W, out))
        ],
        "long names": [full(file(f"{W}/" + "n" * 4200), file(f"{W}/" + "n" * 255), folder(f"{W}/" + "d/" * 2100))],
        "very deep folders": [full(*_nested(2000))],
        "very deep, and upwards": [full(folder(f"{W}/" + "d/" * 30), file(f"{W}/" + "d/" * 30 + "../" * 36 + "new2"))],
        "names of staging": [
            full(
                *(folder(".s3napback-restore-x"), file(".s3napback-restore-x/f"), file("links/1"), file("tree/f")),
                *(file("../links/1"), file("../tree/new2"), folder("../links", []), link("../tree/x", out)),
                *(folder(f"{SOURCE}/.s3napback-restore-x"), file(f"{W}/.s3napback-x")),
            ),
            diff(link("../links/1", out), file("../links/2"), file(f"{W}/f")),
        ],
        "the same name again and again": [
            full(
                file(f"{W}/f"), file(f"{W}/f"), folder(f"{W}/f"), link(f"{W}/f", out), file(f"{W}/f"), file(f"{W}/f/g")
            )
        ],
        "a file of a placeholder's length": [
            full(link(f"{W}/l", out), file(f"{W}/f", bytes(TOKEN))),
            diff(file(f"{W}/l", bytes(TOKEN)), file(f"{W}/k", b"x" * TOKEN)),
            diff(folder(W, ["Ngood", "Nl", "Nf", "Nk"]), hard_link(f"{W}/m", f"{W}/l"), hard_link(f"{W}/n", f"{W}/m")),
        ],
        "other names than what was asked for": [
            full(
                *(folder("etc"), file("etc/passwd"), folder("etc/cron.d", mode=0o777), file("etc/cron.d/job")),
                *(file(f"{SOURCE}x"), folder(f"{W}x"), file(f"{W}x/f"), file("other/payload"), link("a", out)),
                *(folder("", mode=0o777, mtime=1, uid=4321), folder(SOURCE, mode=0o777, uid=4321)),
            )
        ],
        "other names in a later archive": [ORDINARY, diff(file("etc/passwd"), file("a/b"), folder("other", []))],
        "other names as targets": [full(file("etc/passwd"), hard_link(f"{W}/f", "etc/passwd"), file(f"{W}/f", GOOD))],
        "a name with line breaks": [full(file(f"{W}/a\nb\x1b[31m\r"), file(f"{W}/\xff\xfe".encode("latin-1")))],
    }


def _nested(levels: int) -> Sequence[bytes]:
    return [folder(f"{W}/" + "d/" * level) for level in range(1, levels, 40)]


def kinds(out: str) -> Mapping[str, Sequence[bytes]]:
    """Members that are no files: whatever letter of the alphabet tar may know, or not."""
    letters = b"ABCEFHIJOPQRTUWXYZabcdefhijklmnopqrstuvwyz89@ \xff"
    volume = pax(
        [("GNU.volume.label", "v"), ("GNU.volume.filename", f"{out}/precious"), ("GNU.volume.offset", "3")], b"g"
    )
    return {
        "devices and sockets": [
            full(*(node(f"{W}/n{kind}", b"%d" % kind, mode=0o666) for kind in (3, 4, 6)), member(f"{W}/s", b"s"))
        ],
        "devices of absurd numbers": [
            full(node(f"{W}/c", b"3", (-1, 1 << 60)), node(f"{W}/d", b"4", (b"99999999", 1)))
        ],
        "a fifo and a file through it": [full(node(f"{W}/p", b"6"), file(f"{W}/p"), hard_link(f"{W}/q", f"{W}/p"))],
        "a fifo in a later archive": [full(file(f"{W}/p")), diff(node(f"{W}/p", b"6")), diff(folder(W, ["Np"]))],
        "a device in the place of the part": [diff(folder(SOURCE), node(W, b"3"))],
        "all other letters": [full(*(member(f"{W}/k{letter}", bytes([letter]), b"evil") for letter in letters))],
        "letters with links": [
            full(link(f"{W}/x", out), *(member(f"{W}/x/k{n}", bytes([n]), b"evil") for n in letters))
        ],
        "a volume's name": [full(member("../../../beside/new2", b"V"), header(out, b"V", magic=GNU))],
        "a file's continuation": [
            full(member(f"{W}/m", b"M", b"evil", magic=GNU)),
            diff(member(f"{W}/good", b"M", b"evil")),
        ],
        "a file's continuation outside": [
            full(member(f"{out}/precious", b"M", b"evil", magic=GNU), volume, file(f"{W}/v"))
        ],
        "an old name table": [full(member("x", b"N", b"Rename estate/wing/good to ../new2\nSymlink / to x\n"))],
        "a contiguous file": [full(member(f"{W}/c", b"7", b"content"), member("../new2", b"7", b"content"))],
        "a file of the oldest kind": [full(member(f"{W}/o", b"\0", b"content"), member(f"{W}/od/", b"\0", b""))],
        "a file that is a folder by its slash": [
            full(member(f"{W}/o/", b"0", b"content"), member("../new2/", b"0", b""))
        ],
        "a folder with content": [full(member(f"{W}/d", b"5", b"content"), member(f"{W}/e", b"5", size=1 << 70))],
        "sparse files": [
            full(
                _old_sparse(f"{W}/s", [(0, 4)], 4096, b"evil"),
                _old_sparse(f"{W}/t", [(1 << 62, 4), (0, 4)], -1, b"evilevil"),
                _sparse(f"{W}/u", {"major": "1", "minor": "0", "name": "../new2", "realsize": "99"}, b"1\n0\n4\n"),
            )
        ],
        "sparse files elsewhere": [
            full(
                _sparse(
                    f"{W}/s", {"major": "0", "minor": "1", "name": f"{out}/new2", "map": "0,4", "size": "4"}, b"evil"
                ),
                _sparse(
                    f"{W}/t", {"name": "../../../beside/precious", "size": str(1 << 62), "numblocks": "99999999999"}
                ),
            )
        ],
        "sparse files of no sense": [
            full(
                _sparse(f"{W}/s", {"major": "1", "minor": "0", "realsize": "1" * 30}, b"9" * 400 + b"\n"),
                file(f"{W}/z"),
            )
        ],
    }


def _sparse(name: str, records: Mapping[str, str], content: bytes = b"") -> bytes:
    return member(name, content=padded(content), records=[(f"GNU.sparse.{key}", each) for key, each in records.items()])


def _old_sparse(name: str, pieces: Sequence[tuple[int, int]], size: int, content: bytes) -> bytes:
    listed = b"".join(b"%011o\0%011o\0" % piece if piece[0] < 8**11 else b"7" * 24 for piece in pieces)
    tail = bytes(41) + listed.ljust(96, b"\0") + b"\0" + (b"%011o\0" % size if size >= 0 else b"\xff" * 12)
    return header(name, b"S", size=len(content), magic=GNU, tail=tail) + padded(content)


def numbers(out: str) -> Mapping[str, Sequence[bytes]]:
    """Sizes, owners, times and permissions that cannot be."""
    absurd: list[int | bytes] = [-1, 1 << 62, 1 << 63, 1 << 80, b"\xff" * 12, b"9" * 12, b" " * 12, b"-1", b"0x10"]
    attacks: dict[str, Sequence[bytes]] = {}
    for size in absurd:
        attacks[f"size {size!r}"] = [full(member(f"{W}/f", b"0", b"x" * 600, size=size), file("../new2"))]
    for key in ("size", "mtime", "uid", "gid", "atime", "ctime"):
        values = ["-1", "1" * 40, "", "x", "0x7", "1e9", "9223372036854775808", "nan"]
        attacks[f"absurd {key}"] = [full(*(file(f"{W}/f", records=[(key, value)]) for value in values))]
    attacks["absurd fields"] = [full(*(file(f"{W}/f", uid=each, gid=each, mtime=each, mode=each) for each in absurd))]
    attacks["a size beyond the end"] = [full(member(f"{W}/f", b"0", b"x", size=1 << 40))]
    attacks["two sizes"] = [
        full(member(f"{W}/f", b"0", file("../new2") * 2, size=0, records=[("size", "2048")]), file(f"{W}/g")),
        diff(member(f"{W}/f", b"0", file("../new2"), records=[("size", "0")]), file(f"{W}/g")),
    ]
    attacks["setuid and sticky"] = [
        full(file(f"{W}/s", mode=0o6755), folder(f"{W}/d", mode=0o7777), file(f"{W}/t", mode=0o177777, uid=4321))
    ]
    attacks["folders nobody may look into"] = [full(folder(W, mode=0), folder(SOURCE, mode=0), file(f"{W}/f"))]
    return attacks


def headers(out: str) -> Mapping[str, Sequence[bytes]]:
    """Extended headers, for one member or for all that follow, and GNU's long names."""
    evil: dict[str, Records | bytes] = {
        "a path upwards": [("path", "../../../beside/new2")],
        "a full path": [("path", f"{out}/new2")],
        "a path through a link": [("path", f"{W}/x/new2")],
        "a link's target": [("linkpath", f"{out}/precious")],
        "a sparse file's name": [
            ("GNU.sparse.name", f"{out}/new2"),
            ("GNU.sparse.size", "5"),
            ("GNU.sparse.map", "0,5"),
        ],
        "a volume": [("GNU.volume.filename", f"{out}/precious"), ("GNU.volume.size", "99"), ("GNU.volume.offset", "5")],
        "a character set": [("hdrcharset", "BINARY"), ("path", b"\xff/../../../../beside/new2")],
        "capabilities and lists": [
            ("SCHILY.xattr.security.capability", _CAPABILITY),
            ("SCHILY.xattr.trusted.overlay.opaque", "y"),
            ("SCHILY.acl.access", "user::rwx,user:4321:rwx,group::rwx,mask::rwx,other::rwx"),
            ("SCHILY.acl.default", "user::rwx,user:4321:rwx,group::rwx,mask::rwx,other::rwx"),
            ("RHT.security.selinux", "system_u:object_r:etc_t:s0"),
        ],
        "broken lists": [("SCHILY.acl.access", "x" * 5000), ("SCHILY.xattr.", "x"), ("SCHILY.xattr.user.=", "%3D")],
        "NULs and line breaks": [
            ("path", f"{W}/f\0/../../../new2"),
            ("comment", "a\n20 path=../../new2\n"),
            ("\0", "x"),
        ],
    }
    targets = [link(f"{W}/x", out), file(f"{W}/f"), hard_link(f"{W}/h", f"{W}/good"), folder(f"{W}/d")]
    attacks = {
        f"{name}, in every header": [full(*(pax(records) + target for target in targets))]
        for name, records in evil.items()
    }
    attacks |= {f"{name}, for all": [full(pax(records, b"g"), *targets)] for name, records in evil.items()}
    attacks |= {
        f"{name}, for a later archive": [full(*targets, pax(records, b"g")), diff(file(f"{W}/f"), *targets)]
        for name, records in list(evil.items())[:4]
    }
    good = pax_record("path", f"{W}/g")
    broken = {
        "no length": b"path=../new2\n",
        "a short length": good.replace(b"%d " % len(good), b"9 "),
        "a long length": b"999999999 path=x\n",
        "no line break": good[:-1] + b"x",
        "no sign": b"12 pathxxxx\n",
        "a length of digits": b"9" * 400 + b" path=x\n",
        "a length with a sign": good.replace(b"%d " % len(good), b"-5 "),
        "nothing": b"",
        "a NUL in the name": pax_record(b"path\0x", "../new2"),
        "padding that is none": good + b"x" * 40,
    }
    attacks |= {f"a header with {name}": [full(pax(content), file("../new2"))] for name, content in broken.items()}
    attacks["headers of absurd sizes"] = [full(pax(b"", size=1 << 70), file(f"{W}/f"))]
    attacks["a header of the size of all"] = [full(pax(b"", size=-512), file(f"{W}/f"))]
    attacks["a header alone"] = [full(pax([("path", "../new2")]))]
    attacks["headers one after the other"] = [full(*[pax([("path", "../new2")])] * 50, file(f"{W}/f"))]
    attacks["long names upwards"] = [
        full(long_name("../../../beside/new2"), file("x"), long_name(f"{out}/n"), file("x"))
    ]
    attacks["long names of links"] = [
        full(long_name(f"{out}/precious", b"K"), hard_link(f"{W}/h", "x"), file(f"{W}/h"))
    ]
    attacks["long names with NULs"] = [
        full(long_name(f"{W}/f\0/../../../../new2"), file("x"), long_name(""), file("../x"))
    ]
    attacks["long names one after the other"] = [
        full(
            long_name("../new2"),
            long_name(f"{W}/f"),
            long_name("../../new2", b"K"),
            pax([("path", f"{W}/g")]),
            file("x"),
        )
    ]
    attacks["long names of absurd sizes"] = [full(header("././@LongLink", b"L", size=1 << 70), file(f"{W}/f"))]
    attacks["a prefix upwards"] = [full(member("new2", tail=b"../../../beside"), member("new2", tail=out.encode()))]
    return attacks


FIELDS: tuple[Attacks, ...] = (names, kinds, numbers, headers)
