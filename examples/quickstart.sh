#!/bin/sh
# A rehearsal of s3napback that leaves nothing behind: two nights of backups, a look, one file of the day before, and a
# recovery with plain gpg and tar.
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
    recover
    say "Done: both archives were read back with plain tools, and nothing is missing." \
        "Everything of this rehearsal is now deleted again."
}

say() {
    printf '\n'
    printf '== %s\n' "$@"
}

complain() {
    printf 'quickstart: %s\n' "$@" >&2
    exit 1
}

# Shows a command and runs it.
run() {
    printf '$'
    printf ' %s' "$@"
    printf '\n'
    "$@"
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
    work=$(mktemp -d "${TMPDIR:-/tmp}/s3napback-quickstart.XXXXXX")
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
        "$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$origin" </dev/null
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
    say "Making a gpg key for this rehearsal, without a passphrase" \
        "(a real one has its secret part in a safe place, and not on the machine that is backed up)"
    gpg --batch --quiet --passphrase '' --quick-generate-key "s3napback rehearsal <rehearsal@localhost>" \
        future-default default never 2>/dev/null || complain "gpg could not make a key."
    fingerprint=$(gpg --batch --with-colons --list-keys 2>/dev/null | awk -F: '$1 == "fpr" { print $10; exit }')
    printf '%s\n' "$fingerprint"
}

copy_directory() {
    say "Copying $directory, so that nothing in it is touched"
    cp -a "$directory" "$tree" || complain "Not everything in $directory can be copied; choose another folder."
    # diff calls any two pipes, sockets or devices different
    find "$tree" ! -type f ! -type d ! -type l -exec rm -f {} +
    # the folder itself may be one that its owner must not write to
    chmod u+rwx "$tree"
    mkdir "$tree/quickstart files"
    printf 'I stay.\n' >"$tree/quickstart files/stays"
    printf 'I shall be edited.\n' >"$tree/quickstart files/edited"
    printf 'I shall be deleted.\n' >"$tree/quickstart files/deleted"
    du -sh "$tree" | cut -f 1
}

configure() {
    say "A folder as store, and the whole configuration:"
    mkdir "$store" "$work/state"
    configuration=$work/quickstart.conf
    cat >"$configuration" <<END
Bucket "file://$store"
GpgRecipient $fingerprint
DiffDir "$work/state"

<Directory "$tree">
    Diffs 6
    Fulls 2
</Directory>
END
    cat "$configuration"
    # the latest day on which a rotation of fourteen slots begins
    today=$(($(date +%s) / 86400))
    first_day=$((today - today % 14))
    first_night=$(date -u -d "@$((first_day * 86400))" +%F)
    second_night=$(date -u -d "@$(((first_day + 1) * 86400))" +%F)
}

back_up_first_night() {
    say "What would be done on the night of $first_night?"
    run s3napback -c "$configuration" --today "$first_night" -t
    say "The first night: a FULL archive"
    run s3napback -c "$configuration" --today "$first_night"
}

change_something() {
    say "The next day one file is edited, one deleted, one new, and a folder is renamed"
    printf 'I was edited.\n' >>"$tree/quickstart files/edited"
    rm "$tree/quickstart files/deleted"
    printf 'I am new.\n' >"$tree/quickstart files/new"
    mv "$tree/quickstart files" "$tree/quickstart files, renamed"
}

back_up_second_night() {
    say "The second night, $second_night: a DIFF, which holds what has changed" \
        "(and this time nearly everything: what was younger than two minutes on one night is taken again on the next)"
    run s3napback -c "$configuration" --today "$second_night"
    say "What is in the store now (besides what it knows of each archive, in .s3napback):"
    (cd "$store" && find . -path ./.s3napback -prune -o -type f -exec ls -l {} +)
}

look() {
    say "What can be restored, and is it whole?"
    run s3napback -c "$configuration" list
    run s3napback -c "$configuration" verify
}

recover_one_file() {
    say "One file as it was on the first night"
    run s3napback -c "$configuration" restore "$tree/quickstart files/edited" --at "$first_night" --to "$work/yesterday"
    run cat "$work/yesterday$tree/quickstart files/edited"
}

recover() {
    recovered=$work/recovered
    mkdir "$recovered"
    say "Recovering without s3napback: the FULL, then the DIFF"
    for archive in "$store${tree}-0-FULL" "$store${tree}-1-DIFF"; do
        test -f "$archive" || complain "$archive is missing from the store."
        printf '$ gpg -d %s | tar xz -g /dev/null -C %s\n' "$archive" "$recovered"
        { gpg --batch --quiet -d "$archive" || touch "$work/failed"; } | tar xz -g /dev/null -C "$recovered"
        test ! -e "$work/failed" || complain "gpg could not decrypt $archive."
    done
    say "Comparing what was recovered with the files of the second day, byte for byte"
    run diff -r --no-dereference "$tree" "$recovered$tree" || complain "The recovered files differ."
    printf '%s files are the same.\n' "$(find "$tree" -type f | wc -l)"
}

main "$@"
