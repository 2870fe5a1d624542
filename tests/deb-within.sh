#!/bin/sh
# What deb.sh does within a bare Debian, in which /s3napback.deb and /newer.deb lie.

set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin
umask 022

complain() {
    printf 'deb-within.sh: %s\n' "$*" >&2
    exit 1
}

apt() {
    apt-get -qq -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@" </dev/null >/log 2>&1 ||
        { cat /log >&2; complain "apt-get $*"; }
}

is_enabled() {
    test -n "$(find /etc/systemd -name 's3napback*')"
}

# A night, another one, and both restored, with the rights of the user $1.
back_up_and_restore() {
    place=$(mktemp -d)
    mkdir "$place/store" "$place/diffs" "$place/data"
    echo first >"$place/data/file"
    printf 'Bucket file://%s/store\nEncryption Off\nDiffDir %s/diffs\n<Cycle c>\nDiffs 6\nDirectory %s/data\n</Cycle>\n' \
        "$place" "$place" "$place" >"$place/c.conf"
    chown -R "$1" "$place"
    as="setpriv --reuid $1 --regid $1 --clear-groups env HOME=$place"
    $as s3napback -c "$place/c.conf" --today 2026-01-01
    echo second >"$place/data/other"
    $as s3napback -c "$place/c.conf" --today 2026-01-02
    $as s3napback -c "$place/c.conf" verify | grep -q DIFF || complain "no DIFF was made"
    $as s3napback -c "$place/c.conf" restore "$place/data" --to "$place/restored"
    diff -r "$place/data" "$place/restored$place/data"
    rm -r "$place"
}

# With a key of its own.
encrypt() {
    place=$(mktemp -d)
    mkdir "$place/store" "$place/diffs" "$place/data"
    cp /etc/passwd "$place/data"
    gpg --batch --quiet --pinentry-mode loopback --passphrase '' --quick-generate-key backups@example.org default default never
    printf 'Bucket file://%s/store\nGpgRecipient backups@example.org\nDiffDir %s/diffs\nCompression zstd\nDirectory %s/data\n' \
        "$place" "$place" "$place" >"$place/c.conf"
    s3napback -c "$place/c.conf"
    s3napback -c "$place/c.conf" restore "$place/data" --to "$place/restored"
    cmp /etc/passwd "$place/restored$place/data/passwd"
    rm -r "$place"
}

if command -v python3 >/dev/null; then complain "this Debian is not bare"; fi
apt update
begun=$(date +%s)
apt install --no-install-recommends /s3napback.deb
printf '   installed in %s seconds, %s with Python; %s kB\n' "$(($(date +%s) - begun))" \
    "$(python3 -c 'import platform; print(platform.python_version())')" "$(dpkg-query -W -f '${Installed-Size}' s3napback)"

s3napback --version
test "$(s3napback --version)" = "s3napback $(dpkg-query -W -f '${Version}' s3napback)"
for file in man/man1/s3napback.1.gz man/man1/s3napback-restore.1.gz man/man5/s3napback.conf.5.gz \
    bash-completion/completions/s3napback zsh/vendor-completions/_s3napback fish/vendor_completions.d/s3napback.fish; do
    dpkg-query -S "/usr/share/$file" >/dev/null
done
for unit in s3napback.service s3napback.timer s3napback-drill.service s3napback-drill.timer; do
    test -f "/usr/lib/systemd/system/$unit"
done
grep -q '^ExecStart=/usr/bin/s3napback' /usr/lib/systemd/system/s3napback.service
if is_enabled; then complain "a timer was enabled"; fi
test "$(find /usr/lib/s3napback -name '*.pyc' | wc -l)" -gt 300

back_up_and_restore 0
back_up_and_restore 65534
encrypt

# --- the administrator's files ---

printf 'Bucket file:///srv/vault\n' >/etc/s3napback/s3napback.conf
printf 'key=a\nsecret=b\n' >/etc/s3napback/key.txt
echo '# mine' >>/etc/s3napback/logging.ini
echo remembered >/var/lib/s3napback/state
cp -a /etc/s3napback /before
mkdir -p /etc/systemd/system/timers.target.wants
ln -s /usr/lib/systemd/system/s3napback.timer /etc/systemd/system/timers.target.wants/s3napback.timer

apt install --no-install-recommends /newer.deb
case $(dpkg-query -W -f '${Version}' s3napback) in *+newer) ;; *) complain "it was not upgraded" ;; esac
for file in s3napback.conf key.txt logging.ini; do
    cmp "/before/$file" "/etc/s3napback/$file"
done
is_enabled || complain "an upgrade has disabled the timer"
back_up_and_restore 0

apt remove s3napback
test ! -e /usr/bin/s3napback || complain "it is still there"
test ! -e /usr/lib/s3napback || complain "left: $(find /usr/lib/s3napback | head)"
for file in s3napback.conf key.txt logging.ini; do
    cmp "/before/$file" "/etc/s3napback/$file"
done

apt purge s3napback
grep -q 'not empty, and stays' /log
test ! -e /etc/s3napback/logging.ini
for file in s3napback.conf key.txt; do
    cmp "/before/$file" "/etc/s3napback/$file"
done
cmp /var/lib/s3napback/state - <<EOF
remembered
EOF

# --- and again, of which nothing stays ---

rm -r /before /etc/s3napback /var/lib/s3napback /etc/systemd/system/timers.target.wants
apt install --no-install-recommends /s3napback.deb
apt purge s3napback
left=$(find / -xdev -name '*s3napback*' ! -path '/s3napback.deb' ! -path '/proc/*' ! -path '/var/cache/*' ! -path '/var/lib/apt/*')
test -z "$left" || complain "left: $left"
