#!/bin/sh
# Builds a Debian package of this checkout, for Debian 12 and 13 alike:
#
#     sh .packaging/deb.sh [FOLDER]
#
# It comes into FOLDER, or into dist/. Needs dpkg-deb, and python3 with pip or with venv, which fetches the libraries:
# those that s3napback needs are too old in Debian 12, and some are in no Debian. They come along in /usr/lib/s3napback,
# where no other program sees them, with the compiled parts for each Python of PYTHONS.
#
#     VERSION        of the package, otherwise s3napback's
#     ARCHITECTURE   amd64 or arm64, otherwise this machine's
#     DEBEMAIL       who builds it, as "Name <address>", otherwise the author of the last commit

set -eu
umask 022

# Debian 12 has the first, Debian 13 the last; a machine that is upgraded goes from one to the other.
PYTHONS='3.11 3.13'

main() {
    target=$(realpath -m "${1:-$(dirname "$0")/../dist}")
    cd "$(dirname "$0")/.."
    work=$(mktemp -d "${TMPDIR:-/tmp}/s3napback-deb.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' HUP INT TERM
    # What dpkg makes is the same for the same sources.
    SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(date --date "$(newest_day)" +%s)}
    export SOURCE_DATE_EPOCH
    architecture=${ARCHITECTURE:-$(dpkg --print-architecture)}
    case $architecture in
        amd64) machine=x86_64 ;;
        arm64) machine=aarch64 ;;
        *) complain "libraries are there for amd64 and arm64, not for $architecture" ;;
    esac
    maintainer=${DEBEMAIL:-$(git log -1 --format='%an <%ae>')}
    root=$work/root
    library=$root/usr/lib/s3napback
    documents=$root/usr/share/doc/s3napback
    mkdir -p "$root/usr/bin" "$root/usr/lib" "$documents"
    python=$(python_with_pip)
    fetch_libraries
    install_program
    install_pages
    install_units
    install_completion
    install_settings
    write_documents
    write_control
    find "$root" -newermt "@$SOURCE_DATE_EPOCH" -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +
    mkdir -p "$target"
    dpkg-deb --root-owner-group -Zxz --build "$root" "$target/s3napback_${version}_$architecture.deb"
}

complain() {
    printf 'deb.sh: %s\n' "$*" >&2
    exit 1
}

newest_day() {
    sed -n 's/^## [0-9].* (\(.*\))$/\1/p' .github/CHANGELOG.md | head -n 1
}

# Debian's python3 may have no pip of its own.
python_with_pip() {
    if python3 -m pip --version >/dev/null 2>&1; then
        echo python3
    else
        python3 -m venv "$work/venv" >&2 || complain "python3 has neither pip nor venv: apt-get install python3-venv"
        echo "$work/venv/bin/python"
    fi
}

pip() {
    PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore "$python" -m pip --quiet "$@" </dev/null
}

# Python's modules are the same for each version; of the compiled ones each knows its own by their names.
fetch_libraries() {
    pip wheel --no-deps --wheel-dir "$work/wheel" .
    : >"$work/constraints"
    for each in $PYTHONS; do
        pip --no-color install --no-compile --no-warn-conflicts --only-binary=:all: --implementation cp \
            --python-version "$each" --platform "manylinux_2_34_$machine" --platform "manylinux_2_28_$machine" \
            --platform "manylinux2014_$machine" --platform "manylinux_2_5_$machine" --platform "manylinux1_$machine" \
            --constraint "$work/constraints" --target "$work/$each" "$(echo "$work/wheel"/*.whl)"
        test -s "$work/constraints" || pip freeze --path "$work/$each" --exclude s3napback >"$work/constraints"
    done
    # shellcheck disable=SC2086 # a list of words
    set -- $PYTHONS
    cp -R "$work/$1" "$library"
    shift
    for each; do
        differing=$(diff --recursive --brief --exclude='*.dist-info' "$library" "$work/$each" | grep -v '^Only in .*\.so$' || :)
        test -z "$differing" || complain "libraries for Python $each differ from those before: $differing"
        (cd "$work/$each" && find . -name '*.so' -print0 | tar --create --null --files-from=-) |
            tar --extract --directory="$library"
    done
    version=${VERSION:-$(sed -n 's/^Version: //p' "$library"/s3napback-*.dist-info/METADATA)}
    mv "$library/share" "$work/share"
    # no C compiler is asked for anything, and no other way of calling zstd
    rm -r "${library:?}/bin" "$library/cffi" "$library"/zstandard/_cffi.*
    find "$library" -name '*.so' -exec chmod 644 {} +
}

install_program() {
    # -I: nothing of the environment, of the user's folders or of the current one is loaded
    cat >"$root/usr/bin/s3napback" <<'EOF'
#!/usr/bin/python3 -I
"""s3napback, with the libraries that came with it."""

import sys

sys.path.insert(0, "/usr/lib/s3napback")

from s3napback.__main__ import main

main()
EOF
    chmod 755 "$root/usr/bin/s3napback"
    # as Python's packages do, when Debian's Python becomes another one
    install -D -m 755 .packaging/debian/rtupdate "$root/usr/share/python3/runtime.d/s3napback.rtupdate"
}

install_pages() {
    mkdir -p "$root/usr/share"
    cp -R "$work/share/man" "$root/usr/share/man"
    find "$root/usr/share/man" -type f -exec gzip -9n {} +
}

# The programs lie in another place, and need not be copied.
install_units() {
    mkdir -p "$root/usr/lib/systemd/system"
    for unit in examples/*.service examples/*.timer; do
        sed -e '1,/^$/{/^#/d;/^$/d;}' -e 's,/usr/local/bin/,/usr/bin/,' "$unit" \
            >"$root/usr/lib/systemd/system/$(basename "$unit")"
    done
}

install_completion() {
    for shell in bash zsh fish; do
        case $shell in
            bash) file=bash-completion/completions/s3napback ;;
            zsh) file=zsh/vendor-completions/_s3napback ;;
            fish) file=fish/vendor_completions.d/s3napback.fish ;;
        esac
        mkdir -p "$root/usr/share/$(dirname "$file")"
        # what it prints depends neither on libraries nor on their compiled parts
        (cd / && env -i PATH="$PATH" _S3NAPBACK_COMPLETE="${shell}_source" PYTHONPATH="$library" PYTHONDONTWRITEBYTECODE=1 \
            "$python" -c 'import sys; sys.argv[0] = "s3napback"; from s3napback.__main__ import main; main()') \
            >"$root/usr/share/$file"
        grep -q s3napback "$root/usr/share/$file" || complain "no completion for $shell"
    done
}

# With a log file or mail at once, a user's run would end for want of the right to write to the log.
install_settings() {
    install -d -m 700 "$root/etc/s3napback" "$root/var/lib/s3napback"
    install -d -m 750 "$root/var/log/s3napback"
    sed -e 's/^keys=console,file,mail$/keys=console/' -e 's/^handlers=console,file,mail$/handlers=console/' \
        -e '/^# To use this one/,/^# Nobody but root/{/^# Nobody but root/!d;}' \
        -e '/^\[loggers\]$/i # In this copy of Debian'"'"'s package only the console is on, which is the journal under systemd. For more add file or\n# mail to "keys" and "handlers" below, and adapt the lines marked ADAPT.\n' \
        logging.ini >"$root/etc/s3napback/logging.ini"
    chmod 644 "$root/etc/s3napback/logging.ini"
    grep -q '^keys=console$' "$root/etc/s3napback/logging.ini" || complain "logging.ini has changed its handlers"
}

write_documents() {
    mkdir -p "$documents/examples"
    cp examples/*.conf examples/*.cron logging.ini "$documents/examples"
    cp README.md "$documents"
    gzip -9nc .github/CHANGELOG.md >"$documents/NEWS.gz"
    {
        printf 's3napback (%s) unstable; urgency=medium\n\n  * See NEWS.gz in this folder.\n\n -- %s  %s\n' \
            "$version" "$maintainer" "$(LC_ALL=C date --utc --rfc-email --date "@$SOURCE_DATE_EPOCH")"
    } | gzip -9nc >"$documents/changelog.gz"
    {
        cat .packaging/debian/copyright
        for metadata in "$library"/*.dist-info/METADATA; do
            case $metadata in */s3napback-*) continue ;; esac
            printf '\nFiles: %s\nCopyright: %s\nLicense: %s\n See the files of licenses in that folder.\n' \
                "/usr/lib/s3napback/$(basename "$(dirname "$metadata")")/*" \
                "the authors of $(sed -n 's/^Name: //p' "$metadata" | head -n 1) $(sed -n 's/^Version: //p' "$metadata" | head -n 1)" \
                "$(basename "$(dirname "$metadata")" .dist-info | sed 's/-[0-9.]*.*//')"
        done
    } >"$documents/copyright"
    install -D -m 644 .packaging/debian/lintian-overrides "$root/usr/share/lintian/overrides/s3napback"
}

write_control() {
    mkdir "$root/DEBIAN"
    first=${PYTHONS%% *}
    last=${PYTHONS##* }
    sed -e "s,@VERSION@,$version," -e "s,@ARCHITECTURE@,$architecture," -e "s,@MAINTAINER@,$maintainer," \
        -e "s,@SIZE@,$(du --summarize --apparent-size --block-size=1024 --exclude=DEBIAN "$root" | cut -f 1)," \
        -e "s/@PYTHONS@/python3 (>= $first), python3 (<< ${last%.*}.$((${last#*.} + 1)))/" \
        .packaging/debian/control >"$root/DEBIAN/control"
    for script in postinst prerm postrm; do
        install -m 755 ".packaging/debian/$script" "$root/DEBIAN/$script"
    done
    echo /etc/s3napback/logging.ini >"$root/DEBIAN/conffiles"
    (cd "$root" && find . -type f ! -path './DEBIAN/*' ! -path ./etc/s3napback/logging.ini -printf '%P\0' |
        sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
}

main "$@"
