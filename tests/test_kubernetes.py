"""The example for Kubernetes holds together, and what a kubelet mounts by it is taken, for the reasons that it gives.

How a kubelet lays files out is told by its sources: ``pkg/volume/util/atomic_writer.go`` (links over ``..data`` into a
folder with a time in its name), ``volume_linux.go`` (fsGroup), ``emptydir/empty_dir.go`` (0777; a tmpfs, as secrets and
projected volumes have, is 1777).
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from s3napback import __version__
from s3napback.cli import command_line
from s3napback.config.loading import load_configuration
from s3napback.errors import ChangeableByOthers, ConfigurationError
from s3napback.ownership import read_own_file, require_own
from tests.manual import CHECKOUT
from tests.verdicts import verdict, verdict_as

EXAMPLES = CHECKOUT / "examples"
USER = 65532
IS_ROOT = os.geteuid() == 0


def documents() -> Mapping[str, Any]:
    """What the file asks for, by its kind."""
    return {each["kind"]: each for each in yaml.safe_load_all((EXAMPLES / "kubernetes.yaml").read_text("utf-8"))}


def pod() -> Any:
    return documents()["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def configuration() -> str:
    return str(documents()["ConfigMap"]["data"]["s3napback.conf"])


def setting(name: str) -> str:
    found = re.search(rf"^ *{name} (.+)$", configuration(), re.MULTILINE)
    assert found, name
    return found[1]


def container_file() -> str:
    return (EXAMPLES / "Containerfile").read_text("utf-8")


def mounts(container: Mapping[str, Any]) -> Mapping[str, Any]:
    return {mount["mountPath"]: mount for mount in container["volumeMounts"]}


# --- the files ---


def test_every_document_is_one_of_kubernetes_with_a_name() -> None:
    versions = {kind: each["apiVersion"] for kind, each in documents().items()}
    assert versions == {"ConfigMap": "v1", "Secret": "v1", "PersistentVolumeClaim": "v1", "CronJob": "batch/v1"}
    for each in documents().values():
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])?", each["metadata"]["name"])


def test_a_night_is_not_begun_twice_nor_repeated_and_has_the_time_to_end() -> None:
    spec = documents()["CronJob"]["spec"]
    assert re.fullmatch(r"\d+ \d+ \* \* \*", spec["schedule"])
    assert (spec["concurrencyPolicy"], spec["jobTemplate"]["spec"]["backoffLimit"]) == ("Forbid", 0)
    assert (pod()["restartPolicy"], pod()["terminationGracePeriodSeconds"]) == ("Never", 60)


def test_nothing_runs_as_root_or_can_write_to_the_image() -> None:
    assert pod()["securityContext"]["runAsNonRoot"] is True
    numbers = {pod()["securityContext"][name] for name in ("runAsUser", "runAsGroup", "fsGroup")}
    assert numbers == {USER}
    assert f"USER {USER}:{USER}\n" in container_file()
    assert f"groupadd --gid {USER} s3napback && useradd --uid {USER} --gid s3napback " in container_file()
    for container in (*pod()["initContainers"], *pod()["containers"]):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["image"] == f"s3napback:{__version__}"
        assert container["resources"]["limits"]["memory"]


def test_every_volume_is_there_and_used_and_every_reference_leads_somewhere() -> None:
    volumes = {volume["name"]: volume for volume in pod()["volumes"]}
    used = {
        mount["name"] for each in (*pod()["initContainers"], *pod()["containers"]) for mount in each["volumeMounts"]
    }
    assert used == volumes.keys()
    for source in volumes["configuration"]["projected"]["sources"]:
        (kind, reference), *others = source.items()
        assert others == []
        assert documents()[f"{kind[0].upper()}{kind[1:]}"]["metadata"]["name"] == reference["name"]
    claim = volumes["state"]["persistentVolumeClaim"]["claimName"]
    assert documents()["PersistentVolumeClaim"]["metadata"]["name"] == claim


def test_the_configuration_names_what_is_mounted() -> None:
    (container,) = pod()["containers"]
    there = mounts(container)
    folder = there["/etc/s3napback"]
    assert (folder["name"], folder["readOnly"]) == ("configuration", True)
    for name in ("S3Keyfile", "GpgKeyring"):
        assert Path(setting(name)).parent == Path("/etc/s3napback")
        assert Path(setting(name)).name in documents()["Secret"]["stringData"]
    assert there[setting("Directory")]["readOnly"] is True
    assert there[setting("TempDir")]["subPath"] == "tmp"
    assert Path(setting("DiffDir")).parent.as_posix() in there
    assert f"HOME={Path(setting('DiffDir')).parent}" in container_file()
    assert setting("HostName")


def test_the_folders_of_a_run_are_made_before_it() -> None:
    (first,) = pod()["initContainers"]
    assert first["command"][:4] == ["install", "-d", "-m", "700"]
    assert first["command"][4:] == ["/state/diffs", "/scratch/tmp"]
    assert {path: mount["name"] for path, mount in mounts(first).items()} == {"/state": "state", "/scratch": "scratch"}


def test_the_arguments_are_understood() -> None:
    (container,) = pod()["containers"]
    assert "command" not in container
    assert 'ENTRYPOINT ["/opt/s3napback/bin/s3napback"]' in container_file()
    command_line.make_context("s3napback", list(container["args"])).close()


def test_what_the_image_runs_is_a_program_for_any_shell() -> None:
    commands = re.findall(r"^RUN (.+)$", container_file(), re.MULTILINE)
    assert len(commands) >= 4
    for command in commands:
        subprocess.run(["sh", "-n", "-c", command], check=True)
        assert shlex.split(command)


# --- what a kubelet makes of them ---

if IS_ROOT:

    @pytest.fixture
    def root(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        """A folder in place of the root, below which an ordinary user gets; the user is the image's."""
        monkeypatch.setattr(grp, "getgrgid", lambda number: grp.struct_group(("s3napback", "x", number, [])))
        known = pwd.struct_passwd(("s3napback", "x", USER, USER, "", "/var/lib/s3napback", "/usr/sbin/nologin"))
        monkeypatch.setattr(pwd, "getpwnam", lambda _name: known)
        monkeypatch.setattr(pwd, "getpwall", lambda: [known])
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)
            yield Path(folder)

    @pytest.fixture
    def in_memory(root: Path) -> Iterator[Path]:
        """As secrets and projected volumes are mounted."""
        place = root / "etc"
        place.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777,size=1m", "tmpfs", place], check=True)
        yield place
        subprocess.run(["umount", "--lazy", place], check=True)

    def project(place: Path, files: Mapping[str, str]) -> None:
        """Lay files out as a kubelet does, and hand them to the pod's group."""
        made = place / "..2026_11_26_04_20_00.1234567890"
        made.mkdir(mode=0o755)
        made.chmod(0o755)
        (place / "..data").symlink_to(made.name)
        for name, text in files.items():
            (made / name).write_text(text)
            (made / name).chmod(0o440)
            (place / name).symlink_to(f"..data/{name}")
        for path in (place, *place.rglob("*")):
            os.chown(path, 0, USER, follow_symlinks=False)
        made.chmod(0o2755)
        place.chmod(place.stat().st_mode & 0o7777 | 0o2000)

    def made_read_only(place: Path) -> None:
        subprocess.run(["mount", "--bind", place, place], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", place], check=True)

    def files(root: Path) -> Mapping[str, str]:
        """Those of the example, with paths below a folder, and without encryption: the key is only a word in it."""
        text = re.sub(r"(?<= )/(etc/s3napback|var/lib/s3napback|tmp|data)\b", rf"{root}/\1", configuration())
        text = text.replace("/etc/s3napback/", "/etc/").replace("GpgRecipient", "#GpgRecipient")
        return {"s3napback.conf": f"Encryption Off\n{text}", **documents()["Secret"]["stringData"]}

    def make_volumes(root: Path) -> None:
        """As fsGroup leaves a claim, and as the first container makes what it is told to."""
        (root / "var/lib/s3napback/diffs").mkdir(parents=True)
        (root / "tmp").mkdir()
        (root / "data").mkdir()
        claim = root / "var/lib/s3napback"
        os.chown(claim, 0, USER)
        claim.chmod(0o2775)
        for own in (claim / "diffs", root / "tmp"):
            os.chown(own, USER, USER)
            own.chmod(0o700)

    def loading(path: Path) -> Callable[[], None]:
        def load() -> None:
            try:
                assert load_configuration(path).jobs
            except ConfigurationError as error:
                raise ChangeableByOthers(path, str(error)) from None

        # another user may not be allowed to read the modules that it needs
        verdict(load)
        return load

    def test_what_a_kubelet_projects_is_taken_by_the_pod_s_user(root: Path, in_memory: Path) -> None:
        make_volumes(root)
        project(in_memory, files(root))
        made_read_only(in_memory)
        try:
            assert verdict_as(USER, loading(in_memory / "s3napback.conf")) == ""
            for name in ("key.txt", "backups.pub"):
                assert verdict_as(USER, lambda name=name: bool(read_own_file(in_memory / name)) and None) == ""  # type: ignore[misc]
            for folder in ("var/lib/s3napback/diffs", "tmp"):
                assert verdict_as(USER, lambda folder=folder: require_own(root / folder)) == ""  # type: ignore[misc]
        finally:
            subprocess.run(["umount", in_memory], check=True)

    def test_a_config_map_by_itself_is_refused_with_the_word_that_helps(root: Path) -> None:
        """It lies on the node's disk, in a folder for everybody; only its mount is read-only."""
        place = root / "etc"
        place.mkdir()
        place.chmod(0o777)
        make_volumes(root)
        project(place, files(root))
        made_read_only(place)
        try:
            refused = verdict_as(USER, loading(place / "s3napback.conf"))
        finally:
            subprocess.run(["umount", place], check=True)
        assert f"{place} can be written by others (mode 2777)" in refused
        assert refused.endswith(
            " where it is mounted from; in Kubernetes take a projected volume in place of a ConfigMap"
        )

    def test_where_a_folder_can_be_written_to_nothing_is_said_of_mounts(root: Path) -> None:
        (root / "etc").mkdir()
        (root / "etc").chmod(0o777)
        (root / "etc/file").touch()
        assert verdict_as(USER, lambda: require_own(root / "etc/file")).endswith(f"chmod go-w {root}/etc")

    def test_an_empty_dir_is_not_taken_unless_its_folders_are_made_first(root: Path) -> None:
        """Its root is everybody's, without a sticky bit: whoever else is in the pod could put another folder there."""
        make_volumes(root)
        (root / "tmp").chmod(0o2777)
        os.chown(root / "tmp", 0, USER)
        assert "can be written by others" in verdict_as(USER, lambda: require_own(root / "tmp", shared=True))
