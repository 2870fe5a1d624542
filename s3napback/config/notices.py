"""Whom a run tells how it went: the settings that say so, and what is wrong with them."""

from __future__ import annotations

from urllib.parse import urlsplit

from s3napback.config.directives import Directives
from s3napback.config.problems import Problems
from s3napback.config.scopes import Scope
from s3napback.config.settings import Notices


def notices(general: Scope, problems: Problems) -> Notices:
    """Whom the runs of a configuration tell how they went."""
    url = general.text(Directives.PING_URL)
    if url and not _is_web_address(url):
        # Whoever knows the address can send pings in our name.
        problems.error(general.at(Directives.PING_URL), "PingUrl is no address that begins with https:// or http://")
    ping_log = general.switch(Directives.PING_LOG)
    if ping_log and not url:
        problems.warning(general.at(Directives.PING_LOG), "PingLog has no effect without a PingUrl")
    metrics = general.path(Directives.METRICS_FILE)
    if metrics is not None and metrics.suffix != ".prom":
        what = f"MetricsFile {metrics} does not end in .prom: node_exporter reads no other files"
        problems.warning(general.at(Directives.METRICS_FILE), what)
    return Notices(
        ping_url=url.rstrip("/"),
        ping_log=ping_log,
        metrics_file=metrics,
        on_success=general.words(Directives.ON_SUCCESS),
        on_failure=general.words(Directives.ON_FAILURE),
    )


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    is_plain = url.isprintable() and url.isascii() and " " not in url
    return (
        is_plain
        and parts.scheme in ("http", "https")
        and bool(parts.hostname)
        and not parts.query
        and not parts.fragment
    )
