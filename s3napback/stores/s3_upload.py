"""The way of one object's bytes from a source into a bucket: part buffers, threads, and what happens on failure.

The memory in use is that of the part buffers, ``buffer_budget`` bytes at most, plus a constant. An upload either
completes or is aborted; nothing of it is ever visible under its key before.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import field
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

from s3napback import ending
from s3napback.crews import PATIENCE, Crew, TookTooLong, result_of, within
from s3napback.errors import OutOfParts, StoreError, StoreUnreachable, Unconfirmed
from s3napback.records import dataclass
from s3napback.stores import ByteSource, StoredObject
from s3napback.stores.integrity import integrity_of, kept_with_part
from s3napback.stores.part_body import PartBody
from s3napback.stores.parts import PartPlan, buffer_budget
from s3napback.stores.s3_errors import (
    FAILURES,
    code_of,
    has_no_words,
    is_passing,
    required,
    status_of,
    translate,
    translated,
)
from s3napback.stores.throttle import Throttle
from s3napback.stores.waiting import Patience, Waiting, patiently

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

logger = logging.getLogger(__name__)

_PARTS_PATIENCE = 60.0
"""Seconds that parts under way have to come to an end before their upload is aborted, as long as there is time."""

_ABORT_PATIENCE = 8.0
"""Seconds for the abort of an upload when a signal has come."""

_Answer = TypeVar("_Answer")


class PartBuffers:
    """Hands out buffers and takes them back for reuse, so that their sum never exceeds the budget.

    All uploads of a store share them. Who waits is served in turn, so that a large part is not passed over for ever;
    and nobody waits for a second one while he holds what has been filled and not sent, so that one always comes free.
    """

    def __init__(self, chunk_size: int, threads: int) -> None:
        self._chunk_size = chunk_size
        self._threads = threads
        self._condition = threading.Condition()
        self._free: list[bytearray] = []
        self._waiting: deque[object] = deque()
        self._held = 0
        self.most_held = 0

    def take(self, size: int) -> bytearray:
        """Return a buffer of ``size`` bytes with any content; waits until one may be had."""
        ticket = object()
        with self._condition:
            self._waiting.append(ticket)
            try:
                while True:
                    buffer = self._found(size) if self._waiting[0] is ticket else None
                    if buffer is not None:
                        return buffer
                    ending.wait_for_change(self._condition)
            finally:
                self._waiting.remove(ticket)
                self._condition.notify_all()

    def _found(self, size: int) -> bytearray | None:
        if self._free and len(self._free[-1]) == size:
            return self._free.pop()
        self._held -= sum(map(len, self._free))
        self._free.clear()
        if self._held + size > buffer_budget(self._chunk_size, self._threads, size):
            return None
        self._held += size
        self.most_held = max(self.most_held, self._held)
        return bytearray(size)

    def give_back(self, buffer: bytearray) -> None:
        """Let another part have the buffer."""
        with self._condition:
            self._free.append(buffer)
            self._condition.notify_all()


@dataclass(frozen=True)
class Target:
    """Where an object goes and what it bears.

    Attributes:
        client: gives the client for each request, credentials and all.
        options: metadata, storage class and encryption, as PutObject and CreateMultipartUpload take them.
        slow_client: makes the client for the request that puts an upload in place.
        is_amazon: which digest of the bytes is named, see ``integrity``.
        has_landed: given a number of bytes, tells whether the object in the store is the one being uploaded.
        confirm: given a number of bytes, and what the store has answered, if that is known, describes the object in the
            store, or raises if it is not that one.
        throttle: how fast its bytes may go out.
    """

    client: Callable[[], S3Client]
    bucket: str
    key: str
    options: dict[str, Any]
    slow_client: Callable[[], S3Client]
    is_amazon: bool
    has_landed: Callable[[int], bool]
    confirm: Callable[[int, Mapping[str, Any]], StoredObject]
    throttle: Throttle

    @property
    def address(self) -> str:
        """For messages."""
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True)
class Piece:
    """One part's number (from 1), its bytes, and whether they are all there is."""

    number: int
    buffer: bytearray = field(repr=False)
    length: int
    is_all: bool = False


class Upload:
    """Uploads one object: in one request if it fits into one part, else in parts by several threads."""

    def __init__(self, target: Target, plan: PartPlan, buffers: PartBuffers, *, threads: int, waiting: Waiting) -> None:
        self._target = target
        self._names: dict[str, Any] = {"Bucket": target.bucket, "Key": target.key}
        self._plan = plan
        self._buffers = buffers
        self._threads = threads
        self._waiting = waiting
        self._cancelled = threading.Event()
        self._failure: BaseException | None = None
        self._unsent: dict[int, bytearray] = {}
        self._size = 0

    def run(self, source: ByteSource) -> StoredObject:
        """Upload to the source's end and describe what has arrived.

        Raises:
            OutOfParts: the source holds more than all parts can.
            StoreError: the store failed. Whatever the source raises passes through. In all cases the upload is gone.
        """
        pieces = self._pieces(source)
        try:
            first = next(pieces)
            return self._put_object(first) if first.is_all else self._put_parts(chain((first,), pieces))
        finally:
            # What a thread has begun to send it gives back itself, even if it has been given up.
            while self._unsent:
                self._buffers.give_back(self._unsent.popitem()[1])

    def _pieces(self, source: ByteSource) -> Iterator[Piece]:
        """Cut the source into parts; the first comes even if it is empty."""
        ahead = b""
        for number in range(1, self._plan.limits.most + 1):
            if self._plan.grows_at(number):
                logger.warning(
                    "%s: larger than expected, parts from the %dth on have %d bytes; a larger ChunkSize avoids this",
                    self._target.address,
                    number,
                    self._plan.size(number),
                )
            buffer = self._buffers.take(self._plan.size(number))
            self._unsent[id(buffer)] = buffer
            self._raise_failure()
            length = _fill(buffer, source, ahead)
            self._size += length
            # Another buffer, to see whether there is more, might never come free while all wait for one.
            ahead = _next_byte(source) if number == 1 and length == len(buffer) else b""
            is_all = number == 1 and not ahead
            if length or number == 1:
                yield Piece(number, buffer, length, is_all)
            if is_all or length < len(buffer):
                return
        if _next_byte(source):
            raise OutOfParts(
                f"uploading {self._target.address} failed: it is larger than the {self._size} bytes that "
                f"{self._plan.limits.most} parts hold (set ChunkSize to at least {self._size // 2500})",
                self._size,
            )

    def _put_object(self, piece: Piece) -> StoredObject:
        doing = f"uploading {self._target.address}"
        integrity = self._integrity(piece)
        return self._finish(
            lambda: self._target.client().put_object(
                **self._names, Body=self._body(piece), **integrity, **self._target.options
            ),
            doing,
            self._waiting.outage_seconds,
        )

    def _put_parts(self, pieces: Iterator[Piece]) -> StoredObject:
        with ExitStack() as undo:
            names = self._create(undo)
            crew = Crew(self._threads, "upload")
            undo.callback(self._stop, crew)
            sent = [crew.submit(self._put_part, names, piece) for piece in pieces]
            parts = self._collect(sent)
            stored = self._finish(
                lambda: self._target.slow_client().complete_multipart_upload(**names, MultipartUpload={"Parts": parts}),
                f"completing the upload of {self._target.address}",
                self._waiting.completion_seconds,
            )
            undo.pop_all()
        crew.close()
        return stored

    def _create(self, undo: ExitStack) -> dict[str, Any]:
        """Begin a multipart upload that is aborted unless ``undo`` is emptied; returns the arguments that name it."""
        checksums: dict[str, Any] = {"ChecksumAlgorithm": "CRC32"} if self._target.is_amazon else {}
        doing = f"beginning an upload to {self._target.address}"
        with translated(doing):
            answer = self._patiently(
                lambda: self._target.client().create_multipart_upload(
                    **self._names, **checksums, **self._target.options
                ),
                doing,
            )
        names = {**self._names, "UploadId": required(answer, "UploadId", doing)}
        undo.callback(self._abort, names)
        return names

    def _put_part(self, names: dict[str, Any], piece: Piece) -> dict[str, Any]:
        """Send one part, in a thread of its own, and return what the completion needs to know of it."""
        doing = f"uploading part {piece.number} of {self._target.address}"
        self._unsent.pop(id(piece.buffer))
        integrity = self._integrity(piece)
        try:
            answer = self._patiently(
                lambda: self._target.client().upload_part(
                    **names, PartNumber=piece.number, Body=self._body(piece), **integrity
                ),
                doing,
            )
            # Marked as weak by a proxy, it is refused at the end.
            tag = str(required(answer, "ETag", doing)).removeprefix("W/")
        except BaseException as error:
            if not self._cancelled.is_set():
                self._failure = self._translate(error, doing) if isinstance(error, FAILURES) else error
                self._cancelled.set()
            raise
        finally:
            self._buffers.give_back(piece.buffer)
        return {"PartNumber": piece.number, "ETag": tag, **kept_with_part(integrity)}

    def _body(self, piece: Piece) -> Any:
        """A body for one attempt: its position is that of its beginning."""
        return PartBody(piece.buffer, piece.length, self._cancelled, self._target.throttle)

    def _integrity(self, piece: Piece) -> dict[str, Any]:
        return dict(integrity_of(memoryview(piece.buffer)[: piece.length], is_amazon=self._target.is_amazon))

    def _collect(self, sent: list[Future[dict[str, Any]]]) -> list[Any]:
        try:
            return [result_of(future) for future in sent]
        except Exception:
            self._raise_failure()
            raise

    def _finish(self, request: Callable[[], Any], doing: str, seconds: float) -> StoredObject:
        """Make the request that puts the object in place, and look: its failure may be that of the answer only.

        A store may still be at work when its answer has failed, and tell another request that there is no such upload.
        One that has told in words that it cannot do it has ended, and is not waited for as long.
        """
        patience, brief = (Patience(each, self._cancelled) for each in (seconds, self._waiting.outage_seconds))
        is_repeated = False
        told: StoreError | None = None
        answer: Mapping[str, Any] = {}
        while True:
            try:
                answer = request()
                break
            except FAILURES as error:
                failure = self._translate(error, doing)
                if self._has_landed(failure):
                    logger.warning("%s, but the object has arrived whole", failure)
                    break
                is_gone = is_repeated and code_of(error) == "NoSuchUpload"
                left = brief if is_gone and told else patience
                if not (is_passing(error) or is_gone) or not left.allows_another(error, doing):
                    raise (told if is_gone and told else failure) from error
                is_repeated = True
                told = told or (None if is_gone or has_no_words(error) else failure)
        with once_taken():
            return self._target.confirm(self._size, answer)

    def _has_landed(self, failure: StoreError) -> bool:
        try:
            return self._target.has_landed(self._size)
        except StoreError as error:
            logger.debug("after %s: %s", failure, error)
            return False

    def _translate(self, error: BaseException, doing: str) -> StoreError:
        failure = translate(error, doing)
        if 400 <= status_of(error) < 500 and self._size > self._plan.first_size * self._plan.limits.comfortable:
            needed = -(-self._size // self._plan.limits.comfortable)
            return StoreError(f"{failure}. The store may want parts of one size: set ChunkSize to at least {needed}")
        return failure

    def _patiently(self, request: Callable[[], _Answer], doing: str) -> _Answer:
        return patiently(request, doing, Patience(self._waiting.outage_seconds, self._cancelled))

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _stop(self, crew: Crew) -> None:
        """Let no further part begin, and wait for those under way: a part that lands after the abort would stay."""
        self._cancelled.set()
        crew.close(PATIENCE if ending.has_begun() else _PARTS_PATIENCE)

    def _abort(self, names: dict[str, Any]) -> None:
        doing = f"aborting the upload to {self._target.address}"
        try:
            if ending.has_begun():
                within(_ABORT_PATIENCE, lambda: self._target.client().abort_multipart_upload(**names))
            else:
                patience = Patience(self._waiting.outage_seconds)
                patiently(lambda: self._target.client().abort_multipart_upload(**names), doing, patience)
        except TookTooLong:
            logger.warning("%s failed: no answer within %g seconds; the next run tries again", doing, _ABORT_PATIENCE)
        except FAILURES as error:
            if code_of(error) != "NoSuchUpload":
                logger.warning("%s; the next run tries again", translate(error, doing))


@contextmanager
def once_taken() -> Iterator[None]:
    """Look at an object that the store has taken. Whatever is refused then does not mean that it is not there.

    Raises:
        StoreUnreachable: the store does not answer.
        Unconfirmed: it does, and not as it should.
    """
    try:
        yield
    except StoreUnreachable:
        raise
    except StoreError as error:
        raise Unconfirmed(*error.lines) from error


def _next_byte(source: ByteSource) -> bytes:
    """One byte; none at the end."""
    buffer = bytearray(1)
    return bytes(buffer[: _fill(buffer, source)])


def _fill(buffer: bytearray, source: ByteSource, ahead: bytes = b"") -> int:
    """Fill the buffer with what was read ahead, and until it is full or the source ends; return the number of bytes."""
    view = memoryview(buffer)
    length = len(ahead)
    view[:length] = ahead
    while length < len(view):
        count = source.readinto(view[length:])
        if not count:
            break
        length += count
    return length
