"""Which database server a source is dumped from, as far as the configuration tells."""

from __future__ import annotations

import socket
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address

from s3napback.config.mysql_options import MYSQL_RULES
from s3napback.config.option_rules import Rules
from s3napback.config.postgresql_options import POSTGRESQL_RULES
from s3napback.config.settings import Job
from s3napback.kinds import MYSQL, POSTGRESQL

_HERE = frozenset({"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"})
_THIS_MACHINE = "this machine"


def may_share_server(one: Job, other: Job) -> bool:
    """Whether two sources may be dumped from one server.

    Of two that name hosts, the names decide: all servers on one host, whatever their ports and sockets, count as one.
    One that names none is reached as option files and variables say, and so may be of any.
    """
    if one.kind != other.kind or one.kind not in (MYSQL.name, POSTGRESQL.name):
        return False
    first, second = _hosts(one), _hosts(other)
    return not first or not second or bool(first & second)


def _hosts(job: Job) -> frozenset[str]:
    """The hosts on one of which it is; none if the configuration tells none."""
    if job.kind == MYSQL.name:
        if job.target.startswith("/"):
            return frozenset({_THIS_MACHINE})  # SOCKET:DATABASE
        return _named(MYSQL_RULES, job.settings.mysql_options)
    return _named(POSTGRESQL_RULES, job.settings.postgresql_options)


def _named(rules: Rules, words: tuple[str, ...]) -> frozenset[str]:
    """The hosts that options name last: of PostgreSQL there may be several, of which one that answers is taken."""
    named = (rules.values_of(words, "--host", "-h") or [""])[-1].split(",")
    return frozenset(map(_plain, named)) if all(named) else frozenset()


def _plain(name: str) -> str:
    """One name of a host that has several."""
    host = name.lower().rstrip(".")
    address = _address(host)
    if address is None:
        is_own = host.partition(".")[0] == socket.gethostname().lower().partition(".")[0]
        return _THIS_MACHINE if is_own or host in _HERE or host.startswith(("/", "@")) else host
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return _THIS_MACHINE if address.is_loopback or address.is_unspecified else str(address)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    """An address, also one in a short form that the C library takes: ``127.1``."""
    with suppress(ValueError):
        return ip_address(host)
    with suppress(OSError):
        return ip_address(socket.inet_aton(host))
    return None
