"""A bucket as it was at a moment, of which it keeps versions. It can be read alone."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from functools import cached_property, partial
from typing import Any

from s3napback.archives import SUM_SUFFIX, join_prefix, split_key
from s3napback.config.settings import Credentials, StoreSettings
from s3napback.errors import StoreError, StoreUnreachable, UnusableStore
from s3napback.stores import StoredObject
from s3napback.stores.choosing import identity_of
from s3napback.stores.lifecycle import named
from s3napback.stores.read_only import ReadOnlyStore
from s3napback.stores.s3 import S3Store
from s3napback.stores.s3_errors import FAILURES, is_absence, translate
from s3napback.stores.s3_versions import Keeping, kept_since, listed_versions, look_at_keeping
from s3napback.stores.versions import (
    StoredVersion,
    VersionAsOf,
    Voucher,
    Vouchers,
    newest,
    newest_first,
    vouched,
    voucher_in,
)

logger = logging.getLogger("s3napback")

_ID = "s3napback-id"
_LONGEST_SUM = 65_536
_INDEX_SUFFIX = ".index"
"""Of what counts only if the archive beside it knows it, whenever it came."""
_NOT_VOUCHED = (
    "it may be newer: it came in parts, which some stores date by when that began, and no checksum of that time "
    "vouches for it; restore --keys restores it nevertheless, be it whose it may"
)


class S3StoreWithVersions(S3Store):
    """A bucket, of which all versions can be asked for."""

    def versions(self, prefix: str) -> Iterator[StoredVersion]:
        """See ``VersionedStore``."""
        return listed_versions(
            self._ask, self._bucket, prefix, is_amazons=identity_of(self._settings).startswith("s3:")
        )

    def look_at(self, version: StoredVersion) -> StoredObject | None:
        """See ``VersionedStore``."""
        doing = f"looking at {self.location}/{version.key}, version {version.id}"
        named = {**super()._named(version.key), "VersionId": version.id}
        try:
            answer = self._ask(partial(self._head_in_words, named), doing)
        except FAILURES as error:
            if is_absence(error):
                return None
            raise translate(error, doing) from error
        return self._described(version.key, answer, doing)


class S3StoreAsOf(ReadOnlyStore, S3StoreWithVersions):
    """A bucket as it was at a moment by its own clock.

    Listings are of versions; HEAD and GET name the version that was listed. Nothing can be written.
    """

    def __init__(
        self,
        settings: StoreSettings,
        credentials: Credentials,
        moment: datetime,
        *,
        patient: bool = True,
        after: S3Store | None = None,
    ) -> None:
        """See ``S3Store``.

        Args:
            moment: timezone-aware.
        """
        super().__init__(settings, credentials, patient=patient, after=after)
        self._moment = moment.astimezone(timezone.utc)
        self._histories: dict[str, Sequence[StoredVersion]] = {}
        self._covered: set[str] = set()
        self._is_known = self._has_told_of_parts = False
        self._choices: dict[str, VersionAsOf] = {}
        self._vouchers: dict[str, Voucher | None] = {}
        self._told: dict[str, Vouchers] = {}
        self._listing = threading.Lock()

    @property
    def is_distant(self) -> bool:
        """False: what is told of the past must not be remembered as the present."""
        return False

    @cached_property
    def _at(self) -> str:
        return f"{self.location} as of {_written(self._moment)}"

    def check(self, *, for_writing: bool = True) -> None:
        """Look whether the bucket can be read, and, once, whether it has kept all that there was at the moment.

        It tells of both clocks.

        Raises:
            UnusableStore: it cannot be shown as of then.
        """
        super().check(for_writing=for_writing)
        if self._is_known:
            return
        here = datetime.now(timezone.utc)
        try:
            keeping = look_at_keeping(self._ask, self._bucket, join_prefix(self._settings.prefix, ""))
        except StoreUnreachable:
            raise
        except StoreError as error:
            raise UnusableStore(f"{self._at} cannot be shown: {error}") from error
        clock = keeping.clock or here
        if problem := self._problem(keeping, clock):
            raise UnusableStore(f"{self._at} cannot be shown: {problem}")
        logger.info(
            "%s, by its own clock, at which it is %s now; here it is %s", self._at, _written(clock), _written(here)
        )
        if keeping.versioning == "Suspended":
            logger.warning(
                "%s has stopped to keep versions (its versioning is suspended): what is replaced now is gone at once. "
                "Find out who has done that; %s", self.location, _enabling(self._bucket)
            )  # fmt: skip
        self._is_known = True

    def _problem(self, keeping: Keeping, clock: datetime) -> str:
        """Why it cannot be shown, as a clause; empty if it can."""
        if self._moment > clock:
            return f"that lies in the future; by the store's clock it is {_written(clock)} now"
        if keeping.is_keeping is False or (keeping.is_keeping is None and not self._has_versions()):
            return (
                "it keeps no versions, so that what was replaced or deleted is gone. From now on it keeps them after: "
                f"{_enabling(self._bucket)}"
            )
        since = kept_since(keeping)
        if since is not None and self._moment < since:
            return (
                f"a lifecycle rule ({named(keeping.rule)}) removes versions {keeping.days} days after "
                f"they were replaced, so that not all of that time is there. The earliest moment is {_written(since)}. "
                "If that rule is not yours, disable it first, and take it out"
            )
        return ""

    def _has_versions(self) -> bool:
        """Whether any version is one that only a bucket with versions has."""
        return any(version.id != "null" for version in self.versions(join_prefix(self._settings.prefix, "")))

    def head(self, key: str) -> StoredObject | None:
        """Describe what lay there; None if nothing did, or it was removed for good meanwhile."""
        choice = self._choice(key)
        found = super().head(key) if choice.version else None
        if found is None or choice.version is None:
            return None
        found = replace(found, version_id=choice.version.id)
        if _is_archive(key) and not choice.is_vouched:
            return replace(found, metadata={}, flaw=_NOT_VOUCHED)
        self._tell_what_is_gone(key, choice.version, found)
        return found

    def read(self, key: str, *, start: int = 0, end: int | None = None, version: str = "") -> Iterator[bytes]:
        """Yield the bytes ``[start, end)`` of what lay there."""
        if self._choice(key).version is None:
            raise StoreError(f"reading {self.location}/{key} failed: it was not there at {_written(self._moment)}")
        yield from super().read(key, start=start, end=end, version=version)

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Yield what lay there, in the order of keys, by the store's dates: ``head`` looks closer at archives."""
        self._load(prefix)
        for key in sorted(key for key in self._histories if key.startswith(prefix)):
            found = newest(self._history(key)).version
            if found is not None:
                yield StoredObject(
                    key, found.size, found.modified, version=found.etag, storage_class=found.storage_class,
                    version_id=found.id,
                )  # fmt: skip

    def _why_unchangeable(self, key: str) -> str:
        return f"{self.location}/{key} cannot be changed: the past can be read alone"

    def _named(self, key: str) -> dict[str, Any]:
        choice = self._choices.get(key)
        return {**super()._named(key), **({"VersionId": choice.version.id} if choice and choice.version else {})}

    def _load(self, prefix: str) -> None:
        """List the versions below a prefix, once."""
        with self._listing:
            if any(prefix.startswith(covered) for covered in self._covered):
                return
            found: dict[str, list[StoredVersion]] = {}
            later = nameless = 0
            first_kept: datetime | None = None
            for version in self.versions(prefix):
                if version.id != "null":
                    first_kept = min(first_kept or version.modified, version.modified)
                if version.modified > self._moment:
                    later += 1
                    continue
                nameless += version.id == "null"
                found.setdefault(version.key, []).append(version)
            self._histories.update({key: newest_first(versions) for key, versions in found.items()})
            self._covered.add(prefix)
        logger.debug("%s: %d versions below %r are later, and are passed over", self._at, later, prefix)
        if nameless:
            is_before = first_kept is None or self._moment < first_kept
            logger.log(
                logging.WARNING if is_before else logging.INFO,
                "%s: %d objects are from before it kept versions; what was replaced or deleted before that is gone",
                *(self._at, nameless),
            )

    def _history(self, key: str) -> Sequence[StoredVersion]:
        """The versions of a key until the moment; checksum objects that came in parts are none of ours."""
        if key not in self._histories:
            self._load(key)
        found = self._histories.get(key, [])
        if key.endswith(SUM_SUFFIX):
            return [version for version in found if not version.came_in_parts]
        return found

    def _choice(self, key: str) -> VersionAsOf:
        known = self._choices.get(key)
        if known is not None:
            return known
        choice = newest(self._history(key))
        if not choice.is_vouched:
            if _is_archive(key):
                choice = vouched(self._history(key), lambda identity: self._voucher(key, identity), self._identity)
            self._tell_of_parts(key, choice)
        return self._choices.setdefault(key, choice)

    def _tell_of_parts(self, key: str, choice: VersionAsOf) -> None:
        if choice.passed_over:
            logger.warning(
                "%s: %d later versions of %s are passed over, for which no checksum of that time vouches; they came in "
                "parts, and some stores date these by when that began", *(self._at, choice.passed_over, key)
            )  # fmt: skip
        elif not (choice.is_vouched or _is_archive(key) or key.endswith(_INDEX_SUFFIX) or self._has_told_of_parts):
            self._has_told_of_parts = True
            logger.warning(
                "%s: %s came in parts, which some stores date by when that began: it, and others like it, may be newer",
                *(self._at, key),
            )

    def _voucher(self, key: str, identity: str) -> Voucher | None:
        """What a checksum object of the time says of the archive with an id."""
        told = self._told.get(key)
        if told is None:
            told = self._told.setdefault(key, Vouchers(self._history(key + SUM_SUFFIX), self._sum))
        return told.of(identity)

    def _sum(self, version: StoredVersion) -> Voucher | None:
        name = f"{version.key}\0{version.id}"
        if name not in self._vouchers:
            self._vouchers[name] = self._voucher_of(version)
        return self._vouchers[name]

    def _voucher_of(self, version: StoredVersion) -> Voucher | None:
        if version.size > _LONGEST_SUM:
            return None
        try:
            return voucher_in(self._version_head(version))
        except StoreError as error:
            self._require_answers(error)
            # Whoever spoils one checksum must not hide an archive that an older one vouches for.
            logger.warning("%s; of the checksums under that key the older ones are asked", error)
            return None

    def _version_head(self, version: StoredVersion) -> bytes:
        doing = f"reading {self.location}/{version.key}, version {version.id}"
        try:
            answer = self._ask(
                lambda client: client.get_object(Bucket=self._bucket, Key=version.key, VersionId=version.id), doing
            )
            with answer["Body"] as body:
                return bytes(body.read(_LONGEST_SUM))
        except FAILURES as error:
            if is_absence(error):
                return b""
            raise translate(error, doing) from error

    def _identity(self, version: StoredVersion) -> str:
        try:
            found = self.look_at(version)
            return found.metadata.get(_ID, "") if found else ""
        except StoreError as error:
            self._require_answers(error)
            if isinstance(error, StoreUnreachable):
                logger.warning("%s; of the versions under that key the older ones are asked", error)
            # One that somebody has encrypted with a key of his own, or that is another account's.
            return ""

    def _require_answers(self, error: StoreError) -> None:
        """See that it is one version that the store does not give.

        Raises:
            StoreUnreachable, UnusableStore: the store has stopped to answer.
        """
        if isinstance(error, StoreUnreachable):
            self.check(for_writing=False)

    def _tell_what_is_gone(self, key: str, version: StoredVersion, found: StoredObject) -> None:
        """Where later checksums of the time tell of a later archive, it has been removed for good."""
        if not _is_archive(key):
            return
        sums = self._history(key + SUM_SUFFIX)
        later = [each for each in sums if not each.is_marker and each.modified >= version.modified]
        if len(later) > 1 and (voucher := self._sum(later[0])) and voucher.id != found.metadata.get(_ID, ""):
            logger.warning(
                "%s: %s is not the archive that lay there then (%s, of which a checksum tells): that one was removed "
                "for good, and this is one before it", *(self._at, key, voucher.id)
            )  # fmt: skip


def _is_archive(key: str) -> bool:
    return split_key(key) is not None


def _written(moment: datetime) -> str:
    return f"{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


def _enabling(bucket: str) -> str:
    return f"aws s3api put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Enabled"
