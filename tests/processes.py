"""The command `anchorrec` in processes of its own. A fork server starts them without importing torch anew."""

from __future__ import annotations

import multiprocessing
import os
import sys
from multiprocessing import forkserver
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path

from anchorrec_graph.cli.app import main

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["anchorrec_graph.cli.app"])


def server() -> BaseContext:
    """The fork server's context. It runs by now: if `compare` started it, it would ignore Ctrl-C."""
    forkserver.ensure_running()
    return SERVER


def start(arguments: list[str], errors: Path, broken_pipe: bool = False) -> BaseProcess:
    """Start the command. Standard error goes to a file, output nowhere, or to a reader that has left."""
    process = SERVER.Process(target=_run, args=(arguments, errors, broken_pipe))
    process.start()
    return process


def _run(arguments: list[str], errors: Path, broken_pipe: bool) -> None:
    sys.argv = ["anchorrec", *arguments]
    with open(errors, "w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 2)
    reading, writing = os.pipe()
    os.dup2(writing if broken_pipe else os.open(os.devnull, os.O_WRONLY), 1)
    os.close(writing)
    os.close(reading)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  the old one thinks it is a file
    main()
