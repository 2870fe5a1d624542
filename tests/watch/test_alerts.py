"""The alerting rules among the examples, tried by Prometheus' own promtool on metrics as our code writes them.

The thirty hosts and sixty nights are those of ``test_simulated_hosts``: what is to be told on each morning follows from
what was done to them. Of archives that somebody has harmed, and of words that cannot be read, metrics that a machine
writes about its own runs know nothing: ``status`` and the page do.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from s3napback.watch.metrics import Drilled, Restorable, drill_metrics_text, metrics_text
from s3napback.watch.proofs import Known, ReadBack, Seen
from s3napback.watch.word import Word
from tests.watch.test_simulated_hosts import FAULTS, FIRST, NIGHTS, Host, made, moment, pass_day
from tests.watch.words import NOW, source_word, word

RULES = Path(__file__).parents[2] / "examples" / "s3napback-alerts.yml"
SAMPLE = re.compile(r"([a-z0-9_]+\{.*\}) (\S+)")
BEGIN = moment(FIRST, 12).timestamp()

Alerts = Counter[tuple[str, str, str]]
"""Name of an alert, host and source."""


def samples(text: str) -> dict[str, float]:
    """Every series with its value; of points in time how long after the begin they are, as promtool begins in 1970."""
    found = {}
    for series, value in (match.groups() for match in map(SAMPLE.fullmatch, text.splitlines()) if match):
        found[series] = float(value) - (BEGIN if "_timestamp_seconds{" in series else 0)
    return found


def alerts(folder: Path, days: Sequence[Mapping[str, float]], *, rules: Path = RULES) -> list[Alerts]:
    """What is told on each day, one after the other: promtool fails for each expectation, and says what it got."""
    names = re.findall(r"alert: (\w+)", rules.read_text())
    series = {name: [day.get(name) for day in days] for name in dict.fromkeys(name for day in days for name in day)}
    document = {
        "rule_files": [str(rules)],
        "evaluation_interval": "1d",
        "tests": [
            {
                "interval": "1d",
                "input_series": [
                    {"series": name, "values": " ".join("_" if each is None else f"{each:.0f}" for each in values)}
                    for name, values in series.items()
                ],
                "alert_rule_test": [
                    {"eval_time": f"{day}d", "alertname": name, "exp_alerts": [{"exp_labels": {"none": "none"}}]}
                    for day in range(len(days))
                    for name in names
                ],
            }
        ],
    }
    path = folder / "test.json"
    path.write_text(json.dumps(document))
    done = subprocess.run(["promtool", "test", "rules", str(path)], capture_output=True, text=True, check=False)
    return parsed(done.stdout + done.stderr, len(days), len(names))


def parsed(output: str, days: int, names: int) -> list[Alerts]:
    found: list[Alerts] = [Counter() for _ in range(days)]
    parts = re.findall(r"alertname: (\w+), time: (\S+),\s*\n(.*?)(?=alertname: |\Z)", output, re.DOTALL)
    # Each expectation was one that cannot come true, so that there is one part for each.
    assert len(parts) == days * names, output[-2_000:]
    for name, when, rest in parts:
        got = rest.partition("got:")[2]
        for labels in re.findall(r"Labels:\{(.*?)\}\n?", got):
            host, source = (re.search(rf'{label}="((?:[^"\\]|\\.)*)"', labels) for label in ("host", "source"))
            assert host is not None
            found[day_of(when)][name, host[1], source[1] if source else ""] += 1
    return found


def day_of(duration: str) -> int:
    """``1w3d`` is 10."""
    units = {"w": 7, "d": 1, "h": 0, "m": 0, "s": 0}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([a-z])", duration))


def test_every_rule_is_one_that_prometheus_understands() -> None:
    subprocess.run(["promtool", "check", "rules", str(RULES)], check=True, capture_output=True)


def test_what_we_write_is_what_prometheus_reads() -> None:
    seen = Known(Seen("k", NOW, ReadBack.PROVEN), Seen("k", NOW, ReadBack.VERIFIED))
    text = metrics_text(word(source_word()), {"etc": Restorable(7, 0, seen)})
    drilled = drill_metrics_text("atlas", "nightly", [Drilled("Directory /etc", NOW, has_failed=False)])
    for each in (text, drilled):
        done = subprocess.run(["promtool", "check", "metrics"], input=each, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
    assert "s3napback_restorable_backups{" in text


def test_each_rule_tells_of_what_it_is_for_and_of_nothing_else(tmp_path: Path) -> None:
    good = word(source_word())
    there = {"etc": Restorable(7)}
    damaged = Known(damaged=(Seen("etc-5-DIFF", NOW, ReadBack.DAMAGED),))
    cases: list[tuple[Word, Restorable, set[str]]] = [
        (good, there["etc"], set()),
        (good, Restorable(0), {"S3napbackNothingRestorable"}),
        (good, Restorable(7, 2), {"S3napbackBroken"}),
        (good, Restorable(7, 0, damaged), {"S3napbackDamaged"}),
        (word(source_word(warnings=1)), there["etc"], {"S3napbackWarned"}),
        (word(source_word(), other_instance=True), there["etc"], {"S3napbackAnotherInstance"}),
        # A new source has nothing yet, and that is no loss.
        (word(source_word(key=None, last_good=None, size=None)), Restorable(0), set()),
    ]
    days = [samples(metrics_text(word_, {"etc": found})) for word_, found, _ in cases]
    for day in days:
        # Only what a rule is for is looked at: all deadlines lie ahead.
        day.update({series: 1e9 for series in day if "_by_timestamp_seconds{" in series})
    for day, failed in ((days[0], False), (dict(days[0]), True)):
        drilled = drill_metrics_text("atlas", "nightly", [Drilled("Directory /etc", NOW, has_failed=failed)])
        day.update(samples(drilled))
        days.append(day) if failed else None
    wanted = [names for _, _, names in cases] + [{"S3napbackNotProven"}]
    found = alerts(tmp_path, days)
    assert [{name for name, _, _ in day} for day in found] == wanted


def expected(hosts: Sequence[Host], morning: int, off: set[int]) -> Alerts:
    """What is to be told on a morning, by what was done to the hosts."""
    found: Alerts = Counter()
    for host in hosts:
        name = host.place.host
        if host.number not in off:
            found.update(of_the_run(host, name))
        for source in host.sources:
            title = str(source.job.source)
            due = source.first_due if source.good is None else (source.good // source.frequency + 1) * source.frequency
            if morning > due + host.grace + max(1, source.frequency):
                found["S3napbackCritical", name, title] += 1
            elif morning > due + host.grace:
                found["S3napbackLate", name, title] += 1
            if host.number not in off:
                found["S3napbackFailed", name, title] += source.failed and not host.missed
                found["S3napbackWarned", name, title] += source.warned and not host.missed
    return Counter({each: count for each, count in found.items() if count})


def spoken(host: Host) -> Word:
    said = host.heard().word
    assert said is not None
    return said


def of_the_run(host: Host, name: str) -> Alerts:
    said = spoken(host)
    told = {
        "S3napbackNothingBegun": host.missed == 1,
        "S3napbackNothingBegunTwice": host.missed > 1,
        "S3napbackAnotherInstance": said.other_instance,
        "S3napbackDropped": bool(said.dropped),
    }
    return Counter({(alert, name, ""): 1 for alert, is_told in told.items() if is_told})


def test_of_sixty_nights_of_thirty_hosts_each_fault_is_told_and_nothing_else(tmp_path: Path) -> None:
    hosts = [made(number) for number in range(30)]
    days: list[dict[str, float]] = []
    wanted: list[Alerts] = []
    for night in range(NIGHTS):
        before = {host.number: host.word for host in hosts}
        pass_day(hosts, night, is_harmed=False)
        off = {number for number, _, first, last, what in FAULTS if what == "off" and first <= night <= last}
        day: dict[str, float] = {}
        for host in hosts:
            # A machine that is off is asked for nothing.
            if host.number not in off:
                assert host.word is not before[host.number]
                day.update(samples(metrics_text(spoken(host))))
        days.append(day)
        wanted.append(expected(hosts, FIRST + night, off))
    found = alerts(tmp_path, days)
    for night, (told, due) in enumerate(zip(found, wanted, strict=True)):
        assert told == due, f"night {night}: false {told - due}, missed {due - told}"
    kinds: dict[str, int] = defaultdict(int)
    for told in found:
        for (name, _, _), count in told.items():
            kinds[name] += count
    assert len(kinds) >= 8, kinds
    assert sum(kinds.values()) < NIGHTS * 180 / 10
