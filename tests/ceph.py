"""Ceph's RADOS Gateway for tests: a monitor, one OSD that keeps all in memory, and the gateway, in a folder.

Slow to start and large: only with ``pytest --ceph``, where ``ceph-mon``, ``ceph-osd`` and ``radosgw`` are installed.
"""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.servers import ACCESS_KEY, SECRET_KEY, S3Server, free_port, program, running
from tests.waiting import becomes

PATIENCE = 120  # seconds for each of its programs
GIBIBYTE = 1 << 30

CONFIGURATION = """
[global]
fsid = {fsid}
mon host = v1:127.0.0.1:{port}/0
auth cluster required = none
auth service required = none
auth client required = none
public addr = 127.0.0.1
cluster addr = 127.0.0.1
mon allow pool size one = true
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd objectstore = memstore
memstore device bytes = {size}
mon data = {folder}/mon
osd data = {folder}/osd
rgw data = {folder}/rgw
keyring = {folder}/keyring
run dir = {folder}
admin socket =
pid file =
log file = {folder}/$name.log
mon cluster log file = {folder}/cluster.log
"""


@contextmanager
def ceph_server(folder: Path) -> Iterator[S3Server]:
    """Run a cluster of one machine, and a gateway for one user."""
    for name in ("mon", "osd", "rgw"):
        (folder / name).mkdir(parents=True)
    configuration, keyring, monmap = folder / "ceph.conf", folder / "keyring", folder / "monmap"
    fsid, disk = str(uuid.uuid4()), str(uuid.uuid4())
    port = free_port()
    configuration.write_text(CONFIGURATION.format(fsid=fsid, port=port, size=4 * GIBIBYTE, folder=folder))

    def result(name: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        command = [program(name), "-c", str(configuration), *arguments]
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False)

    def run(name: str, *arguments: str) -> None:
        done = result(name, *arguments)
        assert done.returncode == 0, done.stderr.decode(errors="replace")

    def told(*arguments: str) -> bytes:
        # Whoever is told of the cluster only after he has asked is refused, and asks again.
        done = result("ceph", *arguments)
        assert done.returncode == 0 or b"EPERM" in done.stderr, done.stderr.decode(errors="replace")
        return b"" if done.returncode else done.stdout + b"done"

    def daemon(name: str, *arguments: str) -> Callable[[int], list[str]]:
        return lambda _port: [program(name), "-c", str(configuration), "-f", *arguments]

    run("ceph-authtool", "--create-keyring", str(keyring), "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
    capabilities = ("--cap", "mon", "allow *", "--cap", "osd", "allow *", "--cap", "mgr", "allow *")
    run("ceph-authtool", str(keyring), "--gen-key", "-n", "client.admin", *capabilities)
    run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", f"[v1:127.0.0.1:{port}]", str(monmap))
    run("ceph-mon", "-i", "a", "--mkfs", "--monmap", str(monmap), "--keyring", str(keyring))
    with ExitStack() as stack:
        stack.enter_context(running(daemon("ceph-mon", "-i", "a"), folder, port=port))
        assert becomes(lambda: bool(told("osd", "new", disk, "0")), PATIENCE)
        run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", disk)
        stack.enter_context(running(daemon("ceph-osd", "-i", "0"), folder, port=port))
        assert becomes(lambda: b"1 up" in told("osd", "stat"), PATIENCE)

        def gateway(port: int) -> list[str]:
            frontend = ("--rgw-frontends", f"beast endpoint=127.0.0.1:{port}")
            return [program("radosgw"), "-c", str(configuration), "-f", "-n", "client.admin", *frontend]

        endpoint, process = stack.enter_context(running(gateway, folder))
        keys = ("--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY)
        run("radosgw-admin", "user", "create", "--uid", "tests", "--display-name", "tests", *keys)
        yield S3Server("ceph", endpoint, process)
