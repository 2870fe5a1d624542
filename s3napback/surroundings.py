"""What a configuration leaves to the machine: folders, host name, programs, and the store it speaks of."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from s3napback.config.key_file import read_key_file
from s3napback.config.settings import Configuration, Credentials, StoreSettings
from s3napback.environment import Family, child_environment
from s3napback.errors import ChangeableByOthers, UnusableConfiguration, UnusableTool
from s3napback.ownership import require_own
from s3napback.stores import Store
from s3napback.stores.aws_settings import read_aws_settings
from s3napback.stores.choosing import chosen_server
from s3napback.stores.opening import open_store, open_versions
from s3napback.stores.versions import VersionedStore

if TYPE_CHECKING:
    from s3napback.stores.s3_examining import ExaminedBucket

_ANSWER_SECONDS = 60
_TAR_NAMES = ("tar", "gtar")
_SETTINGS_AT_HOME = (".aws/config", ".aws/credentials", ".my.cnf", ".mylogin.cnf", ".pg_service.conf", ".pgpass")
_SETTINGS_NAMED = ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "PGSERVICEFILE", "PGPASSFILE")


def host_name(configuration: Configuration) -> str:
    """HostName, or the machine's own name."""
    return configuration.host_name or socket.gethostname()


def home_folder() -> Path:
    """The user's own folder.

    Raises:
        UnusableConfiguration: nothing tells where it is, as in a container for a user whom it does not know.
    """
    # Path.home() would give a relative one as it is.
    home = os.path.expanduser("~")  # noqa: PTH111
    if not home.startswith("/"):
        raise UnusableConfiguration(
            f"nothing tells where the home folder of user number {os.geteuid()} is: set HOME to its absolute path, or "
            "DiffDir"
        )
    return Path(home)


def diff_dir(configuration: Configuration) -> Path:
    """DiffDir, or the default: below /var/lib for root, in the user's state folder for everybody else.

    Raises:
        UnusableConfiguration: nothing tells where that is.
    """
    if configuration.diff_dir is not None:
        return configuration.diff_dir
    if os.geteuid() == 0:
        return Path("/var/lib/s3napback")
    state_home = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state_home) if state_home.startswith("/") else home_folder() / ".local" / "state"
    return base / "s3napback"


def temp_dir(configuration: Configuration) -> Path:
    """TempDir, or the system's own.

    Raises:
        UnusableConfiguration: there is none that can be written to.
    """
    try:
        return configuration.temp_dir or Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        raise UnusableConfiguration(
            f"{error.strerror}: set TempDir, or TMPDIR, to one that can be written to"
        ) from error


def find_gnu_tar() -> str:
    """The name of GNU tar's program: ``tar``, or ``gtar`` where ``tar`` is another one.

    Raises:
        UnusableTool: there is no GNU tar.
    """
    for name in _TAR_NAMES:
        if shutil.which(name) is None:
            continue
        try:
            answer = subprocess.run(
                [name, "--version"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env=child_environment(os.environ, Family.PLAIN),
                check=False,
                timeout=_ANSWER_SECONDS,
            )
        except subprocess.TimeoutExpired:
            continue
        if b"GNU tar" in answer.stdout:
            return name
    raise UnusableTool(
        "GNU tar was not found: neither tar nor gtar is one. Directories cannot be backed up without it; install it"
    )


def store_settings(configuration: Configuration) -> StoreSettings:
    """What the configuration says of the store, completed by what it leaves open."""
    store = configuration.store
    if store.folder is not None or store.endpoint:
        return store
    found = read_aws_settings(os.environ, has_key_file=store.key_file is not None)
    return replace(store, chosen=chosen_server(found))


def configured_store(configuration: Configuration, *, patient: bool = True, after: Store | None = None) -> Store:
    """The store that the configuration names, not yet looked at.

    Args:
        patient: keep trying for minutes, as at night; otherwise give up soon.
        after: the same, with other patience, already looked at.

    Raises:
        UnusableStore: S3Keyfile cannot be used.
        UnusableConfiguration: others can change what boto3 and other programs read in our home.
    """
    return open_store(store_settings(configuration), _credentials(configuration), patient=patient, after=after)


def configured_versions(configuration: Configuration) -> VersionedStore:
    """The same, to be asked for all its versions.

    Raises:
        UnusableStore: S3Keyfile cannot be used, or the store is of a kind that keeps none.
        UnusableConfiguration: as ``configured_store``.
    """
    return open_versions(store_settings(configuration), _credentials(configuration))


def examined_bucket(configuration: Configuration) -> ExaminedBucket | None:
    """The same, to be asked what protects it; None of a directory store.

    Raises:
        UnusableStore: S3Keyfile cannot be used.
        UnusableConfiguration: as ``configured_store``.
    """
    if configuration.store.folder is not None:
        return None
    from s3napback.stores.s3_examining import ExaminedBucket  # noqa: PLC0415 - boto3 takes a while to import

    return ExaminedBucket(configuration.store, _credentials(configuration) or Credentials(), patient=False)


def _credentials(configuration: Configuration) -> Credentials | None:
    """Of S3Keyfile; None leaves the search to boto3."""
    require_own_settings(os.environ)
    key_file = configuration.store.key_file
    return None if key_file is None else read_key_file(key_file).credentials


def require_own_settings(environment: Mapping[str, str]) -> None:
    """Refuse a HOME that is not ours, as ``sudo`` can leave it behind, and files of settings in it that are not.

    boto3 runs what ``credential_process`` says, the clients of databases load plug-ins.

    Raises:
        UnusableConfiguration: they are not.
    """
    home = environment.get("HOME") or os.path.expanduser("~")  # noqa: PTH111 - Path raises where there is no home
    _require_own_setting(home, advice="; or set HOME to a folder of your own, as sudo -H does")
    named = [path for name in _SETTINGS_NAMED if (path := environment.get(name))]
    for path in (*(f"{home}/{name}" for name in _SETTINGS_AT_HOME), *named):
        _require_own_setting(path)


def _require_own_setting(path: str, advice: str = "") -> None:
    try:
        require_own(Path(path))
    except ChangeableByOthers as error:
        raise UnusableConfiguration(f"{error}{advice}") from error
    except PermissionError:
        return  # nor can what would read it
    except NotADirectoryError:
        # As below /dev/null, where some users have their home. What is no folder must be ours, or could become one.
        _require_own_setting(os.path.dirname(path), advice)  # noqa: PTH120 - no name is to be changed
    except OSError as error:
        raise UnusableConfiguration(f"{path} cannot be looked at: {error.strerror}") from error
