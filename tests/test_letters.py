"""Mail goes to a host that has shown whose it is; with --strict a log that lacks something is no success."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.certificates import make_certificate
from tests.mail_host import MailHost
from tests.servers import free_port
from tests.site import Site

INI = """[loggers]
keys=root
[handlers]
keys=mail
[formatters]
keys=
[logger_root]
level=INFO
handlers=mail
[handler_mail]
class=logging.handlers.SMTPHandler
level={level}
args=(({host!r}, {port}), 'a@example.org', ['b@example.org', 'c@example.org'], 'trouble'{more})
"""
NAME = "mail.example.org"
SECRET = "SEKRIT"
RESOLVING = """
import socket
known = socket.getaddrinfo
def answer(host, port, *arguments, **options):
    port = {port} if port == 465 else port
    return known("127.0.0.1" if host == "{name}" else host, port, *arguments, **options)
socket.getaddrinfo = answer
from s3napback.cli import main
main()
"""


def run(
    site: Site, mail: MailHost | int, more: str = "", *options: str, host: str = NAME, level: str = "INFO"
) -> subprocess.CompletedProcess[str]:
    """A good run with a letter of what it did to a host whose name leads here, as its port 465 does if that is secret.

    No test may take that port of the machine's.
    """
    settings = site.root / "logging.ini"
    port = mail if isinstance(mail, int) else mail.port
    written = 465 if isinstance(mail, MailHost) and mail.is_secret else port
    settings.write_text(INI.format(host=host, port=written, more=more, level=level))
    settings.chmod(0o600)
    site.configure_cycle("")
    arguments = site.command(f"--log-config={settings}", *options)[3:]
    command = [sys.executable, "-c", RESOLVING.format(name=NAME, port=port), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=site.full_environment())


def credentials(secure: str) -> str:
    return f", ('user', '{SECRET}'), {secure}"


@pytest.fixture
def certificate(mail_host: MailHost, tmp_path: Path) -> Path:
    """The mail host's own, which no authority of this machine has signed."""
    path = tmp_path / "certificate.pem"
    mail_host.context = make_certificate(path, NAME)
    return path


@pytest.mark.usefixtures("certificate")
def test_a_host_that_does_not_show_whose_it_is_gets_neither_password_nor_letter(
    site: Site, mail_host: MailHost
) -> None:
    done = run(site, mail_host, credentials("()"))
    assert done.returncode == 0
    assert mail_host.commands == ["EHLO", "STARTTLS"]
    assert mail_host.letters == []
    (line,) = done.stderr.splitlines()
    assert f"could not hand its mail to {NAME}:{mail_host.port}: its certificate cannot be verified: " in line
    assert "self-signed certificate" in line
    assert "('', '', '/path/of/CA.pem')" in line
    assert SECRET not in done.stderr


@pytest.mark.parametrize("secure", ["(None, None, {!r})", "('', '', False)"], ids=["its authority", "anybody"])
def test_its_own_authority_can_be_named_or_verification_switched_off(
    site: Site, mail_host: MailHost, certificate: Path, secure: str
) -> None:
    done = run(site, mail_host, credentials(secure.format(str(certificate))), "--strict")
    assert (done.returncode, done.stderr) == (0, "")
    assert mail_host.commands[:4] == ["EHLO", "STARTTLS", "EHLO", "AUTH"]
    assert len(mail_host.letters) == 1


def test_a_certificate_of_an_authority_of_this_machine_is_enough(
    site: Site, mail_host: MailHost, certificate: Path
) -> None:
    site.environment["SSL_CERT_FILE"] = str(certificate)
    done = run(site, mail_host, credentials("()"), "--strict")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(mail_host.letters) == 1


@pytest.mark.parametrize("days", [1, -1], ids=["another's", "expired"])
def test_a_certificate_of_another_name_or_of_yesterday_is_none(
    site: Site, mail_host: MailHost, tmp_path: Path, days: int
) -> None:
    path = tmp_path / "certificate.pem"
    mail_host.context = make_certificate(path, NAME if days < 0 else "other.example.org", days=days)
    done = run(site, mail_host, credentials(f"('', '', {str(path)!r})"), "--strict")
    assert done.returncode == 3
    assert ("certificate has expired" if days < 0 else "Hostname mismatch") in done.stderr
    assert mail_host.letters == []


def test_a_host_that_lets_strangers_wait_for_its_first_word_gets_the_letter(site: Site, mail_host: MailHost) -> None:
    """Postfix's postscreen waits for six seconds (``postscreen_greet_wait``), logging for five."""
    mail_host.delay = 6
    done = run(site, mail_host, "", "--strict")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(mail_host.letters) == 1


@pytest.mark.usefixtures("certificate")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_is_asked_for_no_certificate_of_an_authority(site: Site, mail_host: MailHost, host: str) -> None:
    done = run(site, mail_host, credentials("()"), "--strict", host=host)
    assert (done.returncode, done.stderr) == (0, "")
    assert "AUTH" in mail_host.commands
    assert len(mail_host.letters) == 1


@pytest.mark.parametrize("more", ["", ", None, ()", credentials("()")], ids=["nothing", "secure", "password"])
def test_on_port_465_all_is_secret_from_the_first_word_on(
    site: Site, mail_host: MailHost, certificate: Path, more: str
) -> None:
    mail_host.is_secret = True
    done = run(site, mail_host, more)
    assert f"could not hand its mail to {NAME}:465: its certificate cannot be verified: " in done.stderr
    assert (mail_host.commands, mail_host.letters) == ([], [])
    site.environment["SSL_CERT_FILE"] = str(certificate)
    done = run(site, mail_host, more, "--force", "--strict")
    assert (done.returncode, done.stderr) == (0, "")
    assert "STARTTLS" not in mail_host.commands
    assert ("AUTH" in mail_host.commands) is (SECRET in more)
    assert len(mail_host.letters) == 1


@pytest.mark.usefixtures("certificate")
def test_starttls_is_asked_for_without_a_password_too(site: Site, mail_host: MailHost) -> None:
    run(site, mail_host, ", None, ('', '', False)")
    assert mail_host.commands[:2] == ["EHLO", "STARTTLS"]
    assert len(mail_host.letters) == 1


def test_a_host_without_starttls_gets_nothing_where_it_is_demanded(site: Site, mail_host: MailHost) -> None:
    done = run(site, mail_host, credentials("()"))
    assert "STARTTLS extension not supported by server" in done.stderr
    assert (mail_host.letters, mail_host.commands) == ([], ["EHLO"])


def test_a_host_that_takes_no_password_before_starttls_is_told_as_such(site: Site, mail_host: MailHost) -> None:
    mail_host.knows_passwords = False
    done = run(site, mail_host, f", ('user', '{SECRET}')")
    assert "SMTP AUTH extension not supported by server (many a host takes a password after STARTTLS" in done.stderr
    assert mail_host.letters == []


def test_a_host_that_takes_a_letter_and_says_no_goodbye_has_taken_it(site: Site, mail_host: MailHost) -> None:
    mail_host.silent = "QUIT"
    done = run(site, mail_host, "", "--strict")
    assert (done.returncode, done.stderr) == (0, "")
    assert (len(mail_host.letters), mail_host.commands[-1]) == (1, "QUIT")


def test_a_missing_file_of_certificates_is_named(site: Site, mail_host: MailHost, certificate: Path) -> None:
    absent = certificate.with_name("absent.pem")
    done = run(site, mail_host, credentials(f"('', '', {str(absent)!r})"))
    assert f"the certificates of {absent} cannot be used: No such file or directory" in done.stderr
    assert mail_host.letters == []


def test_a_recipient_that_is_refused_is_told_though_others_have_got_it(site: Site, mail_host: MailHost) -> None:
    mail_host.refused = ("c@example.org",)
    done = run(site, mail_host, "", "--strict")
    assert done.returncode == 3
    assert "c@example.org: 550 nobody of this name" in done.stderr
    assert len(mail_host.letters) == 1


@pytest.mark.parametrize(
    ("written", "instead", "told"),
    [
        ("'a@example.org'", "''", "a sender"),
        ("'a@example.org'", "'\"'", "a sender"),
        ("['b@example.org', 'c@example.org']", "[]", "recipients"),
        ("['b@example.org', 'c@example.org']", "['', '<>']", "recipients"),
    ],
)
def test_who_sends_or_gets_nothing_is_told_as_such(
    site: Site, mail_host: MailHost, monkeypatch: pytest.MonkeyPatch, written: str, instead: str, told: str
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "INI", INI.replace(written, instead))
    done = run(site, mail_host, host="localhost")
    assert f"the log handler mail cannot write: logging.ini names no address of {told}; there is no mail" in done.stderr
    assert not mail_host.letters


@pytest.mark.parametrize("strict", [True, False])
def test_a_mail_that_cannot_be_sent_is_a_warning(site: Site, strict: bool) -> None:
    done = run(site, free_port(), "", *(["--strict"] if strict else []))
    assert done.returncode == (3 if strict else 0)
    assert "Connection refused; there is no mail of this run: look at the mail host" in done.stderr


def test_a_healthy_host_that_nothing_is_sent_to_is_no_warning(site: Site) -> None:
    done = run(site, free_port(), "", "--strict", level="ERROR")
    assert (done.returncode, done.stderr) == (0, "")
