"""Imports what commands need, and forks a process for each that is asked for: see ``forked_command.py``."""

from __future__ import annotations

import atexit
import ctypes
import decimal
import difflib
import encodings.ascii
import encodings.utf_8_sig
import gc
import json
import os
import socket
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from types import ModuleType

import boto3
from dateutil import parser
from isal import isal_zlib

import s3napback.cli
import s3napback.commands.backup
import s3napback.commands.list
import s3napback.commands.migrate
import s3napback.commands.prune
import s3napback.commands.restore
import s3napback.commands.schedule
import s3napback.commands.status
import s3napback.commands.verify
import s3napback.config.loading
import s3napback.stores.s3
import s3napback.streams.parallel_gzip
from s3napback.__main__ import main
from s3napback.config.problems import Problems
from s3napback.config.syntax import parse_text
from tests.botocore_data import share_botocore_data

LOADED: list[ModuleType] = [
    *(ctypes, decimal, difflib, encodings.ascii, encodings.utf_8_sig, sqlite3, s3napback.streams.parallel_gzip),
    *(boto3, isal_zlib, parser, s3napback.cli, s3napback.config.loading, s3napback.stores.s3),
    *(s3napback.commands.backup, s3napback.commands.list, s3napback.commands.migrate, s3napback.commands.prune),
    *(s3napback.commands.restore, s3napback.commands.schedule, s3napback.commands.status, s3napback.commands.verify),
]
"""What a command would import when it needs it; another user may not be able to read it any more."""
time.strptime("2026", "%Y")  # its first call loads a module
parse_text("Diffs 6", "", Problems())  # works the grammar out
MESSAGE_SIZE = 200_000
"""Of a request, in bytes: arguments and environment."""


def serve(descriptor: int) -> None:
    """Answer the requests that come by a socket, until the other side closes it."""
    share_botocore_data(at_once=True)
    with socket.socket(fileno=descriptor) as channel:
        if not fork_at_requests(channel):
            return
    run_and_leave()


def run_and_leave() -> None:
    """Run the command line and end as Python does, but for taking apart all that was imported.

    That takes longer than many a command does.
    """
    try:
        main()
    except SystemExit as end:
        code = end.code
    else:
        code = 0
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


def fork_at_requests(channel: socket.socket) -> bool:
    """Answer requests by the child's process id and, once it has ended, its status; True in the child."""
    gc.freeze()
    while True:
        message, descriptors, _flags, _address = socket.recv_fds(channel, MESSAGE_SIZE, 2)
        if not message:
            return False
        child = os.fork()
        if child == 0:
            channel.close()
            _become(json.loads(message), *descriptors)
            return True
        for descriptor in descriptors:
            os.close(descriptor)
        channel.send(str(child).encode())
        status = os.waitpid(child, 0)[1]
        with suppress(BrokenPipeError):  # nobody waits for a command that took too long
            channel.send(str(status).encode())


def _become(request: Mapping[str, object], output: int, errors: int) -> None:
    """Take on what a process has when it starts."""
    for descriptor, number in ((output, 1), (errors, 2)):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(str(request["folder"]))
    os.umask(int(str(request["umask"])))
    environment, arguments = request["environment"], request["arguments"]
    assert isinstance(environment, dict)
    assert isinstance(arguments, list)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    tempfile.tempdir = None
    sys.argv = ["s3napback", *arguments]
