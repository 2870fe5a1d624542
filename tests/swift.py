"""OpenStack Swift with its S3 API for tests: proxy, memcached, and a server each of accounts, containers, objects."""

from __future__ import annotations

import getpass
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.servers import S3Server, program, running

KINDS = ("account", "container", "object")
USER, PASSWORD = "test:tester", "testing"

RINGS = """
import sys
from array import array
from swift.common.ring import RingData
folder, *servers = sys.argv[1:]
for kind, port in (server.split(":") for server in servers):
    device = {"id": 0, "region": 1, "zone": 1, "ip": "127.0.0.1", "port": int(port), "device": "one", "weight": 1.0,
              "replication_ip": "127.0.0.1", "replication_port": int(port), "meta": ""}
    RingData([array("H", [0, 0])], [device], 31).save(f"{folder}/{kind}.ring.gz")
"""
"""Where each server is: one replica, on one device, as ``swift-ring-builder`` would say in nine calls."""

TIMEOUTS = "conn_timeout = 30\nnode_timeout = 60\ncontainer_update_timeout = 60\n"
"""On a busy machine listings would lag behind: what is not told a container in time is left to a daemon, of which there
is none here."""

FILTERS = {
    "catch_errors": "",
    "memcache": "memcache_servers = 127.0.0.1:{cache}",
    "listing_formats": "",
    "bulk": "",
    "s3api": "location = us-east-1\nallow_multipart_uploads = true",
    "tempauth": f"user_{USER.replace(':', '_')} = {PASSWORD} .admin",
    "copy": "",
    "slo": "",
    "dlo": "",
    "versioned_writes": "allow_object_versioning = true",
    "symlink": "",
}
"""What requests pass on their way through the proxy."""


@contextmanager
def swift_server(folder: Path) -> Iterator[S3Server]:
    """Run Swift; its servers need a file system with extended attributes of users below ``folder``."""
    (folder / "devices" / "one").mkdir(parents=True)
    policy = "[storage-policy:0]\nname = one\ndefault = yes\n"
    hashes = "swift_hash_path_prefix = before\nswift_hash_path_suffix = behind\n"
    (folder / "swift.conf").write_text(f"[swift-hash]\n{hashes}{policy}")
    with ExitStack() as stack:
        behind: list[str] = []
        for kind in KINDS:
            endpoint, _process = stack.enter_context(_server(folder, kind, [f"{kind}-server"], ""))
            behind.append(f"{kind}:{_port(endpoint)}")
        subprocess.run([sys.executable, "-W", "ignore", "-c", RINGS, str(folder), *behind], check=True)
        (folder / "cache").mkdir()
        cache, _process = stack.enter_context(running(_memcached, folder / "cache"))
        filters = "".join(f"[filter:{name}]\nuse = egg:swift#{name}\n{more}\n" for name, more in FILTERS.items())
        settings = f"account_autocreate = true\n{filters}".format(cache=_port(cache))
        endpoint, process = stack.enter_context(_server(folder, "proxy", [*FILTERS, "proxy-server"], settings))
        yield S3Server("swift", endpoint, process, access_key=USER, secret_key=PASSWORD)


def _port(endpoint: str) -> int:
    port = urlsplit(endpoint).port
    assert port
    return port


def _memcached(port: int) -> list[str]:
    arguments = ["-u", getpass.getuser(), "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-m", "16", "-t", "1"]
    return [program("memcached"), *arguments]


@contextmanager
def _server(folder: Path, kind: str, pipeline: Sequence[str], settings: str) -> Iterator[tuple[str, int]]:
    own = folder / kind
    own.mkdir()
    configuration = own / "server.conf"

    def command(port: int) -> list[str]:
        configuration.write_text(
            f"[DEFAULT]\nswift_dir = {folder}\nbind_ip = 127.0.0.1\nbind_port = {port}\nworkers = 0\n"
            f"user = {getpass.getuser()}\ndevices = {folder}/devices\nmount_check = false\n"
            f"disable_fallocate = true\nfallocate_reserve = 0\n{TIMEOUTS}"
            f"[pipeline:main]\npipeline = {' '.join(pipeline)}\n[app:{kind}-server]\nuse = egg:swift#{kind}\n{settings}"
        )
        return [program(f"swift-{kind}-server"), str(configuration)]

    with running(command, own) as found:
        yield found
