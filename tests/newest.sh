#!/bin/sh
# Runs the tests of databases, repositories, tar and gpg against what comes next: within Debian's trixie and sid.
#
#     sh tests/run.sh --newest [SUITE]...
#
# Needs root, debootstrap, and python3 with pip; not for CI. A suite is unpacked into a temporary folder, which is removed
# at the end. Packages come from where this machine's apt has its own (MIRROR names another place), Python's from where
# its pip has them.
#
#     trixie   MariaDB 11.8, PostgreSQL 17, Subversion 1.14.5, GNU tar 1.35, GnuPG 2.4
#     sid      MySQL 9 in MariaDB's place, and the newest PostgreSQL and Subversion

set -eu

BASE='python3 python3-venv ca-certificates gnupg tar acl attr zstd postgresql postgresql-client subversion sqlite3 e2fsprogs btrfs-progs bindfs exfat-fuse exfatprogs'

main() {
    cd "$(dirname "$0")/.."
    test "$(id -u)" -eq 0 || complain "only root can make a chroot"
    command -v debootstrap >/dev/null || complain "debootstrap is missing: apt-get install debootstrap"
    mirror=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | head -n 1)}
    eval "$(apt-config shell http_proxy Acquire::http::Proxy https_proxy Acquire::https::Proxy)"
    export http_proxy="${http_proxy:-}" https_proxy="${https_proxy:-}"
    folder=$(mktemp -d "${TMPDIR:-/var/tmp}/s3napback-newest.XXXXXX")
    # Servers run as users of their own, and must get to their programs.
    chmod 755 "$folder"
    trap 'rm -rf "$folder"' EXIT
    trap 'exit 130' HUP INT TERM
    failed=
    for suite in ${*:-trixie sid}; do
        try "$suite" || failed="$failed $suite"
    done
    test -z "$failed" || complain "tests failed in$failed"
}

complain() {
    printf 'newest.sh: %s\n' "$*" >&2
    exit 1
}

# Not one command of it may fail, and a function after || is not ended by set -e.
try() {
    (set -e && check_in "$1") &
    wait $!
}

check_in() {
    suite=$1
    root=$folder/$suite
    case $suite in
        sid) packages="$BASE mysql-server-core mysql-client-core" ;;
        *) packages="$BASE mariadb-server mariadb-client" ;;
    esac
    printf '== %s from %s\n' "$suite" "$mirror"
    debootstrap --variant=minbase --include="$(echo "$packages" | tr ' ' ,)" "$suite" "$root" "$mirror" \
        >"$folder/log" 2>&1 || { tail -n 20 "$folder/log" >&2; return 1; }
    install_python
    mkdir "$root/checkout"
    git ls-files -z | tar --null --files-from=- --create | tar --extract --directory="$root/checkout"
    grep -q '^mysql:' "$root/etc/passwd" || chroot "$root" useradd --system --user-group mysql
    mkdir -p "$root/var/lib/mysql-files"
    # shellcheck disable=SC2046 # a list of words
    within sh -c 'cd /checkout && exec "$@"' sh \
        env LC_ALL=C.UTF-8 TMPDIR=/tmp PATH="$scripts:$PATH" python3 -m pytest -q -p no:cacheprovider -n 2 --dist loadfile $(tests_for)
    rm -rf "$root"
}

# The wheel, and what it and its tests need, for the interpreter of the suite, fetched by this machine's pip.
install_python() {
    version=$(chroot "$root" python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    scripts=/usr/local/lib/python$version/dist-packages/bin
    python3 -m pip wheel --quiet --no-deps --wheel-dir "$folder/$suite-wheel" .
    python3 -m pip install --quiet --only-binary=:all: --python-version "$version" --implementation cp \
        --target "$root/usr/local/lib/python$version/dist-packages" "$(echo "$folder/$suite-wheel"/*.whl)[test]"
}

# The mounts end with the command. The root is a mount of its own, as on any machine: within a mere chroot the kernel
# shows no mount for it, and makes no user namespaces. Nothing is reached by any network but what listens on this machine.
within() {
    unshare --mount --pid --fork --kill-child sh -eu -c '
        root=$1
        shift
        mount --bind "$root" "$root"
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        mount --rbind /sys "$root/sys"
        cd "$root"
        pivot_root . .
        umount -l .
        exec chroot . "$@"' sh "$root" "$@"
}

tests_for() {
    case $suite in
        sid) echo --mysql tests/databases/test_real_mysql.py tests/databases/test_postgresql.py \
            tests/databases/test_postgresql_whole.py tests/databases/test_subversion.py \
            tests/databases/test_subversion_whole.py tests/databases/test_by_hand.py \
            --deselect tests/databases/test_by_hand.py::test_mysql_databases_can_be_loaded_by_hand \
            tests/drilling/test_real_mysql.py tests/drilling/test_blame.py tests/drilling/test_files.py \
            tests/drilling/test_dumps.py::test_a_dump_of_postgresql_is_loaded_and_counted \
            tests/drilling/test_dumps.py::test_a_dump_of_postgresql_that_is_not_good_is_found_though_verify_finds_it_good \
            tests/encryption tests/sources ;;
        *) echo tests/databases tests/drilling tests/encryption tests/recovery tests/sources ;;
    esac
}

main "$@"
