"""A ping: asking for a web address, by which its owner learns that a run begins, or how it ended."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request

from s3napback import __version__


def failure(url: str, seconds: float, body: bytes | None) -> str:
    """Ask for an address; why that failed, without the address, which is a secret; empty if it did not.

    Args:
        url: of a scheme that was looked at when the configuration was read.
        seconds: for each step of it.
        body: what is sent along, as UTF-8; None only asks.
    """
    try:
        headers = {"User-Agent": f"s3napback/{__version__}"}
        if body is not None:
            headers["Content-Type"] = "text/plain; charset=utf-8"
        request = urllib.request.Request(url, data=body, headers=headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=seconds) as answer:  # noqa: S310
            answer.read(1_000)
    except urllib.error.HTTPError as error:
        with error:
            return f"HTTP {error.code}"
    except urllib.error.URLError as error:
        return type(error.reason).__name__
    except (OSError, ValueError, http.client.HTTPException) as error:
        return type(error).__name__
    return ""
