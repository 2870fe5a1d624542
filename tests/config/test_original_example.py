"""The example configuration of the original tool's manual, with nothing but its own paths, bucket and key changed."""

from __future__ import annotations

from pathlib import Path

from s3napback.config.loading import load_configuration
from s3napback.config.settings import Configuration
from s3napback.rotation import HanoiCycle, SimpleCycle

EXAMPLE = Path(__file__).with_name("original_example.conf")


def load_example(folder: Path) -> Configuration:
    (folder / "diffs").mkdir()
    key_file = folder / "key.txt"
    key_file.write_text("key=AKID\nsecret=s3cret\n")
    key_file.chmod(0o600)
    path = folder / "example.conf"
    path.write_text(EXAMPLE.read_text().replace("/usr/local/s3napback", str(folder)))
    return load_configuration(path)


def test_it_loads_without_a_warning(tmp_path: Path) -> None:
    configuration = load_example(tmp_path)
    assert configuration.warnings == ()
    assert configuration.store.bucket == "org.example.backup1"
    assert configuration.store.chunk_size == 25_000_000
    assert configuration.store.key_file == tmp_path / "key.txt"
    assert configuration.diff_dir == tmp_path / "diffs"
    assert configuration.encryption.recipients == ("backup@example.org",)


def test_its_sources_get_the_names_by_which_they_can_be_told_apart(tmp_path: Path) -> None:
    shared = ["etc", "home/build", "home/notebook", "home/trac", "usr", "var"]
    assert [(job.kind, job.name) for job in load_example(tmp_path).jobs] == [
        *(("Directory", f"daily-example/{name}") for name in shared),
        *(("Directory", f"decaying-example/{name}") for name in shared),
        *(("Directory", name) for name in ["bin", "boot", "lib", "lib64", "opt", "root", "sbin"]),
        ("Directory", "home/foobar"),
        ("Directory", ""),
        ("MySQL", "MySQL/all"),
        ("MySQL", "MySQL/mydatabase"),
        ("SubversionDir", "home/svn/repos"),
        ("Subversion", "home/svn/repos/myproject"),
    ]


def test_its_schedules_and_excludes_are_those_of_the_blocks(tmp_path: Path) -> None:
    jobs = {job.name: job for job in load_example(tmp_path).jobs}
    assert jobs["daily-example/etc"].schedule == SimpleCycle(frequency=1, diffs=6, fulls=2)
    assert jobs["daily-example/etc"].cycle == "daily-example"
    assert jobs["decaying-example/etc"].schedule == HanoiCycle(frequency=1, discs=5)
    assert jobs["opt"].schedule == SimpleCycle(frequency=7, diffs=3, fulls=2)
    assert jobs["bin"].settings.exclude == ("/opt/useless",)
    assert jobs[""].schedule == SimpleCycle(frequency=1, diffs=6, fulls=8)
    assert jobs[""].settings.exclude == ("/proc", "/dev", "/sys", "/tmp", "/var/run")
    assert str(jobs[""].source) == "Directory /"
    assert jobs["MySQL/all"].schedule == SimpleCycle(fulls=14)
    assert jobs["home/svn/repos"].schedule == SimpleCycle(fulls=10)
    assert jobs["home/svn/repos/myproject"].schedule == SimpleCycle(diffs=3, fulls=10)
    assert jobs["home/svn/repos/myproject"].position.line == 96
