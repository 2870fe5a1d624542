"""What a child process is given: the environment variables that its kind of program needs, and whose rights it has.

Every process is started with what ``child_environment`` returns and nothing else. What is not named here does not
arrive: no credentials of the store, no password of another kind of source, and no variable by which a program could
be made to load code, run other programs or shape an archive unseen (``LD_PRELOAD``, ``PERL5OPT``, ``TAR_OPTIONS``,
``POSIXLY_CORRECT``, ``LIBMYSQL_PLUGINS``).
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from enum import Enum

from s3napback.records import dataclass

NOBODY = 65534
"""The user, and the group, that own nothing: the kernel's overflow ids, ``nobody`` and ``nogroup`` in Debian."""


class Family(Enum):
    """Kinds of child processes, by what they have to know."""

    PLAIN = "tar, cp and the like"
    GPG = "gpg"
    MYSQL = "clients of MySQL and MariaDB"
    POSTGRESQL = "clients of PostgreSQL"
    SUBVERSION = "svnadmin, svnlook"


_COMMON = ("PATH", "HOME", "USER", "LOGNAME", "TZ", "TMPDIR")
_TLS_AND_KERBEROS = ("SSL_CERT_FILE", "SSL_CERT_DIR", "KRB5CCNAME", "KRB5_CONFIG", "KRB5_CLIENT_KTNAME")
_ALLOWED: Mapping[Family, tuple[str, ...]] = {
    Family.PLAIN: (),
    # What gpg-agent passes on to the program that asks for a passphrase (GnuPG's common/session-env.c).
    Family.GPG: (
        *("GNUPGHOME", "GPG_TTY", "TERM", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR"),
        *("XDG_SESSION_TYPE", "DBUS_SESSION_BUS_ADDRESS", "PINENTRY_USER_DATA", "PINENTRY_GEOM_HINT", "INSIDE_EMACS"),
        *("XMODIFIERS", "GTK_IM_MODULE", "QT_IM_MODULE", "QT_QPA_PLATFORM"),
    ),
    # "Environment Variables" in the manuals of both, without those that load plugins or write traces.
    Family.MYSQL: (
        *("MYSQL_HOME", "MYSQL_GROUP_SUFFIX", "MYSQL_HOST", "MYSQL_UNIX_PORT", "MYSQL_TCP_PORT", "MYSQL_PWD"),
        *("MYSQL_TEST_LOGIN_FILE", "LIBMYSQL_ENABLE_CLEARTEXT_PLUGIN", "MARIADB_HOME", "MARIADB_HOST"),
        *("MARIADB_TLS_DISABLE_PEER_VERIFICATION", *_TLS_AND_KERBEROS),
    ),
    # "Environment Variables" in the manual of libpq; PGCLUSTER is that of Debian's pg_wrapper.
    Family.POSTGRESQL: (
        *("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD", "PGPASSFILE", "PGSERVICE"),
        *("PGSERVICEFILE", "PGSYSCONFDIR", "PGOPTIONS", "PGAPPNAME", "PGREQUIREAUTH", "PGREQUIREPEER"),
        *("PGCHANNELBINDING", "PGSSLMODE", "PGREQUIRESSL", "PGSSLCOMPRESSION", "PGSSLCERT", "PGSSLKEY"),
        *("PGSSLCERTMODE", "PGSSLROOTCERT", "PGSSLCRL", "PGSSLCRLDIR", "PGSSLSNI", "PGSSLNEGOTIATION"),
        *("PGSSLMINPROTOCOLVERSION", "PGSSLMAXPROTOCOLVERSION", "PGMINPROTOCOLVERSION", "PGMAXPROTOCOLVERSION"),
        *("PGGSSENCMODE", "PGKRBSRVNAME", "PGGSSLIB", "PGGSSDELEGATION", "PGCONNECT_TIMEOUT", "PGCLIENTENCODING"),
        *("PGTARGETSESSIONATTRS", "PGLOADBALANCEHOSTS", "PGCLUSTER", *_TLS_AND_KERBEROS),
    ),
    Family.SUBVERSION: (),
}


@dataclass(frozen=True)
class User:
    """Whose rights a child process has, where they are not our own.

    Attributes:
        uid: the user's number.
        gid: that of the group.
        groups: those of further groups.
        name: empty if the machine knows none.
        home: the user's folder.
    """

    uid: int
    gid: int = NOBODY
    groups: tuple[int, ...] = ()
    name: str = ""
    home: str = "/"

    def __str__(self) -> str:
        return self.name or f"user number {self.uid}"


def user_of(uid: int) -> User:
    """A user with all groups, as logging in would give them; a user whom the machine does not know has none."""
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return User(uid)
    groups = tuple(sorted(os.getgrouplist(entry.pw_name, entry.pw_gid)))
    return User(uid, entry.pw_gid, groups, entry.pw_name, entry.pw_dir)


def user_called(name: str) -> User:
    """A user by name, or by number, with all groups.

    Raises:
        KeyError: the machine knows nobody of that name.
    """
    if name.isascii() and name.isdecimal():
        return user_of(int(name))
    return user_of(pwd.getpwnam(name).pw_uid)


def child_environment(own: Mapping[str, str], family: Family, user: User | None = None) -> dict[str, str]:
    """All variables of a child process. Pure.

    Args:
        own: our own environment.
        family: what kind of program it is.
        user: whose rights it will have; None are ours.
    """
    allowed = {*_COMMON, *_ALLOWED[family]}
    found = {name: value for name, value in own.items() if name in allowed}
    if user is not None:
        # Where our own files lie is not its business, and it could not use them.
        found = {name: value for name, value in found.items() if name not in ("TMPDIR", "USER", "LOGNAME")}
        found |= {"HOME": user.home, **({"USER": user.name, "LOGNAME": user.name} if user.name else {})}
    # In the plain C locale Subversion refuses paths that are not ASCII.
    return {**found, "LC_ALL": "C.UTF-8" if family is Family.SUBVERSION else "C"}
