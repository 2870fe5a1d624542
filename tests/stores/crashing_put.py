"""Kill a process at every step of an operation on a directory store: ``crashing_put.py ROOT KEY DATA ID``.

Works on copies: ``ROOT-1`` is what remains of ROOT after a kill before the first step, and so on; the last copy is that
of the process which was not killed. A step is whatever Python reports to audit hooks, and each call of ``os.write`` and
``os.fsync``. DATA ``-`` deletes the key. Prints the number of copies.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from s3napback.stores.directory import DirectoryStore
from tests.stores.sources import BytesSource


def reported(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(*arguments: object) -> object:
        sys.audit(f"os.{name}", *arguments)
        return call(*arguments)

    return wrapper


def run(store: DirectoryStore, key: str, data: str, identity: str) -> None:
    if data == "-":
        store.delete(key)
    else:
        store.put(key, BytesSource(data.encode(), piece=5), {"s3napback-id": identity})


def run_until(step: int, store: DirectoryStore, key: str, data: str, identity: str) -> None:
    left = step

    def count(event: str, _arguments: object) -> None:
        nonlocal left
        if event == "open" or event.startswith("os."):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    os.write = reported("write", os.write)
    os.fsync = reported("fsync", os.fsync)
    sys.addaudithook(count)
    run(store, key, data, identity)


def main(root: str, key: str, data: str, identity: str) -> None:
    for step in range(1, 1000):
        copy = Path(f"{root}-{step}")
        shutil.copytree(root, copy)
        child = os.fork()
        if child == 0:
            run_until(step, DirectoryStore(copy), key, data, identity)
            os._exit(0)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
            sys.stdout.write(str(step))
            return
    raise RuntimeError("there is no end to the steps")


if __name__ == "__main__":
    main(*sys.argv[1:])
