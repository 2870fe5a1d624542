"""From an archive's stored bytes to its content: decrypted, decompressed, and never ended well where anything failed.

What the bytes are is told by their first ones, so that copies which lost their metadata decode as well.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from s3napback.archives import metadata_digest
from s3napback.catalogue.contents import CataloguedArchive
from s3napback.catalogue.sums import sum_key
from s3napback.encryption.gpg import SIGNED_DIGEST
from s3napback.encryption.options import Purpose, gpg_command
from s3napback.errors import PipelineError, S3napbackError, StoreError
from s3napback.recovery.fetching import Transport, known_digest
from s3napback.recovery.proving import Pieces
from s3napback.streams.environment import Family
from s3napback.streams.pipeline import Pipeline
from s3napback.streams.processes import Stage
from s3napback.streams.transformations import Block, Feed, Transformation

_PIECE = 1 << 20  # bytes; decompressed at once, at most
_GZIP_FORMAT = 31  # zlib's largest window (15), plus 16 for gzip's header and trailer
_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ENCRYPTED = (0x84, 0x85, 0x86, 0x8C, 0x8D, 0xC1, 0xC3)
"""First bytes of an encrypted message: packets of type 1 and 3 in the old and the new format (RFC 4880, 4.2, 4.3)."""
_UTF8_LEAD = 0xC3
_HEAD = 4
_ZSTD_SLICE = 4096  # bytes decompressed at once; not even from a hole do they become more than 128 MiB
_SMALLEST_SLICE = 64

LEAST_RATE = 128
"""Bytes per second that must have moved within StallTimeout. A store that drips is as good as away; a modem is not."""

logger = logging.getLogger("s3napback")


class Damaged(PipelineError):
    """What came out of decryption is not what an archive holds."""


@dataclass(frozen=True)
class Decryption:
    """How gpg is to decrypt.

    Attributes:
        home: GpgHome; None is gpg's own choice.
        passphrase_file: its first line is the passphrase; None leaves asking to gpg's agent.
        signer: fingerprint of the primary key by which every archive must be signed; empty does not ask for that.
    """

    home: Path | None = None
    passphrase_file: Path | None = None
    signer: str = ""

    def stage(self, digest: str = "") -> Stage:
        """The process that decrypts its standard input.

        Args:
            digest: of the archive's metadata, which the signature must tell; empty where they were lost.
        """
        gpg = gpg_command(self.home, Purpose.READING)
        passphrase: tuple[str, ...] = ()
        if self.passphrase_file is not None:
            passphrase = ("--pinentry-mode", "loopback", "--passphrase-file", str(self.passphrase_file))
        # A signature that nobody asks for must not matter where the key to check it is missing.
        signature = ("--status-fd", "2") if self.signer else ("--skip-verify",)
        command = (*gpg, *passphrase, *signature, "--output", "-", "--decrypt")
        judge = partial(signature_flaw, self.signer, digest) if self.signer else None
        may_ask = self.passphrase_file is None and _somebody_is_there()
        return Stage(command, environment=_terminal(), judge=judge, family=Family.GPG, may_ask=may_ask)


_STATUS = "[GNUPG:] "


def signature_flaw(signer: str, digest: str, lines: Sequence[str]) -> str:
    """Why what gpg decrypted is not trusted; empty if it is signed by the right key and nobody else, as this archive.

    Args:
        signer: fingerprint of the primary key.
        digest: of the archive's metadata; empty if they were lost.
        lines: what gpg said, with its status lines (GnuPG's ``doc/DETAILS``). Whatever else it prints of a message has
            its control characters escaped, and cannot look like one.
    """
    status = [line.removeprefix(_STATUS).split() for line in lines if line.startswith(_STATUS)]
    verdicts = {words[0] for words in status if words and words[0].endswith("SIG")}
    valid = [words for words in status if words and words[0] == "VALIDSIG"]
    if not verdicts:
        return f"it is not signed, and --require-signature asks for one by {signer}"
    # The last word is the primary key's fingerprint, whichever subkey signed.
    if [words[-1] for words in valid] != [signer] or not verdicts <= {"NEWSIG", "GOODSIG", "VALIDSIG"}:
        return f"it is not signed by {signer}, as --require-signature asks for, or the signature is not valid any more"
    if digest and digest not in _signed_digests(status):
        return f"{signer} has signed it, but not with these metadata: somebody has put another archive in its place"
    return ""


def _signed_digests(status: Sequence[Sequence[str]]) -> list[str]:
    """What a signature tells of metadata. gpg cuts long values into several lines."""
    found: list[str] = []
    is_ours = False
    for words in status:
        if words[:1] == ["NOTATION_NAME"]:
            is_ours = words[1:] == [SIGNED_DIGEST]
            found += [""] if is_ours else []
        elif words[:1] == ["NOTATION_DATA"] and is_ours:
            found[-1] += words[-1]
    return found


def _terminal() -> dict[str, str]:
    """Tell gpg's agent on which terminal it may ask for a passphrase."""
    if "GPG_TTY" not in os.environ:
        for stream in (sys.stdin, sys.stderr):
            with suppress(OSError, AttributeError, ValueError):
                return {"GPG_TTY": os.ttyname(stream.fileno())}
    return {}


def _somebody_is_there() -> bool:
    """Whether gpg's agent may ask for a passphrase, on a terminal or a screen, and wait for the answer for hours."""
    return bool(_terminal()) or any(name in os.environ for name in ("GPG_TTY", "DISPLAY", "WAYLAND_DISPLAY"))


@dataclass(frozen=True)
class Decoder:
    """Opens archives.

    Attributes:
        transport: fetches them.
        decryption: what gpg needs.
        sums: keys of the checksum objects in the store.
        proofs: of archives whose signature was found good, by key and version.
    """

    transport: Transport
    decryption: Decryption
    sums: frozenset[str] = frozenset()
    proofs: dict[tuple[str, str], Pieces] = field(default_factory=dict, repr=False)

    def open(self, archive: CataloguedArchive, *consumers: Stage | Transformation) -> Pipeline:
        """A pipeline, not yet started, whose output is what the last consumer writes, or the archive's content.

        Raises:
            StoreError: its first bytes cannot be read.
        """
        encrypted = self._is_encrypted(archive)
        if self.decryption.signer and not encrypted:
            raise Damaged(
                f"{self.transport.address(archive)} is not encrypted, and so not signed by {self.decryption.signer} as "
                "--require-signature asks for"
            )
        # gpg notices every change by itself, and to look twice takes time.
        has_sum = not encrypted and sum_key(archive.key) in self.sums
        proof = self._proof(archive) if self.decryption.signer else None
        through = partial(proof.checked, address=self.transport.address(archive)) if proof else None
        feed = self.transport.feed(archive, digest=self._digest(archive) if has_sum else "", through=through)
        decompress = Transformation(
            "decompression", lambda blocks: decompressed(blocks, archive.record.compression if archive.record else "")
        )
        decrypt = [self._decryption_of(archive)] if encrypted else []
        # tar has more to do than to read: it deletes, and sets times and permissions when it has read everything.
        patient = [replace(each, may_pause=True) if isinstance(each, Stage) else each for each in consumers]
        return self._pipeline(feed, *decrypt, decompress, *patient)

    def _pipeline(self, *elements: Feed | Stage | Transformation) -> Pipeline:
        return Pipeline(elements, stall_timeout=self.transport.stall_timeout, least_rate=LEAST_RATE)

    def _digest(self, archive: CataloguedArchive) -> str:
        """What the object beside an archive says of it; empty, with a warning, if that cannot be read."""
        try:
            return known_digest(self.transport, archive, has_sum=True)
        except StoreError as error:
            logger.warning("%s is restored without a look at its checksum: %s", self.transport.address(archive), error)
            return ""

    def _decryption_of(self, archive: CataloguedArchive) -> Stage:
        return self.decryption.stage(metadata_digest(archive.stored.metadata) if archive.record else "")

    def _proof(self, archive: CataloguedArchive) -> Pieces:
        """Read an archive once for its signature alone.

        Raises:
            PipelineError: it is not signed as it must be.
        """
        known = (archive.key, archive.stored.version)
        if known not in self.proofs:
            pieces = Pieces()
            feed = self.transport.feed(archive, through=pieces.noted)
            with self._pipeline(feed, self._decryption_of(archive)) as pipeline:
                buffer = memoryview(bytearray(_PIECE))
                while pipeline.readinto(buffer):
                    pass
            self.proofs[known] = pieces
        return self.proofs[known]

    def run(
        self,
        archive: CataloguedArchive,
        *consumers: Stage | Transformation,
        write: Callable[[Block], None],
        finish: Callable[[Pipeline], None] | None = None,
    ) -> int:
        """Decode one archive to its end.

        Args:
            archive: which one.
            consumers: what follows decompression.
            write: takes what comes out at the end.
            finish: is given the pipeline after a good end.

        Returns:
            Bytes that came out.

        Raises:
            PipelineError: something failed; the message names the archive and says what it means.
        """
        total = 0
        try:
            with self.open(archive, *consumers) as pipeline:
                buffer = memoryview(bytearray(_PIECE))
                while count := pipeline.readinto(buffer):
                    write(buffer[:count])
                    total += count
                if finish:
                    finish(pipeline)
        except PipelineError as error:
            raise PipelineError(*self._explained(archive, error)) from error
        return total

    def _is_encrypted(self, archive: CataloguedArchive) -> bool:
        store, end = self.transport.store, min(_HEAD, archive.stored.size)
        head = self.transport.promptly(lambda: b"".join(store.read(archive.key, end=end)), archive)
        return looks_encrypted(head)

    def _explained(self, archive: CataloguedArchive, error: S3napbackError) -> tuple[str, ...]:
        meaning = meaning_of(str(error))
        return (
            f"{self.transport.address(archive)} cannot be decoded{': ' + meaning if meaning else ''}",
            *(f"  {line}" for line in error.lines),
        )


def looks_encrypted(head: bytes) -> bool:
    """Whether an archive that begins with ``head`` is an encrypted message of OpenPGP."""
    if not head or head[0] not in _ENCRYPTED:
        return False
    # A tar archive without compression can begin with the name of a folder in UTF-8, where this byte comes first.
    return head[0] != _UTF8_LEAD or len(head) < 2 or not 0x80 <= head[1] <= 0xBF


_NO_KEY = (
    "it is encrypted to a key that is not here, or that gpg could not unlock: import the secret key into gpg, or set "
    "GpgHome; where nobody can be asked for a passphrase, use --passphrase-file"
)
_MEANINGS = (
    ("manipulated", "its bytes have been changed since it was made"),
    ("not integrity protected", "its bytes have been changed since it was made"),
    ("Checksum error", "its bytes have been changed since it was made"),
    ("Bad passphrase", "the passphrase is wrong"),
    ("No passphrase given", "the key needs a passphrase: run on a terminal, or name a file with --passphrase-file"),
    ("Operation cancelled", "the passphrase was not given"),
    ("No pinentry", "gpg cannot ask for the passphrase here: install pinentry, or use --passphrase-file"),
    ("No secret key", _NO_KEY),
    (
        "decryption failed: Inappropriate ioctl",
        "gpg has no terminal to ask for the passphrase on: use --passphrase-file",
    ),
    ("cannot open passphrase", "the file with the passphrase cannot be read"),
    ("No space left", "there is not enough room for what is restored"),
    ("gpg failed", "its bytes are damaged, or it is not an archive of s3napback"),
    ("is damaged", "its bytes have been changed since it was made"),
    ("decompression failed", "its bytes are damaged, or it is not an archive of s3napback"),
)


def meaning_of(words: str) -> str:
    """What the failure of a stage means, judged by what gpg and the others say in English; empty if that is plain."""
    return next((meaning for sign, meaning in _MEANINGS if sign in words), "")


def decompressed(blocks: Iterator[memoryview], compression: str = "") -> Iterator[Block]:
    """Decompress a stream, in pieces of bounded size however much a block expands to.

    Args:
        blocks: of the compressed stream.
        compression: ``gzip``, ``zstd`` or ``none``; empty if its first bytes shall tell.

    Raises:
        Damaged: the stream is broken, ends before its end mark, or goes on behind it.
    """
    head = bytearray()
    for block in blocks:
        head += block
        if len(head) >= _HEAD:
            break
    found = _compression_of(head)
    if compression and found != compression:
        raise Damaged(f"decompression failed: the content does not begin like {compression}")
    makers = {"gzip": _gunzipped, "zstd": _unzstded, "none": _unchanged}
    return makers[found](_chained(memoryview(bytes(head)), blocks))


def _compression_of(head: bytes | bytearray) -> str:
    if head.startswith(_GZIP_MAGIC):
        return "gzip"
    return "zstd" if head.startswith(_ZSTD_MAGIC) else "none"


def _chained(first: memoryview, blocks: Iterator[memoryview]) -> Iterator[memoryview]:
    if first:
        yield first
    yield from blocks


def _unchanged(blocks: Iterator[memoryview]) -> Iterator[Block]:
    return blocks


def _gunzipped(blocks: Iterator[memoryview]) -> Iterator[Block]:
    from isal import isal_zlib  # noqa: PLC0415 - loaded only where it is used

    broken: type[Exception] = isal_zlib.IsalError  # type: ignore[assignment] # its stubs take it for an instance
    stream = isal_zlib.decompressobj(wbits=_GZIP_FORMAT)
    try:
        for block in blocks:
            rest: Block = block
            while rest:
                if stream.eof:
                    raise Damaged("decompression failed: there is something behind gzip's end mark")
                yield stream.decompress(rest, _PIECE)
                rest = stream.unused_data if stream.eof else stream.unconsumed_tail
    except broken as error:
        raise Damaged(f"decompression failed: {error}") from error
    if not stream.eof:
        raise Damaged("decompression failed: gzip's end mark is missing")


def _unzstded(blocks: Iterator[memoryview]) -> Iterator[Block]:
    import zstandard  # noqa: PLC0415 - loaded only where it is used

    # Neither of the library's streaming readers tells a stream that was cut off from one that ended.
    stream = zstandard.ZstdDecompressor().decompressobj()
    slice_size = _ZSTD_SLICE
    try:
        for block in blocks:
            position = 0
            while position < len(block):
                if stream.eof:
                    raise Damaged("decompression failed: there is something behind zstd's end mark")
                piece = stream.decompress(block[position : position + slice_size])
                position += slice_size
                # A hole's four bytes become 128 KiB, and it goes on for a while.
                slice_size = max(_SMALLEST_SLICE, slice_size // 2) if len(piece) > _PIECE else _ZSTD_SLICE
                yield piece
    except zstandard.ZstdError as error:
        raise Damaged(f"decompression failed: {error}") from error
    if stream.unused_data:
        raise Damaged("decompression failed: there is something behind zstd's end mark")
    if not stream.eof:
        raise Damaged("decompression failed: zstd's end mark is missing")
