#!/bin/sh
# Builds the image of examples/Containerfile and runs a night in it as a kubelet would start it by kubernetes.yaml.
#
#     sh tests/run.sh --image
#
# Needs root, debootstrap, buildah, and python3 with yaml; not for CI. What the image is based on is made by debootstrap,
# from where this machine's apt has its packages (MIRROR names another place). All of it lies in a temporary folder, which
# is removed at the end.

set -eu

main() {
    cd "$(dirname "$0")/.."
    test "$(id -u)" -eq 0 || complain "only root can mount"
    for program in debootstrap buildah gpg; do
        command -v "$program" >/dev/null || complain "$program is missing: apt-get install $program"
    done
    mirror=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | head -n 1)}
    folder=$(mktemp -d "${TMPDIR:-/var/tmp}/s3napback-image.XXXXXX")
    chmod 755 "$folder"
    trap clean_up EXIT
    trap 'exit 130' HUP INT TERM
    export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot
    make_base
    images build --quiet --build-arg BASE=localhost/base --file examples/Containerfile --tag s3napback . >"$folder/log" 2>&1 ||
        { tail -n 30 "$folder/log" >&2; complain "the image cannot be built"; }
    container=$(images from localhost/s3napback)
    image=$(images mount "$container")
    make_volumes
    run_the_pod
}

complain() {
    printf 'image.sh: %s\n' "$*" >&2
    exit 1
}

images() {
    command=$1
    shift
    buildah --root "$folder/images" --runroot "$folder/running" "$command" "$@"
}

clean_up() {
    images rm --all >/dev/null 2>&1 || :
    images rmi --all --force >/dev/null 2>&1 || :
    rm -rf "$folder"
}

# With the certificates by which this machine's pip finds its packages.
make_base() {
    debootstrap --variant=minbase trixie "$folder/base" "$mirror" >"$folder/log" 2>&1 || { tail -n 20 "$folder/log" >&2; complain "no base"; }
    base=$(images from scratch)
    images add --quiet "$base" "$folder/base" / >/dev/null
    if test -e "${PIP_CERT:-}"; then
        images copy --quiet "$base" "$PIP_CERT" /certificates >/dev/null
        images config --env PIP_CERT=/certificates "$base"
    fi
    images commit --quiet --rm "$base" localhost/base >/dev/null
    rm -rf "$folder/base"
}

# The example's files, with a store that is there and a key of our own.
make_volumes() {
    mkdir "$folder/files" "$folder/gpg" "$folder/state" "$folder/scratch" "$folder/data" "$folder/store"
    chmod 700 "$folder/gpg"
    GNUPGHOME=$folder/gpg gpg --batch --quiet --pinentry-mode loopback --passphrase '' \
        --quick-generate-key backups@example.org default default never
    python3 - examples/kubernetes.yaml "$folder/files" <<'EOF'
import pathlib
import sys

import yaml

found = {each["kind"]: each for each in yaml.safe_load_all(pathlib.Path(sys.argv[1]).read_text())}
files = {**found["ConfigMap"]["data"], **found["Secret"]["stringData"]}
files["s3napback.conf"] = files["s3napback.conf"].replace("Bucket my-backups", "Bucket file:///store")
for name, text in files.items():
    pathlib.Path(sys.argv[2], name).write_text(text.replace("S3Keyfile", "#S3Keyfile"))
EOF
    GNUPGHOME=$folder/gpg gpg --batch --armor --export >"$folder/files/backups.pub"
    echo content >"$folder/data/file"
    # as a kubelet leaves a claim, and an emptyDir, of a pod with fsGroup
    chown 0:65532 "$folder/state" "$folder/scratch"
    chmod 2775 "$folder/state"
    chmod 2777 "$folder/scratch"
    chown 65532 "$folder/store"
}

# Mounts end with the shell.
run_the_pod() {
    printf '== %s\n' "$(images inspect --type image --format '{{.OCIv1.Config.User}} {{.OCIv1.Config.Entrypoint}}' localhost/s3napback)"
    unshare --mount --pid --fork --kill-child sh -eu -c '
        image=$1
        folder=$2
        program() {
            chroot "$image" setpriv --reuid 65532 --regid 65532 --groups 65532 --bounding-set=-all --inh-caps=-all \
                --no-new-privs env -i HOME=/var/lib/s3napback PATH=/opt/s3napback/bin:/usr/local/bin:/usr/bin:/bin "$@"
        }
        mkdir -p "$image/state" "$image/scratch" "$image/data" "$image/store"
        mount --bind "$image" "$image"
        mount -t proc proc "$image/proc"
        mount --rbind /dev "$image/dev"
        mount --bind "$folder/state" "$image/state"
        mount --bind "$folder/scratch" "$image/scratch"
        mount -o remount,bind,ro "$image"
        program install -d -m 700 /state/diffs /scratch/tmp
        umount "$image/state" "$image/scratch"
        mount --bind "$folder/state" "$image/var/lib/s3napback"
        mount --bind "$folder/scratch/tmp" "$image/tmp"
        mount --bind "$folder/data" "$image/data"
        mount -o remount,bind,ro "$image/data"
        mount --bind "$folder/store" "$image/store"
        mount -t tmpfs -o mode=1777 tmpfs "$image/etc/s3napback"
        cd "$image/etc/s3napback"
        mkdir ..2026_11_26_04_20_00.1
        ln -s ..2026_11_26_04_20_00.1 ..data
        for file in "$folder"/files/*; do
            install -m 440 -g 65532 "$file" ..data
            ln -s "..data/${file##*/}" .
        done
        chown 0:65532 . ..data/
        chmod 2755 ..data/
        chmod 3777 .
        cd /
        mount -o remount,ro "$image/etc/s3napback"
        program /opt/s3napback/bin/s3napback --version
        program /opt/s3napback/bin/s3napback -t
        program /opt/s3napback/bin/s3napback --quiet
        program /opt/s3napback/bin/s3napback --today "$(date --date tomorrow +%Y-%m-%d)"
        program /opt/s3napback/bin/s3napback verify --keyless' sh "$image" "$folder"
    # and with plain tools, where the secret key is
    full=$(find "$folder/store" -maxdepth 1 -name 'data-*-FULL')
    GNUPGHOME=$folder/gpg gpg --batch --quiet --pinentry-mode loopback --passphrase '' --decrypt "$full" | tar -xzO data/file |
        cmp - "$folder/data/file"
    printf '== the image and its mounts are good\n'
}

main "$@"
