"""What BandwidthLimit may say, and what holds when."""

from __future__ import annotations

import pytest

from s3napback.config.bandwidth import UNLIMITED, Bandwidth, InvalidBandwidthError, TimeSpan, parse_bandwidth
from s3napback.config.loading import load_configuration
from s3napback.errors import ConfigurationError
from tests.site import Site


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2M", Bandwidth(otherwise=2_000_000)),
        ("1.5m", Bandwidth(otherwise=1_500_000)),
        ("500kB/s", Bandwidth(otherwise=500_000)),
        ("1G", Bandwidth(otherwise=10**9)),
        ("16000", Bandwidth(otherwise=16_000)),
        ("unlimited", UNLIMITED),
        ("08:00-18:00 2M", Bandwidth((TimeSpan(480, 1080, 2_000_000),))),
        ("08:00-18:00 2M, else 20M", Bandwidth((TimeSpan(480, 1080, 2_000_000),), 20_000_000)),
        ("8:00-24:00 2M,0:00-8:00 Unlimited", Bandwidth((TimeSpan(480, 1440, 2_000_000), TimeSpan(0, 480, None)))),
    ],
)
def test_what_is_meant_is_understood(text: str, expected: Bandwidth) -> None:
    assert parse_bandwidth(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "fast", "2 M", "-1M", "2T", "2M,", ",2M", "else 2M", "15999", "0", "1e6", "2M, else 3M",),
        "08:00-18:00",
        *("08:00-18:00 2M else 3M", "else 2M, 08:00-18:00 3M", "08:00 2M", "8-18 2M", "25:00-26:00 2M",),
        "24:00-08:00 2M",
        *("08:60-18:00 2M", "08:00-08:00 2M", "08:00-18:00 2M, else 3M, else 4M", "0.001M", "99999999999999M"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(InvalidBandwidthError):
        parse_bandwidth(text)


def test_the_first_span_that_fits_counts_also_past_midnight() -> None:
    limit = parse_bandwidth("22:00-06:00 unlimited, 05:00-09:00 1M, else 2M")
    found = {hour: limit.rate_at(hour * 60) for hour in (21, 22, 0, 5, 6, 8, 9)}
    assert found == {21: 2 * 10**6, 22: None, 0: None, 5: None, 6: 10**6, 8: 10**6, 9: 2 * 10**6}
    assert limit.rate_at(6 * 60 - 1) is None


def test_it_is_read_with_and_without_quotes_and_told_where_it_is_wrong(site: Site) -> None:
    for written in ("08:00-18:00 2M, else 20M", '"08:00-18:00 2M, else 20M"'):
        site.configure("", general=f"BandwidthLimit {written}")
        bandwidth = load_configuration(site.configuration).store.bandwidth
        assert bandwidth == parse_bandwidth("08:00-18:00 2M, else 20M")
    site.configure("", general="BandwidthLimit 2 M")
    with pytest.raises(ConfigurationError, match=r"site.conf:\d+: BandwidthLimit: write a rate such as 2M"):
        load_configuration(site.configuration)
