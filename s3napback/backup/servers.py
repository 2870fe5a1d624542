"""Which database server a source is dumped from, as far as the configuration tells. Pure."""

from __future__ import annotations

from s3napback.config.mysql_options import MYSQL_RULES
from s3napback.config.option_rules import Rules
from s3napback.config.postgresql_options import POSTGRESQL_RULES
from s3napback.config.settings import Job
from s3napback.kinds import MYSQL, POSTGRESQL

_HERE = frozenset({"localhost", "localhost.localdomain", "127.0.0.1", "::1", "ip6-localhost"})
_THIS_MACHINE = "this machine"


def may_share_server(one: Job, other: Job) -> bool:
    """Whether two sources may be dumped from one server.

    Of two that name hosts, the names decide: all servers on one host, whatever their ports and sockets, count as one.
    One that names none is reached as option files and variables say, and so may be of any.
    """
    if one.kind != other.kind or one.kind not in (MYSQL.name, POSTGRESQL.name):
        return False
    hosts = _host(one), _host(other)
    return "" in hosts or hosts[0] == hosts[1]


def _host(job: Job) -> str:
    if job.kind == MYSQL.name:
        if job.target.startswith("/"):
            return _THIS_MACHINE  # SOCKET:DATABASE
        return _named(MYSQL_RULES, job.settings.mysql_options)
    return _named(POSTGRESQL_RULES, job.settings.postgresql_options)


def _named(rules: Rules, words: tuple[str, ...]) -> str:
    """The host that options name last; empty if they name none."""
    host = (rules.values_of(words, "--host", "-h") or [""])[-1].lower().rstrip(".")
    return _THIS_MACHINE if host in _HERE or host.startswith(("/", "@")) else host
