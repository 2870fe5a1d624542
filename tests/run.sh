#!/bin/sh
# Runs every check of the project: ruff, mypy --strict, import-linter and pytest.
#
#     sh tests/run.sh [--python VERSION[,VERSION]...] [--dependencies newest|lowest|both] [ARGUMENTS OF PYTEST]
#
#     --python        with python3.10, python3.11 … as they are found on PATH, in place of python3
#     --dependencies  with the newest versions of what the project needs (the default), or with the lowest that
#                     pyproject.toml allows, or with both, one after the other
#
#     sh tests/run.sh --newest [SUITE]...
#
#     --newest        the tests of databases and repositories within Debian's trixie and sid: see newest.sh
#
#     sh tests/run.sh --deb [SUITE]...
#
#     --deb           the Debian package within bare Debian 12 and 13: see deb.sh
#
#     sh tests/run.sh --image
#
#     --image         the image, and a night in it as Kubernetes starts it: see image.sh
#
# Needs a machine with python3. As root on Debian it installs what is missing, without starting any service; otherwise
# it says what is missing. Python's part goes into virtual environments, .test-venv and the like, which the next run
# uses again. What is tested is the wheel as pip installs it, so that a file that packaging forgets is missed here.
#
# With CI=true a test that is skipped is a failure, and a few that fail are asked once more, alone.

set -eu

# What the tests run besides Python, as Debian packages.
PACKAGES='gnupg tar acl attr bindfs btrfs-progs e2fsprogs exfat-fuse exfatprogs encfs cryfs sshfs openssh-sftp-server util-linux libcap2-bin pigz zstd awscli memcached less man-db mandoc mariadb-server mariadb-client postgresql postgresql-client subversion sqlite3 zsh fish chromium chromium-driver fonts-dejavu-core prometheus'

# Tests that may fail beside others in CI, and pass alone.
FEW=20

main() {
    cd "$(dirname "$0")/.."
    versions=
    dependencies=newest
    while :; do
        case ${1:-} in
            --python) versions=$(printf '%s' "${2:?"a version is missing"}" | tr , ' ') ;;
            --newest)
                shift
                exec sh tests/newest.sh "$@"
                ;;
            --image) exec sh tests/image.sh ;;
            --deb)
                shift
                exec sh tests/deb.sh "$@"
                ;;
            --dependencies) dependencies=${2:?"newest, lowest or both"} ;;
            *) break ;;
        esac
        shift 2
    done
    case $dependencies in
        newest | lowest) ;;
        both) dependencies='newest lowest' ;;
        *) complain "--dependencies is newest, lowest or both, not $dependencies." ;;
    esac
    # Debian keeps servers in /usr/sbin, and not everybody looks there.
    export PATH="$PATH:/usr/sbin:/sbin"
    temporary=$(mktemp -d "${TMPDIR:-/tmp}/s3napback-tests.XXXXXX")
    trap clean_up EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    install_packages
    if test -z "$versions"; then
        check_with python3 .test-venv "$@"
        return
    fi
    absent=
    for version in $versions; do
        if python"$version" -c '' 2>/dev/null; then
            check_with "python$version" ".test-venv-$version" "$@"
        else
            absent="$absent python$version"
        fi
    done
    test -z "$absent" || complain "Not tried, since they are not on PATH, or do not run:$absent"
}

complain() {
    printf 'run.sh: %s\n' "$@" >&2
    exit 1
}

run() {
    printf '== %s\n' "$*"
    program=$1
    shift
    "$environment/bin/$program" "$@" </dev/null
}

clean_up() {
    status=$?
    trap - EXIT
    allow_services
    rm -rf "$temporary"
    exit "$status"
}

install_packages() {
    missing=
    command -v python3 >/dev/null || missing="$missing python3"
    python3 -c 'import ensurepip, venv' 2>/dev/null || is_installed python3-venv || missing="$missing python3-venv"
    for package in $PACKAGES; do
        is_installed "$package" || missing="$missing $package"
    done
    test -n "$missing" || return 0
    command -v dpkg-query >/dev/null || complain "The counterparts of these Debian packages are missing:$missing"
    test "$(id -u)" -eq 0 || complain "These packages are missing; as root: apt-get install$missing"
    printf '== installing%s\n' "$missing"
    forbid_services
    export DEBIAN_FRONTEND=noninteractive
    apt_get update
    # shellcheck disable=SC2086 # a list of words
    apt_get install -y --no-install-recommends $missing
    allow_services
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

# What counts is what a package brings, wherever that came from.
is_installed() {
    case $1 in
        gnupg) command -v gpg ;;
        acl) command -v setfacl ;;
        attr) command -v setfattr ;;
        chromium-driver) command -v chromedriver ;;
        fonts-dejavu-core) test -n "$(ls -d /usr/share/fonts/truetype/dejavu 2>/dev/null)" ;;
        prometheus) command -v promtool ;;
        btrfs-progs) command -v mkfs.btrfs ;;
        e2fsprogs) command -v mkfs.ext4 ;;
        exfat-fuse) command -v mount.exfat-fuse ;;
        exfatprogs) command -v mkfs.exfat ;;
        openssh-sftp-server) test -x /usr/lib/openssh/sftp-server ;;
        libcap2-bin) command -v setcap ;;
        man-db) command -v lexgrog ;;
        awscli) command -v aws ;;
        mariadb-server) command -v mariadbd ;;
        mariadb-client) command -v mariadb-dump ;;
        postgresql) command -v postgres || test -n "$(ls /usr/lib/postgresql/*/bin/postgres 2>/dev/null)" ;;
        postgresql-client) command -v pg_dump ;;
        python3-venv) test "$(dpkg-query -W -f '${db:Status-Status}' "$1")" = installed ;;
        subversion) command -v svnadmin ;;
        util-linux) command -v losetup ;;
        *) command -v "$1" ;;
    esac >/dev/null 2>&1
}

# Debian asks this file whether a package may start its service; what was there before comes back.
policy=/usr/sbin/policy-rc.d
mark='# written by the tests of s3napback'

forbid_services() {
    if test -e "$policy" && ! grep -qF "$mark" "$policy"; then
        mv "$policy" "$policy.kept"
    fi
    printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >"$policy"
    chmod 755 "$policy"
}

allow_services() {
    if test -w "$policy" && grep -qF "$mark" "$policy"; then
        rm "$policy"
        test ! -e "$policy.kept" || mv "$policy.kept" "$policy"
    fi
}

# Every check with one interpreter ($1), in environments whose folders begin with a name ($2).
check_with() {
    interpreter=$1
    folder=$2
    shift 2
    for which in $dependencies; do
        case $which in
            newest) make_environment "$folder" ;;
            lowest) make_environment "$folder-lowest" ;;
        esac
        keep_caches_out_of_the_checkout
        # What they find depends on their versions: only the newest ones are heeded.
        test "$which" = lowest || run_linters
        run_tests "$@"
    done
}

make_environment() {
    environment=$PWD/$1
    mkdir -p "$environment" 2>/dev/null && test -w "$environment" || environment=$temporary/$1
    caches=$environment/caches
    # an environment whose interpreter has gone, or was updated, is made anew
    version=$("$interpreter" -c 'import sys; print(sys.executable, sys.version)')
    if test "$(cat "$environment/made-with" 2>/dev/null)" != "$version"; then
        rm -rf "$environment"
        printf '== making a virtual environment in %s\n' "$environment"
        "$interpreter" -m venv "$environment" || make_environment_without_ensurepip
        printf '%s\n' "$version" >"$environment/made-with"
    fi
    install_the_wheel
}

# Debian's python3-venv serves Debian's interpreter; another one can lack ensurepip all the same.
make_environment_without_ensurepip() {
    rm -rf "$environment"
    "$interpreter" -m venv --without-pip "$environment"
    "$interpreter" -m pip --python "$environment/bin/python" install --quiet pip </dev/null ||
        complain "$interpreter has neither ensurepip nor pip: $(command -v "$interpreter")"
}

install_the_wheel() {
    wheels=$temporary/wheels-$which
    pip wheel --quiet --no-deps --wheel-dir "$wheels" .
    wheel=$(echo "$wheels"/*.whl)
    : >"$temporary/constraints"
    test "$which" = newest ||
        "$environment/bin/python" tests/lowest_versions.py "$wheel" >"$temporary/constraints"
    printf '== installing the wheel and the %s versions of what it needs, with %s\n' "$which" "$interpreter"
    pip install --quiet --constraint "$temporary/constraints" "$wheel[test]"
    # it may be of the same version as the one that is there
    pip install --quiet --force-reinstall --no-deps "$wheel"
}

pip() {
    PIP_DISABLE_PIP_VERSION_CHECK=1 "$environment/bin/python" -m pip "$@" </dev/null
}

# Tests start Python thousands of times: without bytecode each start compiles all modules, which takes twice as long as
# most commands do.
keep_caches_out_of_the_checkout() {
    unset PYTHONDONTWRITEBYTECODE
    export RUFF_CACHE_DIR="$caches/ruff" MYPY_CACHE_DIR="$caches/mypy" PYTHONPYCACHEPREFIX="$caches/python"
}

run_linters() {
    run ruff check s3napback tests .packaging
    run ruff format --check s3napback tests .packaging
    run mypy --strict s3napback tests .packaging/hatch_build.py .packaging/manual_pages
    run lint-imports --cache-dir "$caches/import-linter"
}

# The checkout comes last on Python's path, so that the installed package is the one that is tested. Three workers share
# the files among them, on two cores, since most tests wait for other processes; those marked as long come first.
run_tests() {
    set -- -o cache_dir="$caches/pytest" --import-mode=append -n 3 --dist loadfile --no-loadscope-reorder "$@"
    if test "${CI:-}" != true; then
        run pytest "$@"
        return
    fi
    report=$temporary/report.xml
    rm -f "$temporary/failed"
    { run pytest --junit-xml="$report" "$@" 2>&1 || echo $? >"$temporary/failed"; } | tee "$temporary/output"
    test ! -e "$temporary/failed" || ask_once_more "$@"
    if ! grep -q '<testsuite [^>]*skipped="0"' "$report"; then
        printf 'run.sh: tests were skipped, which CI does not allow\n'
        tail -n 1 "$temporary/output"
        exit 1
    fi
}

# What fails beside two other workers on a busy machine is asked once more, alone, and what it says then counts: it is
# printed, so that somebody looks at it. Where many fail, it is no accident.
ask_once_more() {
    status=$(cat "$temporary/failed")
    grep '^\(FAILED\|ERROR\) ' "$temporary/output" >"$temporary/failures" || exit "$status"
    test "$status" -eq 1 && test "$(wc -l <"$temporary/failures")" -le "$FEW" || exit "$status"
    printf '== these failed beside others, and are asked once more, alone; look at them even if they pass now\n'
    cut -c 1-200 "$temporary/failures"
    run pytest "$@" -n 0 --dist no --last-failed --last-failed-no-failures none
}

main "$@"
