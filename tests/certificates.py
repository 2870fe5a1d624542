"""Certificates of servers, for tests: each is its own authority."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


def make_certificate(path: Path, name: str, *, days: int = 1) -> ssl.SSLContext:
    """Write a certificate of a host's name or address with its key, and return what a server presents it by.

    Args:
        days: from now to its end; negative ones are over.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    whose = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(timezone.utc)
    try:
        bearer: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        bearer = x509.DNSName(name)
    made = x509.CertificateBuilder(whose, whose, key.public_key(), 1, now - timedelta(9), now + timedelta(days))
    certificate = made.add_extension(x509.SubjectAlternativeName([bearer]), critical=False).sign(key, hashes.SHA256())
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(certificate.public_bytes(Encoding.PEM) + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context
