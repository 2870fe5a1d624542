"""SeaweedFS for tests: master, volumes, filer and S3 gateway in one process, on the loopback device."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from tests.servers import ACCESS_KEY, SECRET_KEY, S3Server, free_port, program, running
from tests.waiting import becomes

PATIENCE = 60  # seconds until an object can be written

# Each of them has another port of the same name with ``.grpc`` behind it.
SERVERS = ("master", "volume", "filer", "s3")


@contextmanager
def seaweedfs_server(folder: Path) -> Iterator[S3Server]:
    """Run ``weed server``, and wait until it takes an object."""
    data = folder / "data"
    data.mkdir(parents=True)
    keys = [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]
    identities = [{"name": "tests", "credentials": keys, "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]
    configuration = folder / "s3.json"
    configuration.write_text(json.dumps({"identities": identities}))
    ports: list[int] = []

    def command(port: int) -> list[str]:
        chosen = {name: port if name == "s3" else free_port() for name in SERVERS}
        chosen |= {f"{name}.port.grpc": free_port() for name in SERVERS}
        ports.extend(chosen.values())
        return [
            # Its logs would stay in /tmp otherwise.
            *(program("weed"), f"-logdir={folder}", "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
            *(f"-{name if '.' in name else f'{name}.port'}={number}" for name, number in chosen.items()),
            # It would tell its makers of every start.
            *("-master.telemetry=false", "-master.electionTimeout=1s", "-master.volumeSizeLimitMB=128"),
            # Every bucket has volumes of its own.
            *("-volume.max=2000", "-volume.preStopSeconds=0", "-filer", "-s3", f"-s3.config={configuration}"),
            *("-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.autoCreateBucket=false"),
        ]

    growth = {"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}
    with without_sockets(ports), running(command, folder, growth) as (endpoint, process_id):
        server = S3Server("seaweedfs", endpoint, process_id)
        assert becomes(lambda: _takes_an_object(server), PATIENCE)
        yield server


@contextmanager
def without_sockets(ports: Iterable[int]) -> Iterator[None]:
    """Remove, at the end, the sockets that servers at these ports leave in ``/tmp``, whatever TMPDIR says."""
    try:
        yield
    finally:
        for port in ports:
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                left.unlink(missing_ok=True)


def _takes_an_object(server: S3Server) -> bool:
    """Whether it does so already: the first one makes it lay out volumes."""
    client = server.client()
    with suppress(BotoCoreError, ClientError):
        client.create_bucket(Bucket="beginning")
    with suppress(BotoCoreError, ClientError):
        client.put_object(Bucket="beginning", Key="one", Body=b"1")
        return True
    return False
