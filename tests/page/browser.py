"""Debian's Chromium, without a screen, driven through its driver: WebDriver is JSON over HTTP (w3.org/TR/webdriver)."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"),
)
_SECONDS = 60.0


class Browser:
    """One window."""

    def __init__(self, address: str, profile: Path) -> None:
        self._address = address
        options = {
            "args": [*_OPTIONS, f"--user-data-dir={profile}"],
            "binary": shutil.which("chromium") or shutil.which("google-chrome"),
        }
        logs = {"browser": "ALL"}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": logs}
        self._session = ""
        self._session = self._call("", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]

    def close(self) -> None:
        self._call("", None, method="DELETE")

    def open(self, path: Path) -> None:
        self._call("/url", {"url": path.as_uri()})

    def run(self, script: str, *values: object) -> Any:
        """The result of some JavaScript; it comes from outside of the page, whose policy forbids any of its own."""
        return self._call("/execute/sync", {"script": script, "args": list(values)})

    def complaints(self) -> list[str]:
        """What the browser had to say of pages since it was last asked."""
        return [each["message"] for each in self._call("/se/log", {"type": "browser"})]

    def size(self, width: int, height: int = 900) -> None:
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                      mobile=False)  # fmt: skip

    def medium(self, scheme: str, medium: str = "screen") -> None:
        """``light`` or ``dark``, on a ``screen`` or in ``print``."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.devtools("Emulation.setEmulatedMedia", media=medium, features=features)

    def press_tab(self) -> None:
        for kind in ("keyDown", "keyUp"):
            self.devtools("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)

    def picture(self, width: int, height: int, scale: float = 1) -> bytes:
        """The upper part of the page, as PNG."""
        part = {"x": 0, "y": 0, "width": width, "height": height, "scale": scale}
        taken = self.devtools("Page.captureScreenshot", captureBeyondViewport=True, format="png", clip=part)
        return base64.b64decode(taken["data"])

    def printed(self) -> bytes:
        """The page on paper, as PDF."""
        return base64.b64decode(self.devtools("Page.printToPDF", printBackground=True)["data"])

    def spoken(self) -> list[tuple[str, str]]:
        """What a screen reader is told: role and name of everything that is not ignored."""
        until = time.monotonic() + _SECONDS
        # Whoever asks has it prepared; until it is, there is the page alone, without what is in it.
        while len(told := self._spoken_now()) <= 1 and time.monotonic() < until:
            time.sleep(0.1)
        return told

    def _spoken_now(self) -> list[tuple[str, str]]:
        nodes = self.devtools("Accessibility.getFullAXTree")["nodes"]
        return [
            (str(node["role"]["value"]), str(node.get("name", {}).get("value", "")))
            for node in nodes
            if not node["ignored"]
        ]

    def devtools(self, command: str, **parameters: object) -> Any:
        return self._call("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def _call(self, path: str, body: object, method: str = "POST") -> Any:
        url = f"{self._address}/session" + (f"/{self._session}{path}" if self._session else "")
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
            return json.load(answer)["value"]


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser with a profile of its own, gone at the end."""
    profile = tempfile.TemporaryDirectory(prefix="s3napback-browser-", ignore_cleanup_errors=True)
    with profile as folder, _driver() as address:
        made = Browser(address, Path(folder))
        try:
            yield made
        finally:
            made.close()


@contextmanager
def _driver() -> Iterator[str]:
    """The browser's driver, and its address.

    It takes a port that is free for IPv6, and ends if others have just that one for IPv4.
    """
    words = []
    for _ in range(5):
        with subprocess.Popen(
            ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as driver:
            try:
                assert driver.stdout is not None
                for line in driver.stdout:
                    words.append(line)
                    if found := re.search(r"started successfully on port (\d+)", line):
                        yield f"http://127.0.0.1:{found[1]}"
                        return
            finally:
                driver.terminate()
    raise AssertionError(f"chromedriver does not start:\n{''.join(words)}")
