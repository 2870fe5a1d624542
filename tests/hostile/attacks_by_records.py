"""Attacks by what a folder of an archive for DIFFs tells: letters and names, some of which tar obeys blindly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.hostile.archives import END, GNU, dumpdir, file, folder, header, link, member, padded, pax
from tests.hostile.attacks import ORDINARY, Attacks, W, diff, full
from tests.hostile.world import SOURCE


def renames(out: str) -> Mapping[str, Sequence[bytes]]:
    """Records R, T and X: no archive of ours ever holds any, so each must be refused."""
    suid = file(f"{W}/suid", mode=0o4755)
    forms = {
        "X with a full path": ["X" + out, f"R{W}/suid", "T"],
        "X with a full path to a name": [f"X{out}/folder", f"R{W}/suid", "T"],
        "X upwards": ["X../../../beside", f"R{W}/suid", "T"],
        "X with a name": ["X" + W, f"R{W}/suid", "T"],
        "X of nothing": ["X", f"R{W}/suid", "T"],
        "X alone": ["X" + out],
        "R out of WHERE": [f"R{out}/precious", f"T{W}/stolen"],
        "R into the world": [f"R{W}/suid", f"T{out}/suid"],
        "R upwards": [f"R{W}/suid", "T../../../beside/suid"],
        "R over a file outside": [f"R{W}/suid", f"T{out}/precious"],
        "R within": [f"R{W}/suid", f"T{W}/other"],
        "R alone": [f"R{W}/suid"],
        "T alone": [f"T{out}/suid"],
        "T before R": [f"T{out}/suid", f"R{W}/suid"],
        "R of nothing": ["R", f"T{out}/suid"],
        "T of nothing": [f"R{W}/suid", "T"],
        "R between entries": ["Dwing", f"R{W}/suid", f"T{W}/other", "Yfile"],
        "R of a folder": [f"R{W}", f"T{out}/wing2"],
    }
    return {name: [full(suid, folder(SOURCE, form))] for name, form in forms.items()}


def renames_elsewhere(out: str) -> Mapping[str, Sequence[bytes]]:
    """The same where one might not look."""
    suid = file(f"{W}/suid", mode=0o4755)
    form = [f"X{out}", f"R{W}/suid", "T"]
    records = [("GNU.dumpdir", dumpdir(form))]
    plain = dumpdir(form)
    return {
        "records in a later archive": [ORDINARY, diff(folder(SOURCE), folder(W), suid, folder(SOURCE, form))],
        "records in the last of three": [ORDINARY, ORDINARY, diff(suid, folder(W, form))],
        "records for the root": [full(suid, folder("", form)), full(suid, folder(".", form))],
        "records for the root, with a dot": [full(suid, folder("./", form))],
        "records for a folder elsewhere": [full(suid, folder("other", form))],
        "records for a file": [full(suid, member(f"{W}/f", b"0", records=records))],
        "records for a file that is a folder by its slash": [full(suid, member(f"{W}/f/", b"0", records=records))],
        "records for a folder of the oldest kind": [full(suid, member(f"{W}/", b"\0", records=records))],
        "records for a link": [full(suid, member(f"{W}/f", b"2", link=W, records=records))],
        "records for a file that is one with another": [full(suid, member(f"{W}/f", b"7", records=records))],
        "records in a global header": [full(suid, pax(records, b"g"), folder(W), folder(SOURCE))],
        "records twice": [full(suid, folder(SOURCE, ["Dwing"], records=records))],
        "records twice, the other way round": [
            full(suid, member(SOURCE, b"5", mode=0o755, records=[*records, ("GNU.dumpdir", dumpdir(["Dwing"]))]))
        ],
        "records in two headers": [full(suid, pax(records), folder(SOURCE, ["Dwing"]))],
        "records with a long name between": [
            full(
                suid, pax(records), header("././@LongLink", b"L", size=7, magic=GNU) + padded(b"estate\0"), folder("x")
            )
        ],
        "records of the old format": [full(suid, member(SOURCE, b"D", plain, mode=0o755))],
        "records of the old format, GNU": [full(suid, member(SOURCE, b"D", plain, mode=0o755, magic=GNU))],
        "records of the old format, in a later archive": [ORDINARY, diff(suid, member(W, b"D", plain, mode=0o755))],
        "records behind the list's end": [full(suid, _folder(SOURCE, dumpdir(["Dwing"]) + dumpdir(form)))],
        "records without an end": [full(suid, _folder(SOURCE, plain.rstrip(b"\0")))],
        "records behind an empty entry": [full(suid, _folder(SOURCE, b"\0" + plain))],
        "records after a value with another one in it": [
            full(suid, _folder(SOURCE, b"Dwing\0\n27 GNU.dumpdir=R" + plain))
        ],
    }


def _folder(name: str, listing: bytes) -> bytes:
    return member(name, b"5", mode=0o755, records=[("GNU.dumpdir", listing)])


def entries(out: str) -> Mapping[str, Sequence[bytes]]:
    """Entries that are no plain names, and folders that are not part of the source."""
    odd = [
        "D..",
        "Y../../../beside/precious",
        f"Y{out}/precious",
        "D.",
        "Y",
        "N",
        "D/",
        "Ya/b",
        "N\n",
        "Q",
        "\x01x",
        "Dx/..",
    ]
    linked = [link(f"{W}/x", out), link(f"{W}/up", "../../../..")]
    return {
        "odd entries": [full(folder(W, odd)), diff(folder(SOURCE, ["Dwing"]), folder(W, odd))],
        "odd entries after links": [full(*linked), diff(folder(W, [*odd, "Nx/precious", "Dup/beside"]))],
        "entries of the root": [full(folder("", ["Destate"]), folder("", []), folder("/", []), folder("./", []))],
        "entries of a folder above": [ORDINARY, diff(folder("..", []), folder("../..", []), folder("../../..", []))],
        "entries of a folder beside": [ORDINARY, diff(folder("../../../beside", []), folder("../links", []))],
        "entries of a full path": [full(folder(out, []), folder(f"{out}/folder", [])), diff(folder(f"/{out}", []))],
        "entries of a folder with dots": [full(folder(f"{W}/../../../../../beside", []), folder(f"{W}/..", []))],
        "entries of a link": [full(*linked, folder(f"{W}/x", []), folder(f"{W}/up", []), folder(f"{W}/up/beside", []))],
        "entries of a link in a later archive": [full(*linked), diff(folder(f"{W}/x", []), folder(f"{W}/up", []))],
        "entries of a link's folder": [
            full(*linked),
            diff(folder(f"{W}/x/folder", []), folder(f"{W}/x/folder/deep", [])),
        ],
        "entries of an old format": [full(*linked), diff(member(f"{W}/x", b"D", dumpdir([]), mode=0o755))],
        "entries that never end": [
            full(_folder(W, b"Yx"), _folder(W, b""), _folder(W, b"\0\0\0"), _folder(W, b"Y" * 9000))
        ],
        "entries by the hundred thousand": [full(folder(W, [f"N{number}" for number in range(100_000)]))],
    }


def end_marks(out: str) -> Mapping[str, Sequence[bytes]]:
    """A second archive behind the end of the first, which one reader sees and another does not."""
    through = link(f"{W}/x", out) + file(f"{W}/x/new2") + folder(SOURCE, [f"X{out}", f"R{W}/good", "T"])
    return {
        "an archive behind the end": [full() + through + END],
        "an archive behind one empty block": [full()[: -len(END) // 2] + through + END],
        "an archive behind many empty blocks": [full() + END * 20 + through + END],
        "garbage behind the end": [full() + b"garbage" * 1000 + END],
        "an end within a file": [full(file(f"{W}/f", END + through + END))],
        "no end": [full()[: -len(END)]],
        "half an end": [full()[: -len(END) // 2]],
        "nothing": [b""],
        "only an end": [END],
        "a damaged sum between": [full(header(f"{W}/f", checksum=b"000001"), through)],
    }


RENAMES: tuple[Attacks, ...] = (renames, renames_elsewhere)
RECORDS: tuple[Attacks, ...] = (entries, end_marks)
