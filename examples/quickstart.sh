#!/bin/sh
# A rehearsal of s3napback that leaves nothing behind: two nights of backups, a look, one file of yesterday, a drill, and
# a recovery with plain gpg and tar.
#
#     sh examples/quickstart.sh [DIRECTORY]
#
# Works on a copy of DIRECTORY (by default the system's documentation) in a temporary folder, with a key made for the
# occasion. Needs python3, gpg and GNU tar; run as root, it installs what is missing with apt. From a checkout it tries
# the checkout's s3napback, and where pip has put it, the s3napback that it came with.

set -eu

main() {
    directory=$(absolute "${1:-/usr/share/doc}")
    origin=$(absolute "$(dirname "$0")/..")
    install_what_is_missing
    make_temporary_folders
    install_s3napback
    make_key
    copy_directory
    configure
    back_up_first_night
    change_something
    back_up_second_night
    look
    recover_one_file
    prove
    recover
    tell_what_is_next
}

say() {
    printf '\n'
    printf '== %s\n' "$@"
}

# Shows what is done with s3napback, without what is always the same, and does it on a day.
s3napback_on() {
    day=$1
    shift
    printf '$ s3napback'
    test "$day" = "$today" || printf ' --today %s' "$day"
    for word in "$@"; do
        case $word in
            *' '*) printf " '%s'" "$word" ;;
            *) printf ' %s' "$word" ;;
        esac
    done
    printf '\n'
    s3napback -c "$configuration" --today "$day" "$@"
}

complain() {
    printf 'quickstart: %s\n' "$@" >&2
    exit 1
}

absolute() {
    # shellcheck disable=SC1007 # CDPATH is to be empty
    (CDPATH= cd -P -- "$1" && pwd -P) || complain "$1 is not a folder that can be read."
}

install_what_is_missing() {
    missing=
    python3 -c '' 2>/dev/null || missing="$missing python3"
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
    command -v gpg >/dev/null || missing="$missing gnupg"
    command -v tar >/dev/null || missing="$missing tar"
    test -n "$missing" || return 0
    if test "$(id -u)" -eq 0 && command -v apt-get >/dev/null; then
        say "Installing what is missing:$missing"
        export DEBIAN_FRONTEND=noninteractive
        apt_get update
        # shellcheck disable=SC2086 # a list of words
        apt_get install -y --no-install-recommends $missing
    else
        complain "These Debian packages, or their like, are missing:$missing" \
            "Install them (as root: apt-get install$missing) and start again."
    fi
}

# apt waits for dpkg's lock if it is told to, but not for those of its own lists and archives: a machine that has just
# begun to run brings itself up to date.
apt_get() {
    waited=0
    until { errors=$(LC_ALL=C apt-get -o DPkg::Lock::Timeout=300 -q "$@" </dev/null 2>&1 >&3); } 3>&1; do
        case $errors in
            *"Could not get lock"*) test "$waited" -lt 300 || complain "$errors" ;;
            *) complain "$errors" ;;
        esac
        sleep 5
        waited=$((waited + 5))
    done
    test -z "$errors" || printf '%s\n' "$errors" >&2
}

make_temporary_folders() {
    work=
    GNUPGHOME=
    trap clean_up EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    umask 022 # s3napback refuses a configuration that a group can change
    work=$(mktemp -d "${TMPDIR:-/tmp}/s3nq.XXXXXX")
    work=$(absolute "$work")
    # gpg's agent listens at a socket in here, whose path must be short
    GNUPGHOME=$(mktemp -d /tmp/s3nq.XXXXXX)
    export GNUPGHOME
    tree=$work/files
    store=$work/store
}

clean_up() {
    status=$?
    trap - EXIT
    test -z "$GNUPGHOME" || gpgconf --kill all >/dev/null 2>&1 || true
    for folder in "$GNUPGHOME" "$work"; do
        test -z "$folder" || remove "$folder"
    done
    test "$status" -eq 0 || printf '\nquickstart: it did not come to its end; see above.\n' >&2
    exit "$status"
}

# A copied folder may be one that its owner must not write to.
remove() {
    rm -rf -- "$1" 2>/dev/null || {
        chmod -R u+rwX -- "$1" && rm -rf -- "$1"
    }
}

install_s3napback() {
    if test -e "$origin/pyproject.toml"; then
        say "Installing s3napback into a virtual environment in $work"
        python3 -m venv "$work/venv"
        "$work/venv/bin/python" -m pip install -qq --disable-pip-version-check "$origin" </dev/null
        programs=$work/venv/bin
    else
        # pip puts this file into ENVIRONMENT/share/doc/s3napback/examples
        programs=$(absolute "$origin/../../../bin")
        test -x "$programs/s3napback" || complain "There is neither a checkout around $0 nor $programs/s3napback."
        say "Trying $programs/s3napback"
    fi
    PATH=$programs:$PATH
    export PATH
}

make_key() {
    say "A gpg key for this rehearsal (a real one has its secret part in a safe place), and a copy of $directory"
    gpg --batch --quiet --passphrase '' --quick-generate-key "s3napback rehearsal <rehearsal@localhost>" \
        future-default default never 2>/dev/null || complain "gpg could not make a key."
    fingerprint=$(gpg --batch --with-colons --list-keys 2>/dev/null | awk -F: '$1 == "fpr" { print $10; exit }')
}

copy_directory() {
    cp -a "$directory" "$tree" || complain "Not everything in $directory can be copied; choose another folder."
    # diff calls any two pipes, sockets or devices different
    find "$tree" ! -type f ! -type d ! -type l -exec rm -f {} +
    # the folder itself may be one that its owner must not write to
    chmod u+rwx "$tree"
    mkdir "$tree/quickstart files"
    printf 'I stay.\n' >"$tree/quickstart files/stays"
    printf 'I shall be edited.\n' >"$tree/quickstart files/edited"
    printf 'I shall be deleted.\n' >"$tree/quickstart files/deleted"
}

configure() {
    mkdir "$store" "$work/state"
    configuration=$work/quickstart.conf
    today=$(date +%F)
    number=$(($(date -u -d "$today" +%s) / 86400))
    yesterday=$(date -u -d "@$(((number - 1) * 86400))" +%F)
    # Offset lets the rotation begin yesterday.
    cat >"$configuration" <<END
Bucket "file://$store"
GpgRecipient $fingerprint
DiffDir "$work/state"
<Directory "$tree">
    Diffs 6
    Fulls 2
    Offset $(((14 - (number - 1) % 14) % 14))
</Directory>
END
    say "The whole configuration; each command below is given it by -c $configuration"
    cat "$configuration"
}

back_up_first_night() {
    say "Last night: a FULL archive"
    s3napback_on "$yesterday"
}

change_something() {
    printf 'I was edited.\n' >>"$tree/quickstart files/edited"
    rm "$tree/quickstart files/deleted"
    printf 'I am new.\n' >"$tree/quickstart files/new"
    mv "$tree/quickstart files" "$tree/quickstart files, renamed"
}

back_up_second_night() {
    say "Today a file was edited, one deleted, one is new, a folder was renamed. Tonight: a DIFF of what has changed" \
        "(and of nearly everything else this time: what is younger than two minutes is taken again)"
    s3napback_on "$today"
}

look() {
    say "What can be restored, and how do things stand?"
    s3napback_on "$today" list
    s3napback_on "$today" status
}

recover_one_file() {
    say "One file as it was yesterday"
    s3napback_on "$today" -q restore "$tree/quickstart files/edited" --at yesterday --to "$work/yesterday"
    sed 's/^/    /' "$work/yesterday$tree/quickstart files/edited"
}

prove() {
    say "A drill: it is restored as a whole, and held name by name against what the archives tell"
    s3napback_on "$today" drill --scratch "$work"
}

recover() {
    recovered=$work/recovered
    mkdir "$recovered"
    say "The same without s3napback, by gpg and tar: the FULL, then the DIFF"
    for archive in "$store${tree}-0-FULL" "$store${tree}-1-DIFF"; do
        test -f "$archive" || complain "$archive is missing from the store."
        printf '$ gpg -d %s | tar xz -g /dev/null -C %s\n' "$archive" "$recovered"
        { gpg --batch --quiet -d "$archive" || touch "$work/failed"; } | tar xz -g /dev/null -C "$recovered"
        test ! -e "$work/failed" || complain "gpg could not decrypt $archive."
    done
    diff -r --no-dereference "$tree" "$recovered$tree" || complain "The recovered files differ."
    printf 'Compared with the files of today: %s files are the same.\n' "$(find "$tree" -type f | wc -l)"
}

tell_what_is_next() {
    say "Done, and all of it is deleted again. What to do next:"
    cat <<'END'
    s3napback init       a few questions, and a configuration of your own
    s3napback -t         what the next night would do
    s3napback doctor     is everything in place for the nights to come?
    s3napback help       the manual
END
}

main "$@"
