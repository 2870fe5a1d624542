"""What botocore sends its requests by, with limits to every answer.

botocore reads answers into memory whole, whatever their size, and its time limits begin anew with every byte. A store
that is broken, or means harm, could fill the memory or hold a night up for ever.
"""

from __future__ import annotations

import codecs
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import urllib3.exceptions
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ResponseStreamingError
from botocore.parsers import ResponseParserError

from s3napback.crews import begin, has_come
from s3napback.standing import note_request
from s3napback.stores.network import WorkedBefore, bundle_setting, mistake
from s3napback.stores.s3_errors import NO_ANSWER, OverlongAnswer, SenselessAnswer, SlowAnswer, UnusableSettings

LARGEST_ANSWER = 32 * 1024 * 1024
"""Bytes of an answer that is not an object: ten times a page of 1,000 keys of 1,024 bytes each, percent-encoded."""

_BLOCK = 64 * 1024
_HEAD = 1_000
"""Bytes of an answer by which a page for people shows itself. In a listing such words would be escaped."""


class LimitedSession:
    """Takes the place of botocore's ``URLLib3Session``, and passes everything on to it.

    Requests are made in threads of their own: whatever they hang in, their callers come back when the time is over, or
    a signal has come.
    """

    def __init__(self, session: Any, seconds: float, answered: set[tuple[str, str]]) -> None:
        """Wrap a session.

        Args:
            session: botocore's.
            seconds: from the end of a request to that of its answer, or to the first byte of an object.
            answered: servers that have answered, to be added to; sessions share it.
        """
        self._session = session
        self._seconds = seconds
        self._answered = answered

    def send(self, request: Any) -> Any:
        """Make one request.

        Raises:
            SlowAnswer: it has not come whole in time; while the request's body moves, time does not count.
            OverlongAnswer: it is too large.
            ResponseParserError: it is a page for people.
            WorkedBefore: there is no answer, as if by a mistake, and there has been one.
            HTTPClientError: as botocore's own session does.
        """
        note_request()
        is_stream, request.stream_output = request.stream_output, True
        position = _position(request.body)
        if hasattr(request.body, "begin_sending"):
            request.body.begin_sending()
        future = begin(partial(self._answer, request, is_stream=is_stream), "request")
        try:
            while not has_come(future, self._seconds):
                before, position = position, _position(request.body)
                if before == position:
                    raise SlowAnswer(url=request.url.partition("?")[0], seconds=self._seconds)
            return future.result()
        finally:
            # Nobody would look at what became of a request that has been given up.
            if not future.done() and hasattr(request.body, "give_up"):
                request.body.give_up()

    def close(self) -> None:
        """Close what is not in use."""
        self._session.close()

    def _answer(self, request: Any, *, is_stream: bool) -> Any:
        server = _server(request.url)
        answer = self._asked(request, server)
        if is_stream and answer.status_code < 300:
            self._answered.add(server)
            return answer
        limited = AWSResponse(answer.url, answer.status_code, answer.headers, _Limited(answer.raw))
        if request.method != "HEAD":
            _require_length(answer)
            try:
                _ = limited.content
            except (urllib3.exceptions.HTTPError, OSError) as error:
                if not _is_of_tls(answer):
                    raise ResponseStreamingError(error=error) from error
                limited = AWSResponse(answer.url, answer.status_code, answer.headers, _Nothing())
            self._refuse_page(limited, server)
        self._answered.add(server)
        return limited

    def _asked(self, request: Any, server: tuple[str, str]) -> Any:
        if server[0] == "https" and server not in self._answered:
            _require_file(vars(self._session).get("_verify"))
        try:
            return self._session.send(request)
        except NO_ANSWER as error:
            if server in self._answered and mistake(error):
                raise WorkedBefore(error=error) from error
            raise

    def _refuse_page(self, answer: Any, server: tuple[str, str]) -> None:
        """Look at an answer before botocore does: what is no XML it takes for cut off, and calls it HTTP 500.

        A page for people is no store's, be it that of a proxy or of the store's own console.

        Raises:
            ResponseParserError: the answer is such a page, or what no store says.
            WorkedBefore: likewise, and there has been an answer before.
        """
        head = answer.content[:_HEAD].removeprefix(codecs.BOM_UTF8).lstrip().lower()
        is_page = not head.startswith(b"<") or b"<html" in head or b"<!doctype html" in head
        if answer.status_code == 200 and head and is_page:
            page = ResponseParserError()
            raise WorkedBefore(error=page) if server in self._answered else page


class CarefulParsers:
    """Takes the place of what gives botocore its parsers of answers.

    They raise what they stumble over, be it a time that is none or a length without digits: no answer, and no bug.
    """

    def __init__(self, factory: Any) -> None:
        """Wrap botocore's."""
        self._factory = factory

    def create_parser(self, protocol: str) -> _CarefulParser:
        """A parser for answers of one protocol."""
        return _CarefulParser(self._factory.create_parser(protocol))


class _CarefulParser:
    def __init__(self, parser: Any) -> None:
        self._parser = parser

    def parse(self, answer: Any, shape: Any) -> Any:
        """As botocore's, which makes a dictionary of an answer.

        Raises:
            ResponseParserError: the answer makes no sense.
        """
        try:
            return self._parser.parse(answer, shape)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise SenselessAnswer(error) from error


class _Limited:
    """The body of an answer, as far as botocore's ``AWSResponse`` reads one."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def stream(self) -> Iterator[bytes]:
        size = 0
        for block in self._raw.stream(_BLOCK):
            size += len(block)
            if size > LARGEST_ANSWER:
                self._raw.close()
                raise OverlongAnswer(size=LARGEST_ANSWER)
            yield block


class _Nothing:
    def stream(self) -> Iterator[bytes]:
        yield from ()


def _is_of_tls(answer: Any) -> bool:
    """Whether it is what servers on TLS say in plain text to who is not, and break off: no store's, nor an outage."""
    is_plain = answer.url.lower().startswith("http:")
    return is_plain and answer.status_code == 400 and "Content-Length" not in answer.headers


def _require_length(answer: Any) -> None:
    with suppress(ValueError):
        if int(answer.headers.get("Content-Length", "0")) > LARGEST_ANSWER:
            answer.raw.close()
            raise OverlongAnswer(size=LARGEST_ANSWER)


def _require_file(bundle: object) -> None:
    """OpenSSL waits for ever for whoever writes into a pipe, and a pipe gives once what each connection reads."""
    with suppress(OSError):
        if isinstance(bundle, str) and stat.S_ISFIFO(os.stat(bundle).st_mode):  # noqa: PTH116 - as it stands
            told = f"{bundle_setting()} names a pipe: name the file of an authority's certificate"
            raise UnusableSettings(error=ValueError(told))


def _server(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _position(body: Any) -> int:
    return int(body.tell()) if hasattr(body, "tell") else 0
