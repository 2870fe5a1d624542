"""Mail of a run: one letter, at its end, to a host that has shown whose it is.

Python's ``SMTPHandler`` takes any certificate after STARTTLS, in every version from 3.10 to 3.14 (``smtplib``,
``ssl._create_stdlib_context``), asks for STARTTLS only where there is a password, and drops what the host says of
recipients that it refuses. So what it is configured with is taken from it, and the letter is handed over here.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s3napback.formatting import printable
from s3napback.log_guards import Guard, Unwritten
from s3napback.log_handlers import LINES, LONGEST_SECONDS

if TYPE_CHECKING:
    import logging.handlers
    import smtplib
    import ssl
    from email.message import EmailMessage

_ADVICE = "there is no mail of this run: look at the mail host, and at what logging.ini says of this handler"
_SECURE = 3
"""Elements of ``secure`` at most: the file of the client's key, that of its certificate, and whom to trust."""

_outcomes: dict[str, str] = {}
_letters: list[Letter] = []


def note_outcome(configuration: str, text: str) -> None:
    """Remember what came of a configuration so far, for the subject of the letter."""
    _outcomes[configuration] = text


def send_letters() -> None:
    """Send what is kept for mail; may hang."""
    for letter in _letters:
        letter.send()


class Letter:
    """Keeps what a mail handler is given, and sends it as one letter when the handler is flushed, at the end."""

    def __init__(self, handler: logging.handlers.SMTPHandler, guard: Guard) -> None:
        self._handler = handler
        self._guard = guard
        self._kept: list[logging.LogRecord] = []
        self._subject = handler.subject
        guard.consequence = _ADVICE
        vars(handler).update(handle=self.keep, flush=self.send, getSubject=self._told)
        _letters.append(self)

    def keep(self, record: logging.LogRecord) -> bool:
        """Take a record."""
        if not self._handler.filter(record):
            return False
        self._kept.append(record)
        return True

    def send(self) -> None:
        """Send what there is, and nothing if there is nothing."""
        if not self._kept:
            return
        records, self._kept = self._kept, []
        # Its lock may be held by whoever flushes it.
        self._guard.attempt(partial(self._hand_over, _merged(records)))

    def _hand_over(self, record: logging.LogRecord) -> None:
        import logging.handlers  # noqa: PLC0415 - whoever has a mail handler has it loaded

        if type(self._handler).emit is logging.handlers.SMTPHandler.emit:
            _post(self._handler, record)
        else:
            self._handler.emit(record)

    def _told(self, _record: logging.LogRecord) -> str:
        """The subject: as it was configured, whose it is, and what came of the run."""
        host = os.uname().nodename
        outcomes = [f"{configuration}: {text}" for configuration, text in _outcomes.items()]
        parts = [self._subject, *([] if host in self._subject else [host]), *outcomes]
        return printable("; ".join(parts))[:200]


def _post(handler: logging.handlers.SMTPHandler, record: logging.LogRecord) -> None:
    """Hand a letter over.

    Raises:
        Unwritten: the host has not taken it, for everybody.
    """
    import smtplib  # noqa: PLC0415 - most runs send no mail

    _require_addresses(handler)
    where = f"{handler.mailhost}:{handler.mailport or smtplib.SMTP_PORT}"
    try:
        with _connected(handler) as host:
            if handler.username:
                host.login(handler.username, handler.password)
            refused = host.send_message(_letter(handler, record))
    except (OSError, ValueError, smtplib.SMTPException) as error:
        raise Unwritten(f"could not hand its mail to {where}: {_reason(error)}") from error
    if refused:
        told = "; ".join(f"{name}: {code} {_words(said)}" for name, (code, said) in refused.items())
        raise Unwritten(f"could not hand its mail to {where} for all of its recipients: {told}")


def _require_addresses(handler: logging.handlers.SMTPHandler) -> None:
    """Refuse what smtplib stumbles over.

    Raises:
        Unwritten: nobody is named who sends the letter, or who gets it.
    """
    from email.utils import getaddresses  # noqa: PLC0415 - as above

    for named, addresses in (("a sender", [handler.fromaddr]), ("recipients", handler.toaddrs)):
        if not any(address.strip('"') for _name, address in getaddresses(list(map(str, addresses)))):
            raise Unwritten(f"cannot write: logging.ini names no address of {named}")


@contextmanager
def _connected(handler: logging.handlers.SMTPHandler) -> Iterator[smtplib.SMTP]:
    """A connection with a mail host, which has taken what it has taken, even if it does not say goodbye."""
    import smtplib  # noqa: PLC0415 - as above

    place, secure = (handler.mailhost, handler.mailport or 0), handler.secure
    # Hosts let strangers wait for their first word, for longer than logging does: who does not wait sends spam.
    seconds = max(handler.timeout or 0, LONGEST_SECONDS)
    host: smtplib.SMTP
    if handler.mailport == smtplib.SMTP_SSL_PORT:
        # There nobody speaks a word before the host has shown its certificate (RFC 8314, 3.3).
        context = _context(() if secure is None else secure, handler.mailhost)
        host = smtplib.SMTP_SSL(*place, timeout=seconds, context=context)
    else:
        host = smtplib.SMTP(*place, timeout=seconds)
    try:
        if secure is not None and not isinstance(host, smtplib.SMTP_SSL):
            host.starttls(context=_context(secure, handler.mailhost))
        yield host
        with suppress(OSError, smtplib.SMTPException):
            # Nobody waits for the answer: a host that gives none has taken the letter all the same.
            host.putcmd("quit")
    finally:
        host.close()


def _letter(handler: logging.handlers.SMTPHandler, record: logging.LogRecord) -> EmailMessage:
    from email.message import EmailMessage  # noqa: PLC0415 - as above
    from email.utils import localtime  # noqa: PLC0415

    letter = EmailMessage()
    letter["From"] = handler.fromaddr
    letter["To"] = ",".join(handler.toaddrs)
    letter["Subject"] = handler.getSubject(record)
    letter["Date"] = localtime()
    letter.set_content(handler.format(record))
    return letter


def _context(secure: Any, host: str) -> ssl.SSLContext:
    """What TLS has to heed.

    Args:
        secure: as ``logging.ini`` has it: (), (KEY FILE, CERTIFICATE FILE), and as a third element whom to trust: a
            file of certificates, or a folder of them as OpenSSL looks them up; False for anybody, an ``SSLContext``.
        host: as ``logging.ini`` has it. On this machine nobody can stand in between.

    Raises:
        OSError, ValueError: a file cannot be read, or that is not what may stand there.
    """
    import ssl  # noqa: PLC0415 - as above

    if not isinstance(secure, (list, tuple)) or len(secure) > _SECURE:
        raise ValueError("the argument after the password has to be (), or ('', '', '/path/of/CA.pem')")
    key, certificate, trusted = (*secure, None, None, None)[:_SECURE]
    if isinstance(trusted, ssl.SSLContext):
        return trusted
    context = ssl.create_default_context()
    if trusted is False or (not trusted and _is_here(host)):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif trusted and trusted is not True:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _trust(context, Path(trusted))
    if certificate:
        context.load_cert_chain(certificate, key or None)
    return context


def _trust(context: ssl.SSLContext, certificates: Path) -> None:
    try:
        if certificates.is_dir():
            context.load_verify_locations(capath=certificates)
        else:
            context.load_verify_locations(cafile=certificates)
    except OSError as error:
        # OpenSSL does not say which, and its own words stand for a file without a certificate.
        raise OSError(f"the certificates of {certificates} cannot be used: {error.strerror or error}") from error


def _is_here(host: str) -> bool:
    """Whether a host is this machine, whatever a name server says."""
    if host.lower().rstrip(".") == "localhost":
        return True
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return False


def _reason(error: Exception) -> str:
    import smtplib  # noqa: PLC0415 - as above
    import ssl  # noqa: PLC0415

    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"its certificate cannot be verified: {error.verify_message.rstrip('.')} (let it show one for the name "
            "that stands in logging.ini, by an authority that this machine trusts; or name its own authority there: "
            "('', '', '/path/of/CA.pem') in place of (); ('', '', False) trusts whoever answers)"
        )
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return f"{str(error).rstrip('.')} ({_lacking(str(error))})"
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "; ".join(f"{name}: {code} {_words(said)}" for name, (code, said) in error.recipients.items())
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_words(error.smtp_error)}"
    return f"{type(error).__name__}: {error}"


def _lacking(told: str) -> str:
    """What to do about something that a mail host does not know, by what ``smtplib`` says of it."""
    if "AUTH" in told:
        return "many a host takes a password after STARTTLS alone: write () behind it; or leave it out"
    if "STARTTLS" in told:
        return "correct the port, or leave out the argument that asks for STARTTLS"
    return "write addresses in ASCII"


def _words(said: bytes | str) -> str:
    return printable(said.decode(errors="replace") if isinstance(said, bytes) else said)


def _merged(records: list[logging.LogRecord]) -> logging.LogRecord:
    """One record of several, with the gravest one's level."""
    if len(records) == 1:
        return records[0]
    gravest = max(records, key=lambda record: record.levelno)
    lines: list[str] = []
    for record in records:
        first, *others = getattr(record, LINES, None) or (record.getMessage(),)
        lines += [f"{record.levelname} {record.name.removeprefix('s3napback.')}: {first}", *others]
    merged = logging.makeLogRecord(vars(gravest))
    merged.msg, merged.args = "\n".join(lines), ()
    vars(merged)[LINES] = tuple(lines)
    return merged
