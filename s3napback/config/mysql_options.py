"""MySQLOptions: every option of mysqldump and mariadb-dump, accepted or refused with the reason.

From the programs' ``--help`` and ``client/mysqldump.cc`` of MariaDB 10.11 to 12 and of MySQL 8 to 9.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from s3napback.config.option_rules import WHOLE_PATH, Rules, options, refused
from s3napback.regexes import regex

FIRST = options(
    "--defaults-file --defaults-extra-file --defaults-group-suffix --no-defaults --login-path --no-login-paths"
)
"""Options that the programs understand at the beginning only (MariaDB's manual, "Configuring with Option Files")."""

CONNECTION = options(
    """--host -h --port -P --user -u --socket -S --protocol --bind-address --compress -C --compression-algorithms
    --zstd-compression-level --enable-cleartext-plugin --get-server-public-key --server-public-key-path
    --ssl --skip-ssl --ssl-verify-server-cert --skip-ssl-verify-server-cert --ssl-ca --ssl-capath --ssl-cert
    --ssl-cipher --ssl-key --ssl-crl --ssl-crlpath --ssl-fp --ssl-fplist --ssl-mode --ssl-fips-mode --ssl-session-data
    --ssl-session-data-continue-on-failed-reuse --tls-version --tls-ciphersuites --tls-kex --tls-sni-servername
    --force-pqc"""
)
"""Options that the client understands as well: which server, and how it is reached."""

_PASSWORD = "a password must not appear in a list of processes; put it into .my.cnf"  # noqa: S105  (a reason)
_ELSEWHERE = "the dump must go to standard output, and nothing else be written"
_WHAT = "what is dumped is named by the source"
_LESS = "something would be missing from the dump without a word"
_NO_DUMP = "it would print something else in place of a dump"
_FORMAT = "restoring relies on dumps as they are, with a remark at their beginning and end"
_CODE = "it would load code from a file, or run statements on the server"
_SERVER = "it would change the server"
_MOMENT = "a dump is of one moment, which --single-transaction sees to"

MYSQL_RULES = Rules(
    has_underscores=True,
    flags=options(
        """--no-defaults --no-login-paths --compress -C --ssl --skip-ssl --ssl-verify-server-cert
        --skip-ssl-verify-server-cert --get-server-public-key --enable-cleartext-plugin --network-timeout
        --ssl-session-data-continue-on-failed-reuse --force-pqc --use-pqc-sign
        --add-drop-database --add-drop-table --skip-add-drop-table --add-drop-trigger --add-locks --skip-add-locks
        --allow-keywords --all-tablespaces -Y --no-tablespaces -y --comments -i --complete-insert -c --create-options -a
        --column-statistics --skip-column-statistics --copy-s3-tables --disable-keys -K --skip-disable-keys
        --dump-date --skip-dump-date --dump-history -H --update-history --events -E --extended-insert -e
        --skip-extended-insert --flush-privileges --gtid --hex-blob --insert-ignore --lock-tables -l --skip-lock-tables
        --log-queries --skip-log-queries --master-data --source-data --no-autocommit --no-data-med --skip-no-data-med
        --opt --order-by-primary --order-by-size --quick -q --quote-names -Q --replace --routines -R --set-charset
        --set-gtid-purged --show-create-skip-secondary-engine --single-transaction --triggers --tz-utc --verbose -v"""
    ),
    values=options(
        """--defaults-file --defaults-extra-file --defaults-group-suffix --login-path
        --host -h --port -P --user -u --socket -S --protocol --bind-address --compression-algorithms
        --zstd-compression-level --ssl-ca --ssl-capath --ssl-cert --ssl-cipher --ssl-key --ssl-crl --ssl-crlpath
        --ssl-fp --ssl-fplist --ssl-mode --ssl-fips-mode --ssl-session-data --tls-version --tls-ciphersuites --tls-kex
        --tls-sni-servername --server-public-key-path
        --column-statistics --default-character-set --ignore-database --ignore-table --ignore-table-data --master-data
        --source-data --max-allowed-packet --max-statement-time --mysqld-long-query-time --net-buffer-length
        --output-as-version --set-gtid-purged"""
    ),
    attached=options(
        """--defaults-file --defaults-extra-file --defaults-group-suffix --login-path --column-statistics
        --master-data --source-data --set-gtid-purged"""
    ),
    shapes={
        **dict.fromkeys(("--defaults-file", "--defaults-extra-file"), WHOLE_PATH),
        "--default-character-set": (
            regex("utf8mb4|binary"),
            "others than utf8mb4 and binary lose characters",
        ),
        "--column-statistics": (regex("[01]"), "its value is 0 or 1"),
        "--master-data": (regex("[12]"), "its value is 1 or 2"),
        "--source-data": (regex("[12]"), "its value is 1 or 2"),
        "--protocol": (regex("(?i)tcp|socket"), "its value is tcp or socket"),
    },
    reasons={
        **refused(_PASSWORD, "--password -p --password1 --password2 --password3 --skip-password"),
        **refused(
            _ELSEWHERE,
            """--result-file -r --tab -T --dir -D --parallel -j --log-error --header --fields-terminated-by
            --fields-enclosed-by --fields-optionally-enclosed-by --fields-escaped-by --lines-terminated-by --debug -#
            --debug-check --debug-info""",
        ),
        **refused(
            _WHAT,
            """--all-databases -A --databases -B --tables --wildcards -L --system --users --add-drop-user
            --include-user --exclude-user --as-of --where -w""",
        ),
        **refused(
            _LESS,
            """--no-data -d --no-create-info -t --no-create-db -n --skip-events --skip-routines --skip-triggers
            --skip-create-options --skip-opt --force -f --ignore-error --ignore-views
            --skip-generated-invisible-primary-key""",
        ),
        **refused(_NO_DUMP, "--help -? -I --version -V --print-defaults --xml -X"),
        **refused(
            _FORMAT,
            """--compact --compatible --skip-comments --skip-quote-names --skip-set-charset --no-set-names -N
            --skip-tz-utc --delayed-insert --character-sets-dir --galera-info""",
        ),
        **refused(
            _CODE,
            """--plugin-dir --default-auth --init-command --init-command-add --register-factor
            --plugin-authentication-kerberos-client-mode --plugin-authentication-webauthn-client-preserve-privacy
            --plugin-authentication-webauthn-device --authentication-oci-client-config-profile""",
        ),
        **refused(
            _SERVER,
            """--delete-master-logs --delete-source-logs --flush-logs -F --dump-slave --dump-replica
            --apply-slave-statements --apply-replica-statements --include-master-host-port
            --include-source-host-port""",
        ),
        **refused(_MOMENT, "--lock-all-tables -x --skip-single-transaction"),
        **refused("it would hold whole tables in memory", "--skip-quick"),
        **refused("there are none on this system", "--pipe -W --shared-memory-base-name"),
    },
)


_OVERRULED = options(
    """--opt --single-transaction --routines --events --triggers --comments --quote-names --tz-utc --add-locks
    --set-charset --quick --create-options --extended-insert --add-drop-table --disable-keys --lock-tables
    --default-character-set --max-allowed-packet"""
)
"""Options that our own command line sets again, and with that whatever an option file says of them."""

_OF_CONNECTIONS = options(
    """--password --password1 --password2 --password3 --default-auth --plugin-dir --character-sets-dir --local-infile
    --secure-auth --connect-timeout --debug-check --debug-info"""
)
"""Options that belong into an option file, or do nothing to a dump."""

_LEFT_OUT = options("--ignore-table --ignore-table-data --ignore-database")


def spoilt_by(words: Sequence[str]) -> list[tuple[str, str]]:
    """Settings of option files that change what a dump holds, each with the reason.

    Args:
        words: as ``--print-defaults`` shows them. What is behind a password may be a part of it, and is not shown.
    """
    found = []
    hides = False
    for word in words:
        name, equals, value = word.partition("=")
        name = name.replace("_", "-").replace("--loose-", "--", 1)
        base = re.sub("^--(?:skip|disable|enable)-", "--", name)
        if not name.startswith("--") or base in _OVERRULED | _OF_CONNECTIONS:
            hides = base.startswith("--password") or (hides and not name.startswith("--"))
            continue
        is_on = equals and value.lower() in ("1", "on", "true", "yes", "") and name in MYSQL_RULES.flags
        problems = MYSQL_RULES.problems([name if is_on else f"{name}{equals}{value}"])
        if name in _LEFT_OUT:
            problems = [(name, _LESS)]
        found += [("an option" if hides else shown, reason) for shown, reason in problems]
    return found
