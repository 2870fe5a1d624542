"""Archives made by hand, and questions about what a restore left behind."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest

from s3napback.archives import ArchiveRecord, Owner, archive_key
from s3napback.commands.restore import RestoreRequest, restore
from s3napback.config.loading import load_configuration
from s3napback.errors import S3napbackError
from s3napback.kinds import SourceName
from s3napback.rotation import ArchiveType, day_number
from tests.site import FIRST_DAY, Site
from tests.stores.sources import BytesSource


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """An archive of members written as they are, whatever their names."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member, data in members:
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return output.getvalue()


def file_member(name: str, **others: object) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    for attribute, value in others.items():
        setattr(member, attribute, value)
    return member


def folder_member(name: str, entries: Sequence[str]) -> tarfile.TarInfo:
    """A folder as an archive for DIFFs has it: each entry with a letter in front."""
    dumpdir = "".join(f"{entry}\0" for entry in entries) + "\0"
    return file_member(name, type=tarfile.DIRTYPE, mode=0o755, pax_headers={"GNU.dumpdir": dumpdir})


def put_archive(
    site: Site,
    slot: int,
    content: bytes,
    *,
    source: str = "Directory /etc",
    name: str = "etc",
    parent: str = "",
    host: str = "test-host",
    extra: Mapping[str, str] | None = None,
    cycle: str = "",
) -> str:
    """Store one archive, gzipped; its id is ``HOST-SLOT``. Returns its key."""
    kind = source.partition(" ")[0]
    archive_type = ArchiveType.DIFF if parent else ArchiveType.FULL
    key = archive_key("", kind, name, slot, archive_type)
    record = ArchiveRecord(
        id=f"{host}-{slot}",
        slot=slot,
        type=archive_type,
        owner=Owner(host, SourceName.parse(source)),
        cycle=cycle,
        started=datetime(2026, 1, 1, 3, tzinfo=timezone.utc) + timedelta(days=slot),
        day=day_number(FIRST_DAY) + slot,
        parent=parent,
        extra=extra or {},
    )
    site.store().put(key, BytesSource(gzip.compress(content, 1)), record.to_metadata())
    return key


def overwrite(site: Site, key: str, data: bytes) -> None:
    """Change an archive's bytes in the store, and leave all that is said of them as it was."""
    if site.server is None:
        path = site.vault / key
        before = path.stat()
        path.write_bytes(data)
        # The directory store knows which metadata belong to data by length and time.
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        if before.st_size != len(data):
            for about in (site.vault / ".s3napback" / "objects" / key).glob("*.json"):
                text = about.read_text().replace(f'"size": {before.st_size}', f'"size": {len(data)}')
                about.write_text(text)
    else:
        metadata = dict(site.metadata(key))
        site.server.client().put_object(Bucket=site.bucket, Key=key, Body=data, Metadata=metadata)


def leftovers(*folders: Path) -> list[Path]:
    """Staging folders and unpublished files that are still there."""
    return [path for folder in folders for path in folder.glob("**/.s3napback-restore-*")]


def nights(site: Site, count: int, *, first: int = 0) -> None:
    """Back up some nights, with a new and a changed file in each."""
    for night in range(first, first + count):
        (site.source / f"night-{night}").write_text(f"{night}\n")
        with (site.source / "changing").open("a") as file:
            file.write(f"night {night}\n")
        site.run(day=night)


def restore_here(site: Site, source: str, where: Path, **others: object) -> None:
    """Restore in this process; raises what the command line would report."""
    request = RestoreRequest(source, where, **others)  # type: ignore[arg-type]
    configuration = load_configuration(site.configuration)
    assert restore(configuration, request, date(2027, 1, 1), print, lambda _question: None) == 0


def why_not(site: Site, source: str, where: Path, **others: object) -> str:
    """The message of a restore that must fail and leave nothing."""
    with pytest.raises(S3napbackError) as caught:
        restore_here(site, source, where, **others)
    assert caught.value.exit_code == 1
    assert not where.exists()
    assert not leftovers(where.parent)
    return str(caught.value)
