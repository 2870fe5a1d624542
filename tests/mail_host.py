"""A mail server for tests, on loopback, with STARTTLS if it is given a certificate."""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from io import BufferedRWPair

Stream = socket.SocketIO | BufferedRWPair

_GREETING = b"220 mail host of a test"


@dataclass
class MailHost:
    """As much of a mail server as a client needs to hand over a letter, on a port of its own.

    Attributes:
        letters: that were handed over.
        commands: their first words, in the order in which they came.
        context: what STARTTLS is answered with; None offers none.
        refused: recipients that are refused.
        is_secret: not a word is said without TLS, as on port 465.
        delay: seconds before the first word.
        silent: what it gives no answer to.
        knows_passwords: it offers to take some.
    """

    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    letters: list[EmailMessage] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    context: ssl.SSLContext | None = None
    refused: tuple[str, ...] = ()
    is_secret: bool = False
    delay: float = 0
    silent: str = ""
    knows_passwords: bool = True

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return  # closed: the test is over
            # A client that does not trust the certificate goes away.
            with connection, suppress(OSError), connection.makefile("rwb", buffering=0) as stream:
                time.sleep(self.delay)
                if self.is_secret:
                    self._converse_in_secret(connection, _GREETING)
                elif self._converse(stream, _GREETING):
                    self._converse_in_secret(connection, b"")

    def _converse_in_secret(self, connection: socket.socket, answer: bytes) -> None:
        assert self.context is not None
        with self.context.wrap_socket(connection, server_side=True) as secret, secret.makefile("rwb") as stream:
            self._converse(stream, answer)

    def _converse(self, stream: Stream, answer: bytes) -> bool:
        """Answer commands; true if the client wants to go on in secret."""
        while True:
            if answer:
                stream.write(answer + b"\r\n")
                stream.flush()
            command = stream.readline().strip()
            verb = command.upper().partition(b" ")[0]
            if not verb:
                return False
            self.commands.append(verb.decode())
            if verb.decode() == self.silent:
                stream.read(1)  # until the client goes away
                return False
            answer = self._answer(stream, command, verb)
            if verb == b"STARTTLS" and self.context:
                stream.write(b"220 go on\r\n")
                return True

    def _answer(self, stream: Stream, command: bytes, verb: bytes) -> bytes:
        if verb == b"EHLO":
            known = b"250 AUTH PLAIN" if self.knows_passwords else b"250 HELP"
            return b"250-mail\r\n" + b"250-STARTTLS\r\n" * bool(self.context) + known
        if verb == b"AUTH":
            return b"235 welcome"
        if verb == b"RCPT" and any(name.encode() in command for name in self.refused):
            return b"550 nobody of this name"
        if verb == b"DATA":
            stream.write(b"354 go on\r\n")
            stream.flush()
            lines = list(iter(lambda: stream.readline().rstrip(b"\r\n"), b"."))
            letter = message_from_bytes(b"\n".join(lines), policy=policy.default)
            assert isinstance(letter, EmailMessage)
            self.letters.append(letter)
        return b"221 goodbye" if verb == b"QUIT" else b"250 yes"
