"""A mail server for tests, on loopback."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from io import BufferedRWPair


@dataclass
class MailHost:
    """As much of a mail server as a client needs to hand over a letter, on a port of its own."""

    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    letters: list[EmailMessage] = field(default_factory=list)

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return  # closed: the test is over
            with connection, connection.makefile("rwb") as stream:
                self._converse(stream)

    def _converse(self, stream: BufferedRWPair) -> None:
        answer = b"220 mail host of a test"
        while True:
            stream.write(answer + b"\r\n")
            stream.flush()
            command = stream.readline().strip().upper()
            if command == b"DATA":
                stream.write(b"354 go on\r\n")
                stream.flush()
                lines = list(iter(lambda: stream.readline().rstrip(b"\r\n"), b"."))
                letter = message_from_bytes(b"\n".join(lines), policy=policy.default)
                assert isinstance(letter, EmailMessage)
                self.letters.append(letter)
            elif command == b"":
                return
            answer = b"221 goodbye" if command == b"QUIT" else b"250 yes"
