"""Attacks that lead tar, or what follows it, through a link."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.hostile.archives import END, MTIME, file, folder, hard_link, link, member, node
from tests.hostile.attacks import GOOD, ORDINARY, UP, Attacks, W, diff, full
from tests.hostile.world import SOURCE

X = f"{W}/x"


def through_one_archive(out: str) -> Mapping[str, Sequence[bytes]]:
    """A link, and something written through it by a later member of the same archive."""
    writes = {
        "a new file": file(f"{X}/new2"),
        "a file that is there": file(f"{X}/precious"),
        "a folder that is there": folder(f"{X}/folder", mode=0o777),
        "a folder emptied": folder(f"{X}/folder", []),
        "the folder itself emptied": folder(X, []),
        "the folder itself, with a slash": folder(f"{X}/", mode=0o777),
        "a setuid program": file(f"{X}/suid", mode=0o4755),
        "a link": link(f"{X}/etc/mine", "/etc/shadow"),
        "a device": node(f"{X}/null", b"3"),
        "a hard link out": hard_link(f"{X}/mine", f"{W}/good"),
        "a hard link in": hard_link(f"{W}/mine", f"{X}/precious") + file(f"{W}/mine"),
        "a hard link in, made setuid": hard_link(f"{W}/mine", f"{X}/program", mode=0o4755),
        "through dots": file(f"{X}/./folder/../new2") + file(f"{W}/../wing/x/new2"),
        "the link's place": file(X) + file(f"{X}/new2"),
    }
    attacks = {f"{name} through a link": [full(link(X, out), write)] for name, write in writes.items()}
    attacks |= {f"{name} through a link upwards": [full(link(X, UP), write)] for name, write in writes.items()}
    return attacks


def through_a_chain(out: str) -> Mapping[str, Sequence[bytes]]:
    """The FULL makes a link, a DIFF writes through it."""
    linked = full(link(X, out), link(f"{W}/y", "x"), link(f"{W}/deep", f"{out}/folder/deep"))
    entries = folder(SOURCE, ["Dwing"]) + folder(W, ["Ngood", "Nx", "Ny", "Ndeep"])
    writes = {
        "a new file": file(f"{X}/new2"),
        "a new file by two links": file(f"{W}/y/new2"),
        "a folder emptied": folder(f"{X}/folder", []),
        "the folder itself emptied": folder(X, []),
        "a hard link out": hard_link(f"{X}/mine", f"{W}/good"),
        "a hard link in": hard_link(f"{W}/mine", f"{X}/precious") + file(f"{W}/mine"),
        "a hard link to the link": hard_link(f"{W}/mine", X) + file(f"{W}/mine/new2"),
        "a folder in its place": folder(SOURCE, ["Dwing"]) + folder(W, ["Dx"]) + folder(X, []) + file(f"{X}/new2"),
        "mode through it": folder(f"{X}/etc", mode=0o777),
    }
    attacks = {f"a DIFF: {name}": [linked, diff(write)] for name, write in writes.items()}
    attacks |= {f"a DIFF with entries: {name}": [linked, diff(entries, write)] for name, write in writes.items()}
    twice = diff(entries, hard_link(f"{W}/mine", X))
    attacks["a third archive through a second name of the link"] = [linked, twice, diff(file(f"{W}/mine/new2"))]
    attacks["a third archive through the link of a second"] = [ORDINARY, linked, diff(file(f"{X}/new2"))]
    attacks["the top is a link since the FULL"] = [
        diff(link(SOURCE, out)),
        diff(folder(f"{SOURCE}/wing", mode=0o777), file(f"{SOURCE}/wing/good", GOOD)),
    ]
    attacks["the part is a link since the FULL"] = [
        diff(folder(SOURCE), link(W, out)),
        diff(folder(SOURCE, ["Dwing"]), folder(W, ["Ygood"]), file(f"{W}/good", GOOD)),
    ]
    return attacks


def with_a_second_reading(out: str) -> Mapping[str, Sequence[bytes]]:
    """A hard link whose target lies outside of what was asked for makes a PATH be read twice."""
    payload = file(f"{SOURCE}/other/payload", b"evil\n", mode=0o4755)
    return {
        "a hard link below a link, and its target elsewhere": [
            full(link(X, out), payload, hard_link(f"{X}/precious", f"{SOURCE}/other/payload"))
        ],
        "the same with a new name": [full(link(X, out), payload, hard_link(f"{X}/new2", f"{SOURCE}/other/payload"))],
        "a link that takes the place of a folder at the end": [
            full(
                payload,
                hard_link(f"{X}/evil", f"{SOURCE}/other/payload"),
                file(f"{X}/evil", b"* * * * * root id\n"),
                folder(W, ["Yx"]),
                link(X, out),
            )
        ],
        "a folder below a link in the second reading": [
            full(link(X, out), payload, hard_link(f"{W}/h", f"{SOURCE}/other/payload"), folder(f"{X}/folder", []))
        ],
        "a target below a link": [
            full(
                link(f"{SOURCE}/other", out),
                hard_link(f"{W}/mine", f"{SOURCE}/other/precious"),
                file(f"{W}/mine"),
            )
        ],
        "a target that is a link": [
            full(link(f"{SOURCE}/other", out), hard_link(X, f"{SOURCE}/other"), file(f"{X}/new2"))
        ],
        "a folder above the part that is a link": [
            diff(
                *(folder(SOURCE), folder(W), payload, hard_link(f"{W}/good", f"{SOURCE}/other/payload")),
                *(folder(SOURCE, ["Dother"]), link(W, out)),
            )
        ],
    }


def changing_places(out: str) -> Mapping[str, Sequence[bytes]]:
    """Folders, files and links that take each other's place within one archive."""
    gone = folder(W, ["Ngood"])
    return {
        "a folder becomes a link": [full(folder(X), file(f"{X}/f"), gone, link(X, out), file(f"{X}/new2"))],
        "a link becomes a folder": [full(link(X, out), folder(X), file(f"{X}/new2"))],
        "a link becomes a folder with entries": [full(link(X, out), folder(X, ["Ynew2"]), file(f"{X}/new2"))],
        "a link becomes a file becomes a link": [full(link(X, out), file(X), link(X, out), file(f"{X}/new2"))],
        "an empty folder becomes a link": [full(folder(X), link(X, out), file(f"{X}/new2"), folder(X, mode=0o777))],
        "a folder with delayed facts becomes a link": [
            full(folder(X, mode=0o555, mtime=1), gone, link(X, f"{out}/folder"))
        ],
        "a folder's inner folder becomes a link": [
            full(folder(X), folder(f"{X}/in", mode=0o777, mtime=1), folder(X, []), link(f"{X}/in", f"{out}/folder"))
        ],
        "the part becomes a link": [
            full(folder(SOURCE, ["Dwing"]), folder(SOURCE, []), link(W, out), file(f"{W}/new"))
        ],
        "the part becomes a link upwards": [full(folder(SOURCE, []), link(W, "../../../../beside"), file(f"{W}/x"))],
        "the top becomes a link": [diff(folder(SOURCE), folder("", []), link(SOURCE, out), file(f"{SOURCE}/new2"))],
        "the part is a link": [diff(folder(SOURCE), link(W, out))],
        "the top is a link": [diff(link(SOURCE, out))],
        "the root is a link": [diff(link(".", out), file("new2"), link("", out), link("/", out))],
        "links with a slash behind": [full(link(f"{X}/", out), file(f"{X}/new2"), link(f"{X}//", out))],
        "links in a circle": [full(link(X, "y"), link(f"{W}/y", "x"), file(f"{X}/new2"), folder(X, []))],
        "a link to itself and to dots": [
            full(link(X, "x"), link(f"{W}/y", "."), link(f"{W}/z", ".."), file(f"{W}/z/q"))
        ],
        "a chain of links": [
            full(*(link(f"{W}/l{n}", f"l{n + 1}") for n in range(60)), link(f"{W}/l60", out), file(f"{W}/l0/new2"))
        ],
        "steps that lead up": [
            full(*(link(f"{W}/s{n}", f"s{n - 1}/.." if n else "..") for n in range(6)), file(f"{W}/s5/beside/new2"))
        ],
    }


def where_folders_are_set_right(out: str) -> Mapping[str, Sequence[bytes]]:
    """Folders get what they bear after the links of their archive were made, which may stand in their place by then."""
    gone = folder(W, [])
    return {
        "an inner folder whose folder becomes a link": [full(folder(f"{X}/x"), link(X, out), gone)],
        "the same without a list": [full(folder(f"{X}/x"), folder(f"{X}/folder", mode=0o777), link(X, out))],
        "the same by a link upwards": [full(folder(f"{X}/x"), folder(f"{X}/etc", mode=0o777), link(X, UP))],
        "an inner folder of the part, which becomes a link": [
            full(folder(SOURCE, ["Ya"]), folder(W, ["Da", "Ya"])),
            diff(folder(f"{W}/x"), folder(f"{W}/folder", mode=0o777), link(W, out)),
        ],
        "a folder below a link of a DIFF": [
            full(),
            diff(link(X, out), folder(f"{X}/folder", mode=0o777), folder(SOURCE, ["Nother", "Dwing"])),
        ],
        "a folder below a link, which a hard link replaces": [
            full(),
            diff(link(X, out), folder(f"{X}/folder", ["Dx", "Ya"], mtime=1), hard_link(f"{X}/folder", X)),
        ],
        "a deep folder below a link": [
            full(),
            diff(link(f"{W}/a/x/y", out), folder(W, [], mode=0), folder(f"{W}/a/x/y/folder", mode=0o777)),
        ],
        "a folder twice, the second time below a link": [
            full(folder(f"{X}/folder"), folder(W, []), link(X, out), folder(f"{X}/folder", mode=0o777))
        ],
        "a folder below a second name of a link": [
            full(folder(f"{X}/folder", mode=0o777), link(f"{W}/l", out), hard_link(X, f"{W}/l"))
        ],
        "a link that comes to lie elsewhere than it is called": [
            full(link(X, "."), link(f"{X}/b", "../../../../../beside")),
            diff(file(f"{W}/b/new2")),
        ],
        "the same with a full path": [full(link(X, "."), link(f"{X}/b", out)), diff(file(f"{W}/b/new2"))],
        "a second name of a link that comes to lie elsewhere": [
            full(link(X, "."), link(f"{W}/l", out), hard_link(f"{X}/b", f"{W}/l")),
            diff(file(f"{W}/b/new2")),
        ],
        "a link below a second name of a link": [
            full(link(f"{W}/l", "."), hard_link(X, f"{W}/l"), link(f"{X}/b", out)),
            diff(file(f"{W}/b/new2")),
        ],
        "a link below a link below a link": [
            full(link(X, "."), link(f"{X}/y", "."), link(f"{X}/y/b", out)),
            diff(file(f"{W}/b/new2")),
        ],
    }


def names_of_links(out: str) -> Mapping[str, Sequence[bytes]]:
    """Hard links of all kinds, and links with targets of all kinds."""
    late = member(X, b"2", link=f"{out}/precious", mtime=MTIME)
    return {
        "a hard link to a full path": [full(hard_link(X, f"{out}/precious"), file(X))],
        "a hard link upwards": [full(hard_link(X, "../../../beside/precious"), file(X, mode=0o4777))],
        "a hard link to a folder outside": [full(hard_link(X, out), file(f"{X}/new2"))],
        "a hard link to a link": [full(late, hard_link(f"{W}/h", X), file(f"{W}/h"))],
        "a hard link to a link of a folder": [full(link(X, out), hard_link(f"{W}/h", X), file(f"{W}/h/new2"))],
        "a hard link to what waits to be a link, written to": [
            full(late, hard_link(f"{W}/h", X), hard_link(f"{W}/i", f"{W}/h"), file(X), file(f"{W}/i", mode=0o4777))
        ],
        "a hard link to what waits to be a link, which goes": [
            full(late, hard_link(f"{W}/h", X), folder(W, ["Ngood", "Nh"]), folder(X), file(f"{X}/new2"))
        ],
        "a link renamed over by a folder before it is made": [
            full(late, folder(W, ["Ngood"]), folder(X), folder(f"{X}/folder", []), late)
        ],
        "a hard link to itself": [full(hard_link(X, X), file(X))],
        "a hard link to nothing": [full(hard_link(X, f"{W}/nothing"))],
        "a hard link to the root": [full(hard_link(X, ""), hard_link(X, "."), hard_link(X, "/"))],
        "a hard link with content": [full(link(f"{W}/l", f"{out}/precious"), hard_link(X, f"{W}/l", b"evil\n"))],
        "a hard link with content, by a link": [full(link(X, out), hard_link(f"{W}/h", f"{X}/precious", b"evil\n"))],
        "a link with content": [full(member(X, b"2", END + END, link=out), file(f"{X}/new2"))],
        "a link to nothing at all": [full(link(X, ""), file(f"{X}/new2"))],
        "a link to a long path": [full(link(X, "./" * 3000 + out.lstrip("/")), link(f"{W}/y", "/." * 2100 + out))],
        "a link with a line break": [full(link(X, f"{out}/a\nb"), link(f"{W}/\x1b[31m", "\x1b[2J"))],
        "a link's owner and time": [full(link(X, f"{out}/precious", uid=4321, mtime=1), link(f"{W}/y", UP, uid=4321))],
        "attributes of a link": [
            full(link(X, f"{out}/precious", records=[("SCHILY.xattr.user.evil", "1"), ("SCHILY.acl.access", "u::rwx")]))
        ],
    }


def into_a_live_tree(out: str) -> Mapping[str, Sequence[bytes]]:
    """Where WHERE holds links already."""
    return {
        "a file below a live link": [full(file(f"{W}/escape/new2"), file(f"{SOURCE}/escape/new2"))],
        "a folder in a live link's place": [full(folder(f"{W}/escape", mode=0o777), folder(f"{SOURCE}/escape", []))],
        "a file in a live link's place": [full(file(f"{W}/single", GOOD))],
        "a link in a live folder's place": [full(link(f"{W}/inner", out))],
        "the part below a live link": [full(folder(f"{SOURCE}/escape"), folder("escape"), file("escape/new2"))],
    }


def honest_chain(out: str) -> Sequence[bytes]:
    """What tar could have written: links that lead anywhere, second names, and something deleted."""
    first = full(link(f"{W}/out", out), hard_link(f"{W}/second", f"{W}/good"), file(f"{W}/gone"))
    entries = ["Ngood", "Nout", "Nsecond", "Ylater"]
    return [first, diff(folder(SOURCE, ["Dwing"]), folder(W, entries), file(f"{W}/later", b"later\n"))]


LINKS: tuple[Attacks, ...] = (through_a_chain, with_a_second_reading, changing_places, where_folders_are_set_right)
SINGLE_LINKS: tuple[Attacks, ...] = (through_one_archive, names_of_links, into_a_live_tree)
