#!/bin/sh
# Builds the Debian package, and installs, uses, upgrades, removes and purges it within bare Debian 12 and 13.
#
#     sh tests/run.sh --deb [SUITE]...
#
# Needs root, debootstrap, lintian, and what .packaging/deb.sh needs; not for CI. A suite is unpacked into a temporary
# folder, which is removed at the end. Packages come from where this machine's apt has its own (MIRROR names another place).

set -eu

main() {
    cd "$(dirname "$0")/.."
    test "$(id -u)" -eq 0 || complain "only root can make a chroot"
    for program in debootstrap lintian; do
        command -v "$program" >/dev/null || complain "$program is missing: apt-get install $program"
    done
    mirror=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | head -n 1)}
    eval "$(apt-config shell http_proxy Acquire::http::Proxy https_proxy Acquire::https::Proxy)"
    export http_proxy="${http_proxy:-}" https_proxy="${https_proxy:-}"
    folder=$(mktemp -d "${TMPDIR:-/var/tmp}/s3napback-deb.XXXXXX")
    chmod 755 "$folder"
    trap 'rm -rf "$folder"' EXIT
    trap 'exit 130' HUP INT TERM
    build
    failed=
    for suite in ${*:-bookworm trixie}; do
        try "$suite" || failed="$failed $suite"
    done
    test -z "$failed" || complain "the package failed in$failed"
    printf '== the package is good in %s\n' "${*:-bookworm trixie}"
}

complain() {
    printf 'deb.sh: %s\n' "$*" >&2
    exit 1
}

# Not one command of it may fail, and a function after || is not ended by set -e.
try() {
    (set -e && check_in "$1") &
    wait $!
}

# The package, and a newer one for the upgrade, with other settings of the log.
build() {
    sh .packaging/deb.sh "$folder"
    package=$(echo "$folder"/s3napback_*.deb)
    printf '== %s, %s bytes\n' "$(basename "$package")" "$(stat -c %s "$package")"
    lintian --allow-root --fail-on error "$package" >"$folder/lintian" || { cat "$folder/lintian"; complain "lintian finds errors"; }
    mkdir "$folder/newer"
    dpkg-deb --raw-extract "$package" "$folder/newer/root"
    sed -i 's/^Version: .*/&+newer/' "$folder/newer/root/DEBIAN/control"
    echo '# newer' >>"$folder/newer/root/etc/s3napback/logging.ini"
    dpkg-deb --root-owner-group -Zgzip -z1 --build "$folder/newer/root" "$folder/newer.deb" >/dev/null
    rm -r "$folder/newer"
}

check_in() {
    suite=$1
    root=$folder/$suite
    printf '== %s from %s\n' "$suite" "$mirror"
    debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$folder/log" 2>&1 || { tail -n 20 "$folder/log" >&2; return 1; }
    cp "$package" "$root/s3napback.deb"
    cp "$folder/newer.deb" tests/deb-within.sh "$root"
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
    unshare --mount --pid --fork --kill-child sh -eu -c '
        mount --bind "$1" "$1"
        mount -t proc proc "$1/proc"
        mount --rbind /dev "$1/dev"
        cd "$1"
        pivot_root . .
        umount -l .
        exec chroot . sh /deb-within.sh' sh "$root"
    rm -rf "$root"
}

main "$@"
