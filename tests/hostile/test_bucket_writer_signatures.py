"""With ``--require-signature`` nothing that the right key has not signed reaches tar; nor does another source's."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pytest

from s3napback.archives import metadata_digest
from s3napback.encryption.gpg import SIGNED_DIGEST
from tests.faults.runner import Ended
from tests.gpg_keys import GpgHome, gpg_home
from tests.hostile.archives import file, folder, put, record, zipped
from tests.hostile.attacks import ORDINARY, W, diff, full
from tests.hostile.attacks_by_links import honest_chain
from tests.hostile.programs import in_front, log
from tests.hostile.restoring import EVERY, SHAPES, USERS, Restorer, harm_done
from tests.hostile.world import SOURCE, World

MARK = b"this must not reach tar"


@dataclass(frozen=True)
class Keys:
    """A home with secret keys, a copy for each user, and whose is which."""

    home: GpgHome
    copies: Mapping[str, GpgHome]
    recipient: str
    signer: str
    stranger: str

    def sealed(self, data: bytes, signer: str = "", metadata: Mapping[str, str] | None = None) -> bytes:
        """Encrypted, and signed, as an archive with these metadata is."""
        notation = f"{SIGNED_DIGEST}={metadata_digest(metadata or {})}"
        signing = ("--local-user", signer, "--sig-notation", notation, "--sign") if signer else ()
        options = ("-z", "0", "--recipient", self.recipient, *signing, "--output", "-", "--encrypt")
        return self.home.run("--no-encrypt-to", "--trust-model", "always", *options, stdin=data)


@pytest.fixture(scope="module")
def keys(restores: Restorer) -> Iterator[Keys]:
    with gpg_home() as home:
        recipient = home.make_key("Backup <backup@example.org>")
        signer = home.make_key("Signer <signer@example.org>", usage="sign", algorithm="ed25519")
        stranger = home.make_key("Stranger <stranger@example.org>", usage="sign", algorithm="ed25519")
        copies = {who: _copy(home, restores.world(who), signer) for who in USERS}
        yield Keys(home, copies, recipient, signer, stranger)
        for copy in copies.values():
            subprocess.run(["gpgconf", "--homedir", str(copy.path), "--kill", "all"], check=True, capture_output=True)


def _copy(home: GpgHome, world: World, signer: str) -> GpgHome:
    path = world.base / "keys"
    shutil.copytree(home.path, path, ignore=lambda _folder, names: [name for name in names if name.startswith("S.")])
    world.give(path)
    path.chmod(0o700)
    text = world.configuration.read_text()
    directives = f"GpgHome {path}\nGpgRecipient backup@example.org\nGpgSignKey {signer}\n"
    (world.base / "signed").write_text(text + directives)
    return GpgHome(path)


EVIL = full(file(f"{W}/f", MARK), folder(SOURCE, [f"R{W}/good", f"T{W}/x"]))

FORGERIES: dict[str, Callable[[Keys, Mapping[str, str]], bytes]] = {
    "not signed": lambda keys, _metadata: keys.sealed(zipped(EVIL)),
    "signed by a stranger": lambda keys, metadata: keys.sealed(zipped(EVIL), keys.stranger, metadata),
    "signed as another archive": lambda keys, metadata: keys.sealed(
        zipped(EVIL), keys.signer, {**metadata, "s3napback-day": "20000"}
    ),
    "not encrypted": lambda _keys, _metadata: zipped(EVIL),
    "not encrypted nor compressed": lambda _keys, _metadata: EVIL,
    "changed since": lambda keys, metadata: _changed(keys.sealed(zipped(EVIL * 200), keys.signer, metadata)),
    "cut off": lambda keys, metadata: keys.sealed(zipped(EVIL * 200), keys.signer, metadata)[:-40],
    "signed, and something behind": lambda keys, metadata: (
        keys.sealed(zipped(EVIL), keys.signer, metadata) + keys.sealed(zipped(EVIL))
    ),
    "something before it": lambda keys, metadata: (
        keys.sealed(zipped(EVIL)) + keys.sealed(zipped(ORDINARY), keys.signer, metadata)
    ),
}


def _changed(data: bytes) -> bytes:
    return data[:-100] + bytes([data[-100] ^ 1]) + data[-99:]


@dataclass(frozen=True)
class Trial:
    """A restore that asks for signatures, with a tar that keeps what it is given."""

    restores: Restorer
    world: World
    keys: Keys

    def restore(self, shape: str, **environment: str) -> tuple[Ended, list[str], bytes]:
        heard = log(self.world)
        front = in_front(
            self.world, "tar", f'case "$*" in *--version*) exec REAL "$@" ;; esac\ntee -a {heard} | REAL "$@"'
        )
        configuration = self.world.base / "signed"
        # Behind the second wall the tar in front could write down nothing.
        ended = self.restores.restore(
            self.world,
            SHAPES[shape],
            "--require-signature",
            configuration=configuration,
            walls=1,
            **{**environment, **front},
        )
        return ended, harm_done(self.world, SHAPES[shape], ended), heard.read_bytes()


FOLDED: Sequence[Callable[[str, str, str, str], Mapping[str, str]]] = [
    lambda name, value, next_name, next_value: {name: f"{value}\n{next_name}={next_value}"},
    lambda name, value, next_name, next_value: {f"{name}={value}\n{next_name}": next_value},
    lambda name, value, next_name, next_value: {f"{name}={value}".upper(): "", next_name: next_value},
]


@pytest.mark.parametrize("fold", FOLDED)
def test_metadata_that_are_folded_into_each_other_are_not_what_was_signed(
    fold: Callable[[str, str, str, str], Mapping[str, str]],
) -> None:
    metadata = {**record(1).to_metadata(), "s3napback-cycle": "a=b"}
    names = sorted(metadata)
    for name, next_name in pairwise(names):
        rest = {each: value for each, value in metadata.items() if each not in (name, next_name)}
        folded = {**rest, **fold(name, metadata[name], next_name, metadata[next_name])}
        assert metadata_digest(folded) != metadata_digest(metadata)
    without = {name: value for name, value in metadata.items() if name != "s3napback-cycle"}
    assert metadata_digest({**without, "s3napback-cycle=a": "b"}) != metadata_digest(metadata)


@pytest.mark.parametrize(("shape", "who"), [("whole", who) for who in USERS] + EVERY[-1:])
@pytest.mark.parametrize("slot", [0, 1], ids=["FULL", "DIFF"])
@pytest.mark.parametrize("forgery", FORGERIES)
def test_not_a_byte_of_a_forgery_reaches_tar(
    restores: Restorer, keys: Keys, forgery: str, slot: int, shape: str, who: str
) -> None:
    world = restores.world(who)
    world.prepare(in_place=SHAPES[shape].in_place)
    for each in range(2):
        metadata = record(each).to_metadata()
        good = keys.sealed(zipped((ORDINARY, diff(file(f"{W}/later")))[each]), keys.signer, metadata)
        put(world.vault, each, FORGERIES[forgery](keys, metadata) if each == slot else good)
    world.give(world.vault)
    ended, harm, heard = Trial(restores, world, keys).restore(shape)
    assert ended.code == 1, ended.stderr
    assert not harm, ended.stderr
    assert MARK not in heard


@pytest.mark.parametrize(("shape", "who"), EVERY)
def test_what_is_signed_is_restored(restores: Restorer, keys: Keys, shape: str, who: str) -> None:
    """And the tar in front hears it: so that the others do not pass because nothing works."""
    world = restores.world(who)
    world.prepare(in_place=SHAPES[shape].in_place)
    for slot, content in enumerate(honest_chain(str(world.outside))):
        put(world.vault, slot, keys.sealed(zipped(content), keys.signer, record(slot).to_metadata()))
    world.give(world.vault)
    ended, harm, heard = Trial(restores, world, keys).restore(shape)
    assert (ended.code, harm) == (0, []), ended.stderr
    assert b"later\n" in heard
    assert (world.where / W / "later").read_text() == "later\n"


OTHERS = ("Directory /elsewhere", "Directory /", f"Directory /{SOURCE}/wing", "Subversion /estate", "MySQL estate")


@pytest.mark.crossed
@pytest.mark.parametrize(("shape", "who"), EVERY)
@pytest.mark.parametrize("slot", [0, 1], ids=["FULL", "DIFF"])
@pytest.mark.parametrize("other", OTHERS)
def test_archives_of_another_source_are_not_taken_for_it(
    restores: Restorer, other: str, slot: int, shape: str, who: str
) -> None:
    world = restores.world(who)
    world.prepare(in_place=SHAPES[shape].in_place)
    for each in range(slot, 2):
        source = other if each == slot else f"Directory /{SOURCE}"
        content = full(file("etc/passwd"), file("elsewhere/f"), file(f"{W}/f"))
        parent = {"parent": "", "type": "FULL"} if each == slot == 0 else {}
        put(world.vault, each, zipped(ORDINARY if each != slot else content), source=source, changed=parent)
    if slot:
        put(world.vault, 0, zipped(ORDINARY))
    world.give(world.vault)
    ended = restores.restore(world, SHAPES[shape])
    assert not harm_done(world, SHAPES[shape], ended), ended.stderr
    where = world.where / W / "f"
    assert not where.exists(), ended.stderr


def pair_of_one_size(keys: Keys) -> tuple[bytes, bytes]:
    """A signed archive and a forgery that differ in nothing that a store can tell without reading them."""
    metadata = record_of_plain()
    good = keys.sealed(full(file(f"{W}/f", b"x" * len(MARK))), keys.signer, metadata)
    for _ in range(50):
        evil = keys.sealed(full(file(f"{W}/f", MARK)), keys.stranger, metadata)
        if len(evil) == len(good):
            return good, evil
    raise AssertionError("no two of one size")


def record_of_plain() -> dict[str, str]:
    return {**record(0).to_metadata(), "s3napback-compression": "none"}


@pytest.mark.parametrize("who", USERS)
def test_what_is_swapped_after_it_was_found_good_does_not_reach_tar(restores: Restorer, keys: Keys, who: str) -> None:
    """Its length and time say that it is the same."""
    world = restores.world(who)
    world.prepare(in_place=False)
    good, evil = pair_of_one_size(keys)
    key, _metadata = put(world.vault, 0, good, changed={"compression": "none"})
    world.give(world.vault)
    swapped = world.vault / ".s3napback" / "swapped"
    swapped.write_bytes(evil)
    stored = world.vault / key
    swap = f'test -e "{swapped}" || exit $code; cp -p "{stored}" "{swapped}.old"; cat "{swapped}" >"{stored}"'
    back = f'touch -r "{swapped}.old" "{stored}"; rm "{swapped}"'
    front = in_front(world, "gpg", f'REAL "$@"\ncode=$?\ncase "$*" in *--decrypt*) {swap}; {back} ;; esac\nexit $code')
    world.give(world.vault)
    try:
        ended, harm, heard = Trial(restores, world, keys).restore("whole", **front)
    finally:
        (world.base / "bin/gpg").unlink()
    assert not swapped.exists()
    assert ended.code == 1, ended.stderr
    assert not harm, ended.stderr
    assert MARK not in heard
