"""PostgreSQLOptions: every option of pg_dump and pg_dumpall, accepted or refused with the reason.

From the programs' ``--help`` and manuals of PostgreSQL 13 to 18.
"""

from __future__ import annotations

from s3napback.config.option_rules import Rules, options, refused
from s3napback.regexes import regex

CONNECTION = options("--host -h --port -p --username -U --no-password -w")
"""Options that psql understands as well: which server, and how it is reached."""

OF_DATABASES = options(
    """--role --no-owner -O --no-privileges --no-acl -x --no-comments --no-security-labels --no-tablespaces
    --quote-all-identifiers"""
)
"""Options that also decide on how a database itself is defined."""

_PASSWORD = "nobody is there to type a password; put it into .pgpass"  # noqa: S105  (a reason)
_ELSEWHERE = "the dump must go to standard output"
_PLAIN = "dumps are plain SQL, and Compression compresses them"
_WHAT = "what is dumped is named by the source"
_LESS = "something would be missing from the dump without a word"
_NO_DUMP = "it would print something else in place of a dump"

POSTGRESQL_RULES = Rules(
    flags=options(
        """--no-password -w --verbose -v --no-sync
        --blobs --large-objects -b --clean -c --if-exists --column-inserts --attribute-inserts --disable-dollar-quoting
        --disable-triggers --inserts --load-via-partition-root --on-conflict-do-nothing --quote-all-identifiers
        --sequence-data --serializable-deferrable --statistics --strict-names --use-set-session-authorization
        --no-owner -O --no-privileges --no-acl -x --no-comments --no-publications --no-role-passwords
        --no-security-labels --no-statistics --no-subscriptions --no-table-access-method --no-tablespaces
        --no-toast-compression --no-unlogged-table-data"""
    ),
    values=options(
        """--host -h --port -p --username -U --role --database -l --encoding -E --lock-wait-timeout
        --include-foreign-data --rows-per-insert --superuser -S
        --exclude-database --exclude-extension --exclude-schema -N --exclude-table -T --exclude-table-and-children
        --exclude-table-data --exclude-table-data-and-children"""
    ),
    shapes={
        # libpq would take them for connection strings, which may hold a password.
        name: (regex("(?!postgres(ql)?://)[^=]*"), "this must be a database's name alone")
        for name in ("--database", "-l")
    },
    reasons={
        **refused(_PASSWORD, "--password -W"),
        **refused(_ELSEWHERE, "--file -f --jobs -j --no-synchronized-snapshots --sync-method"),
        **refused(_PLAIN, "--format -F --compress -Z"),
        **refused(
            _WHAT,
            """--dbname -d --table -t --table-and-children --schema -n --extension -e --filter --section --snapshot
            --create -C""",
        ),
        **refused(
            _LESS,
            """--data-only -a --schema-only -s --globals-only -g --roles-only -r --tablespaces-only --statistics-only
            --no-data --no-schema --no-policies --no-blobs --no-large-objects -B --enable-row-security
            --extra-float-digits""",
        ),
        **refused(_NO_DUMP, "--help -? --version -V"),
        **refused("only upgrades of a server in place need it", "--binary-upgrade --oids -o"),
        **refused("whoever knows the key could run commands when the dump is loaded", "--restrict-key"),
    },
)
